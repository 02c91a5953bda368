import { expect, test } from 'vitest';
import { formatMailDate } from '../../src/mail/date.ts';
import fc from '../support/properties.ts';

test.each([
  [Date.UTC(2026, 0, 5, 10, 0, 0, 999), 'Mon, 05 Jan 2026 10:00:00 +0000'],
  [0, 'Thu, 01 Jan 1970 00:00:00 +0000'],
  [Date.UTC(2028, 1, 29, 23, 59, 59), 'Tue, 29 Feb 2028 23:59:59 +0000'],
])('%d is %s', (epochMs, expected) => {
  expect(formatMailDate(epochMs)).toBe(expected);
});

test('any time until the year 9999 agrees with the UTC string of the platform', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.UTC(9999, 11, 31) }), (epochMs) => {
      expect(formatMailDate(epochMs)).toBe(new Date(epochMs).toUTCString().replace('GMT', '+0000'));
    }),
  );
});
