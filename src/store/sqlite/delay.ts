/** Tells once that a delivery takes longer than its tag wishes; its state stays as it is. */
import type Database from 'better-sqlite3';
import { eventMessage } from '../../core/event.ts';
import { isoTime } from '../../core/time.ts';
import type { WriterCalls } from './calls.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { EventLog } from './event-log.ts';
import { eventSourceOf } from './message-row.ts';
import { asksFor, createOwe } from './owed.ts';

/** Makes `markDelayed` over `db`. */
export function createDelay(db: Database.Database, events: EventLog): WriterCalls['markDelayed'] {
  const due = db.prepare<[number, number], DeliveryRow>(
    `${selectDelivery('INDEXED BY deliveries_delay', 'd.delay_at <= +?')} ORDER BY d.delay_at LIMIT +?`,
  );
  const clear = db.prepare<[number]>('UPDATE deliveries SET delay_at = NULL WHERE did = ?');
  const owe = createOwe(db);

  return (now, limit) => {
    let told = 0;
    for (const row of due.all(now, limit)) {
      clear.run(row.did);
      // What has passed its deadline meanwhile expires, which says more.
      if (row.deadline <= now || row.delay_at === null) continue;
      told++;
      const reason = `not delivered ${(row.delay_at - row.accepted_at) / 1000} s after its acceptance`;
      events.append(
        'message.delayed',
        now,
        {
          message: eventMessage(eventSourceOf(row), row.rule),
          delivery: {
            id: row.id,
            recipient: row.recipient,
            state: row.state,
            attempts: row.attempts,
            ...(row.due_at === null ? {} : { next_attempt_at: isoTime(row.due_at) }),
          },
          reason,
        },
        row.recipient_key,
      );
      if (row.wants_reports === 1 && asksFor('delayed', row.recipient_dsn)) {
        const { did, state, attempts } = row;
        owe({ did, action: 'delayed', at: now, state, attempt: attempts, bounce: null, reason });
      }
    }
    return told;
  };
}
