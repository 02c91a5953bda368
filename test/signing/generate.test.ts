import { createPrivateKey } from 'node:crypto';
import { beforeAll, describe, expect, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { dnsRecord, generateDkimKey } from '../../src/signing/generate.ts';

let rsa: string;
let ed25519: string;

beforeAll(async () => {
  rsa = (await generateDkimKey({ algorithm: 'rsa' })).privatePem;
  ed25519 = (await generateDkimKey({ algorithm: 'ed25519' })).privatePem;
});

describe('new keys', () => {
  test('are RSA of 2048 bits, or Ed25519, as PEM without a passphrase', () => {
    expect(createPrivateKey(rsa).asymmetricKeyDetails?.modulusLength).toBe(2048);
    expect(createPrivateKey(ed25519).asymmetricKeyType).toBe('ed25519');
    expect(rsa).toMatch(/^-----BEGIN PRIVATE KEY-----\n/);
  });

  test('are different each time', async () => {
    expect((await generateDkimKey({ algorithm: 'ed25519' })).privatePem).not.toBe(ed25519);
  });
});

describe('the DNS record', () => {
  test('stands at selector._domainkey.domain', () => {
    expect(dnsRecord(rsa, 'example.com', 'lp1').name).toBe('lp1._domainkey.example.com');
  });

  test('for RSA holds the public key as SubjectPublicKeyInfo', () => {
    expect(dnsRecord(rsa, 'example.com', 'lp1').value).toMatch(
      /^v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A[\w+/]+=*$/,
    );
  });

  test('for Ed25519 holds the 32 octets alone', () => {
    const value = dnsRecord(ed25519, 'example.com', 'lp1').value;
    expect(Buffer.from(value.replace('v=DKIM1; k=ed25519; p=', ''), 'base64')).toHaveLength(32);
  });

  test('has a zone line whose strings are 255 octets at most and join to the value', () => {
    for (const pem of [rsa, ed25519]) {
      const { name, value, zoneLine } = dnsRecord(pem, 'example.com', 'lp1');
      expect(zoneLine.startsWith(`${name}. IN TXT ( "v=DKIM1; `)).toBe(true);
      const strings = Array.from(zoneLine.matchAll(/"([^"]*)"/g), (match) => match[1] ?? '');
      expect(strings.join('')).toBe(value);
      expect(Math.max(...strings.map((text) => text.length))).toBeLessThanOrEqual(255);
    }
  });

  test('is not made for a key that DKIM cannot use', () => {
    expect(() => dnsRecord('hello', 'example.com', 'lp1')).toThrow(RelayError);
  });
});
