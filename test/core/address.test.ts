import { describe, expect, test } from 'vitest';
import { addressKey, domainOf, type EnvelopeAddress, parseEnvelopeAddress } from '../../src/core/address.ts';
import fc from '../support/properties.ts';

const ASCII = { smtpUtf8: false };
const UTF8 = { smtpUtf8: true };

function accepted(text: string, options = ASCII): EnvelopeAddress {
  const parsed = parseEnvelopeAddress(text, options);
  if (parsed.kind === 'malformed') throw new Error(`${text}: ${parsed.reason}`);
  return parsed.address;
}

function reason(text: string, options = ASCII): string {
  const parsed = parseEnvelopeAddress(text, options);
  return parsed.kind === 'malformed' ? parsed.reason : 'accepted';
}

describe('what is accepted', () => {
  test.each([
    'ann@example.com',
    'Ann.Smith+tag@Mail.EXAMPLE.com',
    "o'neil/x=y_z-@example.com",
    '#$&*?^`{|}~@example.com',
    'a@b.co',
    'root@localhost',
    '1@2.example',
    'ann@r3---sn.example.com',
    'ann@xn--mller-kva.de',
    'ann@XN--MLLER-KVA.de',
    `${'a'.repeat(64)}@example.com`,
    `a@${'b'.repeat(63)}.com`,
  ])('%s is accepted', (text) => {
    expect(reason(text)).toBe('accepted');
  });

  test.each([
    'müller@müller.de',
    'ann@straße.de',
    'иван@пример.рф',
    'иван.ann@example.com',
    'δοκιμή@παράδειγμα.gr',
    '用户@例え.jp',
    'カナかな漢字abc@例え.jp',
    'משתמש@דוגמה.com',
  ])('%s is accepted with SMTPUTF8', (text) => {
    expect(reason(text, UTF8)).toBe('accepted');
  });

  test('an address of 254 octets is accepted and one of 255 is not', () => {
    const domain = `${'b'.repeat(63)}.${'c'.repeat(63)}.${'d'.repeat(57)}.com`;
    const local = 'a'.repeat(254 - domain.length - 1);
    expect(reason(`${local}@${domain}`)).toBe('accepted');
    expect(reason(`${local}@e${domain}`)).toBe('longer than 254 octets');
  });

  test('octets are counted, not characters', () => {
    expect(reason(`${'é'.repeat(32)}@example.com`, UTF8)).toBe('accepted');
    expect(reason(`${'é'.repeat(33)}@example.com`, UTF8)).toBe('local part longer than 64 octets');
  });
});

