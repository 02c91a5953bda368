/** Reports that are owed to envelope senders: reading them, and ending them. `owed.ts` writes them. */
import type Database from 'better-sqlite3';
import type { EnvelopeAddress } from '../../core/address.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import type { DeliveryId } from '../../core/ids.ts';
import type { PendingReport } from '../store.ts';
import type { AttemptRow } from './history-attempts.ts';
import { ATTEMPT_COLUMNS, attemptOf } from './history-attempts.ts';
import type { ReaderCalls } from './calls.ts';
import type { MessageEnd } from './message-end.ts';
import { MESSAGE_COLUMNS, type MessageRow, recordOf } from './message-row.ts';

interface ReportRow extends MessageRow {
  readonly number: number;
  readonly action: PendingReport['action'];
  readonly at: number;
  readonly did: number;
  readonly delivery_id: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly recipient_dsn: string | null;
  readonly state: DeliveryState;
  readonly attempt: number;
  readonly bounce: string | null;
  readonly reason: string | null;
}

export interface ReportWrites {
  isOwed(number: number): boolean;
  /** Paid or dropped: it is owed no more, and content that was kept for it goes. */
  settle(number: number): void;
}

/** Makes `pendingReports` over `db`. */
export function createReportReads(db: Database.Database): ReaderCalls['pendingReports'] {
  const oldest = db.prepare<[number], ReportRow>(`
    SELECT r.number, r.action, r.at, r.did, d.id AS delivery_id, d.recipient, d.dsn AS recipient_dsn, r.state, r.attempt,
      r.bounce, r.reason, ${MESSAGE_COLUMNS}
    FROM reports r CROSS JOIN deliveries d ON d.did = r.did CROSS JOIN messages m ON m.mid = d.mid
    ORDER BY r.number LIMIT ?`);
  const attempt = db.prepare<[number, number], AttemptRow>(
    `SELECT ${ATTEMPT_COLUMNS} FROM attempts a WHERE a.did = ? AND a.number = ?`,
  );
  return (limit) =>
    oldest.all(limit).map((row) => {
      const last = attempt.get(row.did, row.attempt);
      return {
        number: row.number,
        action: row.action,
        at: row.at,
        record: recordOf(row),
        deliveryId: row.delivery_id,
        recipient: row.recipient,
        recipientDsn: row.recipient_dsn === null ? null : JSON.parse(row.recipient_dsn),
        state: row.state,
        attempt: last === undefined ? null : attemptOf(last),
        bounce: row.bounce === null ? null : JSON.parse(row.bounce),
        reason: row.reason,
      };
    });
}

/** Makes the end of reports over `db`. */
export function createReportWrites(db: Database.Database, end: MessageEnd): ReportWrites {
  const isOwed = db.prepare<[number], number>('SELECT 1 FROM reports WHERE number = ?').pluck();
  const midOf = db
    .prepare<[number], number>(
      'SELECT d.mid FROM reports r CROSS JOIN deliveries d ON d.did = r.did WHERE r.number = ?',
    )
    .pluck();
  const remove = db.prepare<[number]>('DELETE FROM reports WHERE number = ?');
  return {
    isOwed: (number) => isOwed.get(number) !== undefined,
    settle(number) {
      const mid = midOf.get(number);
      remove.run(number);
      if (mid !== undefined) end.reportGone(mid);
    },
  };
}
