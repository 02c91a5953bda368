import { describe, expect, test } from 'vitest';
import {
  faultOf,
  filtersOf,
  momentOf,
  NO_SEARCH,
  parseSearch,
  queryOf,
  searchOf,
  searchText,
} from '../../src/dashboard/lib/search.ts';
import fc from '../support/properties.ts';

describe('what is typed into the search box', () => {
  test.each([
    ['ann@example.net', { key: 'ann@example.net' }],
    ['  <id@example.com>  ', { key: '<id@example.com>' }],
    ['tag:password-reset state:deferred', { tag: 'password-reset', state: 'deferred' }],
    ['ann@example.net deferred since:2h', { key: 'ann@example.net', state: 'deferred', since: '2h' }],
    ['DEFERRED', { state: 'deferred' }],
    [
      'to:ann@example.net flow:f-1 until:2026-01-05',
      { recipient: 'ann@example.net', flow: 'f-1', until: '2026-01-05' },
    ],
    ['tag:', { key: 'tag:' }],
    ['constructor:x', { key: 'constructor:x' }],
    ['', {}],
  ])('%j is understood', (text, expected) => {
    expect(parseSearch(text)).toEqual({ ...NO_SEARCH, ...expected });
  });

  test('comes back from the address as it was understood', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 80 }), (text) => {
        const search = parseSearch(text);
        const query = new URLSearchParams(Object.entries(queryOf(search)));
        expect(searchOf(query)).toEqual(search);
        expect(parseSearch(searchText(search))).toEqual(search);
      }),
    );
  });
});

describe('a bare key', () => {
  test.each([
    ['', [{}]],
    ['<id@example.com>', [{ message_id: '<id@example.com>' }]],
    ['f-17', [{ flow: 'f-17' }, { recipient: 'f-17*' }]],
    ['ann.s*', [{ recipient: 'ann.s*' }]],
    ['ann@exa', [{ recipient: 'ann@exa' }, { message_id: 'ann@exa' }, { flow: 'ann@exa' }, { recipient: 'ann@exa*' }]],
    ['two words', [{ flow: 'two words' }]],
  ])('%j is looked for as what it may be, the likeliest first', (key, filters) => {
    expect(filtersOf(key)).toEqual(filters);
  });

  test.each(['@example.net', 'to:@example.net', '*@example.net'])('%j is told to be no beginning', (text) => {
    expect(faultOf(parseSearch(text))).toContain('A domain alone is not searched');
  });

  test.each(['', 'ann', 'ann@example.net', 'tag:otp', 'flow:@x'])('%j is searched', (text) => {
    expect(faultOf(parseSearch(text))).toBe('');
  });
});

describe('a time', () => {
  const now = Date.UTC(2026, 0, 5, 10);
  test.each([
    ['2h', '2026-01-05T08:00:00.000Z'],
    ['15m', '2026-01-05T09:45:00.000Z'],
    ['2026-01-05T09:00:00Z', '2026-01-05T09:00:00.000Z'],
    ['yesterday', null],
    ['', null],
    ['9999999d', null],
  ])('%j is read', (text, expected) => {
    expect(momentOf(text, now)).toBe(expected);
  });
});
