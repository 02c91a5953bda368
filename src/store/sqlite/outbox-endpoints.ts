/** The endpoints of the outbox: kept in line with the config, enabled by hand, forgotten piece by piece. */
import type Database from 'better-sqlite3';
import type { WriterCalls } from './calls.ts';
import { createEndpointLookup, type EndpointRow, standingOf } from './outbox-rows.ts';

type EndpointCalls = Pick<WriterCalls, 'syncOutbox' | 'forgetOutbox' | 'enableOutbox'>;

/** Makes the calls about endpoints over `db`. */
export function createOutboxEndpoints(db: Database.Database): EndpointCalls {
  const all = db.prepare<[], EndpointRow>('SELECT * FROM webhooks ORDER BY name');
  const find = createEndpointLookup(db);
  // The number of the newest event ever, though it may be deleted by now.
  const newest = db.prepare<[], number>("SELECT seq FROM sqlite_sequence WHERE name = 'events'").pluck();
  const add = db.prepare<[string, number, string, string, string | null]>(
    'INSERT INTO webhooks (name, cursor, fingerprint, types, tags) VALUES (?, ?, ?, ?, ?)',
  );
  const change = db.prepare<[string, string, string | null, number]>(
    'UPDATE webhooks SET fingerprint = ?, types = ?, tags = ? WHERE wid = ?',
  );
  const enable = db.prepare<[number]>(
    `UPDATE webhooks SET failures = 0, failing_since = NULL, disabled_at = NULL, disabled_reason = NULL WHERE wid = ?`,
  );
  const dueNow = db.prepare<[number, number, number]>(
    'UPDATE webhook_rows INDEXED BY webhook_due SET due_at = ? WHERE wid = ? AND due_at > ?',
  );
  // A wait begins at a try, or at once: where that lies ahead, the clock was set back meanwhile, and the wait is not to be kept.
  const dueOfAnotherClock = db.prepare<[number, number, number, number]>(`
    UPDATE webhook_rows INDEXED BY webhook_due SET due_at = ? WHERE wid = ? AND due_at > ? AND (tries = 0 OR EXISTS (
      SELECT 1 FROM webhook_attempts a WHERE a.wid = webhook_rows.wid AND a.seq = webhook_rows.seq AND a.at > ?))`);
  const pieceEnd = db
    .prepare<[number, number], number>('SELECT seq FROM webhook_rows WHERE wid = ? ORDER BY seq LIMIT 1 OFFSET ?')
    .pluck();
  const dropRows = db.prepare<[number, number]>('DELETE FROM webhook_rows WHERE wid = ? AND seq <= ?');
  const dropAttempts = db.prepare<[number, number]>('DELETE FROM webhook_attempts WHERE wid = ? AND seq <= ?');
  const drop = db.prepare<[number]>('DELETE FROM webhooks WHERE wid = ?');

  return {
    syncOutbox(endpoints, now) {
      for (const { name, types, tags, fingerprint } of endpoints) {
        const [typesText, tagsText] = [JSON.stringify(types), tags === null ? null : JSON.stringify(tags)];
        const row = find(name);
        if (row === undefined) {
          add.run(name, newest.get() ?? 0, fingerprint, typesText, tagsText);
          continue;
        }
        change.run(fingerprint, typesText, tagsText, row.wid);
        dueOfAnotherClock.run(now, row.wid, now, now);
        if (row.fingerprint === fingerprint) continue;
        enable.run(row.wid);
        dueNow.run(now, row.wid, now);
      }
      const wanted = new Set(endpoints.map(({ name }) => name));
      const rows = all.all();
      return {
        standings: rows.filter(({ name }) => wanted.has(name)).map(standingOf),
        removed: rows.map(({ name }) => name).filter((name) => !wanted.has(name)),
      };
    },

    forgetOutbox(name, limit) {
      const row = find(name);
      if (row === undefined) return true;
      const end = pieceEnd.get(row.wid, limit) ?? Number.MAX_SAFE_INTEGER;
      dropRows.run(row.wid, end);
      dropAttempts.run(row.wid, end);
      if (end !== Number.MAX_SAFE_INTEGER) return false;
      drop.run(row.wid);
      return true;
    },

    enableOutbox(name, now) {
      const row = find(name);
      if (row === undefined) return false;
      enable.run(row.wid);
      dueNow.run(now, row.wid, now);
      return true;
    },
  };
}
