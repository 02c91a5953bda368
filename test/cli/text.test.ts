import { describe, expect, test } from 'vitest';
import { clean, cut } from '../../src/api/story/clean.ts';
import { size, span } from '../../src/api/story/format.ts';
import { table } from '../../src/cli/format.ts';
import { createPaint } from '../../src/cli/paint.ts';
import { sinceOption } from '../../src/cli/time-option.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';

const HARMFUL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069]/;

describe('clean', () => {
  test.each([
    ['550 \u001b[31;1mno\u001b[0m such user', '550 no such user'],
    ['title \u001b]0;owned\u0007here', 'title here'],
    ['c1 \u009b2Jcleared', 'c1 cleared'],
    ['two\r\nlines\tand\u2028three', 'two lines and three'],
    ['back\u0008space\u0000', 'backspace'],
    ['gro.\u202eelpmaxe', 'gro.elpmaxe'],
    ['  müller@exämple.org  ', 'müller@exämple.org'],
  ])('%j becomes %j', (text, expected) => {
    expect(clean(text)).toBe(expected);
  });

  test('leaves nothing that a terminal obeys, whatever the text', () => {
    const nasty = fc.array(
      fc.oneof(
        fc.constantFrom('\u001b', '\u009b', '[', ']', '0;', '31m', '\u0007', '\r', '\n'),
        fc.string({ unit: 'binary' }),
      ),
    );
    fc.assert(
      fc.property(nasty, (parts) => {
        expect(clean(parts.join(''))).not.toMatch(HARMFUL);
      }),
      { numRuns: 300 },
    );
  });
});

test('cut keeps whole characters', () => {
  expect(cut('abc', 3)).toBe('abc');
  expect(cut('abcd', 3)).toBe('ab…');
  expect(cut('😀😀😀', 2)).toBe('😀…');
});

test.each([
  [-5, '0 ms'],
  [0, '0 ms'],
  [63.4, '63 ms'],
  [999, '999 ms'],
  [999.6, '1 s'],
  [1000, '1 s'],
  [1234, '1.2 s'],
  [59_940, '59.9 s'],
  [59_960, '1 min'],
  [250_000, '4 min 10 s'],
  [3_600_000, '1 h'],
  [11_100_000, '3 h 5 min'],
  [187_200_000, '2 d 4 h'],
])('a span of %d ms is %s', (ms, expected) => {
  expect(span(ms)).toBe(expected);
});

test.each([
  [812, '812 B'],
  [1000, '1 kB'],
  [3249, '3.2 kB'],
  [999_949, '999.9 kB'],
  [1_000_000, '1 MB'],
])('%d octets are %s', (octets, expected) => {
  expect(size(octets)).toBe(expected);
});

describe('a table', () => {
  test('lines its columns up and cleans its cells', () => {
    expect(
      table(
        [{ title: 'who' }, { title: 'n', align: 'right' }],
        [
          ['a\u001b[31mnn', '5'],
          ['bo', '12'],
        ],
        80,
      ),
    ).toBe('who   n\nann   5\nbo   12\n');
  });

  test('cuts its last column to the terminal, and no other', () => {
    const text = table([{ title: 'id' }, { title: 'text' }], [['x'.repeat(50), 'y'.repeat(200)]], 100);
    expect(text.split('\n')[1]).toBe(`${'x'.repeat(50)}  ${'y'.repeat(47)}…`);
    expect(table([{ title: 'id' }, { title: 'text' }], [['x'.repeat(50), 'short']], 30)).toContain(
      `${'x'.repeat(50)}  short`,
    );
  });
});

test('without colour no escape is written', () => {
  const paint = createPaint(false);
  expect([paint.red('x'), paint.bold('x'), paint.dim('x')]).toEqual(['x', 'x', 'x']);
  expect(createPaint(true).red('x')).toBe('\u001b[31mx\u001b[39m');
});

describe('--since', () => {
  const parse = sinceOption(createManualClock(Date.UTC(2026, 0, 5, 10)));
  test('takes a span back from now', () => expect(parse('15m')).toBe(Date.UTC(2026, 0, 5, 9, 45)));
  test('takes a moment', () => expect(parse('2026-01-05T08:00:00Z')).toBe(Date.UTC(2026, 0, 5, 8)));
  test.each(['', 'yesterday', '15', '2026-13-45', '2026-02-30', '2026-02-30T10:00:00Z', '-1h'])(
    'refuses %j',
    (text) => {
      expect(() => parse(text)).toThrow('Give a span');
    },
  );
});
