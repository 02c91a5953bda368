/** What the SDK takes from the runtimes that it runs on. */
import { webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { systemRuntime, uniqueKey, webCrypto } from '../../src/sdk/runtime.ts';

describe('Web Crypto', () => {
  it('is the global one where there is one', () => {
    expect(webCrypto()).toBe(globalThis.crypto);
  });

  it('is missing where there is none', () => {
    expect(webCrypto({})).toBeNull();
  });
});

describe('a key', () => {
  it.each([
    ['with Web Crypto', webcrypto],
    ['without', null],
  ])('is 128 bits that do not come again, %s', (_how, crypto) => {
    const keys = Array.from({ length: 1000 }, () => uniqueKey(crypto));
    expect(new Set(keys).size).toBe(1000);
    expect(keys.every((key) => /^[0-9a-f]{32}$/.test(key))).toBe(true);
    // Every bit is now and then 1, now and then 0.
    const bits = keys.map((key) => BigInt(`0x${key}`));
    expect(bits.reduce((all, key) => all | key)).toBe(2n ** 128n - 1n);
    expect(bits.reduce((all, key) => all & key)).toBe(0n);
  });

  it('comes with the real runtime', () => {
    expect(systemRuntime.uniqueKey()).toMatch(/^[0-9a-f]{32}$/);
  });
});
