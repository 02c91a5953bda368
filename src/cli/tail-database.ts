/**
 * `tail` from the database: beside a running relay, and when none runs.
 *
 * Following asks every 200 ms for what came after the last `seq`; `seq` has no gaps, so nothing is missed or shown twice.
 * Other processes commit meanwhile: what is there is read up to the `seq` at the beginning, the rest belongs to the following.
 */
import type { WireEvent } from '../api/wire/event.ts';
import type { HistoryStore } from '../store/history.ts';
import { type History, pause } from './database.ts';
import type { CliIo } from './io.ts';
import type { TailFilter, TailSource } from './tail-source.ts';

const POLL_MS = 200;
const PAGE = 500;

/** The events of an open database; `close` closes it. */
export async function databaseTail(
  io: CliIo,
  { history, close }: Pick<History, 'history' | 'close'>,
): Promise<TailSource> {
  let reached = await newestSeq(history);

  async function* past(filter: TailFilter, limit: number | null): AsyncGenerator<readonly WireEvent[]> {
    const known = reached;
    if (limit !== null) {
      if (limit > 0) yield upTo(await history.events({ ...filter, limit }), known);
      return;
    }
    for await (const page of pagesAfter(history, filter, 0)) {
      yield upTo(page, known);
      if ((page.at(-1)?.data.seq ?? 0) >= known) return;
    }
  }

  async function* coming(filter: TailFilter): AsyncGenerator<readonly WireEvent[]> {
    while (await pause(io, POLL_MS)) {
      // One cheap question tells whether anything happened; a filter that matches nothing is not searched from far back.
      const newest = await newestSeq(history);
      if (newest === reached) continue;
      // What was committed since that question belongs to the next look.
      for await (const page of pagesAfter(history, filter, reached)) {
        yield upTo(page, newest);
        if ((page.at(-1)?.data.seq ?? 0) >= newest) break;
      }
      reached = newest;
    }
  }

  return { past, coming, close };
}

function upTo(events: readonly WireEvent[], seq: number): readonly WireEvent[] {
  return events.filter((event) => event.data.seq <= seq);
}

async function* pagesAfter(
  history: HistoryStore,
  filter: TailFilter,
  seq: number,
): AsyncGenerator<readonly WireEvent[]> {
  let after = seq;
  for (;;) {
    const page = await history.events({ ...filter, afterSeq: after, limit: PAGE });
    if (page.length > 0) yield page;
    if (page.length < PAGE) return;
    after = page.at(-1)?.data.seq ?? after;
  }
}

async function newestSeq(history: HistoryStore): Promise<number> {
  return (await history.events({ limit: 1 })).at(-1)?.data.seq ?? 0;
}
