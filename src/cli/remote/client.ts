/**
 * Calls of the HTTP API of a relay elsewhere. What comes back is read up to a limit of size and time, and parsed by the
 * schema of the call; redirects are never followed, for the token would go along.
 *
 * Nothing is tried again here: a command tells what went wrong, and its user decides. Whoever follows asks
 * `RemoteError.passing`.
 */
import type { z } from 'zod';
import type { Clock } from '../../core/time.ts';
import { VERSION } from '../../version.ts';
import { brokenOff, noAnswer, notUnderstood, refusedBy, type RemoteError, tooSlow } from './remote-error.ts';
import type { RemoteTarget } from './target.ts';

/** What goes behind `?`: absent values are left out. */
export type Query = Readonly<Record<string, string | number | undefined>>;

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE';
  readonly query?: Query;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Sent as they are. */
  readonly octets?: { readonly type: string; readonly content: Uint8Array };
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RemoteClient {
  readonly target: RemoteTarget;
  /** The parsed answer; rejects with a `RemoteError`. `path` has no slash at its beginning. */
  call<T>(path: string, schema: z.ZodType<T>, options?: CallOptions): Promise<T>;
  /** As `call`; null when the relay says that there is no such thing. */
  find<T>(path: string, schema: z.ZodType<T>, options?: CallOptions): Promise<T | null>;
  /** Whether it was done; false when the relay says that there is no such thing. */
  done(path: string, options: CallOptions): Promise<boolean>;
  /** The answer as octets; null when there is no such thing. */
  bytes(path: string): Promise<Uint8Array | null>;
  /** Status and parsed body, whatever the status; for calls that tell something with both. */
  ask<T>(path: string, schema: z.ZodType<T>): Promise<{ readonly status: number; readonly value: T }>;
  /** A body without an end, piece by piece, until `signal` aborts or nothing came for `idleMs`; null: there is no such call. */
  stream(path: string, options: StreamOptions): Promise<AsyncIterable<Uint8Array> | null>;
}

export interface StreamOptions {
  readonly query: Query;
  readonly headers: Readonly<Record<string, string>>;
  readonly idleMs: number;
}

const MAX_JSON_BYTES = 32 * 1024 * 1024;
const MAX_CONTENT_BYTES = 256 * 1024 * 1024;
const MAX_PROBLEM_BYTES = 64 * 1024;
const ANSWER_MS = 15_000;
const JSON_MS = 60_000;
const CONTENT_MS = 600_000;

interface Answer {
  readonly response: Response;
  /** All of it; rejects with a `RemoteError` over `maxBytes`. */
  read(maxBytes: number): Promise<Buffer>;
  end(): void;
}

