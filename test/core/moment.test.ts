import { describe, expect, test } from 'vitest';
import { parseMoment } from '../../src/core/moment.ts';
import fc from '../support/properties.ts';

describe('a moment', () => {
  test.each([
    ['2026-01-05T10:00:00Z', Date.UTC(2026, 0, 5, 10)],
    ['2026-01-05t10:00:00z', Date.UTC(2026, 0, 5, 10)],
    ['2024-02-29T23:59:59.5+01:00', Date.UTC(2024, 1, 29, 22, 59, 59, 500)],
    ['2000-02-29T00:00:00Z', Date.UTC(2000, 1, 29)],
  ])('%s is read', (text, at) => expect(parseMoment(text, 'whole')).toBe(at));

  test.each([
    '2026-02-30T10:00:00Z',
    '2026-02-29T10:00:00Z',
    '1900-02-29T10:00:00Z',
    '2026-04-31T10:00:00Z',
    '2026-00-10T10:00:00Z',
    '2026-01-00T10:00:00Z',
    '2026-01-05T24:00:00Z',
    '2026-01-05T10:60:00Z',
    '2026-01-05T10:00:60Z',
    '2026-01-05T10:00:00+24:00',
    '2026-01-05T10:00:00+01:60',
  ])('%s does not exist', (text) => {
    expect(parseMoment(text, 'whole')).toBeNull();
    expect(parseMoment(text, 'loose')).toBeNull();
  });

  test.each(['2026-01-05', '2026-01-05T10:00', '2026-01-05 10:00:00Z', '2026-01-05T10:00:00'])(
    '%s is enough for people alone',
    (text) => {
      expect(parseMoment(text, 'whole')).toBeNull();
      expect(parseMoment(text, 'loose')).toBe(Date.parse(text));
    },
  );

  test('is the day that was written, whatever the digits', () => {
    const digits = fc.tuple(fc.nat(9999), fc.nat(13), fc.nat(32));
    const pad = (value: number, size: number): string => String(value).padStart(size, '0');
    fc.assert(
      fc.property(digits, ([year, month, day]) => {
        const date = `${pad(year, 4)}-${pad(month, 2)}-${pad(day, 2)}`;
        const at = parseMoment(date, 'loose');
        if (at !== null) expect(new Date(at).toISOString().slice(0, 10)).toBe(date);
      }),
    );
  });
});
