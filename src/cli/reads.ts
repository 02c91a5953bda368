/** Where commands read from: the database file beside a relay, or a relay elsewhere over HTTP. What they show is the same. */
import type { AttemptFacts } from '../api/wire/attempt.ts';
import type { WireEvent } from '../api/wire/event.ts';
import type { Plain } from '../api/wire/json.ts';
import type { MessageFacts } from '../api/wire/message.ts';
import type { SuppressionFacts } from '../api/wire/suppression.ts';
import type { MessageId } from '../core/ids.ts';
import type { EventFilter, HistoryStore, QueueRow } from '../store/history.ts';
import { type DatabaseOptions, openDatabase } from './database.ts';
import type { CliIo } from './io.ts';
import { openRemote } from './remote/open.ts';

/** What commands ask of the log: a slice of `HistoryStore`, as far as it can be told over HTTP. */
export interface HistoryReads extends Pick<HistoryStore, 'find' | 'rejectedFor' | 'stats' | 'deferrals' | 'content'> {
  message(id: MessageId): Promise<MessageFacts | null>;
  attempts(id: MessageId): Promise<readonly AttemptFacts[]>;
  eventsOf(id: MessageId): Promise<readonly WireEvent[]>;
  events(filter: EventFilter): Promise<readonly WireEvent[]>;
  queue(limit: number): Promise<readonly Plain<QueueRow>[]>;
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
  return { place: folder, history, suppressions, close };
}
