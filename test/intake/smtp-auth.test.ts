import { describe, expect, test } from 'vitest';
import type { CredentialConfig } from '../../src/config/types.ts';
import type { CredentialCheck } from '../../src/intake/credentials.ts';
import { createNetworks } from '../../src/intake/networks.ts';
import { startAuth } from '../../src/intake/smtp-auth.ts';
import { MAX_AUTH_LINE_BYTES } from '../../src/intake/smtp-wire.ts';
import fc from '../support/properties.ts';
import { credentialFor, type Rig, useSmtp } from '../support/smtp-listener.ts';

const b64 = (text: string): string => Buffer.from(text, 'utf8').toString('base64');
const PLAIN = `AUTH PLAIN ${b64('\0app\0secret')}`;

const smtp = useSmtp();
const { dial } = smtp;

const app: CredentialConfig = await credentialFor('app', 'secret');

/** Takes `app` with `secret`; answers `slow-down` to the user `slow` and fails for `broken`. */
const check: CredentialCheck = {
  async verify(username, password) {
    if (username === 'slow') return 'slow-down';
    if (username === 'broken') throw new Error('out of memory');
    return username === 'app' && password === 'secret' ? app : 'denied';
  },
  refresh: (credential) => credential,
};

function open(over: Partial<CredentialCheck> = {}): Promise<Rig> {
  const settings = { hasCredentials: true, trusted: createNetworks([]) };
  return smtp.open({ check: { ...check, ...over }, settings });
}

