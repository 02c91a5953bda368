import { describe, expect, test } from 'vitest';
import { MAX_TEXT_OCTETS, readParts } from '../../src/mail/parts.ts';
import { MAX_DASHED_LINES, MAX_DEPTH, MAX_PARTS } from '../../src/mail/walk-parts.ts';
import fc from '../support/properties.ts';

const bytes = (text: string): Buffer => Buffer.from(text.replace(/\r?\n/g, '\r\n'), 'latin1');
const textsOf = (text: string): string[] => readParts(bytes(text)).texts.map((part) => part.text);
const unreadOf = (text: string): string[] => [...readParts(bytes(text)).unread];

const ALTERNATIVE = `From: a@example.com
MIME-Version: 1.0
Content-Type: multipart/alternative; boundary="b1"

preamble https://preamble.invalid
--b1
Content-Type: text/plain; charset=utf-8

plain
--b1
Content-Type: text/html; charset=utf-8

<p>html</p>
--b1--
epilogue
`;

describe('the parts of a message', () => {
  test('a message without MIME is one plain text', () => {
    const parts = readParts(bytes('From: a@example.com\n\nhello\n'));
    expect(parts.texts).toEqual([{ kind: 'text', type: 'text/plain', text: 'hello\r\n', octets: 7 }]);
    expect(parts.unread.size).toBe(0);
  });

  test('text and HTML of an alternative are read, preamble and epilogue are not', () => {
    const parts = readParts(bytes(ALTERNATIVE));
    expect(parts.texts.map(({ kind, text }) => [kind, text])).toEqual([
      ['text', 'plain'],
      ['html', '<p>html</p>'],
    ]);
    expect([...parts.unread]).toEqual([]);
  });

  test('line ends of a bare LF are read the same', () => {
    expect(readParts(Buffer.from(ALTERNATIVE)).texts.map(({ text }) => text)).toEqual(['plain', '<p>html</p>']);
  });

  test('an inner boundary that never closes ends with the outer one', () => {
    const message = `Content-Type: multipart/mixed; boundary=out

--out
Content-Type: multipart/related; boundary=in

--in
Content-Type: text/html

one
--out
Content-Type: text/plain

two
--out--
`;
    expect(textsOf(message)).toEqual(['one', 'two']);
  });

  test('attachments are known by type alone, and not read', () => {
    const message = `Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/html
Content-Disposition: attachment; filename=x.html

<a href=https://in.attachment>
--b
Content-Type: application/pdf

JVBERi0
--b
Content-Type: text/plain

text
--b--
`;
    const parts = readParts(bytes(message));
    expect(parts.attachments).toEqual(['text/html', 'application/pdf']);
    expect(parts.texts.map(({ text }) => text)).toEqual(['text']);
    expect(parts.unread.size).toBe(0);
  });

  test.each([
    ['quoted-printable', 'a=3Db=\r\nc =C3=BC=', 'a=bc ü'],
    ['quoted-printable', 'bad =XY and = \r\nrest', 'bad =XY and rest'],
    ['base64', Buffer.from('hällo').toString('base64'), 'hällo'],
    ['base64', 'aGFs\r\nbG8=\r\nd29ybGQ=', 'halloworld'],
    ['8bit', Buffer.from('grün').toString('latin1'), 'grün'],
    ['BASE64 (comment)', 'aGFsbG8=', 'hallo'],
  ])('%s is undone: %j', (encoding, body, expected) => {
    const message = `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`;
    expect(readParts(Buffer.from(message, 'latin1')).texts[0]?.text).toBe(expected);
  });

  test.each([
    ['iso-8859-1', [0xe4], 'ä'],
    ['windows-1252', [0x80], '€'],
    ['windows-1251', [0xef], 'п'],
    ['koi8-r', [0xd0], 'п'],
    ['utf-16le', [0x41, 0], 'A'],
    ['shift_jis', [0x82, 0xa0], 'あ'],
    ['"utf-8"', [0xc3, 0xa4], 'ä'],
    ["utf-8''", [0xc3, 0xa4], 'ä'],
  ])('charset %s is read', (charset, octets, expected) => {
    const message = Buffer.concat([
      Buffer.from(`Content-Type: text/plain; charset=${charset}\r\n\r\n`),
      Buffer.from(octets),
    ]);
    expect(readParts(message).texts[0]?.text).toBe(expected);
  });

  test.each([
    ['Content-Type: text/plain; charset=x-nobody-knows\n\nx', ['charset']],
    ['Content-Type: text/plain; charset=utf-16\n\nh\0i\0', ['charset']],
    ['Content-Type: text/plain; charset=utf-16\n\n\xfe\xff\0h', []],
    ['Content-Type: text/plain; charset=utf-8\n\n\xff\xfeh\0', ['charset']],
    ['Content-Type: text/plain\n\n\xff\xfeh\0', ['charset']],
    ['Content-Transfer-Encoding: x-uuencode\n\nx', ['encoding']],
    ['Content-Type: multipart/mixed\n\nx', ['boundary']],
    ['Content-Type: multipart/mixed; boundary=b\n\nnever', ['boundary']],
    ['Content-Type: multipart/mixed; boundary=b\nContent-Transfer-Encoding: base64\n\n--b\n\nx\n--b--\n', ['encoding']],
    ['Content-Type: text/plain\nContent-Type: text/html\n\nx', ['header']],
    ['Content-Type: nonsense\n\nx', ['header']],
    ['Subject: x\nno field\n\nx', ['header']],
    [
      'Content-Type: message/external-body; access-type=URL; URL="https://x.example/"\n\nContent-Type: text/html\n',
      ['message'],
    ],
    ['Content-Type: message/delivery-status\n\nReporting-MTA: dns; x.example\n', []],
    [
      'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: message/rfc822\n\nSubject: x\n\nhttps://x\n--b--\n',
      ['message'],
    ],
  ])('what cannot be read as it was meant is told: %j', (message, expected) => {
    expect(unreadOf(message)).toEqual(expected);
  });

  test('a boundary that is written in pieces is put together', () => {
    const message = 'Content-Type: multipart/mixed; boundary*0="bo"; boundary*1="und"\n\n--bound\n\nx\n--bound--\n';
    expect(textsOf(message)).toEqual(['x']);
  });

  test('a part whose header has no empty line ends at the boundary', () => {
    expect(
      textsOf('Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n--b\n\nsecond\n--b--\n'),
    ).toEqual(['', 'second']);
  });
});

