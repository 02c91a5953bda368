import { describe, expect, test } from 'vitest';
import { cleanRemoteText } from '../../src/mail/clean.ts';
import fc from '../support/properties.ts';

const clean = (text: string): string => cleanRemoteText(text, 500);

describe('one line', () => {
  test.each([
    ['a\r\nb\n\tc', 'a b c'],
    ['  a   b  ', 'a b'],
    ['\u001b[31mred\u001b[0m', 'red'],
    ['\u001b]0;title\u0007text', 'text'],
    ['\u001b]8;;https://x.example/secret\u001b\\link\u001b]8;;\u001b\\', 'link'],
    ['\u009b31mred', 'red'],
    ['a\u0000b\u0008c\u007fd\u0085e', 'abcd e'],
    ['a\u2028b\u2029c', 'a b c'],
    ['abc\u202egnp.exe\u2066\u200b', 'abcgnp.exe'],
    ['half \ud83d a pair', 'half \ufffd a pair'],
    ['Schönen Gruß 😀', 'Schönen Gruß 😀'],
  ])('%j becomes %j', (text, expected) => {
    expect(clean(text)).toBe(expected);
  });

  test('is cut to its length, with a mark, and never inside a character', () => {
    expect(cleanRemoteText('abcdef', 6)).toBe('abcdef');
    expect(cleanRemoteText('abcdefg', 6)).toBe('abcde…');
    expect(cleanRemoteText('abcd😀g', 6)).toBe('abcd…');
    expect(cleanRemoteText('abc', 0)).toBe('');
  });
});

describe('links', () => {
  test.each([
    ['blocked: https://accounts.example.com/reset?token=s3cret', 'blocked: https://accounts.example.com/…'],
    ['see <https://x.example/a/b#c> now', 'see <https://x.example/…> now'],
    ['see "https://x.example/a" now', 'see "https://x.example/…" now'],
    ['https://x.example', 'https://x.example'],
    ['https://x.example/', 'https://x.example/'],
    ['https://x.example?token=s3cret', 'https://x.example/…'],
    ['https://x.example#s3cret', 'https://x.example/…'],
    ['https://user:s3cret@x.example:8443/p', 'https://x.example:8443/…'],
    ['HTTPS://X.example/S3cret', 'HTTPS://X.example/…'],
    ['myapp://reset/s3cret', 'myapp://reset/…'],
    ['hxxps://x.example/s3cret', 'hxxps://x.example/…'],
    ['https:\\/\\/x.example\\/s3cret', 'https://x.example/…'],
    ['https%3A%2F%2Fx.example%2Freset%3Fs3cret', 'https://x.example/…'],
    ["https://x.example/it's?t=s3cret", 'https://x.example/…'],
    ['x.example/reset/s3cret listed', 'x.example/… listed'],
    ['www.x.example:8080?s3cret', 'www.x.example:8080/…'],
    ['müller.de/s3cret', 'müller.de/…'],
    ['https://x.example/se\u200bcret/s3\u0001cret', 'https://x.example/…'],
    ['https://x.example/\u001b[31ms3cret', 'https://x.example/…'],
    ['two: https://a.example/s3cret, http://b.example/s3cret', 'two: https://a.example/… http://b.example/…'],
    [`${'a'.repeat(40)}://x.example/s3cret`, `${'a'.repeat(40)}://x.example/…`],
  ])('%j becomes %j', (text, expected) => {
    expect(clean(text)).toBe(expected);
  });

  test.each([
    ['rest of it ?token=s3cret&x=s3cret2', 'rest of it ?token=…&x=…'],
    ['reset_token=s3cret code=123456', 'reset_token=… code=…'],
    ['password="s3cret"', 'password="…"'],
  ])('what stood in a query goes too: %j becomes %j', (text, expected) => {
    expect(clean(text)).toBe(expected);
  });

  test.each([
    '5.1.1 <bob@example.net>: Recipient address rejected: User unknown',
    '5.7.26 This mail has been blocked because the sender is unauthenticated. 192.0.2.7 gsmtp 1a2b3c4d5e6f-12345678',
    'Ok: queued as 4XyZ123456 (mx.example.net) size 1234567 in 0.12s',
    '4.7.0 [TSS04] Messages from 192.0.2.7 temporarily deferred',
    'host mx.example.com[192.0.2.7] said: 550 and/or either/or',
  ])('what is no link stays: %s', (text) => {
    expect(clean(text)).toBe(text);
  });
});

describe('for any text', () => {
  test('it is one printable line of at most the length', () => {
    const part = fc.oneof(
      fc.constantFrom(
        'https://',
        'x.example',
        '/',
        '?a=',
        'token=',
        '\u001b[',
        '\u001b]',
        '\u0007',
        '\r\n',
        '\u202e',
        '\ud800',
        '%3a%2f%2f',
        '@',
        ':',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 20 }), fc.integer({ min: 0, max: 80 }), (parts, maxLength) => {
        const line = cleanRemoteText(parts.join(''), maxLength);
        expect(line.length).toBeLessThanOrEqual(maxLength);
        expect(line).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u);
      }),
      { numRuns: 2000 },
    );
  });

  test('no link keeps its path, whatever is around it', () => {
    const noise = fc.string({
      unit: fc.constantFrom(
        'a',
        ' ',
        '/',
        ':',
        '.',
        '@',
        '<',
        '"',
        "'",
        '\r\n',
        '\u001b[1m',
        '\u200b',
        '%',
        '?',
        '=',
        'é',
      ),
      maxLength: 12,
    });
    const scheme = fc.constantFrom('https://', 'HTTP://', 'app://', 'https:\\/\\/', '');
    const joint = fc.constantFrom('/', '?', '#', '/a/b?c=', '/\u200b', '/x#');
    fc.assert(
      fc.property(noise, scheme, joint, noise, (before, start, slash, after) => {
        expect(clean(`${before}${start}accounts.example.com${slash}S3CRET${after}`)).not.toContain('S3CRET');
      }),
      { numRuns: 2000 },
    );
  });

  test('long and hostile text is cleaned in time that grows with its length alone', () => {
    for (const piece of ['a.', 'a-', 'aaaa', '://', '%3a', '?a', 'token', '\u001b[', '\u001b]0;', 'x@', '\\/']) {
      expect(cleanRemoteText(piece.repeat(500_000), 1000).length).toBeLessThanOrEqual(1000);
    }
  });
});
