/** Bisection over a growing integer key whose rows carry a time: the first key at or after a moment, without an index. */
import type Database from 'better-sqlite3';

interface Entry {
  readonly key: number;
  readonly at: number;
}

/**
 * Returns a function from epoch milliseconds to the first key whose row is not older, or a key past the last. Where the
 * clock was set back in between, it finds one of the possible places.
 */
export function createFirstSince(
  db: Database.Database,
  table: 'messages' | 'events',
  key: 'mid' | 'seq',
  at: 'accepted_at' | 'at',
): (sinceMs: number) => number {
  const last = db.prepare<[], number | null>(`SELECT max(${key}) FROM ${table}`).pluck();
  const from = db.prepare<[number], Entry>(
    `SELECT ${key} AS key, ${at} AS at FROM ${table} WHERE ${key} >= ? ORDER BY ${key} LIMIT 1`,
  );
  return (sinceMs) => {
    let low = 0;
    let high = (last.get() ?? 0) + 1;
    // Every row below `low` is older; every row from `high` on is not.
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      const entry = from.get(middle);
      if (entry === undefined || entry.at >= sinceMs) high = middle;
      else low = entry.key + 1;
    }
    return low;
  };
}
