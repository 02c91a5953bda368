/**
 * The event stream: one event after the other as they happen, for as long as the caller goes on.
 *
 * A broken connection is opened again with back-off, with `Last-Event-ID` of the last event that was handed out: none is left out,
 * none comes twice. So is one that stays silent longer than the relay's heartbeat allows. The first connection is different: when it cannot be had
 * after `maxRetries`, or whenever the relay refuses for good (401, 403, 400), the walk throws.
 *
 * Nothing is read ahead: the next chunk is asked for when the events of the last one are taken. Memory is bounded by one chunk
 * and one event. Ends without an error when the signal aborts.
 */
import { LeadpushAnswerError, LeadpushConnectionError, LeadpushError } from './errors.ts';
import { backOffMs, mayPass } from './retry.ts';
import { pause } from './runtime.ts';
import { createSseParser, type SseMessage } from './sse.ts';
import type { QueryValue, Transport } from './transport.ts';
import type { RelayEvent } from './types.ts';

export interface StreamOptions {
  /** Ends the stream, without an error. */
  readonly signal?: AbortSignal | undefined;
  /** Told each time the connection is lost, before the wait for the next one. */
  readonly onReconnect?: ((lost: { readonly error: LeadpushError; readonly delayMs: number }) => void) | undefined;
  /** How often the first connection is tried again; default: 3. */
  readonly maxRetries?: number | undefined;
}

/** Without a byte for so long the connection is taken for dead: the relay sends a comment every 15 s. */
const SILENCE_MS = 60_000;
const MAX_BACK_OFF_MS = 30_000;
const FIRST_RETRIES = 3;

/** The events that `query` asks for, after `afterSeq`; null: from now on. */
export async function* streamEvents(
  transport: Transport,
  query: Readonly<Record<string, QueryValue>>,
  afterSeq: number | null,
  options: StreamOptions,
): AsyncGenerator<RelayEvent, void, undefined> {
  const { signal, onReconnect, maxRetries = FIRST_RETRIES } = options;
  let lastEventId = afterSeq === null ? null : String(afterSeq);
  let connectedOnce = false;
  let failures = 0;
  let wishMs: number | null = null;
  for (;;) {
    if (isAborted(signal)) return;
    const connection = new AbortController();
    const onAbort = (): void => connection.abort();
    signal?.addEventListener('abort', onAbort, { once: true });
    let error: LeadpushError;
    try {
      // Where "now" is: so that a connection that breaks before its first event leaves nothing out either.
      lastEventId ??= await newestId(transport, connection.signal);
      const answer = await transport.open({
        op: 'events.stream',
        method: 'GET',
        path: '/v1/events/stream',
        query,
        headers: { accept: 'text/event-stream', 'last-event-id': lastEventId },
        repeat: 'safe',
        signal: connection.signal,
      });
      const body = eventStreamOf(answer);
      connectedOnce = true;
      const parser = createSseParser(lastEventId);
      for await (const message of messagesOf(body, parser.push, transport, connection)) {
        failures = 0;
        wishMs = parser.retryMs() ?? wishMs;
        lastEventId = message.lastEventId;
        if (message.data !== '') yield readEvent(message);
        if (isAborted(signal)) return;
      }
      error = new LeadpushConnectionError('the relay ended the event stream', null);
    } catch (thrown) {
      if (isAborted(signal)) return;
      if (!(thrown instanceof LeadpushError)) throw thrown;
      error = thrown;
    } finally {
      signal?.removeEventListener('abort', onAbort);
      connection.abort();
    }
    failures += 1;
    if (!mayPass(error, 'safe') || (!connectedOnce && failures > maxRetries)) throw error;
    const delayMs =
      error.retryAfterMs ?? Math.max(wishMs ?? 0, backOffMs(failures, transport.runtime, MAX_BACK_OFF_MS));
    onReconnect?.({ error, delayMs });
    try {
      await pause(transport.runtime, delayMs, signal);
    } catch {
      return;
    }
  }
}

/** The `seq` of the newest event; 0 when there is none. One try: the stream has its own. */
async function newestId(transport: Transport, signal: AbortSignal): Promise<string> {
  const call = { op: 'events.stream', method: 'GET', path: '/v1/events', query: { limit: 1 }, signal } as const;
  const { data } = await transport.json<{ readonly data: readonly RelayEvent[] }>({ ...call, repeat: 'refused' });
  return String(data.at(-1)?.data.seq ?? 0);
}

/** Asked anew each time: it changes while others work. */
function isAborted(signal: AbortSignal | undefined): boolean {
  return signal?.aborted ?? false;
}

function eventStreamOf(answer: Response): ReadableStream<Uint8Array> {
  const type = answer.headers.get('content-type') ?? '';
  if (answer.body !== null && /^text\/event-stream\b/i.test(type)) return answer.body;
  throw new LeadpushAnswerError('the answer is no event stream', answer.status);
}

/** The messages of one connection as `push` finds them; ends with the stream, throws when it breaks or stays silent. */
async function* messagesOf(
  body: ReadableStream<Uint8Array>,
  push: (chunk: Uint8Array) => readonly SseMessage[],
  transport: Transport,
  connection: AbortController,
): AsyncGenerator<SseMessage, void, undefined> {
  const reader = body.getReader();
  for (;;) {
    let silent = false;
    const stopTimer = transport.runtime.after(SILENCE_MS, () => {
      silent = true;
      connection.abort();
    });
    let chunk: Awaited<ReturnType<typeof reader.read>>;
    try {
      chunk = await reader.read();
    } catch (error) {
      const what = silent ? `nothing came for ${SILENCE_MS / 1000} s` : 'the connection broke';
      throw new LeadpushConnectionError(`event stream: ${what}`, error);
    } finally {
      stopTimer();
    }
    if (chunk.done) return;
    let messages: readonly SseMessage[];
    try {
      messages = push(chunk.value);
    } catch (error) {
      throw new LeadpushAnswerError('the event stream holds a message that is too long', 200, { cause: error });
    }
    yield* messages;
  }
}

function readEvent(message: SseMessage): RelayEvent {
  let event: RelayEvent | null = null;
  try {
    event = JSON.parse(message.data);
  } catch {
    // Said below, without the text.
  }
  if (typeof event?.type === 'string') return event;
  throw new LeadpushAnswerError('the event stream holds something that is no event', 200);
}
