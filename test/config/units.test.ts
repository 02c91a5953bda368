/** Durations, sizes and rates: what is written is what is meant, and nothing else is taken. */
import { expect, test } from 'vitest';
import { durationText, parseDuration, parseRate, parseSize } from '../../src/config/units.ts';
import fc from '../support/properties.ts';

const DURATION_UNITS = [
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
] as const;
const SIZE_UNITS = [
  ['KB', 1024],
  ['MB', 1024 * 1024],
  ['GB', 1024 * 1024 * 1024],
] as const;
const runs = { numRuns: 300 };

test('a duration is its number times its unit in milliseconds', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom(...DURATION_UNITS), (count, [unit, ms]) => {
      expect(parseDuration(`${count}${unit}`)).toBe(count * ms);
    }),
    runs,
  );
});

test('a size is its number times a power of 1024', () => {
  fc.assert(
    fc.property(fc.nat(1_000_000), fc.constantFrom(...SIZE_UNITS), (count, [unit, octets]) => {
      expect(parseSize(`${count}${unit}`)).toBe(count * octets);
    }),
    runs,
  );
});

test('a rate is its count and its duration', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 999_999 }),
      fc.integer({ min: 1, max: 999 }),
      fc.constantFrom(...DURATION_UNITS),
      (count, span, [unit, ms]) => {
        expect(parseRate(`${count}/${span}${unit}`)).toEqual({ count, perMs: span * ms });
      },
    ),
    runs,
  );
});

test('text that is not exactly digits and a unit is neither duration nor size nor rate', () => {
  const parts = fc.array(
    fc.constantFrom(
      '1',
      '90',
      ' ',
      '-',
      '+',
      '.',
      '/',
      's',
      'm',
      'ms',
      'h',
      'd',
      'KB',
      'MB',
      'GB',
      'kb',
      'e3',
      '\n',
      '٣',
    ),
    { maxLength: 5 },
  );
  fc.assert(
    fc.property(parts, (pieces) => {
      const text = pieces.join('');
      if (!/^[0-9]+(ms|s|m|h|d)$/.test(text)) expect(parseDuration(text)).toBeNull();
      if (!/^[0-9]+(KB|MB|GB)$/.test(text)) expect(parseSize(text)).toBeNull();
      if (!/^[0-9]+\/[0-9]+(ms|s|m|h|d)$/.test(text)) expect(parseRate(text)).toBeNull();
    }),
    { numRuns: 1000 },
  );
});

test.each(['', '0', '15', 's', '15 m', '15M', '1.5h', '-1s', '1h30m', '15m\n', '999999999999d', '9'.repeat(40) + 's'])(
  '%j is not a duration',
  (text) => expect(parseDuration(text)).toBeNull(),
);

test.each(['', '25', '25mb', '25 MB', '1TB', '1.5GB', '999999999999GB'])('%j is not a size', (text) =>
  expect(parseSize(text)).toBeNull(),
);

test.each(['', '14', '14/s', '14/1', '0/1s', '14/0s', '1s/14', '14/1s/1s', '-1/1s'])('%j is not a rate', (text) =>
  expect(parseRate(text)).toBeNull(),
);

test('a duration told in its largest unit reads back as the same duration', () => {
  fc.assert(
    fc.property(fc.nat(10_000_000_000), (ms) => {
      expect(parseDuration(durationText(ms))).toBe(ms);
    }),
    runs,
  );
  expect(durationText(900_000)).toBe('15m');
  expect(durationText(0)).toBe('0ms');
});
