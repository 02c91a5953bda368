import { describe, expect, test } from 'vitest';
import { parseReply } from '../../src/mail/reply.ts';
import fc from '../support/properties.ts';

describe('a reply', () => {
  test.each([
    ['250 2.0.0 Ok: queued as 4F1', 250, '2.0.0', 'Ok: queued as 4F1'],
    ['250 Ok', 250, null, 'Ok'],
    ['250', 250, null, ''],
    ['250 2.0.0', 250, '2.0.0', ''],
    [
      '550-5.1.1 The account does not exist.\n550 5.1.1 Try another one',
      550,
      '5.1.1',
      'The account does not exist. Try another one',
    ],
    ['550-5.1.1 a\r\n550-\r\n550 b\r\n', 550, '5.1.1', 'a b'],
    ['421-Busy\n421 4.7.0 Later', 421, '4.7.0', 'Busy Later'],
    ['354 End data with <CR><LF>.<CR><LF>', 354, null, 'End data with <CR><LF>.<CR><LF>'],
    ['550 5.7.123 x', 550, '5.7.123', 'x'],
  ])('%j', (text, code, enhanced, rest) => {
    expect(parseReply(text)).toEqual({ code, enhanced, text: rest });
  });

  test.each([
    ['an enhanced code of another class', '550 4.2.1 Odd', '4.2.1 Odd'],
    ['a version number', '220 mail 2.0.0 ready', 'mail 2.0.0 ready'],
    ['a code with too many digits', '550 5.1234.1 x', '5.1234.1 x'],
    ['an enhanced code with text right behind it', '550 5.1.1: x', '5.1.1: x'],
  ])('does not take %s for its enhanced code', (_name, text, rest) => {
    expect(parseReply(text)).toMatchObject({ enhanced: null, text: rest });
  });

  test.each([
    '',
    'Ok',
    '25',
    '250-a\n550 b',
    '250 a\nb',
    '199 x',
    '600 x',
    '2500 x',
    '250x',
    'HTTP/1.1 400 Bad Request',
    '+OK',
  ])('%j is none', (text) => {
    expect(parseReply(text)).toBeNull();
  });
});

describe('for any text', () => {
  const code = fc.integer({ min: 200, max: 599 });
  const line = fc.stringMatching(/^[A-Za-z][ -~]{0,30}$/).map((text) => text.trim());

  test('reading never throws', () => {
    const part = fc.constantFrom('250', '-', ' ', '\n', '\r\n', '5.1.1', 'x', '.', '550 ');
    const any = fc.oneof(
      fc.array(part).map((parts) => parts.join('')),
      fc.string({ unit: 'binary' }),
    );
    fc.assert(
      fc.property(any, (text) => {
        const reply = parseReply(text);
        expect(reply === null || (reply.code >= 200 && reply.code < 600)).toBe(true);
      }),
      { numRuns: 1000 },
    );
  });

  test('the lines of a reply come back in order, with its codes', () => {
    fc.assert(
      fc.property(code, fc.array(line, { minLength: 1, maxLength: 5 }), fc.boolean(), (number, lines, withEnhanced) => {
        const enhanced = withEnhanced && ![3].includes(Math.floor(number / 100)) ? `${String(number)[0]}.7.1` : null;
        const text = lines
          .map(
            (each, index) =>
              `${number}${index === lines.length - 1 ? ' ' : '-'}${enhanced === null ? '' : `${enhanced} `}${each}`,
          )
          .join('\n');
        expect(parseReply(text)).toEqual({ code: number, enhanced, text: lines.join(' ') });
      }),
    );
  });
});
