/**
 * A newer message takes the place of older undelivered ones with the same collapse scope to the same recipient.
 *
 * What waits, or is quarantined, is `superseded` at once. What is being sent is marked: it is superseded when its attempt
 * ends without a delivery. An index over open deliveries finds them, whatever lies in the log.
 */
import type Database from 'better-sqlite3';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { Mover } from './moves.ts';
import { OPEN_STATES, sqlList } from './states.ts';

export const SUPERSEDED = 'a newer message to the same recipient took its place';

export interface Collapse {
  /** Open deliveries of other messages in `scope` to the recipient, oldest first. */
  find(scope: string, recipientKey: string, mid: number): readonly DeliveryRow[];
  /** Ends or marks them in favour of `by`; returns those that are being sent. */
  supersede(rows: readonly DeliveryRow[], by: MessageId, now: number): readonly DeliveryId[];
}

/** Makes it over `db`. */
export function createCollapse(db: Database.Database, move: Mover): Collapse {
  const inScope = db.prepare<[string, string, number], DeliveryRow>(
    `${selectDelivery(
      'INDEXED BY deliveries_collapse',
      `d.recipient_key = +? AND d.collapse_scope = +? AND d.state IN ${sqlList(OPEN_STATES)} AND d.mid <> +?`,
    )} ORDER BY d.did`,
  );
  const mark = db.prepare<[MessageId, number]>('UPDATE deliveries SET superseded_by = ? WHERE did = ?');
  return {
    find: (scope, recipientKey, mid) => inScope.all(recipientKey, scope, mid),
    supersede(rows, by, now) {
      const inWork: DeliveryId[] = [];
      for (const row of rows) {
        if (row.state === 'sending') {
          mark.run(by, row.did);
          inWork.push(row.id);
        } else {
          move(row, { to: 'superseded', by, reason: SUPERSEDED }, now);
        }
      }
      return inWork;
    },
  };
}
