/**
 * One call to the relay over fetch: address, token, time limit, tries, and what the answer means.
 *
 * Each try has `timeoutMs` for the whole answer. The token goes to `baseUrl` alone: redirects are not followed. Nothing is
 * logged, ever. Answers are read up to a limit, so that whatever sits at `baseUrl` cannot fill the memory.
 */
import { LeadpushAnswerError, LeadpushConnectionError, LeadpushProblem, LeadpushTimeoutError } from './errors.ts';
import { readProblem } from './problem.ts';
import { type Repeat, readRetryAfter, retryDelayMs } from './retry.ts';
import { pause, type Runtime } from './runtime.ts';

export interface LeadpushOptions {
  /** Where the relay's HTTP listener is: `https://relay.example.com`, `http://127.0.0.1:8025`. A path is kept. */
  readonly baseUrl: string;
  /** A token with the scopes that the calls need; none where the relay has none (loopback). */
  readonly token?: string | undefined;
  /** Another fetch; default: the global one. It has to obey `signal`. */
  readonly fetch?: typeof fetch | undefined;
  /** How long a try may take, in milliseconds; default: 10 s. */
  readonly timeoutMs?: number | undefined;
  /** How often a call that may safely be made again is; default: 3. */
  readonly maxRetries?: number | undefined;
}

/** For one call. */
export interface CallOptions {
  /** Ends the call: it throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** In place of the client's. */
  readonly timeoutMs?: number | undefined;
}

export type QueryValue = string | number | boolean | Date | readonly string[] | null | undefined;

export interface Call extends CallOptions {
  /** What errors call it: `messages.get`. The path is not told: it may hold an address. */
  readonly op: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE';
  /** Begins with a slash; its parts are already encoded. */
  readonly path: string;
  /** What is undefined or null is left out; a list is written with commas. */
  readonly query?: Readonly<Record<string, QueryValue>> | undefined;
  readonly json?: unknown;
  readonly bytes?: Uint8Array | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly repeat: Repeat;
}

export interface Transport {
  readonly runtime: Runtime;
  /** The answer's JSON, an object. */
  json<T extends object>(call: Call): Promise<T>;
  /** The answer's bytes. */
  bytes(call: Call): Promise<Uint8Array>;
  /** For calls whose answer says nothing. */
  done(call: Call): Promise<void>;
  /** One try, whose answer the caller reads as it comes; `timeoutMs` counts until it begins. */
  open(call: Call): Promise<Response>;
}

type Body = Uint8Array<ArrayBuffer> | string | undefined;

const DEFAULT_TIMEOUT_MS = 10_000;
const DEFAULT_RETRIES = 3;
const MAX_JSON_BYTES = 32_000_000;
const MAX_CONTENT_BYTES = 256_000_000;
const MAX_PROBLEM_BYTES = 256_000;

/** Checks `options` (TypeError on what cannot work) and makes the transport. */
export function createTransport(options: LeadpushOptions, runtime: Runtime): Transport {
  const base = readBaseUrl(options.baseUrl);
  const authorization = readToken(options.token);
  const timeoutMs = readNumber('timeoutMs', options.timeoutMs, DEFAULT_TIMEOUT_MS, 1);
  const maxRetries = readNumber('maxRetries', options.maxRetries, DEFAULT_RETRIES, 0);
  const fetchIt = options.fetch ?? globalFetch();

  /** One try. `read` turns the answer into what the caller wants; `readMs` false: the time limit ends before it. */
  const attempt = async <T>(call: Call, limitsReading: boolean, read: (answer: Response) => Promise<T>): Promise<T> => {
    call.signal?.throwIfAborted();
    const limitMs = readNumber('timeoutMs', call.timeoutMs, timeoutMs, 1);
    const controller = new AbortController();
    let timedOut = false;
    const onAbort = (): void => controller.abort(call.signal?.reason);
    call.signal?.addEventListener('abort', onAbort, { once: true });
    const stopTimer = runtime.after(limitMs, () => {
      timedOut = true;
      controller.abort(new Error('timed out'));
    });
    try {
      const answer = await fetchIt(addressOf(base, call), {
        method: call.method,
        headers: headersOf(call, authorization),
        body: bodyOf(call) ?? null,
        redirect: 'manual',
        signal: controller.signal,
      });
      if (!limitsReading) stopTimer();
      if (answer.ok) return await read(answer);
      throw await refusalOf(call.op, answer, runtime);
    } catch (error) {
      if (error instanceof LeadpushProblem || error instanceof LeadpushAnswerError) throw error;
      call.signal?.throwIfAborted();
      if (timedOut) throw new LeadpushTimeoutError(`${call.op}: no whole answer within ${limitMs} ms`);
      throw new LeadpushConnectionError(`${call.op}: no answer from ${base.origin}${causeOf(error)}`, error);
    } finally {
      stopTimer();
      if (limitsReading) call.signal?.removeEventListener('abort', onAbort);
    }
  };

  /** `settle` may see success in what a try other than the first was refused for: what it returns is the answer then. */
  const withRetries = async <T>(
    call: Call,
    read: (answer: Response) => Promise<T>,
    settle: (error: unknown) => { readonly answer: T } | null = () => null,
  ): Promise<T> => {
    for (let retry = 1; ; retry++) {
      try {
        return await attempt(call, true, read);
      } catch (error) {
        const settled = retry === 1 ? null : settle(error);
        if (settled !== null) return settled.answer;
        const delayMs = retry > maxRetries ? null : retryDelayMs(error, call.repeat, retry, runtime);
        if (delayMs === null) throw error;
        await pause(runtime, delayMs, call.signal);
      }
    }
  };

  return {
    runtime,
    json: <T extends object>(call: Call) => withRetries(call, readJson<T>),
    bytes: (call) => withRetries(call, (answer) => readBytes(answer, MAX_CONTENT_BYTES)),
    done: (call) =>
      withRetries(
        call,
        async (answer) => {
          await answer.body?.cancel();
        },
        // An earlier try, whose answer was lost, did it.
        (error) => (call.method === 'DELETE' && isGone(error) ? { answer: undefined } : null),
      ),
    open: (call) => attempt(call, false, async (answer) => answer),
  };
}