describe('what is refused', () => {
  test.each([
    ['', 'empty address'],
    ['ann', 'no @ and domain'],
    ['@example.com', 'no local part in front of the @'],
    ['ann@', 'no domain after the @'],
    ['ann@b@example.com', 'more than one @'],
    ['"ann"@example.com', 'quoted local parts are not accepted'],
    ['"a@b.com x"@example.com', 'quoted local parts are not accepted'],
    ['ann\\@x@example.com', 'backslashes are not accepted'],
    ['ann@[192.0.2.1]', 'address literals are not accepted'],
    ['ann@[IPv6:::1]', 'address literals are not accepted'],
    ['@a.example,@b.example:ann@example.com', 'source routes are not accepted'],
    ['ann%example.org@example.com', 'routing with % is not accepted'],
    ['example.org!ann@example.com', 'routing with ! is not accepted'],
    ['ann@example.com%evil.org', 'routing with % is not accepted'],
    ['a@example.com,b@example.com', 'more than one address'],
    ['a,b@example.com', 'more than one address'],
    ['ann(x)@example.com', 'comments are not accepted'],
    ['list:ann@example.com;', 'groups and source routes are not accepted'],
    ['ann@example.com;', 'groups are not accepted'],
    ['ann @example.com', 'white space in the address'],
    ['ann@ example.com', 'white space in the address'],
    [' ann@example.com', 'white space in the address'],
    ['ann@example.com\r\nRCPT TO:<b@example.com>', 'control characters in the address'],
    ['ann\u0000@example.com', 'control characters in the address'],
    ['ann\t@example.com', 'control characters in the address'],
    ['ann\u007f@example.com', 'control characters in the address'],
    ['<ann@example.com>', 'angle brackets inside the address'],
    ['ann@example.com>', 'angle brackets inside the address'],
    ['.ann@example.com', 'misplaced dot in the local part'],
    ['ann.@example.com', 'misplaced dot in the local part'],
    ['a..b@example.com', 'misplaced dot in the local part'],
    ['-ann@example.com', 'local part starts with a hyphen'],
    [`${'a'.repeat(65)}@example.com`, 'local part longer than 64 octets'],
    ['ann@.example.com', 'misplaced dot in the domain'],
    ['ann@example..com', 'misplaced dot in the domain'],
    ['ann@example.com.', 'misplaced dot in the domain'],
    ['ann@-example.com', 'misplaced hyphen in the domain'],
    ['ann@example-.com', 'misplaced hyphen in the domain'],
    ['ann@exa_mple.com', 'characters in the domain other than letters, digits and hyphens'],
    [`ann@${'b'.repeat(64)}.com`, 'domain label longer than 63 octets'],
    ['ann@example', 'domain of a single label'],
    ['ann@192.0.2.1', 'domain that ends in a number'],
    ['ann@0x7f.0x1', 'domain that ends in a number'],
    ['ann@12', 'domain that ends in a number'],
    ['müller@example.com', 'non-ASCII characters without SMTPUTF8'],
    ['ann@müller.de', 'non-ASCII characters without SMTPUTF8'],
  ])('%j is refused: %s', (text, expected) => {
    expect(reason(text)).toBe(expected);
  });

  test.each([
    ['ann\ud800@example.com', 'invalid UTF-8'],
    ['ann\ufffd@example.com', 'invalid UTF-8'],
    ['ann\u200b@example.com', 'invisible characters in the address'],
    ['ann@exam\u00adple.com', 'invisible characters in the address'],
    ['ann\u202e@example.com', 'invisible characters in the address'],
    ['ann\u2066x@example.com', 'invisible characters in the address'],
    ['ann\u00a0x@example.com', 'invisible characters in the address'],
    ['ann\ufe0f@example.com', 'invisible characters in the address'],
    ['ann\u0085@example.com', 'control characters in the address'],
    ['ann@ехample.com', 'letters of several scripts mixed in the domain'],
    ['ann@gооgle.com', 'letters of several scripts mixed in the domain'],
    ['аdmin@example.com', 'letters of several scripts mixed in the local part'],
    ['οmega@example.com', 'letters of several scripts mixed in the local part'],
    ['ann＠example.com', 'characters that stand for others (not in form NFKC)'],
    ['ann@example．com', 'characters that stand for others (not in form NFKC)'],
    ['ann@ｅxample.com', 'characters that stand for others (not in form NFKC)'],
    ['ann@e\u0301xample.com', 'characters that stand for others (not in form NFKC)'],
    ['ﬁnn@example.com', 'characters that stand for others (not in form NFKC)'],
    ['\u212aarl@example.com', 'characters that stand for others (not in form NFKC)'],
    ['ann@例え。jp', 'characters in the domain other than letters, digits and hyphens'],
    ['ann@ᾳβ.gr', 'domain that IDNA maps to another one'],
    [
      `a@${'例'.repeat(20)}.${'例'.repeat(20)}.${'例'.repeat(20)}.${'例'.repeat(20)}.${'例'.repeat(3)}.jp`,
      'longer than 254 octets',
    ],
    ['ann@\u0301a.com', 'domain that is not valid in IDNA'],
    ['ann@1א.com', 'domain that is not valid in IDNA'],
    ['ann😀@example.com', 'characters in the local part that are not accepted'],
    ['ann@☃.com', 'characters in the domain other than letters, digits and hyphens'],
    [`ann@${'é'.repeat(62)}.com`, 'domain label longer than 63 octets as A-label'],
  ])('%j is refused even with SMTPUTF8: %s', (text, expected) => {
    expect(reason(text, UTF8)).toBe(expected);
  });
});

