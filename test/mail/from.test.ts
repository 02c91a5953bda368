import addressparser from 'nodemailer/lib/addressparser';
import { describe, expect, test } from 'vitest';
import { parseFrom, parseFromValue } from '../../src/mail/from.ts';
import { parseMessage } from '../../src/mail/parse.ts';
import fc from '../support/properties.ts';

function reason(value: string): string {
  const parsed = parseFromValue(value);
  return parsed.kind === 'malformed' ? parsed.reason : `accepted ${parsed.address}`;
}

describe('what is accepted', () => {
  test.each([
    ['ann@example.com', 'ann@example.com', ''],
    ['<ann@example.com>', 'ann@example.com', ''],
    ['Ann <ann@example.com>', 'ann@example.com', 'Ann'],
    ['Ann\t <ann@example.com>', 'ann@example.com', 'Ann'],
    ['Ann<ann@example.com>', 'ann@example.com', 'Ann'],
    ['Ann B. Smith <ann@example.com>', 'ann@example.com', 'Ann B. Smith'],
    ['"Smith, Ann" <ann@example.com>', 'ann@example.com', 'Smith, Ann'],
    ['"Ann \\"the\\" Smith" <ann@example.com>', 'ann@example.com', 'Ann "the" Smith'],
    ['"bob@example.net" <ann@example.com>', 'ann@example.com', 'bob@example.net'],
    ['ann@example.com <ann@example.com>', 'ann@example.com', 'ann@example.com'],
    ['ann@example.com (Ann)', 'ann@example.com', 'Ann'],
    ['(Ann) ann@example.com', 'ann@example.com', 'Ann'],
    ['Ann (Security) <ann@example.com> (x)', 'ann@example.com', 'Ann'],
    ['=?utf-8?q?J=C3=B6rg_M?= <j@example.com>', 'j@example.com', 'Jörg M'],
    ['=?UTF-8?B?SsO2cmc=?= =?iso-8859-1?Q?_M=FC?= <j@example.com>', 'j@example.com', 'Jörg Mü'],
    ['"=?utf-8?q?J=C3=B6rg?=" <j@example.com>', 'j@example.com', 'Jörg'],
    ['=?iso-2022-jp?B?GyRCOzNFRBsoQg==?= <y@example.com>', 'y@example.com', '山田'],
    ['=?no-such-charset?q?Ann?= <ann@example.com>', 'ann@example.com', 'Ann'],
    ['Jörg <jörg@müller.de>', 'jörg@müller.de', 'Jörg'],
    ["O'Neil & Co | IT <it@example.com>", 'it@example.com', "O'Neil & Co | IT"],
    ['Example [Security] <ann@example.com>', 'ann@example.com', 'Example [Security]'],
  ])('%s', (value, address, name) => {
    expect(parseFromValue(value)).toEqual({ kind: 'from', address, name });
  });
});

describe('what is refused', () => {
  test.each([
    ['', 'empty From header field'],
    ['  ', 'empty From header field'],
    ['Ann', 'From address: no @ and domain'],
    ['"Ann"', 'From address: quoted local parts are not accepted'],
    ['(Ann)', 'no address in the From header field'],
    ['<>', 'From address: empty address'],
    ['Ann <>', 'From address: empty address'],
    ['<><ann@example.com>', 'several addresses in the From header field'],
    ['a@example.com, b@example.com', 'several addresses in the From header field'],
    ['Smith, Ann <ann@example.com>', 'several addresses in the From header field'],
    ['<a@example.com> <b@example.com>', 'several addresses in the From header field'],
    ['<a@example.com>, <b@example.com>', 'several addresses in the From header field'],
    ['Team: a@example.com, b@example.com;', 'a group or route in the From header field'],
    ['undisclosed:;', 'a group or route in the From header field'],
    ['<@a.example,@b.example:ann@example.com>', 'From address: source routes are not accepted'],
    ['"ann"@example.com', 'From address: quoted local parts are not accepted'],
    ['<"ann"@example.com>', 'From address: quoted local parts are not accepted'],
    ['"eve@example.org x"@example.com', 'From address: quoted local parts are not accepted'],
    ['ann @ example.com', 'From address: white space in the address'],
    ['Ann < ann@example.com >', 'From address: white space in the address'],
    ['Ann <ann@example .com>', 'From address: white space in the address'],
    ['ann(x)@example.com', 'From address: comments are not accepted inside'],
    ['Ann <ann(x)@example.com>', 'From address: comments are not accepted'],
    ['ann@example.com ((x))', 'From header field with a comment that is nested or does not end'],
    ['ann@example.com (x', 'From header field with a comment that is nested or does not end'],
    ['ann@example.com x)', 'a misplaced bracket or backslash in the From header field'],
    ['"Ann <ann@example.com>', 'From header field with a quote that does not end'],
    ['Ann <ann@example.com', 'From header field with an angle bracket that is not closed'],
    ['Ann <<ann@example.com>>', 'From header field with an angle bracket that is not closed'],
    ['ann@example.com>', 'a misplaced bracket or backslash in the From header field'],
    ['Ann \\<eve@example.org\\> <ann@example.com>', 'a misplaced bracket or backslash in the From header field'],
    ['<ann@example.com> Ann', 'text after the address in the From header field'],
    ['eve@example.org <ann@example.com>', 'an address in the name of the From header field'],
    ['(eve@example.org) ann@example.com', 'an address in the name of the From header field'],
    ['"eve@example.org, Ann" <ann@example.com>', 'an address in the name of the From header field'],
    ['"Ann\\" eve@example.org" <ann@example.com>', 'an address in the name of the From header field'],
    ['=?utf-8?q?eve=40example.org?= <ann@example.com>', 'an address in the name of the From header field'],
    ['=?utf-8?b?ZXZlQGV4YW1wbGUub3Jn?= <ann@example.com>', 'an address in the name of the From header field'],
    ['"=?utf-8?q?eve=40example.org?=" <ann@example.com>', 'an address in the name of the From header field'],
    ['"Eve <eve@example.org>" <ann@example.com>', 'angle bracket in the name of the From header field'],
    ['<ann@example.com> (Ann > Eve)', 'angle bracket in the name of the From header field'],
    ['=?utf-8?q?=3Ceve=40example.org=3E?= <ann@example.com>', 'angle bracket in the name of the From header field'],
    ['=?utf-8?q?Ann=00?= <ann@example.com>', 'control characters in the name of the From header field'],
    ['=?utf-8?q?Ann=0D=0ABcc=3A_x?= <ann@example.com>', 'control characters in the name of the From header field'],
    [
      '=?utf-8?b?cG90dXNAd2hpdGVob3VzZS5nb3Y=?==?utf-8?Q?=00?=@example.com',
      'From address: encoded-words are not accepted',
    ],
    ['ann@example.com\u0000', 'control characters in the From header field'],
    ['\u001b[31mAnn <ann@example.com>', 'control characters in the From header field'],
    ['Ann <аnn@example.com>', 'From address: letters of several scripts mixed in the local part'],
    ['Ann <ann@example.com\u200b>', 'From address: invisible characters in the address'],
    ['Ann <ann@host>', 'From address: domain of a single label'],
    ['Ann <ann@[192.0.2.1]>', 'From address: address literals are not accepted'],
    [`${'A'.repeat(2048)} <ann@example.com>`, 'From header field longer than 2048 characters'],
  ])('%j: %s', (value, expected) => {
    expect(reason(value)).toBe(expected);
  });
});

