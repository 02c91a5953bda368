/** Deleting what is past its time, a bounded piece at a call, so that no commit is held up for long. */
import type Database from 'better-sqlite3';
import type { WriterCalls } from './calls.ts';

type UpkeepCalls = Pick<WriterCalls, 'dropContent' | 'dropHistory'>;

interface EventAge {
  readonly seq: number;
  readonly at: number;
}

/** Makes `dropContent` and `dropHistory` over `db`. */
export function createUpkeep(db: Database.Database): UpkeepCalls {
  const contentPastTime = db
    .prepare<[number, number, number], number>(
      `SELECT mid FROM messages INDEXED BY messages_content
       WHERE captured = ? AND content_kept = 1 AND settled_at < ? ORDER BY settled_at LIMIT ?`,
    )
    .pluck();
  const dropContent = db.prepare<[number]>('DELETE FROM contents WHERE mid = ?');
  const markDropped = db.prepare<[number]>('UPDATE messages SET content_kept = 0 WHERE mid = ?');

  const settledLongAgo = db
    .prepare<[number, number], number>(
      'SELECT mid FROM messages INDEXED BY messages_settled WHERE settled_at < ? ORDER BY settled_at LIMIT ?',
    )
    .pluck();
  // Deliveries, attempts and content go with it (ON DELETE CASCADE).
  const dropMessage = db.prepare<[number]>('DELETE FROM messages WHERE mid = ?');
  const oldest = db.prepare<[number], EventAge>('SELECT seq, at FROM events ORDER BY seq LIMIT ?');
  const dropEvents = db.prepare<[number]>('DELETE FROM events WHERE seq <= ?');
  const dropKeys = db.prepare<[number, number]>(`
    DELETE FROM idempotency WHERE (scope, key) IN (
      SELECT scope, key FROM idempotency INDEXED BY idempotency_expiry WHERE expires_at <= ? LIMIT ?)`);

  /** Events go from the oldest on, up to the first that is young enough: what remains has no gaps. */
  function dropOldEvents(before: number, limit: number): number {
    const ages = oldest.all(limit);
    const young = ages.findIndex((event) => event.at >= before);
    const count = young === -1 ? ages.length : young;
    const last = ages[count - 1];
    if (last !== undefined) dropEvents.run(last.seq);
    return count;
  }

  return {
    dropContent(settledBefore, sandboxBefore, limit) {
      const mids = contentPastTime.all(0, settledBefore, limit);
      mids.push(...contentPastTime.all(1, sandboxBefore, limit - mids.length));
      for (const mid of mids) {
        dropContent.run(mid);
        markDropped.run(mid);
      }
      return mids.length;
    },

    dropHistory(before, now, limit) {
      const events = dropOldEvents(before, limit);
      const mids = settledLongAgo.all(before, limit);
      for (const mid of mids) dropMessage.run(mid);
      dropKeys.run(now, limit);
      return Math.max(events, mids.length);
    },
  };
}
