/** Ends deliveries whose deadline has passed before they were delivered; quarantined ones too, so that content goes. */
import type Database from 'better-sqlite3';
import type { MessageRecord } from '../../core/message.ts';
import { isoTime } from '../../core/time.ts';
import type { WriterCalls } from './calls.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { Mover } from './moves.ts';

const DEADLINE_FROM: Readonly<Record<MessageRecord['deadlineSource'], string>> = {
  header: 'set by the X-Leadpush-TTL header',
  deliverby: 'set by the BY parameter of MAIL',
  tag: 'set by the tag',
  'give-up': 'set by retry.give_up_after',
};

/** Makes `expireDue` over `db`. */
export function createExpire(db: Database.Database, move: Mover): WriterCalls['expireDue'] {
  const past = `d.deadline <= +? AND d.state IN ('queued', 'deferred', 'quarantined')`;
  const due = db.prepare<[number, number], DeliveryRow>(
    `${selectDelivery('INDEXED BY deliveries_deadline', past)} ORDER BY d.deadline LIMIT +?`,
  );
  return (now, limit) => {
    const rows = due.all(now, limit);
    for (const row of rows) {
      const reason = `not delivered by its deadline ${isoTime(row.deadline)} (${DEADLINE_FROM[row.deadline_source]})`;
      move(row, { to: 'expired', reason }, now);
    }
    return rows.length;
  };
}