describe('keys and domains', () => {
  test('the domain comes out in lower case as A-labels', () => {
    expect(domainOf(accepted('ann@Mail.EXAMPLE.com'))).toBe('mail.example.com');
    expect(domainOf(accepted('ann@MÜLLER.de', UTF8))).toBe('xn--mller-kva.de');
  });

  test('spellings of one mailbox have one key', () => {
    const key = addressKey(accepted('Müller@Müller.DE', UTF8));
    expect(key).toBe('müller@xn--mller-kva.de');
    expect(addressKey(accepted('MÜLLER@xn--mller-kva.de', UTF8))).toBe(key);
  });

  test('look-alike addresses have different keys', () => {
    expect(addressKey(accepted('mıke@example.com', UTF8))).not.toBe(addressKey(accepted('mike@example.com')));
  });
});

// ---------------------------------------------------------------- properties

const atext = fc.constantFrom(...Array.from("abcXYZ019#$&'*+-/=?^_`{|}~"));
const atom = fc.string({ unit: atext, minLength: 1, maxLength: 12 });
const local = fc
  .array(atom, { minLength: 1, maxLength: 4 })
  .map((atoms) => atoms.join('.'))
  .filter((text) => !text.startsWith('-'));
const label = fc.stringMatching(/^[a-zA-Z0-9]([a-zA-Z0-9-]{0,20}[a-zA-Z0-9])?$/);
const topLabel = fc.stringMatching(/^[a-z]{2,10}$/);
const domain = fc
  .tuple(fc.array(label, { minLength: 1, maxLength: 3 }), topLabel)
  .map(([labels, top]) => [...labels, top].join('.'));
const valid = fc.tuple(local, domain).map(([user, host]) => `${user}@${host}`);

/** Text that comes close to an address often enough to matter. */
const nearMiss = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        '@',
        '.',
        '-',
        '%',
        '!',
        '"',
        '\\',
        '<',
        '>',
        ',',
        ';',
        ':',
        '(',
        ')',
        '[',
        ']',
        ' ',
        '\t',
        '\r\n',
        '\0',
      ),
      fc.constantFrom('ann', 'example.com', 'а', 'é', '\u200b', '\u202e', '\ufffd', '\ud800', '＠', '。', 'xn--'),
      fc.string({ unit: 'binary', maxLength: 3 }),
    ),
    { maxLength: 8 },
  )
  .map((parts) => parts.join(''));

describe('for any text', () => {
  test('generated addresses are accepted, and come out as they went in', () => {
    fc.assert(
      fc.property(valid, fc.boolean(), (text, smtpUtf8) => {
        expect(parseEnvelopeAddress(text, { smtpUtf8 })).toEqual({ kind: 'address', address: text });
      }),
      { numRuns: 500 },
    );
  });

  /** What speaks against `text` being an accepted address, in a second wording of the grammar. */
  function objections(text: string, smtpUtf8: boolean): readonly string[] {
    const parsed = parseEnvelopeAddress(text, { smtpUtf8 });
    if (parsed.kind === 'malformed') return /^[ -~]+$/.test(parsed.reason) ? [] : [`reason ${parsed.reason}`];
    const checks: readonly (readonly [string, boolean])[] = [
      ['comes out as it went in', parsed.address === text && Buffer.from(text).toString() === text],
      ['forbidden character', !/["\\()<>[\],;:%!\s\p{C}\p{Default_Ignorable_Code_Point}]/u.test(text)],
      ['one @', text.split('@').length === 2],
      ['length', Buffer.byteLength(text) <= 254],
      ['dots', !/^\.|\.\.|\.@|@\.|\.$/.test(text)],
      ['hyphens', !/^-|@-|\.-(?=[^@]*$)|-\.(?=[^@]*$)|-$/.test(text)],
      ['ASCII without SMTPUTF8', smtpUtf8 || /^[!-~]+$/.test(text)],
      ['domain', /^[a-z0-9.-]+$/.test(domainOf(parsed.address))],
      ['key', /^[^@]+@[a-z0-9.-]+$/.test(addressKey(parsed.address))],
    ];
    return checks.filter(([, holds]) => !holds).map(([name]) => name);
  }

  test('parsing never throws, and what it accepts is the input without any forbidden character', () => {
    const inside = fc.tuple(nearMiss, nearMiss).map(([a, b]) => `ann${a}@ex${b}.com`);
    fc.assert(
      fc.property(fc.oneof(nearMiss, inside, fc.string({ unit: 'binary' })), fc.boolean(), (text, smtpUtf8) => {
        expect(objections(text, smtpUtf8)).toEqual([]);
      }),
      { numRuns: 3000 },
    );
  });
});
