/**
 * An operator's writes from another process (`queue retry`, `queue cancel`, `suppressions`, `webhooks`), beside a live relay or without one.
 *
 * It takes no process lock and leases nothing; SQLite's own lock orders its commits with the relay's, which notices them
 * within half a second. Runs in the calling thread: a command has nothing else to do.
 */
import type { OutboxStore } from '../outbox.ts';
import type { QueueStore, SuppressionStore } from '../store.ts';
import { openReadOnly, openWriter } from './engines.ts';
import { createGroupCommit } from './group-commit.ts';
import { createInlineHost } from './inline-host.ts';
import { keyFileBeside } from './key-ring.ts';
import { createOutboxReplay } from './outbox-slice.ts';
import { createReads } from './reads.ts';

export interface SqliteOperator extends Pick<QueueStore, 'retryNow' | 'cancel'> {
  readonly suppressions: Pick<SuppressionStore, 'put' | 'remove'>;
  readonly outbox: Pick<OutboxStore, 'enable' | 'replay'>;
  stop(): Promise<void>;
}

export interface SqliteOperatorOptions {
  readonly file: string;
  /** As for the relay: a cancel may settle a message. */
  readonly dropContentWhenSettled: boolean;
}

/** Opens the database, which must be there; rejects with a `RelayError` `store-open`. */
export async function openSqliteOperator(options: SqliteOperatorOptions): Promise<SqliteOperator> {
  const host = createInlineHost(openWriter({ role: 'writer', ...options, migrate: false, mustExist: true }));
  const group = createGroupCommit(host, () => undefined);
  const reader = createInlineHost(openReadOnly(options.file, keyFileBeside(options.file)));
  return {
    retryNow: (target, now) => group.call('retryNow', target, now),
    cancel: (target, now, reason) => group.call('cancel', target, now, reason),
    suppressions: {
      async put(suppression) {
        await group.call('putSuppression', suppression);
      },
      remove: (recipient, now) => group.call('removeSuppression', recipient, now),
    },
    outbox: {
      enable: (name, now) => group.call('enableOutbox', name, now),
      ...createOutboxReplay(group, createReads(reader)),
    },
    async stop() {
      await reader.stop();
      await group.stop();
      await host.stop();
    },
  };
}
