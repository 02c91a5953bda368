/** What crosses between threads arrives as it was. */
import { expect, test } from 'vitest';
import type { Reply } from '../../src/store/sqlite/calls.ts';
import { packCalls, packReply, unpackCalls, unpackReply } from '../../src/store/sqlite/wire.ts';
import fc from '../support/properties.ts';

const plain = fc.oneof(
  fc.string(),
  fc.integer(),
  fc.constant(null),
  fc.array(fc.string()),
  fc.dictionary(fc.string(), fc.string(), { noNullPrototype: true }),
);
const argument = fc.oneof(plain, fc.uint8Array());
const call = fc.record({ name: fc.string(), args: fc.array(argument) });

test('calls arrive as they were sent, content included', () => {
  fc.assert(
    fc.property(fc.array(call), (calls) => {
      expect(unpackCalls(packCalls(calls))).toEqual(calls);
    }),
    { numRuns: 200 },
  );
});

test('replies arrive as they were sent, content included', () => {
  const reply = (values: readonly unknown[]): Reply => ({
    results: [
      ...values.map((value) => ({ ok: true, value }) as const),
      { ok: false, code: 'store-full', message: 'the disk is full' },
    ],
    ms: 1.5,
    writes: 2,
    trouble: { kind: 'full', lasting: false, reason: 'x' },
    wal: { frames: 3, folded: 1 },
    events: ['{"seq":1}'],
  });
  fc.assert(
    fc.property(fc.array(argument), (values) => {
      expect(unpackReply(packReply(reply(values)))).toEqual(reply(values));
    }),
    { numRuns: 200 },
  );
});

test('packing copies only what is sent, and leaves the memory of the caller alone', () => {
  const pool = Buffer.alloc(1_000_000, 'x');
  const parcel = packCalls([{ name: 'accept', args: [{}, pool.subarray(10, 20)] }]);
  expect(parcel.bytes?.byteLength).toBe(10);
  expect(pool.buffer.byteLength).toBeGreaterThanOrEqual(1_000_000);
});
