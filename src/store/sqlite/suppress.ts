/** Putting a recipient on the suppression list because of what happened to a delivery. */
import type Database from 'better-sqlite3';
import type { DeliveryRow } from './delivery-row.ts';

/** Puts the recipient of `row` on the list up to `until`; an entry that lasts longer stays as it is. */
export type Suppress = (
  row: DeliveryRow,
  reason: 'bounce' | 'complaint',
  detail: string,
  now: number,
  until: number,
) => void;

/** Makes it over `db`. */
export function createSuppress(db: Database.Database): Suppress {
  const put = db.prepare<[string, string, string, string, string, number, number]>(`
    INSERT INTO suppressions (recipient_key, recipient, reason, detail, message_id, created_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (recipient_key) DO UPDATE SET recipient = excluded.recipient, reason = excluded.reason,
      detail = excluded.detail, message_id = excluded.message_id, created_at = excluded.created_at,
      expires_at = excluded.expires_at
    WHERE suppressions.expires_at < excluded.expires_at`);
  return (row, reason, detail, now, until) => {
    put.run(row.recipient_key, row.recipient, reason, detail, row.message_id, now, until);
  };
}
