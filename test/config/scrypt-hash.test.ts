/** Password hashes: made, read, verified, and kept within bounds. */
import { expect, test } from 'vitest';
import { hashPassword, parseScryptHash, verifyPassword } from '../../src/config/scrypt-hash.ts';
import type { ScryptHash } from '../../src/config/types.ts';
import fc from '../support/properties.ts';

const SALT = 'c2FsdHNhbHQ=';
const HASH = 'MDEyMzQ1Njc4OWFiY2RlZg==';

function parsed(text: string): ScryptHash {
  const result = parseScryptHash(text);
  if (result.kind !== 'hash') throw new Error(result.reason);
  return result.hash;
}

test('a hashed password verifies, and no other does', async () => {
  const text = await hashPassword('correct horse');
  expect(text).toMatch(/^scrypt:16384:8:1:[A-Za-z0-9+/]{22}==:[A-Za-z0-9+/]{43}=$/);
  const hash = parsed(text);
  expect(await verifyPassword(hash, 'correct horse')).toBe(true);
  expect(await verifyPassword(hash, 'correct horse ')).toBe(false);
  expect(await verifyPassword(hash, '')).toBe(false);
});

test('two hashes of one password differ: each has a salt of its own', async () => {
  expect(await hashPassword('same')).not.toBe(await hashPassword('same'));
});

test('the test vector of RFC 7914 verifies', async () => {
  // Section 12: scrypt("pleaseletmein", "SodiumChloride", N=16384, r=8, p=1).
  const salt = Buffer.from('SodiumChloride').toString('base64');
  const hex =
    '7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887';
  const hash = parsed(`scrypt:16384:8:1:${salt}:${Buffer.from(hex, 'hex').toString('base64')}`);
  expect(await verifyPassword(hash, 'pleaseletmein')).toBe(true);
});

test('a hash at the limit of memory and work can be computed', async () => {
  const hash = parsed(`scrypt:131072:8:1:${SALT}:${HASH}`);
  expect(await verifyPassword(hash, 'x')).toBe(false);
});

test.each([
  ['more memory than 128 MiB', `scrypt:262144:8:1:${SALT}:${HASH}`, 'memory'],
  ['more memory through r', `scrypt:65536:32:1:${SALT}:${HASH}`, 'memory'],
  ['too much work through p', `scrypt:131072:8:2:${SALT}:${HASH}`, 'work'],
  ['an N below 1024', `scrypt:512:8:1:${SALT}:${HASH}`, 'power of two'],
  ['an N that is no power of two', `scrypt:16385:8:1:${SALT}:${HASH}`, 'power of two'],
  ['an r of 0', `scrypt:16384:0:1:${SALT}:${HASH}`, 'an r outside'],
  ['an r of 33', `scrypt:1024:33:1:${SALT}:${HASH}`, 'an r outside'],
  ['a p of 0', `scrypt:16384:8:0:${SALT}:${HASH}`, 'a p outside'],
  ['a p of 17', `scrypt:1024:8:17:${SALT}:${HASH}`, 'a p outside'],
  ['a short salt', `scrypt:16384:8:1:c2Fs:${HASH}`, 'a salt outside'],
  ['a short hash', `scrypt:16384:8:1:${SALT}:c2Fs`, 'a hash outside'],
  ['base64 that is not canonical', `scrypt:16384:8:1:c2FsdHNhbHR=:${HASH}`, 'not base64'],
  ['a digit too many', `scrypt:99999999:8:1:${SALT}:${HASH}`, 'of the form'],
  ['another scheme', `bcrypt:16384:8:1:${SALT}:${HASH}`, 'of the form'],
  ['a trailing line break', `scrypt:16384:8:1:${SALT}:${HASH}\n`, 'of the form'],
])('a hash with %s is refused', (_what, text, reason) => {
  const result = parseScryptHash(text);
  expect(result).toMatchObject({ kind: 'malformed', reason: expect.stringContaining(reason) });
});

test('whatever is taken is within the bounds, and no reason repeats the text', () => {
  const number = fc.oneof(fc.constantFrom(0, 1, 8, 1024, 16_384, 131_072, 1_048_576), fc.nat(99));
  const base64 = fc.uint8Array({ maxLength: 80 }).map((octets) => Buffer.from(octets).toString('base64'));
  fc.assert(
    fc.property(number, number, number, base64, base64, (n, r, p, salt, hash) => {
      const result = parseScryptHash(`scrypt:${n}:${r}:${p}:${salt}:${hash}`);
      if (result.kind === 'hash') {
        expect(128 * n * r).toBeLessThanOrEqual(128 * 1024 ** 2);
        expect(n * r * p).toBeLessThanOrEqual(2 ** 20);
        expect(Buffer.from(result.hash.salt).toString('base64')).toBe(salt);
      } else if (hash.length > 8) {
        expect(result.reason).not.toContain(hash);
      }
    }),
    { numRuns: 300 },
  );
});