/** A client of `target`; aborting `signal` breaks off what is under way. */
export function createRemoteClient(target: RemoteTarget, clock: Clock, signal: AbortSignal): RemoteClient {
  async function open(path: string, options: CallOptions, wholeMs: number | null): Promise<Answer> {
    const { method = 'GET', query = {} } = options;
    const sending = contentOf(options);
    const url = new URL(path, target.base);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    const ending = new AbortController();
    let late: RemoteError | null = null;
    const alarm = (ms: number): (() => void) =>
      clock.after(ms, () => {
        late = tooSlow(target, ms);
        ending.abort();
      });
    const failed = (thrown: unknown): RemoteError =>
      signal.aborted ? brokenOff(target) : (late ?? noAnswer(target, thrown));
    const noHead = alarm(ANSWER_MS);
    const noEnd = wholeMs === null ? () => {} : alarm(wholeMs);
    const end = (): void => {
      noHead();
      noEnd();
      ending.abort();
    };
    try {
      const response = await fetch(url, {
        method,
        redirect: 'manual',
        signal: AbortSignal.any([signal, ending.signal]),
        headers: {
          accept: 'application/json',
          'user-agent': `leadpush-relay/${VERSION}`,
          ...(target.token === null ? {} : { authorization: `Bearer ${target.token}` }),
          ...(sending === null ? {} : { 'content-type': sending.type }),
          ...options.headers,
        },
        ...(sending === null ? {} : { body: sending.content }),
      });
      noHead();
      return {
        response,
        async read(maxBytes) {
          const parts: Uint8Array[] = [];
          let size = 0;
          try {
            for await (const part of response.body ?? []) {
              size += part.length;
              if (size > maxBytes) break;
              parts.push(part);
            }
          } catch (error) {
            throw failed(error);
          }
          if (size > maxBytes) throw notUnderstood(target, `it has more than ${maxBytes} octets`);
          return Buffer.concat(parts);
        },
        end,
      };
    } catch (error) {
      end();
      throw failed(error);
    }
  }

  /** The body of an answer that is no success; null: it is one. */
  async function refusedBody(answer: Answer): Promise<Buffer | null> {
    if (answer.response.ok) return null;
    return answer.read(MAX_PROBLEM_BYTES).catch((error: unknown) => {
      // What a proxy writes may be long; its status is told all the same.
      if (signal.aborted) throw error;
      return Buffer.alloc(0);
    });
  }

  function refusal({ response }: Answer, body: Buffer): RemoteError {
    return refusedBy(target, {
      status: response.status,
      location: response.headers.get('location'),
      retryAfter: response.headers.get('retry-after'),
      body: body.toString('utf8'),
    });
  }

  /** Null: 404, in the words of a relay. */
  async function octets(path: string, options: CallOptions, maxBytes: number, ms: number): Promise<Buffer | null> {
    const answer = await open(path, options, ms);
    try {
      const refused = await refusedBody(answer);
      if (refused === null) return await answer.read(maxBytes);
      if (answer.response.status === 404 && saysNotFound(refused)) return null;
      throw refusal(answer, refused);
    } finally {
      answer.end();
    }
  }

  function parse<T>(schema: z.ZodType<T>, body: Buffer): T {
    let value: unknown;
    try {
      value = JSON.parse(body.toString('utf8'));
    } catch {
      throw notUnderstood(target, 'it is not JSON');
    }
    const parsed = schema.safeParse(value);
    if (parsed.success) return parsed.data;
    const where = parsed.error.issues[0]?.path.map(String).join('.') ?? '';
    throw notUnderstood(target, where === '' ? 'it has another form' : `at ${where.slice(0, 100)}`);
  }

  const find: RemoteClient['find'] = async (path, schema, options = {}) => {
    const body = await octets(path, options, MAX_JSON_BYTES, JSON_MS);
    if (body === null) return null;
    const found = parse(schema, body);
    const { limit } = options.query ?? {};
    const count =
      typeof found === 'object' && found !== null && 'data' in found && Array.isArray(found.data)
        ? found.data.length
        : 0;
    if (typeof limit === 'number' && count > limit) {
      throw notUnderstood(target, `${count} entries came, and ${limit} were asked for`);
    }
    return found;
  };

  return {
    target,
    find,
    async call(path, schema, options) {
      const found = await find(path, schema, options);
      if (found !== null) return found;
      throw notUnderstood(target, `it does not know the call ${options?.method ?? 'GET'} ${path}`);
    },
    done: async (path, options) => (await octets(path, options, MAX_JSON_BYTES, JSON_MS)) !== null,
    bytes: (path) => octets(path, { headers: { accept: 'message/rfc822, */*' } }, MAX_CONTENT_BYTES, CONTENT_MS),
    async ask(path, schema) {
      const answer = await open(path, {}, JSON_MS);
      try {
        const { status } = answer.response;
        const body = await answer.read(MAX_PROBLEM_BYTES);
        if (status >= 300 && status < 500) throw refusal(answer, body);
        return { status, value: parse(schema, body) };
      } finally {
        answer.end();
      }
    },
    async stream(path, { query, headers, idleMs }) {
      const answer = await open(path, { query, headers: { accept: 'text/event-stream', ...headers } }, null);
      const { response } = answer;
      const refused = await refusedBody(answer);
      if (refused !== null) {
        answer.end();
        if (response.status === 404 && saysNotFound(refused)) return null;
        throw refusal(answer, refused);
      }
      return pieces(answer, idleMs);
    },
  };

  async function* pieces(answer: Answer, idleMs: number): AsyncGenerator<Uint8Array> {
    let cancel = clock.after(idleMs, answer.end);
    try {
      for await (const part of answer.response.body ?? []) {
        cancel();
        yield part;
        cancel = clock.after(idleMs, answer.end);
      }
    } catch (error) {
      throw signal.aborted ? brokenOff(target) : noAnswer(target, error);
    } finally {
      cancel();
      answer.end();
    }
  }
}

function contentOf({
  body,
  octets,
}: CallOptions): { readonly type: string; readonly content: Uint8Array<ArrayBuffer> } | null {
  if (octets !== undefined) return { type: octets.type, content: Uint8Array.from(octets.content) };
  return body === undefined ? null : { type: 'application/json', content: Buffer.from(JSON.stringify(body)) };
}

function saysNotFound(body: Buffer): boolean {
  return /"code"\s*:\s*"not-found"/.test(body.toString('utf8'));
}
