/**
 * Keeps the counters of statistics small: what is older than a day and a bit is folded from slots of five minutes into hours, and what is
 * older than the history goes with it. A bounded piece at a call; an hour is folded whole, so that no slot is counted twice.
 */
import type Database from 'better-sqlite3';

const FINE_MS = 300_000;
const COARSE_MS = 3_600_000;
/** A view of 24 hours is drawn from fine slots. */
const KEEP_FINE_MS = 26 * COARSE_MS;

const COLUMNS = [
  'accepted',
  'delivered',
  'bounced',
  'expired',
  'superseded',
  'suppressed',
  'throttled',
  'canceled',
  'quarantined',
] as const;

export interface TrendUpkeep {
  /** Folds the oldest hours that are older than needed, as many as have some `limit` slots. */
  fold(now: number, limit: number): void;
  /** Deletes counters of slots before `before`, at most `limit` of each kind. */
  drop(before: number, limit: number): void;
}

/** Makes the upkeep of the counters of `db`. */
export function createTrendUpkeep(db: Database.Database): TrendUpkeep {
  const oldest = db
    .prepare<[number, number], number>(
      `SELECT slot FROM stats WHERE width = ${FINE_MS} AND slot < ? ORDER BY slot, tag LIMIT ?`,
    )
    .pluck();
  const hour = `width = ${FINE_MS} AND slot >= ? AND slot < ? + ${COARSE_MS}`;
  const foldCounts = db.prepare<[number, number, number]>(`
    INSERT INTO stats (width, slot, tag, ${COLUMNS.join(', ')})
    SELECT ${COARSE_MS}, ?, tag, ${COLUMNS.map((name) => `sum(${name})`).join(', ')} FROM stats WHERE ${hour} GROUP BY tag
    ON CONFLICT (width, slot, tag) DO UPDATE SET ${COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`);
  const foldTimes = db.prepare<[number, number, number]>(`
    INSERT INTO stats_times (width, slot, tag, step, number)
    SELECT ${COARSE_MS}, ?, tag, step, sum(number) FROM stats_times WHERE ${hour} GROUP BY tag, step
    ON CONFLICT (width, slot, tag, step) DO UPDATE SET number = number + excluded.number`);
  const dropFine = ['stats', 'stats_times'].map((table) =>
    db.prepare<[number, number]>(`DELETE FROM ${table} WHERE ${hour}`),
  );
  const dropOld = [
    db.prepare<[number, number]>(`
      DELETE FROM stats WHERE (width, slot, tag) IN (
        SELECT width, slot, tag FROM stats WHERE width = ${COARSE_MS} AND slot < ? LIMIT ?)`),
    db.prepare<[number, number]>(`
      DELETE FROM stats_times WHERE (width, slot, tag, step) IN (
        SELECT width, slot, tag, step FROM stats_times WHERE width = ${COARSE_MS} AND slot < ? LIMIT ?)`),
    db.prepare<[number, number]>(`
      DELETE FROM stats_faults WHERE (slot, tag, route, outcome, cause, stage, code, enhanced) IN (
        SELECT slot, tag, route, outcome, cause, stage, code, enhanced FROM stats_faults WHERE slot < ? LIMIT ?)`),
  ];

  return {
    fold(now, limit) {
      const before = Math.floor((now - KEEP_FINE_MS) / COARSE_MS) * COARSE_MS;
      const hours = new Set(oldest.all(before, limit).map((slot) => slot - (slot % COARSE_MS)));
      for (const start of hours) {
        foldCounts.run(start, start, start);
        foldTimes.run(start, start, start);
        for (const statement of dropFine) statement.run(start, start);
      }
    },
    drop(before, limit) {
      for (const statement of dropOld) statement.run(before, limit);
    },
  };
}
