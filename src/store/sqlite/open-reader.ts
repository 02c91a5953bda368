/** Reading beside a live relay, or without one: for commands (`tail`, `trace`, `queue list`, `stats`). Writes nothing. */
import type { HistoryStore } from '../store.ts';
import { openReadOnly } from './engines.ts';
import { createInlineHost } from './inline-host.ts';
import { createHistory, createReads } from './reads.ts';

export interface SqliteReader extends HistoryStore {
  stop(): Promise<void>;
}

/** Opens the database for reading, in the calling thread; rejects with a `RelayError` `store-open`. */
export async function openSqliteReader(file: string): Promise<SqliteReader> {
  const host = createInlineHost(openReadOnly(file));
  return { ...createHistory(createReads(host)), stop: host.stop };
}
