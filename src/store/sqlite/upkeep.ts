/** Deleting what is past its time, a bounded piece at a call, so that no commit is held up for long. */
import type Database from 'better-sqlite3';
import type { WriterCalls } from './calls.ts';
import type { Contents } from './contents.ts';
import { deliveryKeys } from './keys.ts';
import { createTrendUpkeep } from './trend-upkeep.ts';

type UpkeepCalls = Pick<WriterCalls, 'dropContent' | 'dropHistory'>;

/** A domain's TLS that was not seen again for a year is forgotten. */
const TLS_MEMORY_MS = 365 * 86_400_000;

interface EventAge {
  readonly seq: number;
  readonly at: number;
}

interface MessageAge {
  readonly mid: number;
  readonly accepted_at: number;
  readonly settled_at: number | null;
}

/** Makes `dropContent` and `dropHistory` over `db`. */
export function createUpkeep(db: Database.Database, contents: Pick<Contents, 'drop'>): UpkeepCalls {
  const contentPastTime = db
    .prepare<[number, number, number], number>(
      `SELECT mid FROM messages INDEXED BY messages_content
       WHERE captured = ? AND content_kept = 1 AND settled_at < ?
         AND (wants_reports = 0 OR NOT EXISTS (
           SELECT 1 FROM reports r INDEXED BY reports_delivery
           WHERE r.did BETWEEN messages.mid * 65536 AND messages.mid * 65536 + 65535))
       ORDER BY settled_at LIMIT ?`,
    )
    .pluck();
  const markDropped = db.prepare<[number]>('UPDATE messages SET content_kept = 0 WHERE mid = ?');

  // A walk from the oldest message on, which ends at the first that was accepted too late to have settled before.
  const oldestMessages = db.prepare<[], MessageAge>('SELECT mid, accepted_at, settled_at FROM messages ORDER BY mid');
  // Attempts, feedback and reports go with their delivery, content with its message (ON DELETE CASCADE), a key with
  // its content (a trigger).
  const dropDeliveries = db.prepare<[number, number]>('DELETE FROM deliveries WHERE did BETWEEN ? AND ?');
  const dropMessage = db.prepare<[number]>('DELETE FROM messages WHERE mid = ?');
  const oldest = db.prepare<[number], EventAge>('SELECT seq, at FROM events ORDER BY seq LIMIT ?');
  const dropEvents = db.prepare<[number]>('DELETE FROM events WHERE seq <= ?');
  const wids = db.prepare<[], { readonly wid: number; readonly cursor: number }>('SELECT wid, cursor FROM webhooks');
  const firstWaiting = db
    .prepare<[number], number | null>(
      `SELECT min(seq) FROM webhook_rows INDEXED BY webhook_waiting WHERE wid = ? AND state = 'waiting'`,
    )
    .pluck();
  const ofOutbox = [
    db.prepare<[number, number]>('DELETE FROM webhook_rows WHERE wid = ? AND seq <= ?'),
    db.prepare<[number, number]>('DELETE FROM webhook_attempts WHERE wid = ? AND seq <= ?'),
  ];
  const dropKeys = db.prepare<[number, number]>(`
    DELETE FROM idempotency WHERE (scope, key) IN (
      SELECT scope, key FROM idempotency INDEXED BY idempotency_expiry WHERE expires_at <= ? LIMIT ?)`);
  const pastTime = [
    db.prepare<[number, number]>(`
      DELETE FROM throttle WHERE (scope, recipient_key, number) IN (
        SELECT scope, recipient_key, number FROM throttle INDEXED BY throttle_expiry WHERE expires_at <= ? LIMIT ?)`),
    db.prepare<[number, number]>(`
      DELETE FROM suppressions WHERE recipient_key IN (
        SELECT recipient_key FROM suppressions INDEXED BY suppressions_expiry WHERE expires_at <= ? LIMIT ?)`),
    db.prepare<[number, number]>(`
      DELETE FROM sts_policies WHERE domain IN (
        SELECT domain FROM sts_policies INDEXED BY sts_policies_expiry WHERE expires_at <= ? LIMIT ?)`),
  ];
  const dropLevels = db.prepare<[number, number]>(`
    DELETE FROM tls_levels WHERE domain IN (
      SELECT domain FROM tls_levels INDEXED BY tls_levels_age WHERE seen_at <= ? LIMIT ?)`);

  const trends = createTrendUpkeep(db);

  /** Events go from the oldest on, up to the first that is young enough or that a webhook has yet to get: no gaps. */
  function dropOldEvents(before: number, limit: number): number {
    const endpoints = wids.all();
    const needed = Math.min(
      ...endpoints.flatMap(({ wid, cursor }) => [cursor + 1, firstWaiting.get(wid) ?? Number.MAX_SAFE_INTEGER]),
    );
    const ages = oldest.all(limit);
    const kept = ages.findIndex((event) => event.at >= before || event.seq >= needed);
    const count = kept === -1 ? ages.length : kept;
    const last = ages[count - 1];
    if (last === undefined) return 0;
    for (const { wid } of endpoints) {
      for (const statement of ofOutbox) statement.run(wid, last.seq);
    }
    dropEvents.run(last.seq);
    return count;
  }

  function settledLongAgo(before: number, limit: number): readonly number[] {
    const mids: number[] = [];
    for (const { mid, accepted_at, settled_at } of oldestMessages.iterate()) {
      if (accepted_at >= before || mids.length === limit) break;
      if (settled_at !== null && settled_at < before) mids.push(mid);
    }
    return mids;
  }

  return {
    dropContent(settledBefore, sandboxBefore, limit) {
      const mids = contentPastTime.all(0, settledBefore, limit);
      mids.push(...contentPastTime.all(1, sandboxBefore, limit - mids.length));
      for (const mid of mids) {
        contents.drop(mid);
        markDropped.run(mid);
      }
      return mids.length;
    },

    dropHistory(before, now, limit) {
      const events = dropOldEvents(before, limit);
      const mids = settledLongAgo(before, limit);
      for (const mid of mids) {
        dropDeliveries.run(...deliveryKeys(mid));
        dropMessage.run(mid);
      }
      dropKeys.run(now, limit);
      for (const statement of pastTime) statement.run(now, limit);
      dropLevels.run(now - TLS_MEMORY_MS, limit);
      trends.fold(now, limit);
      trends.drop(before, limit);
      return Math.max(events, mids.length);
    },
  };
}