describe('limits', () => {
  test('text up to the limit is read whole, one octet more is told', () => {
    const head = 'Content-Type: text/plain\r\n\r\n';
    const at = readParts(Buffer.from(head + 'x'.repeat(MAX_TEXT_OCTETS)));
    expect([at.texts[0]?.octets, [...at.unread]]).toEqual([MAX_TEXT_OCTETS, []]);
    const over = readParts(Buffer.from(head + 'x'.repeat(MAX_TEXT_OCTETS + 1)));
    expect([over.texts[0]?.octets, [...over.unread]]).toEqual([MAX_TEXT_OCTETS, ['size']]);
  });

  test.each(['base64', 'quoted-printable'])('text in %s is cut at the limit', (encoding) => {
    const body = 'QUJD'.repeat(MAX_TEXT_OCTETS);
    const parts = readParts(Buffer.from(`Content-Transfer-Encoding: ${encoding}\r\n\r\n${body}`));
    expect(parts.texts[0]?.octets).toBeLessThanOrEqual(MAX_TEXT_OCTETS);
    expect([...parts.unread]).toEqual(['size']);
  });

  test('a big attachment does not count as text', () => {
    const message = `Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\nContent-Type: application/zip\n\n${'A'.repeat(MAX_TEXT_OCTETS * 2)}\n--b--\n`;
    expect(unreadOf(message)).toEqual([]);
  });

  test('nesting is followed so deep, and no deeper', () => {
    const nest = (depth: number): string => {
      let message = 'Content-Type: text/plain\n\nx\n';
      for (let level = 0; level < depth; level++) {
        message = `Content-Type: multipart/mixed; boundary=b${level}\n\n--b${level}\n${message}\n--b${level}--\n`;
      }
      return message;
    };
    expect(unreadOf(nest(MAX_DEPTH))).toEqual([]);
    expect(unreadOf(nest(MAX_DEPTH + 1))).toEqual(['depth']);
  });

  test('so many parts are read, and no more', () => {
    const many = (count: number): string =>
      `Content-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(count)}--b--\n`;
    expect(unreadOf(many(MAX_PARTS - 1))).toEqual([]);
    expect(unreadOf(many(MAX_PARTS))).toEqual(['parts']);
    expect(textsOf(many(MAX_PARTS * 10)).length).toBeLessThan(MAX_PARTS);
  });

  test('lines that may be boundaries are looked at up to a limit', () => {
    const dashed = (count: number): string =>
      `Content-Type: multipart/mixed; boundary=b\n\n--b\n\n${'a--\n'.repeat(count)}\n--b--\n`;
    expect(unreadOf(dashed(MAX_DASHED_LINES - 2))).toEqual([]);
    expect(unreadOf(dashed(MAX_DASHED_LINES))).toContain('lines');
  });
});

describe('for any bytes', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '\r\n',
      '\n',
      '--b',
      '--b--',
      '--c\r\n',
      'Content-Type: multipart/mixed; boundary=b\r\n',
      'Content-Type: multipart/mixed; boundary=c\r\n\r\n',
      'Content-Type: text/html; charset=utf-7\r\n\r\n',
      'Content-Transfer-Encoding: base64\r\n',
      'Content-Transfer-Encoding: quoted-printable\r\n\r\n',
      'Content-Disposition: attachment\r\n',
      ' folded\r\n',
      '=\r\n',
      '====',
      '(((',
      '"',
    ),
    fc.string({ unit: 'binary', maxLength: 10 }),
  );

  test('reading never throws, keeps to its limits and never changes the bytes', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        const message = Buffer.from(pieces.join(''));
        const before = Buffer.from(message);
        const parts = readParts(message);
        expect(message.equals(before)).toBe(true);
        const octets = parts.texts.reduce((sum, part) => sum + part.octets, 0);
        expect(octets).toBeLessThanOrEqual(message.length);
        expect(parts.texts.length + parts.attachments.length).toBeLessThanOrEqual(MAX_PARTS);
      }),
      { numRuns: 2000 },
    );
  });

  test('of a good message with one octet changed every part is read, listed or told', () => {
    const good = bytes(ALTERNATIVE);
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), (at, octet) => {
        const message = Buffer.from(good);
        message[at] = octet;
        const parts = readParts(message);
        expect(parts.texts.length + parts.attachments.length + parts.unread.size).toBeGreaterThan(0);
      }),
      { numRuns: 1000 },
    );
  });
});
