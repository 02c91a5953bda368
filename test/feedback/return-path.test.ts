import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { createReturnPaths } from '../../src/feedback/return-path.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';

const secret = new Uint8Array(32).fill(7);
const paths = createReturnPaths(secret);
const ids = createIds(createManualClock(1_700_000_000_000), (target) => {
  target.set(randomBytes(target.length));
});

describe('a return path', () => {
  test('names its delivery, which is read back from it', () => {
    for (let i = 0; i < 50; i++) {
      const id = ids.delivery();
      expect(paths.read(paths.make(id, 'bounces.example.com'))).toBe(id);
    }
  });

  test('has a local part of 49 characters', () => {
    const address = paths.make(ids.delivery(), 'bounces.example.com');
    expect(address).toMatch(/^b\.[0-9a-z]{26}\.[0-9a-z]{20}@bounces\.example\.com$/);
  });

  test('is read whatever happened to its letter case and its domain', () => {
    const id = ids.delivery();
    const address = paths.make(id, 'bounces.example.com');
    expect(paths.read(address.toUpperCase())).toBe(id);
    expect(paths.read(address.replace('bounces', 'other'))).toBe(id);
  });

  test('is refused when any character of it was changed', () => {
    const alphabet = [...'0123456789abcdefghijklmnopqrstuvwxyz.-_+=@ \u212a\u0131'];
    const address = paths.make(ids.delivery(), 'bounces.example.com');
    const localLength = address.indexOf('@');
    fc.assert(
      fc.property(fc.nat(localLength - 1), fc.constantFrom(...alphabet), (at, character) => {
        fc.pre(address[at] !== character);
        expect(paths.read(address.slice(0, at) + character + address.slice(at + 1))).toBeNull();
      }),
      { numRuns: 500 },
    );
  });

  test('of another database is refused', () => {
    const other = createReturnPaths(new Uint8Array(32).fill(8));
    expect(paths.read(other.make(ids.delivery(), 'bounces.example.com'))).toBeNull();
  });

  test.each(['', '@', 'b@c', 'b..@c.example', `b.${'0'.repeat(26)}.${'0'.repeat(20)}@c.example`, 'x'.repeat(100_000)])(
    'is not what %.60j is',
    (text) => {
      expect(paths.read(text)).toBeNull();
    },
  );

  test('is not read from any text, and reading never throws', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 120 }), (text) => {
        expect(paths.read(text)).toBeNull();
      }),
      { numRuns: 300 },
    );
  });
});