test('a field that another parser reads as another address, or as several, is refused', () => {
  const value = 'Ann <ann@example.com>';
  const refused = { kind: 'malformed', reason: 'From header field that can be read as another address' };
  expect(parseFromValue(value, () => [{ address: 'eve@example.org' }])).toEqual(refused);
  expect(parseFromValue(value, () => [{ address: 'ann@example.com' }, { address: 'eve@example.org' }])).toEqual(
    refused,
  );
  expect(parseFromValue(value, () => [])).toEqual(refused);
});

describe('in a message', () => {
  function from(text: string): string {
    const parsed = parseMessage(Buffer.from(text, 'latin1'));
    if (parsed.kind === 'malformed') return parsed.reason;
    const result = parseFrom(parsed.bytes, parsed.fields);
    return result.kind === 'malformed' ? result.reason : result.address;
  }

  test('a folded field is read as one', () => {
    expect(from('FROM: "Ann\r\n Smith"\r\n\t<ann@example.com>\r\n\r\n')).toBe('ann@example.com');
  });

  test('a name in ISO-8859-1 is tolerated, an address is not', () => {
    expect(from('From: J\xf6rg <ann@example.com>\r\n\r\n')).toBe('ann@example.com');
    expect(from('From: Ann <j\xf6rg@example.com>\r\n\r\n')).toBe('From address: octets that are not UTF-8');
  });
});

describe('for any value', () => {
  const part = fc.constantFrom(
    'ann@example.com',
    'eve@example.org',
    '<',
    '>',
    '"',
    '\\',
    '(',
    ')',
    ',',
    ';',
    ':',
    '@',
    '.',
    ' ',
    '\t',
    'Ann',
    '[',
    ']',
    '=?utf-8?q?',
    '=40',
    '=3C',
    '?=',
    '=?utf-8?b?ZXZlQGV4YW1wbGUub3Jn?=',
    '<ann@example.com>',
    '"Ann"',
    'é',
    '\0',
    '\r\n ',
  );
  const any = fc.oneof(
    fc.array(part, { maxLength: 8 }).map((parts) => parts.join('')),
    fc
      .tuple(fc.array(part, { maxLength: 4 }), fc.constant('<ann@example.com>'))
      .map(([parts, address]) => parts.join('') + address),
    fc.string({ unit: 'binary', maxLength: 40 }),
  );

  test('reading never throws, and nodemailer finds the same single address wherever it is accepted', () => {
    let accepted = 0;
    fc.assert(
      fc.property(any, (value) => {
        const parsed = parseFromValue(value);
        const lenient = parsed.kind === 'malformed' ? [] : addressparser(value);
        expect(lenient.map((entry) => entry.address)).toEqual(parsed.kind === 'malformed' ? [] : [parsed.address]);
        if (parsed.kind === 'from') accepted++;
      }),
      { numRuns: 4000 },
    );
    expect(accepted).toBeGreaterThan(50);
  });

  test('parsers that split, unquote or decode too early find no other address', () => {
    const angled = (text: string): string | undefined => /<([^<>]*)>/.exec(text)?.[1];
    fc.assert(
      fc.property(any, (value) => {
        const parsed = parseFromValue(value);
        fc.pre(parsed.kind === 'from' && value.includes('<'));
        // The first pair of angle brackets, and the last, whatever stands around them.
        expect(angled(value)).toBe(parsed.address);
        expect(value.slice(value.lastIndexOf('<') + 1, value.lastIndexOf('>'))).toBe(parsed.address);
        // Splitting at commas before looking at quotes.
        const pieces = value.split(/[,;]/).filter((piece) => piece.includes('@'));
        expect(pieces.map((piece) => angled(piece) ?? piece)).toEqual([parsed.address]);
      }),
      { numRuns: 1500, maxSkipsPerRun: 400 },
    );
  });
});
