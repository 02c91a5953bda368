/**
 * `tail` from a relay elsewhere: its log page by page, then its stream of server-sent events.
 *
 * A lost connection is made again, each time after a longer wait up to 10 s, and goes on after the last `seq` that was shown: `seq`
 * has no gaps, so nothing is missed or shown twice. Where the relay, or a proxy before it, has no stream, pages are asked for
 * once a second. What waiting cannot mend (the token, the certificate) ends it.
 */
import { event as eventSchema, eventPage, type WireEvent } from '../../api/wire/event.ts';
import { MAX_LIMIT } from '../../api/wire/json.ts';
import { pause } from '../database.ts';
import type { CliIo } from '../io.ts';
import type { Reads } from '../reads.ts';
import { createTailMatch, type TailFilter, type TailSource } from '../tail-source.ts';
import type { RemoteClient } from './client.ts';
import { eventQuery } from './reads.ts';
import { notUnderstood, RemoteError } from './remote-error.ts';
import { createSseParser } from './sse.ts';

const POLL_MS = 1000;
const FIRST_WAIT_MS = 500;
const LAST_WAIT_MS = 10_000;
/** The relay says that it is still there more often than that. */
const IDLE_MS = 60_000;

/** The events of the relay that `client` calls. */
export async function remoteTail(io: CliIo, client: RemoteClient, history: Reads['history']): Promise<TailSource> {
  let reached = await newestSeq();

  async function* past(filter: TailFilter, limit: number | null): AsyncGenerator<readonly WireEvent[]> {
    const known = reached;
    if (limit !== null) {
      // Newer ones belong to the following.
      if (limit > 0) yield await history.events({ ...filter, beforeSeq: known + 1, limit });
      return;
    }
    for await (const page of pagesAfter(filter, 0)) {
      yield page.filter(({ data }) => data.seq <= known);
      if ((page.at(-1)?.data.seq ?? 0) >= known) return;
    }
  }

  async function* coming(filter: TailFilter): AsyncGenerator<readonly WireEvent[]> {
    let waitMs = FIRST_WAIT_MS;
    let isLost = false;
    let hasStream = true;
    while (!io.signal.aborted) {
      try {
        const source: AsyncIterable<readonly WireEvent[]> | null = hasStream ? await streamed(filter) : null;
        hasStream = source !== null;
        for await (const events of source ?? polled(filter)) {
          if (isLost) await io.stderr.write(`Connected to ${client.target.text} again.\n`);
          isLost = false;
          waitMs = FIRST_WAIT_MS;
          const fresh = events.filter(({ data }) => data.seq > reached);
          reached = fresh.at(-1)?.data.seq ?? reached;
          yield fresh;
        }
        if (io.signal.aborted) return;
      } catch (error) {
        if (io.signal.aborted) return;
        if (!(error instanceof RemoteError) || !error.passing) throw error;
        if (!isLost)
          await io.stderr.write(`Lost: ${error.message}. Trying again until it is back; nothing is missed.\n`);
        isLost = true;
      }
      if (!(await pause(io, waitMs))) return;
      waitMs = Math.min(LAST_WAIT_MS, waitMs * 2);
    }
  }

  /** Null: there is no stream. An empty page says that the connection stands. */
  async function streamed(filter: TailFilter): Promise<AsyncIterable<readonly WireEvent[]> | null> {
    // A relay that was set back to an older copy of its database begins again from there.
    reached = Math.min(reached, await newestSeq());
    const pieces = await client.stream('v1/events/stream', {
      query: eventQuery(filter),
      headers: { 'last-event-id': String(reached) },
      idleMs: IDLE_MS,
    });
    return pieces === null ? null : eventsIn(pieces, filter);
  }

  async function* eventsIn(
    pieces: AsyncIterable<Uint8Array>,
    filter: TailFilter,
  ): AsyncGenerator<readonly WireEvent[]> {
    const parser = createSseParser();
    const matches = createTailMatch(filter);
    yield [];
    for await (const piece of pieces) {
      const frames = parser.push(piece);
      if (frames === null) throw notUnderstood(client.target, 'an event of its stream is too long');
      yield frames.flatMap(({ data }) => {
        const event = parseEvent(data);
        return matches(event) ? [event] : [];
      });
    }
  }

  function parseEvent(data: string): WireEvent {
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch {
      throw notUnderstood(client.target, 'an event of its stream is not JSON');
    }
    const parsed = eventSchema.safeParse(value);
    if (parsed.success) return parsed.data;
    throw notUnderstood(client.target, 'an event of its stream has another form');
  }

  async function* polled(filter: TailFilter): AsyncGenerator<readonly WireEvent[]> {
    do {
      const newest = await newestSeq();
      yield [];
      if (newest <= reached) {
        reached = newest;
        continue;
      }
      for await (const page of pagesAfter(filter, reached)) {
        yield page.filter(({ data }) => data.seq <= newest);
        if ((page.at(-1)?.data.seq ?? 0) >= newest) break;
      }
      reached = newest;
    } while (await pause(io, POLL_MS));
  }

  async function newestSeq(): Promise<number> {
    return (await history.events({ limit: 1 })).at(-1)?.data.seq ?? 0;
  }

  async function* pagesAfter(filter: TailFilter, seq: number): AsyncGenerator<readonly WireEvent[]> {
    let after = seq;
    for (;;) {
      const { data, has_more } = await client.call('v1/events', eventPage, {
        query: { ...eventQuery({ ...filter, afterSeq: after }), limit: MAX_LIMIT },
      });
      if (data.length > 0) yield data;
      const next = data.at(-1)?.data.seq ?? 0;
      if (!has_more || next <= after) return;
      after = next;
    }
  }

  return { past, coming, close: () => Promise.resolve() };
}
