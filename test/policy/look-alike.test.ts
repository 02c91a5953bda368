import { describe, expect, test } from 'vitest';
import { createImitationFinder, findLookAlike } from '../../src/policy/look-alike.ts';
import fc from '../support/properties.ts';

describe('letters of a domain', () => {
  test.each([
    ['аpple.com', { kind: 'mixed-scripts', scripts: ['Cyrillic', 'Latin'] }],
    ['xn--pple-43d.com', { kind: 'mixed-scripts', scripts: ['Cyrillic', 'Latin'] }],
    ['αpple.com', { kind: 'mixed-scripts', scripts: ['Greek', 'Latin'] }],
    ['login.аррӏе.com', { kind: 'whole-script', script: 'Cyrillic', looksLike: 'apple' }],
    ['xn--80ak6aa92e.com', { kind: 'whole-script', script: 'Cyrillic', looksLike: 'apple' }],
    ['ɡoogle.com', { kind: 'odd-letter' }],
    ['example.comノlogin.jp', { kind: 'odd-letter' }],
    ['xn--a.com', { kind: 'unreadable' }],
  ])('of %s are told', (domain, expected) => {
    expect(findLookAlike(domain)).toEqual(expected);
  });

  test.each([
    'example.com',
    'bücher.de',
    'почта.рф',
    'сор.рф',
    'почта.com',
    'ελλάδα.gr',
    '例え.jp',
    'toyota自動車.jp',
    '한국.kr',
    'мвд.com',
    'ışık.com.tr',
    '',
  ])('of %s are fine', (domain) => {
    expect(findLookAlike(domain)).toBeNull();
  });

  test('of any text are judged without a throw', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        findLookAlike(text);
        findLookAlike(`xn--${text}.com`);
        createImitationFinder([text, 'example.com'])(text);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('names that look like a trusted one', () => {
  const find = createImitationFinder(['example.com', 'accounts.bücher.de']);
  test.each([
    ['examp1e.com', 'example.com'],
    ['exämple.com', 'example.com'],
    ['exarnple.com', 'example.com'],
    ['www.examp1e.com', 'example.com'],
    ['accounts.bucher.de', 'accounts.xn--bcher-kva.de'],
    ['exаmple.com', 'example.com'],
    ['example.com', null],
    ['Example.COM.', null],
    ['sub.example.com', null],
    ['example.org', null],
    ['other.com', null],
  ])('%s: %s', (domain, expected) => {
    expect(find(domain)).toBe(expected);
  });
});
