/** HMAC-SHA-256, by Web Crypto and without it: RFC 4231, and the same verdict as node:crypto on anything. */
import { createHmac as nodeHmac, webcrypto } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { createHmac } from '../../src/sdk/hmac.ts';
import fc from '../support/properties.ts';

const bytes = (from: Uint8Array | string): Uint8Array<ArrayBuffer> => Uint8Array.from(Buffer.from(from));

/** RFC 4231, section 4, but the truncated case. */
const VECTORS: readonly (readonly [key: string, data: string, mac: string])[] = [
  [
    '0b'.repeat(20),
    Buffer.from('Hi There').toString('hex'),
    'b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7',
  ],
  [
    Buffer.from('Jefe').toString('hex'),
    Buffer.from('what do ya want for nothing?').toString('hex'),
    '5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843',
  ],
  ['aa'.repeat(20), 'dd'.repeat(50), '773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe'],
  [
    'aa'.repeat(131),
    Buffer.from('Test Using Larger Than Block-Size Key - Hash Key First').toString('hex'),
    '60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54',
  ],
];

describe.each([
  ['with Web Crypto', webcrypto],
  ['without', null],
])('a signature, %s', (_how, crypto) => {
  it.each(VECTORS)('of RFC 4231 fits: key %s', async (key, data, mac) => {
    const hmac = await createHmac(bytes(Buffer.from(key, 'hex')), crypto);
    expect(await hmac.fits(bytes(Buffer.from(mac, 'hex')), bytes(Buffer.from(data, 'hex')))).toBe(true);
  });

  it('fits exactly when it is the one that node:crypto makes', async () => {
    const some = (minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> =>
      fc.uint8Array({ minLength, maxLength });
    await fc.assert(
      fc.asyncProperty(some(1, 200), some(0, 300), fc.nat(255), async (key, data, bit) => {
        const mac = bytes(nodeHmac('sha256', key).update(data).digest());
        const hmac = await createHmac(bytes(key), crypto);
        expect(await hmac.fits(mac, bytes(data))).toBe(true);
        mac[bit >> 3] = (mac[bit >> 3] ?? 0) ^ (1 << (bit & 7));
        expect(await hmac.fits(mac, bytes(data))).toBe(false);
      }),
      { numRuns: 300 },
    );
  });

  it.each([0, 31, 33])('of %d bytes does not fit', async (length) => {
    const hmac = await createHmac(bytes('key'), crypto);
    const mac = nodeHmac('sha256', 'key').update('data').digest();
    expect(await hmac.fits(bytes(Buffer.concat([mac, mac]).subarray(0, length)), bytes('data'))).toBe(false);
  });
});