describe('AUTH', () => {
  test('PLAIN with an initial response logs in, and mail carries the credential', async () => {
    const rig = await open();
    const client = await dial(rig);
    expect((await client.command(PLAIN)).raw).toBe('235 2.7.0 Authentication successful');
    for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.net>', 'DATA']) await client.command(line);
    await client.write('x\r\n.\r\n');
    expect((await client.reply()).code).toBe(250);
    expect(rig.submissions[0]?.submitter).toMatchObject({ credential: app, protocol: 'ESMTPA' });
  });

  test('PLAIN in two steps logs in', async () => {
    const client = await dial(await open());
    expect((await client.command('AUTH PLAIN')).raw).toBe('334 ');
    expect((await client.command(b64('app\0app\0secret'))).code).toBe(235);
  });

  test('LOGIN logs in, with and without an initial response', async () => {
    for (const initial of [false, true]) {
      const client = await dial(await open());
      if (initial) expect((await client.command(`auth login ${b64('app')}`)).raw).toBe('334 UGFzc3dvcmQ6');
      else {
        expect((await client.command('AUTH LOGIN')).raw).toBe('334 VXNlcm5hbWU6');
        expect((await client.command(b64('app'))).raw).toBe('334 UGFzc3dvcmQ6');
      }
      expect((await client.command(b64('secret'))).code).toBe(235);
    }
  });

  test('a client in a trusted network may log in, and then the credential counts', async () => {
    const rig = await open();
    rig.settings.trusted = createNetworks(['127.0.0.0/8']);
    const client = await dial(rig);
    await client.command(PLAIN);
    for (const line of ['MAIL FROM:<a@example.com>', 'RCPT TO:<b@example.net>', 'DATA']) await client.command(line);
    await client.write('x\r\n.\r\n');
    await client.reply();
    expect(rig.submissions[0]?.submitter.credential).toBe(app);
  });

  test('EHLO no longer offers AUTH after a login, and a second one is refused', async () => {
    const client = await dial(await open());
    await client.command(PLAIN);
    expect((await client.command('EHLO client.example')).lines.join()).not.toContain('AUTH');
    expect((await client.command(PLAIN)).raw).toBe('503 5.5.1 Already logged in');
  });

  test.each([
    ['AUTH', /^501 5\.5\.4 /],
    ['AUTH ', /^501 5\.5\.4 /],
    ['AUTH PLAIN a b', /^501 5\.5\.4 /],
    ['AUTH CRAM-MD5', /^504 5\.5\.4 /],
    ['AUTH XOAUTH2 AAAA', /^504 5\.5\.4 /],
    ['AUTH XCLIENT app', /^504 5\.5\.4 /],
    ['AUTH PLAIN !!!!', /^501 5\.5\.2 /],
    ['AUTH PLAIN AAA', /^501 5\.5\.2 /],
    ['AUTH PLAIN =', /^501 5\.5\.2 /],
    [`AUTH PLAIN ${b64('app\0secret')}`, /^501 5\.5\.2 /],
    [`AUTH PLAIN ${b64('\0a\0b\0c')}`, /^501 5\.5\.2 /],
    [`AUTH PLAIN ${b64('\0app\r\nx\0secret')}`, /^501 5\.5\.2 /],
    [`AUTH PLAIN ${Buffer.from([0, 0xff, 0, 0x61]).toString('base64')}`, /^501 5\.5\.2 /],
    [`AUTH PLAIN ${b64('root\0app\0secret')}`, /^535 5\.7\.8 /],
    [`AUTH PLAIN ${b64('\0app\0wrong')}`, /^535 5\.7\.8 Authentication credentials invalid$/],
    [`AUTH LOGIN ${b64('a\u0085b')}`, /^501 5\.5\.2 /],
    [`AUTH PLAIN ${b64('\0broken\0x')}`, /^454 4\.7\.0 /],
  ])('answers %j with %s', async (line, pattern) => {
    expect((await (await dial(await open())).command(line)).raw).toMatch(pattern);
  });

  test('an asterisk cancels the exchange at any step', async () => {
    const client = await dial(await open());
    for (const lines of [['AUTH PLAIN'], ['AUTH LOGIN'], ['AUTH LOGIN', b64('app')]]) {
      for (const line of lines) expect((await client.command(line)).code).toBe(334);
      expect((await client.command('*')).raw).toBe('501 5.7.0 Authentication cancelled');
    }
    expect((await client.command('NOOP')).code).toBe(250);
  });

  test('is refused before EHLO and during a transaction', async () => {
    const rig = await open();
    rig.settings.trusted = createNetworks(['127.0.0.0/8']);
    const client = await smtp.greeted(rig);
    expect((await client.command(PLAIN)).raw).toBe('503 5.5.1 Send EHLO first');
    await client.command('EHLO client.example');
    await client.command('MAIL FROM:<a@example.com>');
    expect((await client.command(PLAIN)).raw).toBe('503 5.5.1 Not during a mail transaction');
  });

  test('the third wrong password ends the connection', async () => {
    const rig = await open();
    const client = await dial(rig);
    const wrong = `AUTH PLAIN ${b64('\0app\0wrong')}`;
    for (let i = 0; i < 2; i++) expect((await client.command(wrong)).code).toBe(535);
    await client.write(`${wrong}\r\n`);
    expect([(await client.reply()).code, (await client.reply()).raw]).toEqual([
      535,
      '421 4.7.0 Too many failed logins',
    ]);
    await client.closed();
    expect(rig.metrics.filter((line) => line.startsWith('auth'))).toEqual(Array(3).fill('auth denied'));
  });

  test('a client that has to slow down gets 421 and is cut off', async () => {
    const rig = await open();
    const client = await dial(rig);
    expect((await client.command(`AUTH PLAIN ${b64('\0slow\0x')}`)).raw).toMatch(/^421 4\.7\.0 /);
    await client.closed();
    expect(rig.metrics).toContain('auth slow-down');
  });

  test('a password appears in no log line, whatever goes wrong', async () => {
    const rig = await open();
    const client = await dial(rig);
    for (const user of ['app', 'broken']) await client.command(`AUTH PLAIN ${b64(`\0${user}\0hunter2`)}`);
    await client.command('AUTH LOGIN');
    await client.command('hunter2');
    const text = JSON.stringify(rig.lines);
    expect(text).not.toContain('hunter2');
    expect(text).not.toContain(b64('\0app\0hunter2'));
  });

  test('a credential that a reload withdrew cannot send on an open connection', async () => {
    let current: CredentialConfig | null = app;
    const rig = await open({ refresh: () => current });
    const client = await dial(rig);
    await client.command(PLAIN);
    expect((await client.command('MAIL FROM:<a@example.com>')).code).toBe(250);
    await client.command('RSET');
    current = null;
    expect((await client.command('MAIL FROM:<a@example.com>')).raw).toMatch(/^421 4\.7\.0 /);
  });

  test.each([
    [MAX_AUTH_LINE_BYTES - 1, 535],
    [MAX_AUTH_LINE_BYTES, 535],
    [MAX_AUTH_LINE_BYTES + 1, 421],
  ])('a line of %d octets is answered %d', async (octets, code) => {
    const client = await dial(await open());
    await client.command('AUTH LOGIN');
    await client.command(b64('app'));
    // A line of base64 is a multiple of four long: the rest is at the end of an `AUTH LOGIN name` line instead.
    const pad = (octets - 2) % 4;
    const line = b64('x'.repeat(((octets - 2 - pad) / 4) * 3));
    if (pad === 0) expect((await client.command(line)).code).toBe(code);
    else {
      await client.command('*');
      const bare = 'AUTH LOGIN '.length;
      const name = b64('x'.repeat(Math.floor((octets - 2 - bare) / 4) * 3));
      const reply = await client.command(`AUTH LOGIN ${name}${' '.repeat(octets - 2 - bare - name.length)}`);
      expect(reply.code).toBe(code === 535 ? 334 : code);
    }
  });
});

describe('startAuth', () => {
  test('answers anything with a step, and refuses with codes that are safe to send', () => {
    const word = fc.oneof(fc.string(), fc.base64String(), fc.constantFrom('PLAIN', 'LOGIN', '=', '*', ''));
    fc.assert(
      fc.property(fc.array(word, { maxLength: 4 }), fc.array(word, { maxLength: 3 }), (words, lines) => {
        let step = startAuth(['AUTH', ...words].join(' '));
        for (const line of lines) if (step.kind === 'challenge') step = step.next(line);
        if (step.kind === 'refused') expect(step.text).toMatch(/^[\x20-\x7e]+$/);
        if (step.kind === 'login') expect(step.username).not.toMatch(/\p{Cc}/u);
      }),
      { numRuns: 500 },
    );
  });

  test('gives username and password back as they were encoded', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 }).filter((t) => !/\p{Cc}/u.test(t) && t.isWellFormed());
    fc.assert(
      fc.property(text, text, (username, password) => {
        expect(startAuth(`AUTH PLAIN ${b64(`\0${username}\0${password}`)}`)).toEqual({
          kind: 'login',
          username,
          password,
        });
      }),
      { numRuns: 200 },
    );
  });
});
