/** Where commands read from: the database file beside a relay, or a relay elsewhere over HTTP. What they show is the same. */
import { readStats, SHORTEST_STEP_MS } from '../api/story/read-stats.ts';
import type { AttemptFacts } from '../api/wire/attempt.ts';
import type { WireEvent } from '../api/wire/event.ts';
import type { Plain } from '../api/wire/json.ts';
import type { MessageFacts } from '../api/wire/message.ts';
import type { SuppressionFacts } from '../api/wire/suppression.ts';
import type { MessageId } from '../core/ids.ts';
import type { EventFilter, FaultRow, HistoryStore, QueueRow, StatsRow } from '../store/history.ts';
import { type DatabaseOptions, openDatabase } from './database.ts';
import type { CliIo } from './io.ts';
import { openRemote } from './remote/open.ts';

/** What commands ask of the log: a slice of `HistoryStore`, as far as it can be told over HTTP. */
export interface HistoryReads extends Pick<HistoryStore, 'find' | 'rejectedFor' | 'content'> {
  message(id: MessageId): Promise<MessageFacts | null>;
  attempts(id: MessageId): Promise<readonly AttemptFacts[]>;
  eventsOf(id: MessageId): Promise<readonly WireEvent[]>;
  events(filter: EventFilter): Promise<readonly WireEvent[]>;
  queue(limit: number): Promise<readonly Plain<QueueRow>[]>;
  /** From `sinceMs` (epoch milliseconds) to now, with at most `topFaults` kinds of faults, most frequent first. */
  stats(sinceMs: number, topFaults: number): Promise<Figures>;
}

/** What was accepted and what became of it, by tag; and the tries that did not deliver, by kind. */
export interface Figures {
  readonly tags: readonly StatsRow[];
  readonly faults: readonly FaultRow[];
}

export interface SuppressionReads {
  /** In the order of addresses; `after`: the last address of the page before. */
  list(now: number, limit: number, after: string | null): Promise<readonly SuppressionFacts[]>;
}

export interface Reads {
  /** For people: the data folder, or the address of the relay. */
  readonly place: string;
  readonly history: HistoryReads;
  readonly suppressions: SuppressionReads;
  close(): Promise<void>;
}

/** Opens what `options` name; rejects with a `RelayError` when it cannot be read. */
export async function openReads(io: CliIo, options: DatabaseOptions): Promise<Reads> {
  const remote = await openRemote(io, options);
  if (remote !== null) return remote.reads;
  const { folder, history, suppressions, close } = await openDatabase(io, options);
  const stats: HistoryReads['stats'] = (sinceMs, topFaults) =>
    readStats(history, { sinceMs, untilMs: io.clock.now() + 1, stepMs: SHORTEST_STEP_MS, topFaults });
  return { place: folder, history: { ...history, stats }, suppressions, close };
}
