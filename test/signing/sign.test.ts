import { beforeAll, describe, expect, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { fieldsNamed, fieldValue, scanHeader } from '../../src/mail/header.ts';
import { parseMessage } from '../../src/mail/parse.ts';
import { OVERSIGNED_FIELDS, createSigner } from '../../src/signing/sign.ts';
import fc from '../support/properties.ts';
import {
  bytes,
  createSigningFixture,
  DOMAIN,
  NOW,
  FORM_FEED_IN_FIELD,
  ODD_MESSAGES,
  PLAIN,
  type SigningFixture,
} from './fixture.ts';
import { verifyWithDkimpy, verifyWithMailauth, verifyWithOpenDkim } from './verifiers.ts';

let fixture: SigningFixture;

beforeAll(async () => {
  fixture = await createSigningFixture();
});

/** The tags of every DKIM-Signature of `message`, top down. */
function tagsOf(message: Buffer): ReadonlyMap<string, string>[] {
  const scan = scanHeader(message);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return fieldsNamed(scan.fields, 'dkim-signature').map((field) => {
    const tags = fieldValue(message, field).split(';');
    return new Map(
      tags.map((tag): [string, string] => {
        const equals = tag.indexOf('=');
        return [tag.slice(0, equals).trim(), tag.slice(equals + 1).replace(/\s+/g, '')];
      }),
    );
  });
}

function insertField(message: Buffer, field: string): Buffer {
  return Buffer.concat([bytes(field), message]);
}

describe('the signature field', () => {
  test('names algorithm, canonicalisation, domain, selector and time, and has neither l= nor i=', async () => {
    const [rsa, ed25519] = tagsOf(await fixture.sign(PLAIN));
    expect(Object.fromEntries(rsa ?? [])).toMatchObject({
      v: '1',
      a: 'rsa-sha256',
      c: 'relaxed/relaxed',
      d: DOMAIN,
      s: 'rsa1',
      t: String(NOW / 1000),
    });
    expect(ed25519?.get('a')).toBe('ed25519-sha256');
    expect(ed25519?.get('s')).toBe('ed1');
    for (const tags of [rsa, ed25519]) {
      expect(tags?.has('l')).toBe(false);
      expect(tags?.has('i')).toBe(false);
    }
  });

  test('lists every oversigned name once more than it occurs', async () => {
    const message = bytes(
      'From: a@example.com\r\nTo: b@example.net\r\nCc: c@example.net\r\ncc: d@example.net\r\n\r\nHi\r\n',
    );
    const names =
      tagsOf(await fixture.sign(message))[0]
        ?.get('h')
        ?.split(':') ?? [];
    const count = (name: string): number => names.filter((other) => other === name).length;
    expect(OVERSIGNED_FIELDS.map((name) => [name, count(name)])).toEqual([
      ['from', 2],
      ['to', 2],
      ['cc', 3],
      ['subject', 1],
      ['date', 1],
      ['message-id', 1],
      ['reply-to', 1],
      ['content-type', 1],
      ['mime-version', 1],
    ]);
  });

  test('signs one-click unsubscribe fields where there are any', async () => {
    const message = bytes('From: a@example.com\r\nList-Unsubscribe: <https://x.example/u>\r\n\r\nHi\r\n');
    const names =
      tagsOf(await fixture.sign(message))[0]
        ?.get('h')
        ?.split(':') ?? [];
    expect(names.filter((name) => name.startsWith('list-'))).toEqual(['list-unsubscribe']);
  });

  test('has lines under 78 characters, each ending in CRLF', async () => {
    const parsed = parseMessage(ODD_MESSAGES.find(([name]) => name === 'fields of one name')?.[1] ?? PLAIN);
    if (parsed.kind === 'malformed') throw new Error(parsed.reason);
    const { header } = await fixture.signer.sign(DOMAIN, parsed.bytes, parsed.fields, parsed.bodyStart, NOW);
    const lines = Buffer.from(header).toString('latin1').split('\r\n');
    expect(lines.pop()).toBe('');
    expect(lines.length).toBeGreaterThan(10);
    expect(lines.filter((line) => line.length >= 78 || /[\r\n]/.test(line))).toEqual([]);
  });

  test('comes once per key, and the keys are told by name', async () => {
    const parsed = parseMessage(PLAIN);
    if (parsed.kind === 'malformed') throw new Error(parsed.reason);
    const { signatures } = await fixture.signer.sign(DOMAIN, parsed.bytes, parsed.fields, parsed.bodyStart, NOW);
    expect(signatures).toEqual([
      'rsa1._domainkey.example.com (rsa-sha256)',
      'ed1._domainkey.example.com (ed25519-sha256)',
    ]);
  });
});

describe('verification', () => {
  test.each(ODD_MESSAGES)('mailauth verifies %s', async (_name, message) => {
    expect(await verifyWithMailauth(await fixture.sign(message), fixture.records)).toEqual(['pass', 'pass']);
  });

  test('OpenDKIM verifies all of them', async () => {
    const messages = await Promise.all(ODD_MESSAGES.map(([, message]) => fixture.sign(message)));
    const verdicts = await verifyWithOpenDkim(messages, fixture.records);
    expect(ODD_MESSAGES.map(([name], index) => [name, verdicts[index]])).toEqual(
      ODD_MESSAGES.map(([name]) => [name, ['pass', 'pass']]),
    );
  });

  test('dkimpy verifies all of them', async () => {
    const messages = await Promise.all(ODD_MESSAGES.map(([, message]) => fixture.sign(message)));
    const verdicts = await verifyWithDkimpy(messages, fixture.records);
    expect(verdicts).toEqual(ODD_MESSAGES.map(() => ['pass', 'pass']));
  });

  test('form feed and vertical tab in a field are text, as the RFC has it', async () => {
    const signed = await fixture.sign(FORM_FEED_IN_FIELD);
    expect(await verifyWithMailauth(signed, fixture.records)).toEqual(['pass', 'pass']);
    expect(await verifyWithDkimpy([signed], fixture.records)).toEqual([['pass', 'pass']]);
  });

  test('each of the three sees a changed body', async () => {
    const signed = await fixture.sign(PLAIN);
    const changed = bytes(signed.toString('latin1').replace('token=1', 'token=2'));
    expect(await verifyWithMailauth(changed, fixture.records)).not.toContain('pass');
    expect((await verifyWithOpenDkim([changed], fixture.records))[0]).toEqual(['fail', 'fail']);
    expect(JSON.stringify(await verifyWithDkimpy([changed], fixture.records))).not.toContain('pass');
  });

  test.each([
    'From: Eve <eve@example.org>\r\n',
    'To: eve@example.org\r\n',
    'Cc: eve@example.org\r\n',
    'Subject: Another subject\r\n',
    'Date: Tue, 06 Jan 2026 10:00:00 +0000\r\n',
    'Message-ID: <2@example.org>\r\n',
    'Reply-To: eve@example.org\r\n',
    'Content-Type: text/html\r\n',
    'MIME-Version: 1.0\r\n',
  ])('a field added afterwards breaks it: %j', async (field) => {
    expect(await verifyWithMailauth(insertField(await fixture.sign(PLAIN), field), fixture.records)).not.toContain(
      'pass',
    );
  });

  test('a field that is not signed may be added', async () => {
    const signed = insertField(await fixture.sign(PLAIN), 'Received: from a by b; Mon, 05 Jan 2026 10:00:00 +0000\r\n');
    expect(await verifyWithMailauth(signed, fixture.records)).toEqual(['pass', 'pass']);
  });

  test('text appended to the body breaks it', async () => {
    const signed = Buffer.concat([await fixture.sign(PLAIN), bytes('More\r\n')]);
    expect(await verifyWithMailauth(signed, fixture.records)).not.toContain('pass');
  });

  test('a body larger than one piece verifies, whatever stands at the joint', async () => {
    const line = 'Line with  two spaces \t and a tail \r\n';
    for (const shift of [0, 1, 2, 3]) {
      const body = `${'x'.repeat(shift)}\r\n${line.repeat(7400)}${'\r\n'.repeat(140_000)}end  \r\n\r\n`;
      const signed = await fixture.sign(bytes(`From: a@example.com\r\n\r\n${body}`));
      expect(await verifyWithMailauth(signed, fixture.records)).toEqual(['pass', 'pass']);
    }
  });
});

describe('for any message', () => {
  const octets = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '\r\n\r\n',
      ' ',
      '\t',
      '  ',
      '\r\n ',
      '\r\n\t',
      '.',
      '\xa0',
      '\f',
      '\v',
      'a',
      'Hello',
      '\xff',
    ),
    fc.string({ unit: fc.integer({ min: 1, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 }),
  );
  const text = fc.array(octets, { maxLength: 30 }).map((parts) =>
    parts
      .join('')
      .replace(/\r(?!\n)/g, '')
      .replace(/(?<!\r)\n/g, ''),
  );
  /** A value whose every line but the first is a continuation. */
  const value = text.map((raw) => raw.replace(/\r\n(?![ \t])/g, ''));
  const name = fc.constantFrom(
    'To',
    'tO',
    'Subject',
    'Cc',
    'CC',
    'Content-Type',
    'X-Odd',
    'Sender',
    'References',
    'List-Id',
  );

  test('mailauth verifies what was signed', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 6 }), text, async (pairs, body) => {
        const seen = new Set<string>();
        const fields = pairs
          .filter(
            ([key]) =>
              !(
                ['to', 'subject', 'sender'].includes(key.toLowerCase()) &&
                seen.size === seen.add(key.toLowerCase()).size
              ),
          )
          .map(([key, raw]) => `${key}:${raw}\r\n`)
          .join('');
        const message = bytes(`From: ann@example.com\r\n${fields}\r\n${body}`);
        expect(await verifyWithMailauth(await fixture.sign(message), fixture.records)).toEqual(['pass', 'pass']);
      }),
      { numRuns: 150 },
    );
  });
});

describe('trouble', () => {
  test('a domain without a key is an environment problem, not an unsigned message', async () => {
    const parsed = parseMessage(PLAIN);
    if (parsed.kind === 'malformed') throw new Error(parsed.reason);
    const signing = fixture.signer.sign('example.org', parsed.bytes, parsed.fields, parsed.bodyStart, NOW);
    await expect(signing).rejects.toSatisfy((error) => error instanceof RelayError && error.code === 'signing');
  });

  test('a sender without keys is not among the domains', async () => {
    const signer = await createSigner([{ domain: 'plain.example', dkim: [], returnPath: null }]);
    expect([...signer.domains]).toEqual([]);
  });
});
