import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { describe, expect, test } from 'vitest';
import { startDnsServer } from '../support/dns-server.ts';
import { NOW, type Ran, run, tempFolder, writeConfig } from './support.ts';

const check = (file: string, tty = false): Promise<Ran> => run(['check', '--config', file], { tty });
const levels = (ran: Ran, about: string): readonly unknown[] =>
  ran.json.filter((result) => result['about'] === about).map((result) => result['level']);

async function withKey(mode = 0o600): Promise<{ folder: string; key: string; over: Record<string, unknown> }> {
  const folder = tempFolder();
  const key = join(folder, 'lp1.pem');
  await run([
    'dkim',
    'generate',
    '--domain',
    'example.com',
    '--selector',
    'lp1',
    '--algorithm',
    'ed25519',
    '--out',
    key,
  ]);
  chmodSync(key, mode);
  return { folder, key, over: { senders: [{ domain: 'example.com', dkim: [{ selector: 'lp1', key }] }] } };
}

const SMTP_ROUTE = {
  routes: { ses: { type: 'smtp', host: 'smtp.example.net', port: 587 } },
  rules: [{ name: 'default', via: ['ses'] }],
};

describe('check', () => {
  test('finds nothing wrong with a good config and ends with 0', async () => {
    const { folder, over } = await withKey();
    const ran = await check(writeConfig(folder, over), true);
    expect(ran.err).toBe('');
    expect(ran.code).toBe(0);
    expect(ran.out).toContain('The relay can start.');
    expect(ran.out).toContain('example.com is signed with lp1');
  });

  test('shows every finding of a broken config with its place and ends with 1', async () => {
    const file = writeConfig(tempFolder(), { smtp: { lissteners: [] }, http: { port: 'many' } });
    const ran = await check(file);
    expect(ran.code).toBe(1);
    const messages = ran.json.map((result) => String(result['message']));
    expect(messages.some((message) => message.includes('lissteners'))).toBe(true);
    expect(messages.some((message) => message.includes('http.port'))).toBe(true);
    expect(messages.every((message) => message.startsWith(`${file}:`))).toBe(true);
  });

  test('a config that is not there is a finding, not wrong use', async () => {
    expect((await check(join(tempFolder(), 'none.yaml'))).code).toBe(1);
  });

  test('a key that is not there is an error with the command that makes it', async () => {
    const folder = tempFolder();
    const senders = [{ domain: 'example.com', dkim: [{ selector: 'lp1', key: './none.pem' }] }];
    const ran = await check(writeConfig(folder, { senders, ...SMTP_ROUTE }));
    expect(ran.code).toBe(1);
    expect(levels(ran, 'dkim')).toEqual(['error']);
    expect(ran.out).toContain('dkim generate --domain example.com');
  });

  test('several keys that are not there are told with the command for each', async () => {
    const folder = tempFolder();
    const dkim = [
      { selector: 'lp1', key: './a.pem' },
      { selector: 'lp2', key: './b.ed25519.pem' },
    ];
    const ran = await check(writeConfig(folder, { senders: [{ domain: 'example.com', dkim }], ...SMTP_ROUTE }));
    expect(levels(ran, 'dkim')).toEqual(['error', 'error']);
    expect(ran.json.map((result) => result['hint'])).toEqual(
      expect.arrayContaining([
        `Make it with: leadpush-relay dkim generate --domain example.com --selector lp1 --out ${join(folder, 'a.pem')}`,
        `Make it with: leadpush-relay dkim generate --domain example.com --selector lp2 --algorithm ed25519 --out ${join(folder, 'b.ed25519.pem')}`,
      ]),
    );
  });

  test('a certificate that is not there is told in plain words', async () => {
    const folder = tempFolder();
    const smtp = {
      listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
      tls: { cert: './cert.pem', key: './key.pem' },
    };
    const ran = await check(writeConfig(folder, { smtp }));
    expect(ran.code).toBe(1);
    expect(ran.out).toContain(`${join(folder, 'cert.pem')}: there is no such file`);
    expect(ran.out).not.toContain('ENOENT');
  });

  test('a key that is not there is in order where every route is a sandbox', async () => {
    const senders = [{ domain: 'example.com', dkim: [{ selector: 'lp1', key: './none.pem' }] }];
    const ran = await check(writeConfig(tempFolder(), { senders }));
    expect([ran.code, levels(ran, 'dkim')]).toEqual([0, ['ok']]);
  });

  test('a sender without a key is a warning', async () => {
    const ran = await check(writeConfig(tempFolder()));
    expect([ran.code, levels(ran, 'dkim')]).toEqual([0, ['warning']]);
  });

  test('a key that others may read is a warning that says what to type', async () => {
    const { folder, key, over } = await withKey(0o644);
    const ran = await check(writeConfig(folder, over));
    expect(levels(ran, 'dkim')).toEqual(['ok', 'warning']);
    expect(ran.out).toContain(`chmod 600 ${key}`);
  });

  test('a data folder that everybody may enter is a warning', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'data'));
    chmodSync(join(folder, 'data'), 0o755);
    expect(levels(await check(writeConfig(folder)), 'data')).toEqual(['ok', 'warning']);
  });

  test('a data folder that cannot be made is an error', async () => {
    const folder = tempFolder();
    writeFileSync(join(folder, 'plain'), '');
    symlinkSync(join(folder, 'plain'), join(folder, 'data'));
    const ran = await check(writeConfig(folder, { data: './data/inner' }));
    expect([ran.code, levels(ran, 'data')]).toEqual([1, ['error']]);
  });

  test('a database that is none is an error', async () => {
    const folder = tempFolder();
    mkdirSync(join(folder, 'data'), { mode: 0o700 });
    writeFileSync(join(folder, 'data', 'relay.db'), 'this is not a database, whatever its name says'.repeat(100));
    const ran = await check(writeConfig(folder));
    expect([ran.code, levels(ran, 'data')]).toEqual([1, ['ok', 'error']]);
  });

  describe('with --dns', () => {
    test('tells what DNS says, each finding with why and the record that mends it, and ends with 1', async () => {
      const dns = await startDnsServer({ zone: { 'example.com': { MX: ['10 mail.example.com'] } } });
      const { folder, over } = await withKey();
      const file = writeConfig(folder, { ...over, ...SMTP_ROUTE });
      const ran = await run(['check', '--dns', '--resolver', dns.address, '--config', file]);
      await dns.close();
      expect(ran.code).toBe(1);
      const errors = ran.json.filter((result) => result['level'] === 'error');
      expect(errors.map((result) => result['code'])).toEqual(['spf.missing', 'dkim.missing', 'dmarc.missing']);
      expect(errors.every((result) => result['why'] !== '' && result['record'] !== null)).toBe(true);
    });

    test('ends with 0 where a sandbox captures all mail, and says that none leaves the machine', async () => {
      const dns = await startDnsServer({ zone: {} });
      const { folder, over } = await withKey();
      const ran = await run(['check', '--dns', '--resolver', dns.address, '--config', writeConfig(folder, over)]);
      await dns.close();
      expect(ran.code).toBe(0);
      expect(ran.out).toContain('does not leave this machine');
    });

    test('on a terminal shows the zone line under the finding', async () => {
      const dns = await startDnsServer({ zone: {} });
      const ran = await run(['check', '--dns', '--resolver', dns.address, '--config', writeConfig(tempFolder())], {
        tty: true,
      });
      await dns.close();
      expect(ran.out).toContain('DNS of example.com');
      expect(ran.out).toContain('_dmarc.example.com. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@example.com"');
    });

    test.each([
      ['without --dns', ['--resolver', '127.0.0.1:53']],
      ['with a name', ['--dns', '--resolver', 'dns.example.com']],
      ['with a port that cannot be', ['--dns', '--resolver', '127.0.0.1:99999']],
    ])('--resolver %s is wrong use', async (_how, args) => {
      const ran = await run(['check', ...args, '--config', writeConfig(tempFolder())]);
      expect([ran.code, ran.out]).toEqual([2, '']);
    });
  });

  describe('of a certificate', () => {
    async function certificate(notAfter: Date): Promise<Ran> {
      const folder = tempFolder();
      const pair = await generate([{ name: 'commonName', value: 'relay.example.com' }], {
        keySize: 2048,
        notBeforeDate: new Date(NOW - 86_400_000),
        notAfterDate: notAfter,
      });
      writeFileSync(join(folder, 'cert.pem'), pair.cert);
      writeFileSync(join(folder, 'key.pem'), pair.private, { mode: 0o600 });
      const smtp = {
        listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
        tls: { cert: './cert.pem', key: './key.pem' },
      };
      return check(writeConfig(folder, { smtp }));
    }

    test.each([
      [90, 'ok', 0],
      [10, 'warning', 0],
      [-0.5, 'error', 1],
    ] as const)('that ends in %d days: %s', async (days, level, code) => {
      const ran = await certificate(new Date(NOW + days * 86_400_000));
      // It signed itself, which is told too.
      expect([levels(ran, 'tls'), ran.code]).toEqual([[level, 'warning'], code]);
    });

    test('tells when the key belongs to another one', async () => {
      const { folder, key } = await withKey();
      const pair = await generate([{ name: 'commonName', value: 'relay.example.com' }], { keySize: 2048 });
      writeFileSync(join(folder, 'cert.pem'), pair.cert);
      const smtp = {
        listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
        tls: { cert: './cert.pem', key },
      };
      const ran = await check(writeConfig(folder, { smtp }));
      expect(ran.code).toBe(1);
      expect(ran.out).toContain('is not the key of');
    });
  });
});
