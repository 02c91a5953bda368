import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { run, tempFolder, writeConfig } from './support.ts';

describe('explain', () => {
  test('names the known credentials when one is not known', async () => {
    const password = await hashPassword('long enough to be one');
    const config = writeConfig(tempFolder(), {
      credentials: [
        { username: 'keycloak', password },
        { username: 'django', password },
      ],
    });
    const { code, err } = await run(['explain', '--credential', 'kc', '--config', config]);
    expect(code).toBe(2);
    expect(err).toContain('no credential "kc"');
    expect(err).toContain('keycloak, django');
  });

  test('of a From that was not given and is refused says that --from names another', async () => {
    const password = await hashPassword('long enough to be one');
    const credentials = [{ username: 'shop', password, from: ['shop@example.com'] }];
    const argv = ['explain', '--credential', 'shop', '--config', writeConfig(tempFolder(), { credentials })];
    expect((await run(argv, { tty: true })).out).toContain('--from ADDRESS asks about mail from another address');
    expect((await run([...argv, '--from', 'shop@example.com'], { tty: true })).code).toBe(0);
    const refused = await run([...argv, '--from', 'x@example.com'], { tty: true });
    expect([refused.code, refused.out.includes('--from')]).toEqual([1, false]);
  });

  test('takes --from in place of the From of a file', async () => {
    const folder = tempFolder();
    const file = join(folder, 'mail.eml');
    writeFileSync(file, 'To: x@example.net\nFROM: Some\n body <x@example.com>\nSubject: x\n\nFrom: y\n');
    const argv = ['explain', file, '--config', writeConfig(folder)];
    expect((await run(argv)).json).toMatchObject([{ from: 'x@example.com' }]);
    expect((await run([...argv, '--from', 'Zo\u00eb <z@example.com>'])).json).toMatchObject([
      { from: 'z@example.com' },
    ]);
  });

  test('says of a mail without a tag that it has none, and nothing more', async () => {
    const { out } = await run(['explain', '--config', writeConfig(tempFolder())], { tty: true });
    expect(out).toMatch(/^ {2}tag {7}none$/m);
  });

  test('says what it replaces, what holds it back, where it returns to, and the routes in order', async () => {
    const config = writeConfig(tempFolder(), {
      senders: [{ domain: 'example.com', return_path: 'bounces.example.com' }],
      tags: {
        otp: {
          collapse: 'recipient',
          delayed_after: '30s',
          suppression: 'bypass',
          throttle: { per_recipient: '5/1h' },
        },
      },
      routes: {
        plain: { type: 'smtp', host: '127.0.0.1', tls: 'none' },
        ses: { type: 'smtp', host: 'smtp.ses.example' },
        direct: { type: 'mx', ehlo: 'relay.example.com' },
      },
      rules: [{ name: 'all', via: ['plain', 'ses', 'direct'] }],
    });
    const argv = ['explain', '--tag', 'otp', '--header', 'X-Leadpush-Require-TLS: true', '--config', config];
    const { out, code } = await run(argv, { tty: true });
    expect(code).toBe(0);
    for (const line of [
      '  replaces  older undelivered mail of the same credential to the same recipient with the tag otp',
      '  throttle  at most 5 with the tag otp to a recipient in 1 h',
      '  suppress  no: sent to suppressed recipients too',
      '  delayed   message.delayed when it has not gone after 30 s',
      '  returns   to an address of its own at bounces.example.com',
      'goes by rule all to route ses',
      '  when it is down or fails, on at once to: direct',
      '  not used, for want of verified TLS: plain',
    ]) {
      expect(out).toContain(line);
    }
    expect((await run(argv)).json).toMatchObject([
      {
        collapse: 'tag',
        throttles: [{ scope: 'tag:otp', per: 'recipient', count: 5, per_ms: 3_600_000 }],
        suppression: 'bypass',
        return_path: 'bounces.example.com',
        recipients: [{ via: ['ses', 'direct'], route: 'ses', left_out: ['plain'] }],
      },
    ]);
  });

  test('says in plain words that the message file is not there', async () => {
    const file = join(tempFolder(), 'nope.eml');
    const { code, err } = await run(['explain', file, '--config', writeConfig(tempFolder())]);
    expect(code).toBe(2);
    expect(err).toContain(`cannot read ${file}: there is no such file`);
    expect(err).not.toContain('ENOENT');
  });
});
