import { createPrivateKey } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { dnsRecord } from '../../src/signing/generate.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { type Ran, run, tempFolder, writeConfig } from './support.ts';

const dkim = (...argv: readonly string[]): Promise<Ran> => run(['dkim', ...argv], { tty: true });
const generate = (out: string, ...more: readonly string[]): Promise<Ran> =>
  dkim('generate', '--domain', 'example.com', '--selector', 'lp1', '--out', out, ...more);

describe('dkim generate', () => {
  test('writes a private key that only its owner may read and prints its DNS record', async () => {
    const out = join(tempFolder(), 'dkim', 'lp1.pem');
    const { code, out: printed, err } = await generate(out);
    expect(code).toBe(0);
    expect(statSync(out).mode & 0o777).toBe(0o600);
    const pem = readFileSync(out, 'utf8');
    expect(createPrivateKey(pem).asymmetricKeyType).toBe('rsa');
    expect(printed).toBe(`${dnsRecord(pem, 'example.com', 'lp1').zoneLine}\n`);
    expect(printed).toMatch(/^lp1\._domainkey\.example\.com\. IN TXT .*v=DKIM1/);
    expect(err).toContain(out);
    expect(printed + err).not.toContain('PRIVATE');
  });

  test('makes an Ed25519 key when asked', async () => {
    const out = join(tempFolder(), 'lp1.pem');
    const { out: printed } = await generate(out, '--algorithm', 'ed25519');
    expect(createPrivateKey(readFileSync(out, 'utf8')).asymmetricKeyType).toBe('ed25519');
    expect(printed).toContain('k=ed25519');
  });

  test('never writes over a file', async () => {
    const out = join(tempFolder(), 'lp1.pem');
    writeFileSync(out, 'precious');
    const { code, out: printed, err } = await generate(out);
    expect(code).toBe(1);
    expect(printed).toBe('');
    expect(err).toContain('there already');
    expect(readFileSync(out, 'utf8')).toBe('precious');
  });

  test('gives the record as JSON when it goes into a pipe', async () => {
    const out = join(tempFolder(), 'lp1.pem');
    const { json } = await run(['dkim', 'generate', '--domain', 'example.com', '--selector', 'lp1', '--out', out]);
    expect(json).toEqual([
      {
        name: 'lp1._domainkey.example.com',
        type: 'TXT',
        value: expect.stringMatching(/^v=DKIM1; k=rsa; p=/),
        zone: expect.any(String),
      },
    ]);
  });

  test.each([
    ['--domain', 'exa mple.com'],
    ['--domain', 'example.com; rm'],
    ['--selector', 'a..b'],
    ['--selector', '-lp1'],
    ['--algorithm', 'dsa'],
  ])('refuses %s %j as wrong use and writes nothing', async (option, value) => {
    const out = join(tempFolder(), 'lp1.pem');
    expect((await generate(out, option, value)).code).toBe(2);
    expect(() => statSync(out)).toThrow('ENOENT');
  });

  test('needs its options', async () => {
    const { code, err } = await dkim('generate', '--domain', 'example.com');
    expect(code).toBe(2);
    expect(err).toContain('--selector');
  });
});

describe('dkim dns', () => {
  async function withKeys(): Promise<string> {
    const folder = tempFolder();
    mkdirSync(join(folder, 'dkim'));
    await generate(join(folder, 'dkim', 'a.pem'), '--algorithm', 'ed25519');
    await generate(join(folder, 'dkim', 'b.pem'), '--algorithm', 'ed25519');
    return writeConfig(folder, {
      senders: [
        { domain: 'example.com', dkim: [{ selector: 'lp1', key: './dkim/a.pem' }] },
        { domain: 'example.org', dkim: [{ selector: 'lp2', key: './dkim/b.pem' }] },
      ],
    });
  }
  const names = (out: string): readonly string[] =>
    out
      .trimEnd()
      .split('\n')
      .map((line) => line.split(' ')[0] ?? '');

  test('prints the records of all configured keys', async () => {
    const { code, out } = await dkim('dns', '--config', await withKeys());
    expect(code).toBe(0);
    expect(names(out)).toEqual(['lp1._domainkey.example.com.', 'lp2._domainkey.example.org.']);
  });

  test('prints those of one domain', async () => {
    const { out } = await dkim('dns', '--domain', 'example.org', '--config', await withKeys());
    expect(names(out)).toEqual(['lp2._domainkey.example.org.']);
  });

  test('ends with 1 when there is no such key', async () => {
    const { code, err } = await dkim('dns', '--domain', 'example.net', '--config', await withKeys());
    expect(code).toBe(1);
    expect(err).toContain('dkim generate');
  });

  test('prints the record of a key file without a config', async () => {
    const file = join(tempFolder(), 'k.pem');
    await generate(file, '--algorithm', 'ed25519');
    const { code, out } = await dkim('dns', '--key', file, '--domain', 'example.net', '--selector', 's');
    expect(code).toBe(0);
    expect(names(out)).toEqual(['s._domainkey.example.net.']);
  });

  test('tells what is missing beside --key', async () => {
    expect(await dkim('dns', '--key', 'k.pem')).toMatchObject({ code: 2, err: expect.stringContaining('--domain') });
  });

  test('ends with 1 when the key file cannot be read', async () => {
    const file = join(tempFolder(), 'none.pem');
    const { code, err } = await dkim('dns', '--key', file, '--domain', 'example.net', '--selector', 's');
    expect(code).toBe(1);
    expect(err).toContain(`cannot read ${file}: there is no such file`);
    expect(err).not.toContain('ENOENT');
  });
});

describe('dkim check', () => {
  async function checked(published: 'own' | 'none' | 'failing', ...more: readonly string[]): Promise<Ran> {
    const folder = tempFolder();
    const key = join(folder, 'lp1.pem');
    await generate(key, '--algorithm', 'ed25519');
    const { value, name } = dnsRecord(readFileSync(key, 'utf8'), 'example.com', 'lp1');
    const answers = { own: [value], none: [], failing: 'servfail' } as const;
    const dns = await startDnsServer({ zone: { [name]: { TXT: answers[published] } } });
    const senders = [{ domain: 'example.com', dkim: [{ selector: 'lp1', key }] }];
    const ran = await dkim('check', '--config', writeConfig(folder, { senders }), '--resolver', dns.address, ...more);
    await dns.close();
    return ran;
  }

  test('is content when DNS has the public key, and ends with 0', async () => {
    const { code, out } = await checked('own');
    expect([code, out]).toEqual([0, expect.stringContaining('The records fit the keys.')]);
  });

  test('shows the record to publish when it is not there, and ends with 1', async () => {
    const { code, out } = await checked('none');
    expect([code, out]).toEqual([1, expect.stringMatching(/lp1\._domainkey\.example\.com\. IN TXT .*k=ed25519/)]);
    expect(out).toContain('1 to put right.');
  });

  test('says that it could not ask, and ends with 0', async () => {
    const { code, out } = await checked('failing', '--json');
    expect([code, JSON.parse(out)]).toMatchObject([0, { level: 'warning', code: 'dkim.unknown' }]);
  });

  test('of a key that the config does not have is a failure', async () => {
    const { code, err } = await checked('own', '--selector', 'lp9');
    expect([code, err]).toEqual([1, expect.stringContaining('the config has no such DKIM key')]);
  });
});
