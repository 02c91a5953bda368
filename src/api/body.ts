/**
 * Reading the bodies of calls: JSON, or a raw message where a call takes one, up to the size that it takes.
 *
 * All bodies that are being read or held at one time have a bound together: beyond it, a call is asked to come back. So a flood of
 * large requests costs a known amount of memory.
 */
import type { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Clock } from '../core/time.ts';
import type { ProblemCode } from './problem.ts';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a call takes as its body; JSON unless it says otherwise. */
    takes?: 'message';
    /** Octets of body at most, asked at each request; the server's own limit without it. */
    bodyBytes?: () => number;
  }
}

/** Octets of all bodies in memory. */
const MAX_HELD_BYTES = 192 * 1024 ** 2;
/** How long the rest of a refused body is read and thrown away. */
const LINGER_MS = 10_000;

/** Thrown through the framework to the error handler, which answers with the problem. */
export class BodyProblem extends Error {
  readonly code: ProblemCode;

  constructor(code: ProblemCode, detail: string) {
    super(detail);
    this.name = 'BodyProblem';
    this.code = code;
  }
}

/**
 * Lets a client that is still sending a refused body read the answer. Closed at once, as the framework would have it, a connection
 * with octets that nobody read is reset, and the answer is lost with it (RFC 9112, section 9.6): what comes is thrown away instead,
 * for ten seconds at most.
 */
export function discardRest({ raw }: FastifyRequest, reply: FastifyReply, clock: Clock): void {
  if (raw.complete) return;
  reply.removeHeader('connection');
  reply.raw.once('finish', () => {
    if (raw.complete) return;
    const cancel = clock.after(LINGER_MS, () => raw.socket.destroy());
    raw.once('close', cancel).resume();
  });
}

/** Makes `server` read the bodies of its calls; `defaultBytes` where a call names no limit. */
export function readBodies(server: FastifyInstance, defaultBytes: number): void {
  let heldBytes = 0;
  const held = new WeakMap<FastifyRequest, number>();

  server.removeAllContentTypeParsers();
  server.addContentTypeParser('application/json', async (request: FastifyRequest, payload: Readable) => {
    if (request.routeOptions.config.takes === 'message') {
      throw new BodyProblem('unsupported-media-type', 'Send the raw message as `content-type: message/rfc822`.');
    }
    const body = await collect(request, payload);
    if (body.length === 0) return undefined;
    try {
      const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
      return value;
    } catch {
      throw new BodyProblem('bad-request', 'The body is not JSON in UTF-8.');
    }
  });
  server.addContentTypeParser('message/rfc822', (request: FastifyRequest, payload: Readable) => {
    if (request.routeOptions.config.takes === 'message') return collect(request, payload);
    throw new BodyProblem('unsupported-media-type', 'Send JSON as `content-type: application/json`.');
  });

  // Held until the answer is out, or the client is gone.
  server.addHook('preParsing', (request, reply, _payload, done) => {
    reply.raw.once('close', () => {
      heldBytes -= held.get(request) ?? 0;
      held.delete(request);
    });
    done();
  });

  async function collect(request: FastifyRequest, payload: Readable): Promise<Buffer> {
    const maxBytes = request.routeOptions.config.bodyBytes?.() ?? defaultBytes;
    const tooLarge = (): BodyProblem => new BodyProblem('too-large', `The body may have ${maxBytes} octets.`);
    if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
    const parts: Buffer[] = [];
    let bytes = 0;
    // Ended early, the loop would close the connection before the answer is on it.
    for await (const part of payload.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(part)) throw new Error('a body that is no octets');
      bytes += part.length;
      if (bytes > maxBytes) throw tooLarge();
      heldBytes += part.length;
      held.set(request, bytes);
      if (heldBytes > MAX_HELD_BYTES) {
        throw new BodyProblem('unavailable', 'Too many large requests at the same time; try again.');
      }
      parts.push(part);
    }
    return Buffer.concat(parts);
  }
}
