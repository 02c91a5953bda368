import { describe, expect, test } from 'vitest';
import { ContentCollector, hasBadLineEnds } from '../../src/intake/smtp-content.ts';
import type { ContentMemory } from '../../src/intake/smtp-limits.ts';
import fc from '../support/properties.ts';

const open = (maxBytes = 1_000_000, memory: ContentMemory = memoryOf(Infinity)): ContentCollector =>
  new ContentCollector({ maxBytes, memory });

/** Memory for `most` octets that shows what is held. */
function memoryOf(most: number): ContentMemory & { readonly held: number } {
  let held = 0;
  return {
    reserve(bytes) {
      if (held + bytes > most) return false;
      held += bytes;
      return true;
    },
    release() {
      held = 0;
    },
    get held() {
      return held;
    },
  };
}

interface Fed {
  readonly content: string;
  /** What was left over behind the end, or null when the end did not come. */
  readonly rest: string | null;
}

/** Feeds `pieces` until the message ends. */
function feed(pieces: readonly string[], collector: ContentCollector = open()): Fed {
  for (const [i, piece] of pieces.entries()) {
    const chunk = Buffer.from(piece, 'latin1');
    const used = collector.feed(chunk);
    if (used !== -1) {
      const rest = chunk.toString('latin1', used) + pieces.slice(i + 1).join('');
      return { content: Buffer.from(collector.take()).toString('latin1'), rest };
    }
  }
  return { content: Buffer.from(collector.take()).toString('latin1'), rest: null };
}

/** RFC 5321, section 4.5.2, over a whole text at once. */
function expected(stream: string): Fed {
  const end = stream.startsWith('.\r\n') ? 0 : stream.indexOf('\r\n.\r\n') + 2;
  const complete = stream.startsWith('.\r\n') || end > 1;
  const body = complete ? stream.slice(0, end) : stream;
  const content = `\r\n${body}`.replaceAll('\r\n.', '\r\n').slice(2);
  return { content, rest: complete ? stream.slice(end + 3) : null };
}

function everySplit(text: string): string[][] {
  const splits = Array.from({ length: text.length - 1 }, (_, i) => [text.slice(0, i + 1), text.slice(i + 1)]);
  return [[text], [...text], ...splits];
}

