import { generateKeyPairSync } from 'node:crypto';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import type { SenderConfig } from '../../src/config/types.ts';
import { RelayError } from '../../src/core/errors.ts';
import { generateDkimKey } from '../../src/signing/generate.ts';
import { loadSigningKeys, parseSigningKey, readKeyFile } from '../../src/signing/keys.ts';

const pem = { format: 'pem', type: 'pkcs8' } as const;
let rsa: string;
let ed25519: string;

beforeAll(async () => {
  rsa = (await generateDkimKey({ algorithm: 'rsa' })).privatePem;
  ed25519 = (await generateDkimKey({ algorithm: 'ed25519' })).privatePem;
});

function reason(text: string): string {
  const parsed = parseSigningKey(text);
  return parsed.kind === 'unusable' ? parsed.reason : parsed.algorithm;
}

async function failure(loading: Promise<unknown>): Promise<RelayError> {
  try {
    await loading;
  } catch (error) {
    if (error instanceof RelayError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

describe('one key', () => {
  test('RSA of 2048 bits and Ed25519 are taken, in PKCS #8 and PKCS #1', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    expect(reason(rsa)).toBe('rsa-sha256');
    expect(reason(ed25519)).toBe('ed25519-sha256');
    expect(reason(privateKey.export({ format: 'pem', type: 'pkcs1' }).toString())).toBe('rsa-sha256');
  });

  test('text in front of the PEM block does no harm', () => {
    expect(reason(`a note\n${ed25519}`)).toBe('ed25519-sha256');
  });

  test('RSA under 2048 bits is refused', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1024 });
    expect(reason(privateKey.export(pem).toString())).toBe('RSA with 1024 bits; at least 2048 are needed');
  });

  test('another type of key is refused', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    expect(reason(privateKey.export(pem).toString())).toBe('a ec key; DKIM uses RSA or Ed25519');
  });

  test('an encrypted key is refused, in both of its forms', () => {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const secret = { cipher: 'aes-256-cbc', passphrase: 'x' };
    expect(reason(privateKey.export({ ...pem, ...secret }).toString())).toMatch(/^encrypted with a passphrase/);
    const pkcs1 = privateKey.export({ format: 'pem', type: 'pkcs1', ...secret }).toString();
    expect(reason(pkcs1)).toMatch(/^encrypted with a passphrase/);
  });

  test('a public key is refused', () => {
    const { publicKey } = generateKeyPairSync('ed25519');
    expect(reason(publicKey.export({ format: 'pem', type: 'spki' }).toString())).toBe(
      'holds a public key, not a private key',
    );
  });

  test('what is no PEM, or damaged, is refused', () => {
    expect(reason('')).toMatch(/^not a PEM file/);
    expect(reason('MC4CAQAwBQYDK2VwBCIEIA==')).toMatch(/^not a PEM file/);
    expect(reason(rsa.replace(/\n(.{30})/, '\n'))).toBe('a damaged PEM private key');
    expect(reason(`${rsa}${' '.repeat(65_536)}`)).toBe('too large for a key file');
  });
});

describe('the keys of a config', () => {
  const read = (path: string): Promise<string> => {
    if (path === '/keys/rsa.pem') return Promise.resolve(rsa);
    if (path === '/keys/ed.pem') return Promise.resolve(ed25519);
    if (path === '/keys/text.pem') return Promise.resolve('hello');
    if (path === '/keys/closed.pem')
      return Promise.reject(Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' }));
    return Promise.reject(Object.assign(new Error('ENOENT: no such file'), { code: 'ENOENT' }));
  };
  const sender = (domain: string, ...keys: readonly (readonly [string, string])[]): SenderConfig => ({
    domain,
    returnPath: null,
    dkim: keys.map(([selector, key]) => ({ selector, key })),
  });

  test('come by domain, in their order', async () => {
    const keys = await loadSigningKeys(
      [
        sender('a.example', ['s1', '/keys/rsa.pem'], ['s2', '/keys/ed.pem']),
        sender('b.example', ['s1', '/keys/rsa.pem']),
      ],
      read,
    );
    expect([...keys].map(([domain, list]) => [domain, list.map((key) => key.selector)])).toEqual([
      ['a.example', ['s1', 's2']],
      ['b.example', ['s1']],
    ]);
  });

  test('are complained about all at once', async () => {
    const error = await failure(
      loadSigningKeys(
        [
          sender('a.example', ['s1', '/keys/none.pem'], ['s2', '/keys/text.pem']),
          sender('b.example', ['s1', '/keys/closed.pem'], ['bad selector', '/keys/ed.pem']),
          sender('c.example', ['s1', '/keys/rsa.pem'], ['S1', '/keys/ed.pem']),
        ],
        read,
      ),
    );
    expect(error.code).toBe('key');
    expect(error.message.split('\n')).toEqual([
      '5 DKIM keys cannot be used:',
      '  a.example, selector s1, /keys/none.pem: no such file',
      '  a.example, selector s2, /keys/text.pem: not a PEM file (no -----BEGIN ... PRIVATE KEY-----)',
      '  b.example, selector s1, /keys/closed.pem: cannot be read (EACCES: permission denied)',
      '  b.example, selector bad selector, /keys/ed.pem: the selector is not made of DNS labels',
      '  c.example, selector S1, /keys/ed.pem: a second key under the same selector; each selector has one DNS record',
    ]);
  });

  test('that are missing name the command that makes them', async () => {
    const error = await failure(loadSigningKeys([sender('a.example', ['s1', '/keys/none.pem'])], read));
    expect(error.hint).toBe(
      'Make the key with: leadpush-relay dkim generate --domain a.example --selector s1 --out /keys/none.pem',
    );
  });

  test('never appear in an error', async () => {
    const broken = rsa.replace(/\n(.{30})/, '\n');
    const error = await failure(loadSigningKeys([sender('a.example', ['s1', '/x'])], () => Promise.resolve(broken)));
    expect(`${error.message}${error.hint}${String(error.cause)}`).not.toContain(rsa.split('\n')[3]);
  });

  test('are read from real files', async () => {
    const missing = join(import.meta.dirname, 'no-such-key.pem');
    const error = await failure(loadSigningKeys([sender('a.example', ['s1', missing])], readKeyFile));
    expect(error.message).toContain(`${missing}: no such file`);
  });
});
