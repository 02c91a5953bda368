/**
 * The event log as it grows: server-sent events (WHATWG HTML, section 9.2).
 *
 * A stream holds no events: it knows the `seq` of the last one it wrote, and reads the log from there when something was
 * committed and its client has taken what was written before. So a slow client costs one page of events and no more, and one that
 * comes back with `Last-Event-ID` misses nothing that the log still has. The number of streams is bounded, and the server's stop
 * ends them.
 */
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { z } from 'zod';
import { createAtMost } from '../../core/at-most.ts';
import { bugText } from '../../core/bug-text.ts';
import { RelayError } from '../../core/errors.ts';
import { type Clock, sleep } from '../../core/time.ts';
import type { EventFilter, HistoryStore } from '../../store/history.ts';
import type { Log } from '../../telemetry/log.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { countQuery } from '../wire/json.ts';
import { filterFields, filterOf } from './events.ts';

export interface StreamDeps {
  readonly history: Pick<HistoryStore, 'events'>;
  /** Calls back after each commit that may have written events, of this process or another. */
  readonly onCommitted: (listener: () => void) => void;
  readonly clock: Clock;
  readonly log: Log;
}

const MAX_STREAMS = 64;
const PAGE = 100;
/** Of all streams together: 64 that caught up at the same time made mail wait six times as long; one by one they leave room for it. */
const READS_AT_A_TIME = 1;
const HEARTBEAT_MS = 15_000;
/** Commits in that span cost each stream one read. */
const GATHER_MS = 20;
/** A client that takes nothing for so long is gone. */
const STUCK_MS = 120_000;
const RECONNECT_MS = 2_000;