describe('ContentCollector', () => {
  test('ends at CR LF . CR LF, keeps the CR LF in front of it, and leaves the rest', () => {
    expect(feed(['Hi\r\n.\r\nQUIT\r\n'])).toEqual({ content: 'Hi\r\n', rest: 'QUIT\r\n' });
  });

  test('takes a dot on the very first line as the end of an empty message', () => {
    expect(feed(['.\r\nNOOP\r\n'])).toEqual({ content: '', rest: 'NOOP\r\n' });
  });

  test.each([
    ['..\r\n.\r\n', '.\r\n'],
    ['a\r\n..\r\n.\r\n', 'a\r\n.\r\n'],
    ['a\r\n...b\r\n.\r\n', 'a\r\n..b\r\n'],
    ['a\r\n.b\r\n.\r\n', 'a\r\nb\r\n'],
    ['a..b\r\n.\r\n', 'a..b\r\n'],
    ['.\r.\r\n.\r\n', '\r.\r\n'],
  ])('unstuffs %j to %j however it is cut', (stream, content) => {
    for (const pieces of everySplit(stream)) expect(feed(pieces)).toEqual({ content, rest: '' });
  });

  test.each([
    ['\n.\n', 'LF.LF'],
    ['\n.\r\n', 'LF.CRLF'],
    ['\r\n.\n', 'CRLF.LF'],
    ['\r.\r', 'CR.CR'],
    ['\r.\r\n', 'CR.CRLF'],
    ['\r\n.\r', 'CRLF.CR'],
    ['\n.\r', 'LF.CR'],
    ['\r.\n', 'CR.LF'],
    ['\r\n\0.\r\n', 'CRLF NUL.CRLF'],
    ['\r\n.\0\r\n', 'CRLF.NUL CRLF'],
    ['\r\n.\r\0\n', 'CRLF.CR NUL LF'],
    ['\r\r\n.\r\r\n', 'CRCRLF.CRCRLF'],
    ['\n\r.\n\r', 'LFCR.LFCR'],
    ['\r\n .\r\n', 'CRLF space.CRLF'],
    ['\r\n.\r\x0b\n', 'CRLF.CR VT LF'],
  ])('does not end at %j (%s), wherever the network cuts it', (ending) => {
    const smuggled = `a${ending}MAIL FROM:<evil@example.com>\r\n`;
    const stream = `${smuggled}\r\n.\r\nQUIT\r\n`;
    for (const pieces of everySplit(stream)) {
      const fed = feed(pieces);
      expect(fed.rest).toBe('QUIT\r\n');
      expect(fed.content).toContain('MAIL FROM:<evil@example.com>');
      expect(hasBadLineEnds(Buffer.from(fed.content, 'latin1'))).toBe(!ending.includes(' '));
    }
  });

  test('agrees with the definition on any stream, however it is cut', () => {
    const octet = fc.constantFrom('\r', '\n', '.', '\r\n', '\r\n.', '\r\n.\r\n', 'a', '\0');
    const stream = fc.array(octet, { minLength: 1, maxLength: 30 }).map((parts) => parts.join(''));
    fc.assert(
      fc.property(stream, fc.array(fc.nat(60), { maxLength: 6 }), (text, cuts) => {
        const points = [...new Set(cuts.filter((cut) => cut < text.length))].toSorted((a, b) => a - b);
        const pieces = [...points, text.length].map((end, i) => text.slice(i === 0 ? 0 : points[i - 1], end));
        // A CR behind a dot is undecided until the next octet: with one more octet both see the same.
        expect(feed([...pieces, 'z'])).toEqual(expected(`${text}z`));
      }),
      { numRuns: 3000 },
    );
  });

  test('lets the content go once it is over the limit, and not before', () => {
    for (const [bytes, fault] of [
      [99, null],
      [100, null],
      [101, 'too-big'],
    ] as const) {
      const collector = open(100);
      const { content } = feed([`${'x'.repeat(bytes - 2)}\r\n.\r\n`], collector);
      expect([collector.fault, content.length, collector.size]).toEqual([fault, fault === null ? bytes : 0, bytes]);
    }
  });

  test.each([
    ['too-big', 1000, Infinity],
    ['no-room', Infinity, 1000],
  ] as const)(
    'gives its memory back the moment it is %s, without waiting for the end, and takes no more',
    (fault, maxBytes, room) => {
      const memory = memoryOf(room);
      const collector = open(maxBytes, memory);
      const held = [999, 1, 1, 500].map((bytes) => {
        collector.feed(Buffer.alloc(bytes, 'x'));
        return [memory.held, collector.fault];
      });
      expect(held).toEqual([
        [999, null],
        [1000, null],
        [0, fault],
        [0, fault],
      ]);
      expect(collector.size).toBe(1501);
    },
  );

  test('keeps the memory of a complete message for who takes it', () => {
    const memory = memoryOf(1000);
    const collector = open(1000, memory);
    expect(feed(['abc\r\n.\r\n'], collector).content).toBe('abc\r\n');
    expect(memory.held).toBe(5);
  });

  test('lets the content go when there is no memory for it', () => {
    const collector = open(1000, memoryOf(0));
    expect(feed(['abc\r\n.\r\n'], collector).content).toBe('');
    expect(collector.fault).toBe('no-room');
  });

  test('joins crumbs, so that a message sent octet by octet keeps few arrays alive', () => {
    const collector = open();
    const text = 'abcdefgh'.repeat(1000);
    for (const octet of text) collector.feed(Buffer.from(octet));
    const end = Buffer.from('\r\n.\r\n');
    expect(collector.feed(end)).toBe(end.length);
    expect(Buffer.from(collector.take()).toString()).toBe(`${text}\r\n`);
  });

  test('hands a message that came in one piece over without a copy', () => {
    const collector = open();
    const chunk = Buffer.from('Hello\r\n.\r\n');
    collector.feed(chunk);
    expect(collector.take().buffer).toBe(chunk.buffer);
  });
});

describe('hasBadLineEnds', () => {
  test.each(['a\nb', 'a\rb', 'a\0b', '\n', '\r', 'a\r\n\n', 'a\r\r\n', 'a\r'])('finds the one in %j', (text) => {
    expect(hasBadLineEnds(Buffer.from(text))).toBe(true);
  });

  test.each(['', 'a', 'a\r\n', '\r\n\r\n', 'a\r\nb'])('finds none in %j', (text) => {
    expect(hasBadLineEnds(Buffer.from(text))).toBe(false);
  });
});
