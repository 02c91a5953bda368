/** The ladder of an event, the pause of an endpoint, and `Retry-After`. */
import { expect, test } from 'vitest';
import {
  endpointPauseMs,
  FAILING_AFTER,
  parseRetryAfter,
  RETRY_LADDER_MS,
  retryDelayMs,
} from '../../src/webhooks/retry.ts';
import { GIVE_UP_AFTER_MS } from '../../src/webhooks/lane.ts';
import fc from '../support/properties.ts';

const HOUR_MS = 3_600_000;
const NOW = Date.UTC(2026, 0, 5, 10);

test('the ladder is 5s 5m 30m 2h 5h 10h 14h 20h 24h, and then it is over', () => {
  const delays = Array.from({ length: 10 }, (_, tries) => retryDelayMs(tries, 0, null));
  expect(delays).toEqual([5000, 300_000, 1_800_000, ...[2, 5, 10, 14, 20, 24].map((h) => h * HOUR_MS), null]);
});

test('chance makes a wait up to a fifth longer, never shorter', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 8 }), fc.double({ min: 0, max: 1, noNaN: true }), (tries, random) => {
      const step = RETRY_LADDER_MS[tries] ?? 0;
      const delay = retryDelayMs(tries, random, null) ?? -1;
      expect(delay).toBeGreaterThanOrEqual(step);
      expect(delay).toBeLessThanOrEqual(step * 1.2);
    }),
  );
});

test('the whole ladder fits into the time after which an event is given up', () => {
  const longest = RETRY_LADDER_MS.reduce((sum, _, tries) => sum + (retryDelayMs(tries, 1, null) ?? 0), 0);
  expect(longest).toBeLessThan(GIVE_UP_AFTER_MS);
});

test('Retry-After makes a wait longer, up to a day, never shorter', () => {
  expect(retryDelayMs(0, 0, 60_000)).toBe(60_000);
  expect(retryDelayMs(1, 0, 60_000)).toBe(300_000);
  expect(retryDelayMs(0, 0, 99 * HOUR_MS)).toBe(24 * HOUR_MS);
  expect(retryDelayMs(9, 0, 60_000)).toBeNull();
});

test('an endpoint is spared from the third failure in a row on, and for as long as it asks, up to an hour', () => {
  expect([1, 2].map((failures) => endpointPauseMs(failures, 1, null))).toEqual([0, 0]);
  expect([3, 4, 5, 6, 7, 500].map((failures) => endpointPauseMs(failures, 0, null))).toEqual([
    1000, 2000, 5000, 10_000, 10_000, 10_000,
  ]);
  expect(endpointPauseMs(1, 0, 30_000)).toBe(30_000);
  expect(endpointPauseMs(FAILING_AFTER, 0, 99 * HOUR_MS)).toBe(HOUR_MS);
});

test.each([
  ['120', 120_000],
  [' 0 ', 0],
  ['Mon, 05 Jan 2026 10:00:30 GMT', 30_000],
  ['Mon, 05 Jan 2026 09:00:00 GMT', 0],
  ['soon', null],
  ['-5', null],
  ['1.5', null],
  ['2026', 2_026_000],
  ['99999999999999', null],
  ['Monday', null],
  ['', null],
  [undefined, null],
])('Retry-After %j is %j ms', (value, expected) => {
  expect(parseRetryAfter(value, NOW)).toBe(expected);
});

test('no Retry-After makes it throw or answer something else than null or a time that is not negative', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^(Mon|Tue), [\w :-]{0,40}$/)), (value) => {
      const ms = parseRetryAfter(value, NOW);
      expect(ms === null || ms >= 0).toBe(true);
    }),
  );
});
