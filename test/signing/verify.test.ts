import { beforeAll, expect, test } from 'vitest';
import { checkSignatures } from '../../src/signing/verify.ts';
import fc from '../support/properties.ts';
import { bytes, createSigningFixture, ODD_MESSAGES, PLAIN, type SigningFixture } from './fixture.ts';

let fixture: SigningFixture;
beforeAll(async () => {
  fixture = await createSigningFixture();
});

const results = async (message: Uint8Array): Promise<readonly string[]> =>
  (await fixture.signer.check(message)).map(({ result }) => result);

test('what the signer made passes, with either kind of key', async () => {
  const checked = await fixture.signer.check(await fixture.sign(PLAIN));
  expect(checked).toMatchObject([
    { domain: 'example.com', selector: 'rsa1', algorithm: 'rsa-sha256', result: 'pass', reason: '' },
    { domain: 'example.com', selector: 'ed1', algorithm: 'ed25519-sha256', result: 'pass', reason: '' },
  ]);
});

test.each(ODD_MESSAGES)('%s passes', async (_name, message) => {
  expect(await results(await fixture.sign(message))).toEqual(['pass', 'pass']);
});

test('a changed body fails, and so does a changed, added or removed header field', async () => {
  const signed = (await fixture.sign(PLAIN)).toString('latin1');
  const changed = [
    `${signed}one line more\r\n`,
    signed.replace('Subject: ', 'Subject: Not '),
    signed.replace('Subject: ', 'Subject: second\r\nSubject: '),
    signed.replace(/^To: .*\r\n/m, ''),
  ];
  for (const text of changed) {
    expect(text).not.toBe(signed);
    expect(await results(bytes(text))).toEqual(['fail', 'fail']);
  }
});

test('a signature by somebody else is not judged', async () => {
  const signed = (await fixture.sign(PLAIN)).toString('latin1');
  expect(await results(bytes(signed.replace('s=rsa1', 's=other')))).toEqual(['unknown-key', 'pass']);
  expect(await results(bytes(signed.replace('c=relaxed/relaxed', 'c=simple/simple')))).toEqual(['unsupported', 'pass']);
});

test('a message without a signature has nothing to check', async () => {
  expect(await fixture.signer.check(PLAIN)).toEqual([]);
});

test('whatever stands in the field, it is judged and never throws', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 200 }), async (text) => {
      const field = `DKIM-Signature: ${text.replace(/[\r\n\0]/g, '')}\r\n`;
      const checked = await checkSignatures(Buffer.concat([Buffer.from(field), PLAIN]), () => null);
      expect(checked.every(({ result }) => result !== 'pass')).toBe(true);
    }),
    { numRuns: 200 },
  );
});
