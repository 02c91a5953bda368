import { Writable } from 'node:stream';
import { expect, test } from 'vitest';
import { endOfData, stuffDots, writeContent } from '../../src/delivery/smtp/content.ts';
import fc from '../support/properties.ts';

/** What a server makes of it: RFC 5321, section 4.5.2. */
function unstuff(wire: string): string {
  return wire.replace(/(^|\r\n)\./g, '$1');
}

/** Writes `content` to a stream that takes one piece at a time, and returns what arrived and how many writes had the dot. */
async function written(content: Uint8Array): Promise<{ wire: string; dots: number }> {
  const chunks: Buffer[] = [];
  let dots = 0;
  const socket = new Writable({
    highWaterMark: 16,
    write(chunk: Buffer, _encoding, done) {
      chunks.push(Buffer.from(chunk));
      setImmediate(done);
    },
  });
  await new Promise<void>((resolve) => {
    writeContent(socket, content, {
      mayGoOn: () => true,
      beforeDot: () => {
        dots++;
        setImmediate(() => socket.end(resolve));
        return true;
      },
    });
  });
  return { wire: Buffer.concat(chunks).toString('latin1'), dots };
}

const lineText = fc.stringMatching(/^[ -~]{0,20}$/);
const dotty = fc.oneof(lineText, fc.constantFrom('.', '..', '.a', '...', ''));
const message = fc.array(dotty, { maxLength: 30 }).map((lines) => lines.map((line) => `${line}\r\n`).join(''));

test('what a server unstuffs is the content octet for octet, and the final dot stands alone', async () => {
  await fc.assert(
    fc.asyncProperty(message, async (text) => {
      const { wire, dots } = await written(Buffer.from(text));
      expect(dots).toBe(1);
      expect(wire.endsWith('.\r\n')).toBe(true);
      expect(unstuff(wire.slice(0, -3))).toBe(text);
      expect(`\r\n${wire}`.indexOf('\r\n.\r\n')).toBe(wire.length - 3);
    }),
    { numRuns: 200 },
  );
});

test('content longer than a piece goes out whole, with dots stuffed at the seams', async () => {
  // Pieces end every 131,072 octets: lines of 8 put a dot first in the second piece.
  const text = '.23456\r\n'.repeat(40_000);
  const { wire } = await written(Buffer.from(text));
  expect(wire.length).toBe(text.length + 40_000 + 3);
  expect(unstuff(wire.slice(0, -3))).toBe(text);
});

test('content without a dot at the start of a line is not copied', () => {
  const content = Buffer.from('a.b\r\nc.d.\r\n');
  expect(stuffDots(content, true)).toBe(content);
});

test('a dot after a bare line feed or carriage return is stuffed too, so that no server sees an end of data', () => {
  expect(Buffer.from(stuffDots(Buffer.from('a\n.\nb\r.\rc'), true)).toString()).toBe('a\n..\nb\r..\rc');
});

test('content that does not end in CRLF gets one before the final dot', () => {
  expect(endOfData(Buffer.from('a'))).toBe('\r\n.\r\n');
  expect(endOfData(Buffer.from('a\r\n'))).toBe('.\r\n');
  expect(endOfData(Buffer.from(''))).toBe('.\r\n');
});

test('nothing more is written once the owner says stop, and the dot is not', () => {
  const chunks: Buffer[] = [];
  const socket = new Writable({
    highWaterMark: 16,
    write(chunk: Buffer) {
      chunks.push(chunk);
    },
  });
  let go = true;
  let dots = 0;
  writeContent(socket, Buffer.alloc(1_000_000, 'a'), {
    mayGoOn: () => go,
    beforeDot: () => {
      dots++;
      return true;
    },
  });
  const before = chunks.length;
  go = false;
  socket.emit('drain');
  expect(chunks.length).toBe(before);
  expect(dots).toBe(0);
});
