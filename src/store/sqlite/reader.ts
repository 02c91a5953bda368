/** Everything that the reading connection can do, assembled. */
import type Database from 'better-sqlite3';
import type { Procedures, ReaderCalls, WalState } from './calls.ts';
import { createContentRead } from './contents.ts';
import { createDomainReads } from './domains.ts';
import { createFeedbackReads } from './feedback.ts';
import { createAttemptReads } from './history-attempts.ts';
import { createEventReads } from './history-events.ts';
import { createMessageReads } from './history-messages.ts';
import { createQueueReads } from './history-queue.ts';
import { createStats } from './history-stats.ts';
import { createTrend } from './history-trend.ts';
import type { KeyRing } from './key-ring.ts';
import { createOutboxReads } from './outbox-reads.ts';
import { createReportReads } from './reports.ts';
import { createReroutable } from './reroute.ts';
import { createSuppressionReads } from './suppressions.ts';

/** What of a reader is not a read of the database. */
export interface ReaderDuties {
  /** Folds the write-ahead log, on a connection that may write. */
  readonly checkpoint: () => WalState;
  /** See `ReaderCalls.freeBytes`. */
  readonly freeBytes: (floorBytes: number) => number | null;
}

/** Makes the reading procedures of `db`; statements are prepared once, here. */
export function createReader(db: Database.Database, duties: ReaderDuties, ring: KeyRing): Procedures<ReaderCalls> {
  const { message, messages, deliveriesTo, find } = createMessageReads(db);
  const { eventsOf, events, rejectedFor } = createEventReads(db);
  const { queue, figures } = createQueueReads(db);
  const { suppression, suppressions } = createSuppressionReads(db);
  const { secret, knows, byMessageId } = createFeedbackReads(db);
  const { policy, tlsLevel } = createDomainReads(db);
  const { outboxFigures, outboxDeliveries, outboxSelect } = createOutboxReads(db);
  const plain = db.prepare<[], number>('SELECT 1 FROM contents LIMIT 1').pluck();
  return {
    message: { access: 'read', run: message },
    messages: { access: 'read', run: messages },
    deliveriesTo: { access: 'read', run: deliveriesTo },
    find: { access: 'read', run: find },
    attempts: { access: 'read', run: createAttemptReads(db) },
    eventsOf: { access: 'read', run: eventsOf },
    events: { access: 'read', run: events },
    rejectedFor: { access: 'read', run: rejectedFor },
    stats: { access: 'read', run: createStats(db) },
    trend: { access: 'read', run: createTrend(db) },
    queue: { access: 'read', run: queue },
    figures: { access: 'read', run: figures },
    plainLeft: { access: 'read', run: () => plain.get() !== undefined },
    reroutable: { access: 'read', run: createReroutable(db) },
    suppression: { access: 'read', run: suppression },
    suppressions: { access: 'read', run: suppressions },
    secret: { access: 'read', run: secret },
    knows: { access: 'read', run: knows },
    byMessageId: { access: 'read', run: byMessageId },
    pendingReports: { access: 'read', run: createReportReads(db) },
    policy: { access: 'read', run: policy },
    tlsLevel: { access: 'read', run: tlsLevel },
    outboxFigures: { access: 'read', run: outboxFigures },
    outboxDeliveries: { access: 'read', run: outboxDeliveries },
    outboxSelect: { access: 'read', run: outboxSelect },
    content: { access: 'read', run: createContentRead(db, ring) },
    checkpoint: { access: 'alone', run: duties.checkpoint },
    freeBytes: { access: 'alone', run: duties.freeBytes },
  };
}
