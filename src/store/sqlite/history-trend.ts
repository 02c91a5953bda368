/**
 * Statistics over time, from the counters that every delivery leaves behind (migration 5): never from the messages themselves.
 *
 * Percentiles come from counts by steps of a factor of 1.28 and are taken evenly within a step: they are off by some percent, never by
 * more than a step. A slot counts what was accepted in it, so the newest ones still change.
 */
import type Database from 'better-sqlite3';
import { DELIVERY_STATES, type DeliveryState, isFinal } from '../../core/delivery.ts';
import type { FaultRow, Trend, TrendFigures, TrendPoint } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { TREND_WIDTHS } from './trend-upkeep.ts';

const HOUR_MS = 3_600_000;
const STEPS_PER_E = 4;

const FINAL: readonly DeliveryState[] = DELIVERY_STATES.filter(isFinal);

type CountRow = { readonly at: number; readonly tag: string; readonly accepted: number } & Readonly<
  Partial<Record<DeliveryState, number>>
>;

interface TimeRow {
  readonly at: number;
  readonly tag: string;
  readonly step: number;
  readonly number: number;
}

interface FaultDbRow {
  readonly route: string;
  readonly outcome: string;
  readonly cause: string;
  readonly stage: string;
  readonly code: number;
  readonly enhanced: string;
  readonly number: number;
  readonly response: string;
  readonly last_at: number;
}

/** Makes `trend` over `db`. */
export function createTrend(db: Database.Database): ReaderCalls['trend'] {
  const range = `width = ? AND slot >= ? AND slot < ? AND (? IS NULL OR tag = ?)`;
  type Range = [number, number, number, number, number, string | null, string | null];
  const counts = db.prepare<Range, CountRow>(`
    SELECT CAST((slot - ?) / ? AS INTEGER) AS at, tag, sum(accepted) AS accepted,
      ${FINAL.map((state) => `sum(${state}) AS ${state}`).join(', ')}
    FROM stats WHERE ${range} GROUP BY 1, 2`);
  const times = db.prepare<Range, TimeRow>(`
    SELECT CAST((slot - ?) / ? AS INTEGER) AS at, tag, step, sum(number) AS number FROM stats_times WHERE ${range} GROUP BY 1, 2, 3`);
  const faults = db.prepare<[number, number, string | null, string | null, number], FaultDbRow>(`
    SELECT route, outcome, cause, stage, code, enhanced, sum(number) AS number, response, max(last_at) AS last_at
    FROM stats_faults WHERE slot >= ? AND slot < ? AND (? IS NULL OR tag = ?)
    GROUP BY route, outcome, cause, stage, code, enhanced ORDER BY 7 DESC LIMIT ?`);

  return ({ sinceMs, untilMs, stepMs, tag, topFaults }): Trend => {
    const from = Math.floor(sinceMs / stepMs) * stepMs;
    const wanted = tag ?? null;
    const byTag = new Map<string, Map<number, Tally>>();
    const tallyAt = (at: number, name: string): Tally => {
      const ofTag = byTag.get(name) ?? new Map<number, Tally>();
      byTag.set(name, ofTag);
      const tally = ofTag.get(at) ?? { at: from + at * stepMs, tag: name, accepted: 0, states: {}, steps: new Map() };
      ofTag.set(at, tally);
      return tally;
    };
    // A longer slot that began before `from` counts where it began: the first one is whole or not there.
    for (const width of TREND_WIDTHS) {
      for (const row of counts.all(from, stepMs, width, from, untilMs, wanted, wanted)) {
        const tally = tallyAt(row.at, row.tag);
        tally.accepted += row.accepted;
        for (const state of FINAL) add(tally.states, state, row[state] ?? 0);
      }
      for (const { at, tag: name, step, number } of times.all(from, stepMs, width, from, untilMs, wanted, wanted)) {
        const { steps } = tallyAt(at, name);
        steps.set(step, (steps.get(step) ?? 0) + number);
      }
    }
    const points = [...byTag.values()].flatMap((ofTag) => [...ofTag.values()]).sort(inOrder);
    const totals = [...byTag].map(([name, ofTag]) => sumOf(name, [...ofTag.values()]));
    return {
      sinceMs: from,
      stepMs,
      points: points.map(pointOf),
      totals: totals.sort((a, b) => b.accepted - a.accepted).map(figuresOf),
      faults: faults.all(from - (from % HOUR_MS), untilMs, wanted, wanted, topFaults).map(faultOf),
    };
  };
}

interface Tally {
  readonly at: number;
  readonly tag: string;
  readonly states: Partial<Record<DeliveryState, number>>;
  readonly steps: Map<number, number>;
  accepted: number;
}

/** A piece may take ends back that another piece counts; what comes to nothing is left out. */
function add(states: Tally['states'], state: DeliveryState, number: number): void {
  const sum = (states[state] ?? 0) + number;
  if (sum === 0) delete states[state];
  else states[state] = sum;
}

function inOrder(a: Tally, b: Tally): number {
  return a.at - b.at || (a.tag < b.tag ? -1 : 1);
}

/** The figures of a tag over the whole span. */
function sumOf(tag: string, tallies: readonly Tally[]): Tally {
  const sum: Tally = { at: 0, tag, accepted: 0, states: {}, steps: new Map() };
  for (const { accepted, states, steps } of tallies) {
    sum.accepted += accepted;
    for (const state of FINAL) add(sum.states, state, states[state] ?? 0);
    for (const [step, number] of steps) sum.steps.set(step, (sum.steps.get(step) ?? 0) + number);
  }
  return sum;
}

function pointOf(tally: Tally): TrendPoint {
  return { at: tally.at, ...figuresOf(tally) };
}

function figuresOf({ tag, accepted, states, steps }: Tally): TrendFigures {
  const ordered = [...steps].sort(([a], [b]) => a - b);
  const total = ordered.reduce((sum, [, number]) => sum + number, 0);
  const percentile = (share: number): number | null => {
    let before = 0;
    for (const [step, number] of ordered) {
      if (before + number >= share * total) {
        const within = (share * total - before) / number;
        return Math.round(Math.exp((step + within) / STEPS_PER_E));
      }
      before += number;
    }
    return null;
  };
  return {
    tag: tag === '' ? null : tag,
    accepted,
    states,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
  };
}

function faultOf(row: FaultDbRow): FaultRow {
  return {
    route: row.route,
    outcome: row.outcome,
    cause: row.cause === '' ? null : row.cause,
    stage: row.stage,
    code: row.code === 0 ? null : row.code,
    enhanced: row.enhanced === '' ? null : row.enhanced,
    count: row.number,
    response: row.response,
    lastAt: row.last_at,
  };
}
