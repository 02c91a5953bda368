import type net from 'node:net';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { createReplyTap, type ReplyTap } from '../../src/delivery/smtp/reply-tap.ts';
import fc from '../support/properties.ts';

/** A tap that was fed with `chunks`. */
function fed(chunks: readonly string[], maxBytes = 1_000_000): ReplyTap {
  const tap = createReplyTap(maxBytes);
  const socket = new PassThrough();
  tap.attach(socket as unknown as net.Socket);
  for (const chunk of chunks) socket.emit('data', Buffer.from(chunk, 'latin1'));
  return tap;
}

test('each reply counts once, however many lines it has', () => {
  const tap = fed(['250-first\r\n250-second\r\n250 last\r\n354 go on\r\n']);
  expect(tap.replies()).toBe(2);
  expect(tap.lastCode()).toBe(354);
  expect(tap.midReply()).toBe(false);
});

test('a reply that has not come to its end shows as a reply in progress', () => {
  expect(fed(['250 o']).midReply()).toBe(true);
  expect(fed(['250-first\r\n']).midReply()).toBe(true);
  expect(fed(['250-first\r\n250 last\r\n']).midReply()).toBe(false);
});

test('blank lines between replies do not count', () => {
  expect(fed(['\r\n\r\n250 ok\r\n \r\n']).replies()).toBe(1);
});

test('a line without a code counts as a reply, with code 0', () => {
  const tap = fed(['hello\r\n']);
  expect(tap.replies()).toBe(1);
  expect(tap.lastCode()).toBe(0);
});

test('marking starts the count anew', () => {
  const tap = fed(['250 ok\r\n']);
  tap.mark();
  expect(tap.replies()).toBe(0);
});

test('more octets than allowed between two marks are reported, also when all are blank lines', () => {
  const tap = createReplyTap(100);
  let floods = 0;
  tap.listen({ onChunk: () => {}, onFlood: () => floods++ });
  const socket = new PassThrough();
  tap.attach(socket as unknown as net.Socket);
  socket.emit('data', Buffer.from('\r\n'.repeat(50)));
  expect(floods).toBe(0);
  socket.emit('data', Buffer.from('\r\n'));
  expect(floods).toBe(1);
});

test('the count does not depend on how the octets are cut into chunks', () => {
  const line = fc.constantFrom('250-a', '250 b', '354 go', '', ' ', 'nonsense', '250', '-x', '2-', '99999999-');
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.array(fc.nat(60), { maxLength: 6 }), (lines, cuts) => {
      const text = lines.map((each) => `${each}\r\n`).join('');
      const at = [...cuts].sort((a, b) => a - b);
      const chunks = [...at, text.length].map((end, i) => text.slice(i === 0 ? 0 : at[i - 1], end));
      const whole = fed([text]);
      const cut = fed(chunks);
      expect([cut.replies(), cut.lastCode(), cut.midReply()]).toEqual([
        whole.replies(),
        whole.lastCode(),
        whole.midReply(),
      ]);
    }),
    { numRuns: 300 },
  );
});
