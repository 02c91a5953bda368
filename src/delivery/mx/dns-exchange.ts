/**
 * One query to one server, over UDP, and over TCP when the answer does not fit (RFC 1035, section 4.2; RFC 7766).
 *
 * Against forged answers (RFC 5452): each query has a random id and a socket of its own, and so a source port that the
 * system chose at random; what does not come from the server, or does not repeat id and question, is not heard. Every
 * socket is closed when the exchange ends, however it ends.
 */
import { randomInt } from 'node:crypto';
import dgram from 'node:dgram';
import net, { isIP } from 'node:net';
import { errorText } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import { runStep } from '../smtp/step.ts';
import {
  type DnsAnswer,
  type DnsMessage,
  type DnsQuery,
  type DnsType,
  encodeQuery,
  readMessage,
} from './dns-message.ts';
import type { DnsServer } from './dns-server.ts';

export type ExchangeResult =
  | DnsAnswer
  /** No answer came in time, or the attempt was aborted: the same server may be asked again. */
  | { readonly kind: 'silent'; readonly text: string }
  /** The server said that it will not, or cannot be spoken to. */
  | { readonly kind: 'failed'; readonly text: string };

type Reply =
  | Exclude<DnsMessage, { readonly kind: 'foreign' }>
  | Extract<ExchangeResult, { readonly kind: 'silent' | 'failed' }>;

/** What the exchanges of one client share. */
export interface ExchangeDeps {
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** For all of it, also when it goes on over TCP or without EDNS; in milliseconds. */
  readonly limitMs: number;
}

/** Asks `server` for `name` and `type`. Never rejects. */
export async function askServer(
  server: DnsServer,
  name: string,
  type: DnsType,
  deps: ExchangeDeps,
): Promise<ExchangeResult> {
  const deadlineMs = deps.clock.monotonicMs() + deps.limitMs;
  let reply = await askWith(server, name, type, true, deadlineMs, deps);
  // Servers older than EDNS take its record for a mistake (RFC 6891, section 7).
  if (reply.kind === 'refused' && (reply.rcode === 'FORMERR' || reply.rcode === 'NOTIMP')) {
    reply = await askWith(server, name, type, false, deadlineMs, deps);
  }
  switch (reply.kind) {
    case 'answer':
    case 'silent':
    case 'failed':
      return reply;
    case 'refused':
      return { kind: 'failed', text: `${reply.rcode} from ${server.text}` };
    case 'malformed':
    case 'truncated':
      return { kind: 'failed', text: `broken answer from ${server.text}` };
  }
}

async function askWith(
  server: DnsServer,
  name: string,
  type: DnsType,
  edns: boolean,
  deadlineMs: number,
  deps: ExchangeDeps,
): Promise<Reply> {
  const left = (): ExchangeDeps => ({ ...deps, limitMs: Math.max(deadlineMs - deps.clock.monotonicMs(), 0) });
  const query = { id: randomInt(0x10000), name, type };
  const reply = await overUdp(server, query, encodeQuery(query, edns), left());
  if (reply.kind !== 'truncated') return reply;
  const again = { ...query, id: randomInt(0x10000) };
  return overTcp(server, again, encodeQuery(again, edns), left());
}

function overUdp(
  server: DnsServer,
  query: DnsQuery,
  packet: Buffer,
  { clock, signal, limitMs }: ExchangeDeps,
): Promise<Reply> {
  const socket = dgram.createSocket(isIP(server.address) === 6 ? 'udp6' : 'udp4');
  return runStep<Reply>(clock, signal, aborted, (step) => {
    step.limit(limitMs, () => step.settle(noAnswer(server, limitMs)));
    socket.on('error', (error) => step.settle(unreachableServer(server, error)));
    socket.once('connect', () => {
      const { address, port } = socket.remoteAddress();
      socket.on('message', (bytes, from) => {
        // A connected socket hears nobody else; what came in before it was is told by its address.
        if (from.port !== port || from.address !== address) return;
        const message = readMessage(bytes, query);
        if (message.kind !== 'foreign') step.settle(message);
      });
      socket.send(packet);
    });
    socket.connect(server.port, server.address);
  }).finally(() => socket.close());
}

function overTcp(
  server: DnsServer,
  query: DnsQuery,
  packet: Buffer,
  { clock, signal, limitMs }: ExchangeDeps,
): Promise<Reply> {
  if (signal.aborted) return Promise.resolve(aborted());
  const socket = net.connect({ host: server.address, port: server.port });
  return runStep<Reply>(clock, signal, aborted, (step) => {
    step.limit(limitMs, () => step.settle(noAnswer(server, limitMs)));
    socket.on('error', (error) => step.settle(unreachableServer(server, error)));
    socket.once('close', () => step.settle({ kind: 'malformed' }));
    socket.once('connect', () => {
      const length = Buffer.alloc(2);
      length.writeUInt16BE(packet.length);
      socket.write(Buffer.concat([length, packet]));
    });
    const parts: Buffer[] = [];
    let bytes = 0;
    socket.on('data', (part: Buffer) => {
      parts.push(part);
      bytes += part.length;
      if (bytes < 2) return;
      const received = parts.length === 1 ? part : Buffer.concat(parts);
      // No message is longer than its length can say, so no more than 64 KiB, and what one read brings, is ever held.
      const end = 2 + received.readUInt16BE(0);
      if (bytes < end) return;
      const message = readMessage(received.subarray(2, end), query);
      step.settle(message.kind === 'foreign' ? { kind: 'malformed' } : message);
    });
  }).finally(() => socket.destroy());
}

function aborted(): Reply {
  return { kind: 'silent', text: 'the look-up was given up' };
}

function noAnswer(server: DnsServer, limitMs: number): Reply {
  return { kind: 'silent', text: `no answer from ${server.text} within ${Math.round(limitMs)} ms` };
}

function unreachableServer(server: DnsServer, error: Error): Reply {
  return { kind: 'failed', text: `${server.text} cannot be asked: ${errorText(error)}` };
}
