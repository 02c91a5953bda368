/** What an operator may do to deliveries by hand: try again now, cancel. Says for each one left alone why. */
import type Database from 'better-sqlite3';
import type { DeliveryState } from '../../core/delivery.ts';
import { unreachable } from '../../core/errors.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { OperatorResult } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import { deliveryKeys } from './keys.ts';
import type { Mover } from './moves.ts';
import { mayBecome } from './states.ts';

const NEWER = 'a newer message took its place';

type OperatorCalls = Pick<WriterCalls, 'retryNow' | 'cancel'>;

/** Makes `retryNow` and `cancel` over `db`. */
export function createOperate(db: Database.Database, move: Mover): OperatorCalls {
  const midOf = db.prepare<[string], number>('SELECT mid FROM messages WHERE id = ?').pluck();
  const ofMessage = db.prepare<[number, number], DeliveryRow>(
    `${selectDelivery('NOT INDEXED', 'd.did BETWEEN ? AND ?')} ORDER BY d.did`,
  );
  const one = db.prepare<[string], DeliveryRow>(selectDelivery('INDEXED BY sqlite_autoindex_deliveries_1', 'd.id = ?'));
  const requeue = db.prepare<[number, number, number]>(`
    UPDATE deliveries SET state = 'queued', due_at = ?, updated_at = ?, bounce_class = NULL, bounce_why = NULL
    WHERE did = ? AND (state = 'queued' OR ${mayBecome('queued')})`);
  const reopen = db.prepare<[number]>('UPDATE messages SET settled_at = NULL WHERE mid = ? AND settled_at IS NOT NULL');

  // An old link must not come after a newer one: an ended delivery was not there to be superseded when the newer came.
  const newer = db
    .prepare<[string, number, string], number>(
      `SELECT 1 FROM deliveries INDEXED BY deliveries_recipient
       WHERE recipient_key = +? AND mid > +? AND collapse_scope = +? AND state NOT IN ('suppressed', 'throttled') LIMIT 1`,
    )
    .pluck();
  const hasNewer = (row: DeliveryRow): boolean =>
    row.superseded_by !== null ||
    (row.collapse_scope !== null && newer.get(row.recipient_key, row.mid, row.collapse_scope) !== undefined);

  function each(
    target: MessageId | DeliveryId,
    objection: (row: DeliveryRow) => string | null,
    act: (row: DeliveryRow) => void,
  ): OperatorResult {
    const changed: DeliveryId[] = [];
    const unchanged: { id: DeliveryId; state: DeliveryState; reason: string }[] = [];
    const mid = midOf.get(target);
    for (const row of mid === undefined ? one.all(target) : ofMessage.all(...deliveryKeys(mid))) {
      const reason = objection(row);
      if (reason === null) {
        act(row);
        changed.push(row.id);
      } else {
        unchanged.push({ id: row.id, state: row.state, reason });
      }
    }
    return { changed, unchanged };
  }

  return {
    retryNow: (target, now) =>
      each(
        target,
        (row) => objectionToRetry(row, now) ?? (hasNewer(row) ? NEWER : null),
        (row) => {
          requeue.run(now, now, row.did);
          reopen.run(row.mid);
        },
      ),
    cancel: (target, now, reason) =>
      each(target, objectionToCancel, (row) => move(row, { to: 'canceled', reason }, now)),
  };
}

function objectionToRetry(row: DeliveryRow, now: number): string | null {
  switch (row.state) {
    case 'sending':
      return 'an attempt is under way';
    case 'delivered':
      return 'it was delivered';
    case 'superseded':
      return NEWER;
    case 'suppressed':
      return 'its recipient is suppressed';
    case 'throttled':
      return 'its recipient was sent too many messages';
    case 'queued':
    case 'deferred':
    case 'bounced':
    case 'expired':
    case 'canceled':
    case 'quarantined':
      if (row.content_kept === 0) return 'its content was deleted when the message came to its end';
      if (row.deadline <= now) return `its deadline passed at ${isoTime(row.deadline)}`;
      return null;
    default:
      return unreachable(row.state);
  }
}

function objectionToCancel(row: DeliveryRow): string | null {
  switch (row.state) {
    case 'queued':
    case 'deferred':
    case 'quarantined':
      return null;
    case 'sending':
      return 'an attempt is under way; cancel it when the attempt has ended';
    case 'delivered':
    case 'bounced':
    case 'expired':
    case 'superseded':
    case 'suppressed':
    case 'throttled':
    case 'canceled':
      return `it is ${row.state} already`;
    default:
      return unreachable(row.state);
  }
}