function readBaseUrl(text: string): URL {
  let url: URL | null = null;
  try {
    url = new URL(text);
  } catch {
    // Said below, without the text: it may hold more than an address.
  }
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw new TypeError('baseUrl must be an http or https address, such as http://127.0.0.1:8025');
  }
  if (url.username !== '' || url.password !== '' || url.search !== '' || url.hash !== '') {
    throw new TypeError('baseUrl must hold no login, query or fragment: the token is an option of its own');
  }
  return url;
}

function readToken(token: string | undefined): string | null {
  if (token === undefined) return null;
  if (!/^[\x21-\x7e]+$/.test(token)) throw new TypeError('token must be one word of printable ASCII characters');
  return `Bearer ${token}`;
}

function readNumber(name: string, value: number | undefined, fallback: number, least: number): number {
  if (value === undefined) return fallback;
  if (!Number.isFinite(value) || value < least) throw new TypeError(`${name} must be a number from ${least} on`);
  return value;
}

function globalFetch(): typeof fetch {
  if (typeof fetch !== 'function') {
    throw new TypeError('there is no global fetch here: use Node 18 or newer, or hand one over as the option fetch');
  }
  // Looked up at each call, and called without a receiver, which workers insist on.
  return (input, init) => fetch(input, init);
}

function addressOf(base: URL, call: Call): string {
  const url = new URL(base);
  url.pathname = `${base.pathname.replace(/\/+$/, '')}${call.path}`;
  for (const [name, value] of Object.entries(call.query ?? {})) {
    if (value !== undefined && value !== null) {
      url.searchParams.set(name, value instanceof Date ? value.toISOString() : String(value));
    }
  }
  return url.href;
}

/** `text` as one part of a path; TypeError on what would lead to another path. */
export function segment(text: string): string {
  if (text === '' || text === '.' || text === '..') throw new TypeError('an id, a name or an address is missing');
  return encodeURIComponent(text);
}

function headersOf(call: Call, authorization: string | null): Record<string, string> {
  return {
    accept: 'application/json, application/problem+json',
    ...(call.json === undefined ? {} : { 'content-type': 'application/json' }),
    ...call.headers,
    ...(authorization === null ? {} : { authorization }),
  };
}

function bodyOf(call: Call): Body {
  if (call.json !== undefined) return JSON.stringify(call.json);
  // A copy, when it lies in memory that others may write to meanwhile.
  return call.bytes === undefined ? undefined : new Uint8Array(call.bytes);
}

/** ` (ECONNREFUSED)`, where the runtime says as much. */
function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Object ? error.cause : error;
  const code = cause instanceof Object && 'code' in cause ? cause.code : undefined;
  return typeof code === 'string' ? ` (${code})` : '';
}

/** The error for an answer that is no success. */
async function refusalOf(
  op: string,
  answer: Response,
  runtime: Runtime,
): Promise<LeadpushProblem | LeadpushAnswerError> {
  const { status, headers, type } = answer;
  if (type === 'opaqueredirect' || (status >= 300 && status < 400)) {
    await answer.body?.cancel();
    return new LeadpushAnswerError('the answer is a redirect: set baseUrl to where it leads', status);
  }
  const retryAfterMs = readRetryAfter(headers.get('retry-after'), runtime.now());
  const found = readProblem(parse(await readText(answer, MAX_PROBLEM_BYTES)));
  if (found !== null) return new LeadpushProblem(op, found.code, found.problem, retryAfterMs);
  return new LeadpushAnswerError(`status ${status} without the relay's explanation${typeOf(answer)}`, status, {
    retryAfterMs,
  });
}

async function readJson<T extends object>(answer: Response): Promise<T> {
  const value = parse<T>(await readText(answer, MAX_JSON_BYTES));
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new LeadpushAnswerError(`status ${answer.status}, but no JSON object${typeOf(answer)}`, answer.status);
}

function isGone(error: unknown): boolean {
  return error instanceof LeadpushProblem && error.code === 'not-found';
}

function typeOf(answer: Response): string {
  const type = answer.headers.get('content-type')?.split(';')[0]?.slice(0, 60);
  return type === undefined ? '' : `: its type is ${type}`;
}

/** The value of JSON text, believed to be a `T`; null when it is no JSON. */
function parse<T>(text: string): T | null {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

async function readText(answer: Response, maxBytes: number): Promise<string> {
  return new TextDecoder().decode(await readBytes(answer, maxBytes));
}

async function readBytes(answer: Response, maxBytes: number): Promise<Uint8Array> {
  if (answer.body === null) return new Uint8Array();
  const reader = answer.body.getReader();
  const chunks: Uint8Array[] = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    size += value.length;
    if (size <= maxBytes) continue;
    await reader.cancel();
    throw new LeadpushAnswerError(`the answer is longer than ${maxBytes} bytes`, answer.status);
  }
  const whole = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    whole.set(chunk, at);
    at += chunk.length;
  }
  return whole;
}
