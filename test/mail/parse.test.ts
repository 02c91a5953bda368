import { describe, expect, test } from 'vitest';
import { MAX_LINE_OCTETS, MAX_RECEIVED_FIELDS, parseMessage } from '../../src/mail/parse.ts';
import fc from '../support/properties.ts';

function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

const FROM = 'From: ann@example.com\r\n';

function verdict(text: string): string {
  const parsed = parseMessage(bytes(text));
  return parsed.kind === 'message' ? 'accepted' : `${parsed.code} ${parsed.enhanced} ${parsed.reason}`;
}

describe('what is accepted', () => {
  test('comes out as the same bytes', () => {
    const message = bytes(`${FROM}Subject: x\r\n\r\nHello\r\n.\r\n..\r\n`);
    const parsed = parseMessage(message);
    expect(parsed).toMatchObject({ kind: 'message', bytes: message, bodyStart: FROM.length + 14, eightBit: false });
    expect(parsed.kind === 'message' && parsed.bytes).toBe(message);
  });

  test('gets a CRLF where the last line has none', () => {
    const parsed = parseMessage(bytes(`${FROM}\r\nHello`));
    expect(parsed.kind === 'message' && Buffer.from(parsed.bytes).toString()).toBe(`${FROM}\r\nHello\r\n`);
  });

  test('may be a header alone', () => {
    expect(parseMessage(bytes(FROM))).toMatchObject({ kind: 'message', bodyStart: FROM.length });
    expect(verdict('From: ann@example.com')).toBe('accepted');
  });

  test('is told to be 8-bit when any octet is above 127, in header or body', () => {
    const eightBit = (text: string): unknown => {
      const parsed = parseMessage(bytes(text));
      return parsed.kind === 'message' ? parsed.eightBit : parsed.reason;
    };
    expect(eightBit(`${FROM}\r\n\x7f\r\n`)).toBe(false);
    expect(eightBit(`${FROM}\r\n\x80\r\n`)).toBe(true);
    expect(eightBit(`${FROM}Subject: \xff\r\n\r\n`)).toBe(true);
  });

  test('may repeat fields that are not limited to one', () => {
    expect(verdict(`${FROM}X-A: 1\r\nX-A: 2\r\nCc: a@b.example\r\nCc: c@d.example\r\n\r\n`)).toBe('accepted');
  });
});

describe('lines', () => {
  test.each([
    ['bare CR', '\r'],
    ['bare CR before CRLF', '\r\r\n'],
    ['bare LF', '\n'],
    ['two LF', '\n\n'],
    ['LF CR', '\n\r'],
    ['LF before a dot line', '\n.\r\n'],
    ['CRLF, dot, LF', '\r\n.\n'],
    ['CRLF, dot, CR', '\r\n.\r'],
    ['LF, dot, LF', '\n.\n'],
    ['CR, dot, CR', '\r.\r'],
    ['NUL', '\0'],
    ['CRLF, NUL, dot, CRLF', '\r\n\0.\r\n'],
  ])('with %s are refused, wherever they stand', (_name, ending) => {
    for (const text of [
      `${FROM}\r\nHello${ending}MAIL FROM:<eve@example.org>\r\n`,
      `${FROM}\r\nHello${ending}`,
      `${FROM}Subject: a${ending}b\r\n\r\n`,
      `${ending}${FROM}\r\n`,
    ]) {
      expect(verdict(text)).toMatch(/^550 5\.6\.0 (?:bare (?:CR|LF)|NUL octet) in the message/);
    }
  });

  test('of 998 octets are accepted and of 999 refused, last line or not', () => {
    const line = 'x'.repeat(MAX_LINE_OCTETS);
    expect(verdict(`${FROM}\r\n${line}\r\n`)).toBe('accepted');
    expect(verdict(`${FROM}\r\n${line}`)).toBe('accepted');
    expect(verdict(`${FROM}Subject: ${'x'.repeat(MAX_LINE_OCTETS - 9)}\r\n\r\n`)).toBe('accepted');
    expect(verdict(`${FROM}\r\n${line}x\r\n`)).toBe('550 5.6.0 line longer than 998 octets');
    expect(verdict(`${FROM}\r\n${line}x`)).toBe('550 5.6.0 line longer than 998 octets');
    expect(verdict(`${FROM}Subject: ${'x'.repeat(MAX_LINE_OCTETS - 8)}\r\n\r\n`)).toMatch(/line longer/);
  });
});

describe('header fields', () => {
  test('must have exactly one From', () => {
    expect(verdict('To: a@b.example\r\n\r\nHello\r\n')).toBe('550 5.6.0 no From header field');
    expect(verdict('\r\nFrom: a@b.example\r\n')).toBe('550 5.6.0 no From header field');
    expect(verdict('')).toBe('550 5.6.0 no From header field');
    expect(verdict(`${FROM}FROM: eve@example.org\r\n\r\n`)).toBe('550 5.6.0 more than one From header field');
  });

  test.each(['Date', 'Message-ID', 'Subject', 'To', 'Reply-To', 'Sender'])('may have one %s at most', (name) => {
    expect(verdict(`${FROM}${name}: x\r\n\r\n`)).toBe('accepted');
    expect(verdict(`${FROM}${name}: x\r\n${name.toLowerCase()}: y\r\n\r\n`)).toBe(
      `550 5.6.0 more than one ${name} header field`,
    );
  });

  test('with more than 50 Received are a loop', () => {
    const received = 'Received: from a by b\r\n';
    expect(verdict(`${received.repeat(MAX_RECEIVED_FIELDS)}${FROM}\r\n`)).toBe('accepted');
    expect(verdict(`${received.repeat(MAX_RECEIVED_FIELDS + 1)}${FROM}\r\n`)).toBe(
      '554 5.4.6 mail loop: more than 50 Received header fields',
    );
  });

  test('that are malformed are refused with the reason', () => {
    expect(verdict(`${FROM}X-Leadpush-Tag : x\r\n\r\n`)).toBe(
      '550 5.6.0 space in front of the colon of a header field',
    );
  });
});

describe('for any bytes', () => {
  const part = fc.constantFrom(FROM, 'A: b\r\n', '\r\n', '\r', '\n', '\0', '.', 'x', '\xff', 'Subject: \r\n');
  const any = fc.oneof(
    fc.array(part, { maxLength: 12 }).map((parts) => bytes(parts.join(''))),
    fc.uint8Array({ maxLength: 80 }),
  );

  test('a message that passes holds CRLF lines alone and is the input, with a CRLF at its end', () => {
    fc.assert(
      fc.property(any, (message) => {
        const parsed = parseMessage(message);
        fc.pre(parsed.kind === 'message');
        const input = Buffer.from(message).toString('latin1');
        const output = Buffer.from(parsed.bytes).toString('latin1');
        expect(output).toBe(input.endsWith('\r\n') ? input : `${input}\r\n`);
        expect(output.replaceAll('\r\n', '')).not.toMatch(/[\r\n\0]/);
        expect(parsed.eightBit).toBe(/[\x80-\xff]/.test(input));
      }),
      { numRuns: 1500, maxSkipsPerRun: 400 },
    );
  });

  test('a message that does not pass says why in printable ASCII, and repeats nothing', () => {
    fc.assert(
      fc.property(any, (message) => {
        const parsed = parseMessage(message);
        fc.pre(parsed.kind === 'malformed');
        expect(`${parsed.code} ${parsed.enhanced} ${parsed.reason}`).toMatch(/^55[04] 5\.[46]\.[06] [ -~]+$/);
      }),
      { numRuns: 1500 },
    );
  });
});
