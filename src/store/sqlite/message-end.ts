/**
 * What happens to a message when one of its deliveries has come to its end, and when a report about it is owed no more.
 *
 * Content and its key go with the last open delivery, in its transaction, unless a sandbox captured the message or a report is still owed for it.
 */
import type Database from 'better-sqlite3';
import type { Contents } from './contents.ts';
import { deliveryKeys } from './keys.ts';
import { OPEN_STATES, sqlList } from './states.ts';

export interface MessageEnd {
  /** A delivery has ended; `wantsReports`: of a message for which reports may be owed. */
  deliveryEnded(mid: number, captured: boolean, wantsReports: boolean, now: number): void;
  /** A report about the message was paid or dropped. */
  reportGone(mid: number): void;
}

/** Makes the end of messages of `db`. */
export function createMessageEnd(
  db: Database.Database,
  contents: Pick<Contents, 'drop'>,
  dropContentWhenSettled: boolean,
): MessageEnd {
  const open = db
    .prepare<[number, number], number>(
      `SELECT 1 FROM deliveries WHERE did BETWEEN ? AND ? AND state IN ${sqlList(OPEN_STATES)} LIMIT 1`,
    )
    .pluck();
  const owed = db
    .prepare<[number, number], number>(
      'SELECT 1 FROM reports INDEXED BY reports_delivery WHERE did BETWEEN ? AND ? LIMIT 1',
    )
    .pluck();
  const markCaptured = db.prepare<[number]>('UPDATE messages SET captured = 1 WHERE mid = ?');
  const settleAndDrop = db.prepare<[number, number]>(
    'UPDATE messages SET settled_at = ?, content_kept = 0 WHERE mid = ? AND captured = 0',
  );
  const settle = db.prepare<[number, number]>('UPDATE messages SET settled_at = ? WHERE mid = ?');
  const dropLate = db.prepare<[number]>(
    'UPDATE messages SET content_kept = 0 WHERE mid = ? AND captured = 0 AND settled_at IS NOT NULL AND content_kept = 1',
  );

  const isOwed = (mid: number): boolean => owed.get(...deliveryKeys(mid)) !== undefined;

  return {
    deliveryEnded(mid, captured, wantsReports, now) {
      if (captured) markCaptured.run(mid);
      if (open.get(...deliveryKeys(mid)) !== undefined) return;
      const drop = dropContentWhenSettled && !(wantsReports && isOwed(mid));
      if (drop && settleAndDrop.run(now, mid).changes > 0) contents.drop(mid);
      else settle.run(now, mid);
    },
    reportGone(mid) {
      if (dropContentWhenSettled && !isOwed(mid) && dropLate.run(mid).changes > 0) contents.drop(mid);
    },
  };
}
