import { describe, expect, test } from 'vitest';
import {
  assemble,
  fieldsNamed,
  fieldValue,
  MAX_HEADER_FIELDS,
  MAX_HEADER_OCTETS,
  type MessageLayout,
  scanHeader,
} from '../../src/mail/header.ts';
import fc from '../support/properties.ts';

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function layout(text: string): MessageLayout {
  const message = bytes(text);
  const scan = scanHeader(message);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return { bytes: message, fields: scan.fields, bodyStart: scan.bodyStart };
}

function reason(text: string): string {
  const scan = scanHeader(bytes(text));
  return scan.kind === 'malformed' ? scan.reason : 'a header';
}

function values(text: string): readonly (readonly [string, string])[] {
  const message = layout(text);
  return message.fields.map((field) => [field.key, fieldValue(message.bytes, field)]);
}

describe('scanning', () => {
  test('finds names in lower case, values, and where the body starts', () => {
    const text = 'From: a@b.example\r\nX-Leadpush-TAG:  reset \r\n\r\nBody: no field\r\n';
    expect(values(text)).toEqual([
      ['from', 'a@b.example'],
      ['x-leadpush-tag', 'reset'],
    ]);
    expect(text.slice(layout(text).bodyStart)).toBe('Body: no field\r\n');
  });

  test('takes a folded field as one, whatever it is folded with', () => {
    expect(values('Subject: a\r\n b\r\n\tc\r\n \t d\r\nTo: x\r\n\r\n')).toEqual([
      ['subject', 'a b\tc \t d'],
      ['to', 'x'],
    ]);
  });

  test('takes a line of white space inside a header for a continuation, not for its end', () => {
    expect(values('Subject: a\r\n \t \r\nBcc: x@y.example\r\n\r\n')).toEqual([
      ['subject', 'a'],
      ['bcc', 'x@y.example'],
    ]);
  });

  test('offsets span the whole field with its last CRLF', () => {
    const text = 'A: 1\r\n 2\r\nB: 3\r\n\r\n';
    const { fields } = layout(text);
    expect(fields.map((field) => text.slice(field.start, field.end))).toEqual(['A: 1\r\n 2\r\n', 'B: 3\r\n']);
    expect(fields.map((field) => text.slice(field.valueStart, field.end))).toEqual([' 1\r\n 2\r\n', ' 3\r\n']);
  });

  test('an empty value is legal', () => {
    expect(values('Subject:\r\nTo: \r\n\r\n')).toEqual([
      ['subject', ''],
      ['to', ''],
    ]);
  });

  test('a header without an empty line and body is legal', () => {
    const text = 'From: a@b.example\r\n';
    expect(layout(text)).toMatchObject({ fields: [{ key: 'from' }], bodyStart: text.length });
  });

  test('an empty message has no fields', () => {
    expect(scanHeader(bytes(''))).toEqual({ kind: 'header', fields: [], bodyStart: 0 });
    expect(scanHeader(bytes('\r\nHello\r\n'))).toEqual({ kind: 'header', fields: [], bodyStart: 2 });
  });

  test.each([
    ['Hello\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    ['From ann Mon Jan  5 10:00:00 2026\r\nTo: x\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    ['To: x\r\nHello\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    ['To: x\r\nX-Leadpush-Tag : reset\r\n\r\n', 'space in front of the colon of a header field'],
    ['To: x\r\nX-Leadpush-Tag\t: reset\r\n\r\n', 'space in front of the colon of a header field'],
    ['X-Lead\xa0push: x\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    ['X-Lead\x00push: x\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    ['X-Lead\x7fpush: x\r\n\r\n', 'header line that is not a field (name, colon, value)'],
    [': x\r\n\r\n', 'header line without a field name'],
    [' folded\r\n\r\n', 'the first header line is a continuation'],
    ['\tfolded: x\r\n\r\n', 'the first header line is a continuation'],
    ['To: x\nBcc: y\r\n\r\n', 'header line that does not end in CRLF'],
    ['To: x', 'header line that does not end in CRLF'],
  ])('%j is malformed: %s', (text, expected) => {
    expect(reason(text)).toBe(expected);
  });

  test('takes 1,000 fields and not one more', () => {
    expect(reason('A:\r\n'.repeat(MAX_HEADER_FIELDS))).toBe('a header');
    expect(reason('A:\r\n'.repeat(MAX_HEADER_FIELDS + 1))).toBe('more than 1000 header fields');
  });

  test('takes 256 KB and not one octet more', () => {
    const line = (octets: number): string => `A: ${'x'.repeat(octets - 5)}\r\n`;
    const text = line(MAX_HEADER_OCTETS / 2);
    expect(reason(text + text)).toBe('a header');
    expect(reason(`${text}${line(MAX_HEADER_OCTETS / 2 + 1)}`)).toBe('header of more than 262144 octets');
  });

  test('a field named __proto__ is a field like any other', () => {
    expect(values('__proto__: x\r\nconstructor: y\r\n\r\n')).toEqual([
      ['__proto__', 'x'],
      ['constructor', 'y'],
    ]);
  });
});

describe('values', () => {
  test('are UTF-8 where that is valid, and ISO-8859-1 where it is not', () => {
    expect(values('A: J\xc3\xb6rg\r\nB: J\xf6rg\r\n\r\n')).toEqual([
      ['a', 'Jörg'],
      ['b', 'Jörg'],
    ]);
  });

  test('keep white space other than space and tab', () => {
    expect(values('A: \xc2\xa0x\xc2\xa0 \r\n\r\n')).toEqual([['a', '\u00a0x\u00a0']]);
  });
});

describe('assembling', () => {
  const keepAll = (): boolean => false;

  test('leaves out fields and puts text in front, and touches nothing else', () => {
    const message = layout('A: 1\r\nBcc: x\r\n y\r\nB:  2 \r\nbcc: z\r\n\r\nBcc: body\r\n');
    const { bytes: result } = assemble(message, { prepend: 'New: 3\r\n 4\r\n', drop: (field) => field.key === 'bcc' });
    expect(Buffer.from(result).toString('latin1')).toBe('New: 3\r\n 4\r\nA: 1\r\nB:  2 \r\n\r\nBcc: body\r\n');
  });

  test('can leave out every field', () => {
    const message = layout('A: 1\r\n\r\nbody\r\n');
    expect(Buffer.from(assemble(message, { prepend: '', drop: () => true }).bytes).toString()).toBe('\r\nbody\r\n');
  });

  test('returns memory of its own, of the exact size', () => {
    const message = layout('A: 1\r\n\r\nbody\r\n');
    const { bytes: result } = assemble(message, { prepend: '', drop: keepAll });
    expect(result.buffer.byteLength).toBe(result.length);
    expect(result.buffer).not.toBe(message.bytes.buffer);
  });

  test.each(['X', 'X: 1', 'X: 1\r\n\r\n', 'X: 1\r\n\r\nY: 2\r\n', ' X: 1\r\n'])(
    'throws on %j, which is no field',
    (prepend) => {
      expect(() => assemble(layout('A: 1\r\n\r\n'), { prepend, drop: keepAll })).toThrow('not whole header fields');
    },
  );

  test('returns the layout that a new scan of the result finds', () => {
    const name = fc.constantFrom('A', 'Bcc', 'X-Leadpush-Tag', 'to');
    const value = fc.constantFrom('', ' x', ' x\r\n y', '\xff', ' a\r\n\t \r\n b ');
    const field = fc.tuple(name, value).map(([key, text]) => `${key}:${text}\r\n`);
    const header = fc.array(field, { maxLength: 8 }).map((fields) => fields.join(''));
    const body = fc.constantFrom('', '\r\n', '\r\nbody\r\n', '\r\n\r\nA: 1\r\n\r\n');
    fc.assert(
      fc.property(header, body, header, fc.func(fc.boolean()), (head, rest, prepend, drop) => {
        const result = assemble(layout(head + rest), { prepend, drop: (found) => drop(found.start) });
        expect({ ...result, kind: 'header' }).toEqual({ ...scanHeader(result.bytes), bytes: result.bytes });
        expect(Buffer.from(result.bytes).toString('latin1').endsWith(rest)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('for any bytes', () => {
  test('scanning never throws, and the fields lie end to end from the first octet to the body', () => {
    const part = fc.constantFrom('A', 'b:', ':', ' ', '\t', '\r\n', '\r\n\r\n', '\r', '\n', '\0', 'x: y\r\n', '\xff');
    const any = fc.oneof(
      fc.array(part, { maxLength: 20 }).map((parts) => bytes(parts.join(''))),
      fc.uint8Array({ maxLength: 60 }),
    );
    fc.assert(
      fc.property(any, (message) => {
        const scan = scanHeader(message);
        fc.pre(scan.kind === 'header');
        const text = Buffer.from(message).toString('latin1');
        const fields = scan.fields.map((field) => text.slice(field.start, field.end));
        const rest = text.slice(fields.join('').length);
        expect(text).toBe(fields.join('') + rest);
        expect(rest === '' || rest.startsWith('\r\n')).toBe(true);
        expect(scan.bodyStart).toBe(text.length - Math.max(rest.length - 2, 0));
        for (const [index, field] of scan.fields.entries()) {
          expect(fields[index]).toMatch(/^[!-9;-~]+:(?:(?!\r\n(?![ \t]|$))[^])*\r\n$/);
          expect(field.key).toBe(text.slice(field.start, field.valueStart - 1).toLowerCase());
          expect(fieldValue(message, field)).not.toMatch(/\r\n|^[ \t]|[ \t]$/);
        }
        expect(fieldsNamed(scan.fields, 'x').length).toBe(scan.fields.filter((field) => field.key === 'x').length);
      }),
      { numRuns: 2000, maxSkipsPerRun: 200 },
    );
  });
});
