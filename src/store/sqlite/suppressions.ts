/** The suppression list: looking things up in it, and an operator's changes. Entries past their time count as absent. */
import type Database from 'better-sqlite3';
import { addressKey, type EnvelopeAddress } from '../../core/address.ts';
import type { MessageId } from '../../core/ids.ts';
import type { Suppression } from '../store.ts';
import type { ReaderCalls, WriterCalls } from './calls.ts';
import { recipientKeyOf } from './history-messages.ts';

interface SuppressionRow {
  readonly recipient: EnvelopeAddress;
  readonly reason: Suppression['reason'];
  readonly detail: string;
  readonly message_id: MessageId | null;
  readonly created_at: number;
  readonly expires_at: number | null;
}

const COLUMNS = 'recipient, reason, detail, message_id, created_at, expires_at';
const STANDS = '(expires_at IS NULL OR expires_at > +?)';

/** Makes `suppression` and `suppressions` over `db`. */
export function createSuppressionReads(db: Database.Database): Pick<ReaderCalls, 'suppression' | 'suppressions'> {
  const get = createSuppressionLookup(db);
  const list = db.prepare<[string, number, number], SuppressionRow>(
    `SELECT ${COLUMNS} FROM suppressions WHERE recipient_key > ? AND ${STANDS} ORDER BY recipient_key LIMIT ?`,
  );
  return {
    suppression: (recipient, now) => get(addressKey(recipient), now),
    suppressions: (now, limit, after) =>
      list.all(after === null ? '' : (recipientKeyOf(after) ?? after.toLowerCase()), now, limit).map(suppressionOf),
  };
}

/** Makes the look-up by `addressKey` that acceptance makes too: one index seek. */
export function createSuppressionLookup(
  db: Database.Database,
): (recipientKey: string, now: number) => Suppression | null {
  const get = db.prepare<[string, number], SuppressionRow>(
    `SELECT ${COLUMNS} FROM suppressions WHERE recipient_key = +? AND ${STANDS}`,
  );
  return (recipientKey, now) => {
    const row = get.get(recipientKey, now);
    return row === undefined ? null : suppressionOf(row);
  };
}

/** Makes an operator's changes over `db`. */
export function createSuppressionWrites(
  db: Database.Database,
): Pick<WriterCalls, 'putSuppression' | 'removeSuppression'> {
  const put = db.prepare<(string | number | null)[]>(
    `INSERT OR REPLACE INTO suppressions (recipient_key, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)`,
  );
  const remove = db
    .prepare<[string, number], number>(`DELETE FROM suppressions WHERE recipient_key = ? RETURNING ${STANDS}`)
    .pluck();
  return {
    putSuppression({ recipient, reason, detail, messageId, createdAt, expiresAt }) {
      put.run(addressKey(recipient), recipient, reason, detail, messageId, createdAt, expiresAt);
      return null;
    },
    removeSuppression: (recipient, now) => remove.get(addressKey(recipient), now) === 1,
  };
}

function suppressionOf(row: SuppressionRow): Suppression {
  return {
    recipient: row.recipient,
    reason: row.reason,
    detail: row.detail,
    messageId: row.message_id,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
  };
}
