/**
 * Counts and delivery times by tag.
 *
 * Reads the messages of the span in pieces, each a read of its own: a long span then neither holds one view of the
 * database for seconds, which would keep the write-ahead log from being folded, nor sorts more than numbers.
 */
import type Database from 'better-sqlite3';
import type { DeliveryState } from '../../core/delivery.ts';
import type { StatsRow } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';
import { DELIVERY_OF_MESSAGE } from './keys.ts';

const MESSAGES_PER_PIECE = 5000;

type Row = readonly [mid: number, tag: string | null, state: DeliveryState, tookMs: number | null];

interface Tally {
  readonly states: Partial<Record<DeliveryState, number>>;
  readonly tookMs: number[];
  accepted: number;
}

/** Makes `stats` over `db`. */
export function createStats(db: Database.Database): ReaderCalls['stats'] {
  const firstSince = createFirstSince(db, 'messages', 'mid', 'accepted_at');
  const last = db.prepare<[], number | null>('SELECT max(mid) FROM messages').pluck();
  const piece = db
    .prepare<[number, number, number], Row>(`
      SELECT m.mid, m.tag, d.state, d.delivered_at - m.accepted_at
      FROM messages m CROSS JOIN deliveries d ON ${DELIVERY_OF_MESSAGE}
      WHERE m.mid >= ? AND m.mid < ? AND m.accepted_at >= ?`)
    .raw();

  return (sinceMs) => {
    const tallies = new Map<string | null, Tally>();
    const end = last.get() ?? 0;
    for (let from = firstSince(sinceMs); from <= end; from += MESSAGES_PER_PIECE) {
      for (const [, tag, state, tookMs] of piece.all(from, from + MESSAGES_PER_PIECE, sinceMs)) {
        const tally = tallies.get(tag) ?? { states: {}, tookMs: [], accepted: 0 };
        tallies.set(tag, tally);
        tally.accepted++;
        tally.states[state] = (tally.states[state] ?? 0) + 1;
        if (tookMs !== null) tally.tookMs.push(tookMs);
      }
    }
    return [...tallies]
      .map(([tag, tally]) => statsRowOf(tag, tally))
      .sort((a, b) => (a.tag ?? '').localeCompare(b.tag ?? ''));
  };
}

function statsRowOf(tag: string | null, tally: Tally): StatsRow {
  const sorted = Float64Array.from(tally.tookMs).sort();
  const percentile = (share: number): number | null =>
    sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? null;
  return {
    tag,
    accepted: tally.accepted,
    states: tally.states,
    p50Ms: percentile(0.5),
    p95Ms: percentile(0.95),
    p99Ms: percentile(0.99),
  };
}
