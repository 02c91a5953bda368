/** Reading beside a live relay, or without one: for commands (`tail`, `trace`, `queue list`, `suppressions list`, `stats`, `webhooks`). Writes nothing. */
import type { OutboxStore } from '../outbox.ts';
import type { HistoryStore } from '../history.ts';
import type { SuppressionStore } from '../store.ts';
import { openReadOnly } from './engines.ts';
import { createInlineHost } from './inline-host.ts';
import { type ContentKeySource, keyFileBeside } from './key-ring.ts';
import { createOutboxView } from './outbox-slice.ts';
import { createHistory, createReads } from './reads.ts';

export interface SqliteReader extends HistoryStore {
  readonly suppressions: Pick<SuppressionStore, 'get' | 'list'>;
  readonly outbox: Pick<OutboxStore, 'figures' | 'deliveries'>;
  stop(): Promise<void>;
}

/** Opens the database for reading, in the calling thread; keys are read when a content is asked for, from `content.key` unless given; rejects with a `RelayError` `store-open`. */
export async function openSqliteReader(
  file: string,
  contentKeys: ContentKeySource = keyFileBeside(file),
): Promise<SqliteReader> {
  const host = createInlineHost(openReadOnly(file, contentKeys));
  const reads = createReads(host);
  return {
    ...createHistory(reads),
    suppressions: {
      get: (recipient, now) => reads.call('suppression', recipient, now),
      list: (now, limit, after) => reads.call('suppressions', now, limit, after),
    },
    outbox: createOutboxView(reads),
    stop: host.stop,
  };
}
