/**
 * Keeps the counters of statistics small: slots of five minutes become hours after a day and a bit, hours become quarters of a day after
 * eight days, faults by the hour become faults by the day; what is older than the history goes with it. A bounded piece at a
 * call; a longer slot is folded whole, so that nothing is counted twice.
 */
import type Database from 'better-sqlite3';
import { DELIVERY_STATES, isFinal } from '../../core/delivery.ts';

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;

/** How long slots of a width are kept before they are folded, and into which; in milliseconds. */
const FOLDS: readonly { readonly from: number; readonly to: number; readonly keepMs: number }[] = [
  { from: 300_000, to: HOUR_MS, keepMs: 26 * HOUR_MS },
  { from: HOUR_MS, to: 6 * HOUR_MS, keepMs: 8 * DAY_MS },
];
/** The lengths of slots as the counters are kept, shortest first. */
export const TREND_WIDTHS: readonly number[] = [300_000, ...FOLDS.map(({ to }) => to)];
const KEEP_HOURLY_FAULTS_MS = 26 * HOUR_MS;

const COLUMNS: readonly string[] = ['accepted', ...DELIVERY_STATES.filter(isFinal)];
const FAULT_KEY = 'tag, route, outcome, cause, stage, code, enhanced';

export interface TrendUpkeep {
  /** Folds the oldest slots that are older than needed, as many as come from some `limit` rows. */
  fold(now: number, limit: number): void;
  /** Deletes counters of slots before `before`, at most `limit` of each kind. */
  drop(before: number, limit: number): void;
}

/** Makes the upkeep of the counters of `db`. */
export function createTrendUpkeep(db: Database.Database): TrendUpkeep {
  const oldest = db
    .prepare<[number, number, number], number>(
      'SELECT slot FROM stats WHERE width = ? AND slot < ? ORDER BY slot, tag LIMIT ?',
    )
    .pluck();
  type Piece = [to: number, slot: number, from: number, start: number, end: number];
  const piece = 'width = ? AND slot >= ? AND slot < ?';
  const foldCounts = db.prepare<Piece>(`
    INSERT INTO stats (width, slot, tag, ${COLUMNS.join(', ')})
    SELECT ?, ?, tag, ${COLUMNS.map((name) => `sum(${name})`).join(', ')} FROM stats WHERE ${piece} GROUP BY tag
    ON CONFLICT (width, slot, tag) DO UPDATE SET ${COLUMNS.map((name) => `${name} = ${name} + excluded.${name}`).join(', ')}`);
  const foldTimes = db.prepare<Piece>(`
    INSERT INTO stats_times (width, slot, tag, step, number)
    SELECT ?, ?, tag, step, sum(number) FROM stats_times WHERE ${piece} GROUP BY tag, step
    ON CONFLICT (width, slot, tag, step) DO UPDATE SET number = number + excluded.number`);
  const dropFolded = ['stats', 'stats_times'].map((table) =>
    db.prepare<[number, number, number]>(`DELETE FROM ${table} WHERE ${piece}`),
  );

  // A slot of faults is a day when it begins with one: the first hour of a day is folded into itself, as it stands.
  const oldestFaults = db
    .prepare<[number, number], number>(`SELECT slot FROM stats_faults WHERE slot < ? AND slot % ${DAY_MS} <> 0 LIMIT ?`)
    .pluck();
  const foldFaults = db.prepare<[number, number, number]>(`
    INSERT INTO stats_faults (slot, ${FAULT_KEY}, number, response, last_at)
    SELECT ?, ${FAULT_KEY}, sum(number), response, max(last_at) FROM stats_faults WHERE slot > ? AND slot < ?
    GROUP BY ${FAULT_KEY}
    ON CONFLICT (slot, ${FAULT_KEY}) DO UPDATE SET number = number + excluded.number, response = excluded.response,
      last_at = excluded.last_at`);
  const dropFolds = db.prepare<[number, number]>('DELETE FROM stats_faults WHERE slot > ? AND slot < ?');

  const dropOld = [
    ...TREND_WIDTHS.flatMap((width) => [
      db.prepare<[number, number]>(`
        DELETE FROM stats WHERE (width, slot, tag) IN (
          SELECT width, slot, tag FROM stats WHERE width = ${width} AND slot < ? LIMIT ?)`),
      db.prepare<[number, number]>(`
        DELETE FROM stats_times WHERE (width, slot, tag, step) IN (
          SELECT width, slot, tag, step FROM stats_times WHERE width = ${width} AND slot < ? LIMIT ?)`),
    ]),
    db.prepare<[number, number]>(`
      DELETE FROM stats_faults WHERE (slot, ${FAULT_KEY}) IN (
        SELECT slot, ${FAULT_KEY} FROM stats_faults WHERE slot < ? LIMIT ?)`),
  ];

  return {
    fold(now, limit) {
      for (const { from, to, keepMs } of FOLDS) {
        const before = startOf(now - keepMs, to);
        for (const start of new Set(oldest.all(from, before, limit).map((slot) => startOf(slot, to)))) {
          foldCounts.run(to, start, from, start, start + to);
          foldTimes.run(to, start, from, start, start + to);
          for (const statement of dropFolded) statement.run(from, start, start + to);
        }
      }
      const before = startOf(now - KEEP_HOURLY_FAULTS_MS, DAY_MS);
      for (const start of new Set(oldestFaults.all(before, limit).map((slot) => startOf(slot, DAY_MS)))) {
        foldFaults.run(start, start, start + DAY_MS);
        dropFolds.run(start, start + DAY_MS);
      }
    },
    drop(before, limit) {
      for (const statement of dropOld) statement.run(before, limit);
    },
  };
}

function startOf(at: number, width: number): number {
  return Math.floor(at / width) * width;
}