const streamQuery = z.strictObject({
  after_seq: countQuery(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Begin with what came after this `seq`; absent, and no `Last-Event-ID`: with what comes from now on.'),
  ...filterFields,
});

const streamHeaders = z.object({
  'last-event-id': countQuery(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('The `seq` of the last event that was seen; goes before `after_seq`.'),
});

/** Adds `GET /v1/events/stream`. */
export function addStream(api: Api, { history, onCommitted, clock, log }: StreamDeps): void {
  const stopping = new AbortController();
  const commits = new EventEmitter().setMaxListeners(MAX_STREAMS + 1);
  const underWay = new Set<Promise<void>>();
  const inTurn = createAtMost(READS_AT_A_TIME);
  /** Streams that were let in and are not under way yet. */
  let beginning = 0;
  let isListening = false;
  let gathering = false;

  const listen = (): void => {
    if (isListening) return;
    isListening = true;
    onCommitted(tell);
  };
  const tell = (): void => {
    if (gathering || underWay.size === 0) return;
    gathering = true;
    clock.after(GATHER_MS, () => {
      gathering = false;
      commits.emit('commit');
    });
  };
  api.addHook('preClose', async () => {
    stopping.abort();
    await Promise.allSettled(underWay);
  });

  api.get(
    '/v1/events/stream',
    {
      config: { scope: 'read' },
      exposeHeadRoute: false,
      schema: {
        operationId: 'streamEvents',
        tags: ['events'],
        summary: 'Follow the event log',
        description:
          'Server-sent events: `id` is the `seq`, `data` is the event as `GET /v1/events` shows it. Reconnect with `Last-Event-ID`: nothing is missed. A comment comes at least every 15 seconds.',
        headers: streamHeaders,
        querystring: streamQuery,
        response: {
          200: { description: 'Events without an end.', content: { 'text/event-stream': { schema: z.string() } } },
          ...problems('too-many-requests'),
        },
      },
    },
    async (request, reply) => {
      if (underWay.size + beginning >= MAX_STREAMS || stopping.signal.aborted) {
        void reply.header('retry-after', '5');
        return refuse(reply, 'too-many-requests', `At most ${MAX_STREAMS} streams at the same time.`);
      }
      listen();
      const { query, headers } = request;
      const { raw } = reply;
      // From here on: a client that goes while its stream begins is gone, too.
      const gone = new AbortController();
      raw.once('close', () => gone.abort());
      const filter = filterOf(query, clock.now());
      const given = headers['last-event-id'] ?? query.after_seq;
      const newest = await newestSeq();
      // A number from beyond the end is of another log, before a database was put back: waiting for it would be silence for long.
      const afterSeq = Math.min(given ?? newest, newest);

      reply.hijack();
      // Its silence is no sign of a client that is gone: the heartbeat finds that out.
      raw.socket?.setTimeout(0);
      for (const [name, value] of Object.entries(reply.getHeaders())) {
        if (value !== undefined) raw.setHeader(name, value);
      }
      raw.writeHead(200, {
        'content-type': 'text/event-stream; charset=utf-8',
        'x-accel-buffering': 'no',
        connection: 'close',
      });
      const isOver = request.caller?.isOver ?? (() => false);
      const signal = AbortSignal.any([gone.signal, stopping.signal]);
      const stream = follow(raw, { ...filter, afterSeq }, isOver, signal)
        .catch((error: unknown) => {
          if (!(error instanceof RelayError)) throw error;
          log.warn({ event: 'http.stream-ended', request_id: request.id, reason: error.message }, 'stream ended');
        })
        .catch((error: unknown) => {
          log.error({ event: 'http.failed', request_id: request.id, reason: bugText(error) }, 'stream failed');
        })
        .finally(() => {
          underWay.delete(stream);
          raw.end();
        });
      underWay.add(stream);
      return reply;
    },
  );

  async function newestSeq(): Promise<number> {
    beginning++;
    try {
      return (await history.events({ limit: 1 })).at(-1)?.data.seq ?? 0;
    } finally {
      beginning--;
    }
  }

  /** Writes events until `signal` aborts, or `isOver` says so, which is asked before each look at the log. */
  async function follow(
    raw: ServerResponse,
    filter: Omit<EventFilter, 'limit'>,
    isOver: () => boolean,
    signal: AbortSignal,
  ): Promise<void> {
    let afterSeq = filter.afterSeq ?? 0;
    await write(raw, `retry: ${RECONNECT_MS}\n\n`, signal);
    while (!signal.aborted && !isOver()) {
      // Before the look, so that what is committed during it is not slept through.
      const wake = new AbortController();
      const news = wait(AbortSignal.any([signal, wake.signal]));
      const { events, text } = await inTurn(async () => {
        const page = signal.aborted ? [] : await history.events({ ...filter, afterSeq, limit: PAGE });
        return {
          events: page,
          text: page.map((event) => `id: ${event.data.seq}\ndata: ${JSON.stringify(event)}\n\n`).join(''),
        };
      });
      afterSeq = events.at(-1)?.data.seq ?? afterSeq;
      if (events.length > 0) await write(raw, text, signal);
      if (events.length === PAGE) wake.abort();
      if ((await news) === 'nothing') await write(raw, ': still here\n\n', signal);
    }
  }

  /** Until something was committed, or `HEARTBEAT_MS` passed, or `signal` aborted. */
  async function wait(signal: AbortSignal): Promise<'commit' | 'nothing' | 'aborted'> {
    const done = new AbortController();
    const either = AbortSignal.any([signal, done.signal]);
    const first = await Promise.race([
      once(commits, 'commit', { signal: either }).then(() => 'commit' as const),
      sleep(clock, HEARTBEAT_MS, either).then(() => 'nothing' as const),
    ]).catch(() => 'aborted' as const);
    done.abort();
    return first;
  }

  /** Resolves when the client can take more; a client that takes nothing for long is cut off. */
  async function write(raw: ServerResponse, text: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted || raw.write(text)) return;
    const cancel = clock.after(STUCK_MS, () => raw.destroy());
    await once(raw, 'drain', { signal }).catch(() => undefined);
    cancel();
  }
}
