/**
 * The two next hops: Debian's smtp-sink, which counts and costs little, and a small one of our own, which keeps what it
 * gets and says when it got it.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { freePort } from '../support/postfix.ts';
import { end, untilGreeted } from './contestant.ts';

export interface CountingSink {
  readonly port: number;
  /** Messages received since its start. */
  count(): number;
  stop(): Promise<void>;
}

/** Starts smtp-sink with its own counter (`-c`), which goes to a file in `dir`. */
export async function startCountingSink(dir: string): Promise<CountingSink> {
  const port = await freePort();
  const counter = openSync(join(dir, 'smtp-sink.count'), 'w+');
  // As root, smtp-sink wants the name of a user to change to.
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : [];
  const child = spawn('/usr/sbin/smtp-sink', ['-c', ...user, `127.0.0.1:${port}`, '512'], {
    stdio: ['ignore', counter, 'inherit'],
  });
  await untilGreeted(port, () => child.exitCode === null);
  const tail = Buffer.alloc(128);
  return {
    port,
    count() {
      const { size } = fstatSync(counter);
      const length = readSync(counter, tail, 0, tail.length, Math.max(0, size - tail.length));
      const counts = tail.toString('latin1', 0, length).match(/mesg=\d+(?=[^\d])|mesg=\d+$/g) ?? [];
      return Number(counts.at(-1)?.slice('mesg='.length) ?? 0);
    },
    async stop() {
      await end(child);
      closeSync(counter);
    },
  };
}

export interface Captured {
  /** As sent, dots unstuffed. */
  readonly content: Buffer;
  /** `performance.now()` when the final dot was there. */
  readonly at: number;
}

export interface CapturingSink {
  readonly port: number;
  /** Messages received since its start. */
  count(): number;
  /** The message whose `X-Bench-Sample` field is `token`; rejects after `timeoutMs`. */
  arrival(token: string, timeoutMs: number): Promise<Captured>;
  stop(): Promise<void>;
}

/** Octets at the beginning of a message among which its sample field is: the header, signature included. */
const SAMPLE_FIELD_WITHIN = 8192;
const END_OF_DATA = Buffer.from('\r\n.\r\n');
const ANSWERS: Readonly<Record<string, string>> = {
  EHLO: '250-sink.example\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 SMTPUTF8\r\n',
  DATA: '354 go\r\n',
  QUIT: '221 bye\r\n',
};

/** Keeps what has an `X-Bench-Sample` field and counts the rest; answers each message `replyAfterMs` after its final dot. */
export async function startCapturingSink(replyAfterMs = 0): Promise<CapturingSink> {
  let count = 0;
  const arrived = new Map<string, Captured>();
  const waiting = new Map<string, (captured: Captured) => void>();
  const sockets = new Set<Socket>();
  const keep = (content: Buffer): void => {
    count++;
    const token = /^X-Bench-Sample: (\S+)/m.exec(content.toString('latin1', 0, SAMPLE_FIELD_WITHIN))?.[1];
    if (token === undefined) return;
    const captured = { content, at: performance.now() };
    arrived.set(token, captured);
    waiting.get(token)?.(captured);
  };
  const server = createServer({ noDelay: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    socket.write('220 sink.example\r\n');
    speak(socket, keep, replyAfterMs);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    count: () => count,
    arrival(token, timeoutMs) {
      const there = arrived.get(token);
      if (there !== undefined) return Promise.resolve(there);
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`sample ${token} did not arrive`)), timeoutMs);
        waiting.set(token, (captured) => {
          clearTimeout(timer);
          resolve(captured);
        });
      });
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      const closed = once(server, 'close');
      server.close();
      await closed;
    },
  };
}

/** One SMTP session: commands until DATA, then content until the final dot, and again. */
function speak(socket: Socket, keep: (content: Buffer) => void, replyAfterMs: number): void {
  let pending: Buffer = Buffer.alloc(0);
  let inData = false;
  socket.on('data', (chunk: Buffer) => {
    pending = pending.length === 0 ? chunk : Buffer.concat([pending, chunk]);
    for (;;) {
      const end = pending.indexOf(inData ? END_OF_DATA : '\r\n');
      if (end < 0) return;
      if (inData) {
        keep(Buffer.from(pending.toString('latin1', 0, end + 2).replace(/^\./gm, ''), 'latin1'));
        if (replyAfterMs === 0) socket.write('250 2.0.0 kept\r\n');
        else setTimeout(() => socket.writable && socket.write('250 2.0.0 kept\r\n'), replyAfterMs);
        pending = pending.subarray(end + END_OF_DATA.length);
        inData = false;
        continue;
      }
      const verb = pending.toString('latin1', 0, Math.min(end, 4)).toUpperCase();
      pending = pending.subarray(end + 2);
      socket.write(ANSWERS[verb] ?? '250 ok\r\n');
      if (verb === 'QUIT') socket.end();
      inData = verb === 'DATA';
    }
  });
}
