/**
 * What held mail up: the tries that ended without an answer that is final, counted by route and kind of answer.
 *
 * Reads the events of the span in pieces, each a read of its own, as `history-stats.ts` does with messages. Texts of answers
 * differ by queue ids and addresses, so tries are counted by codes, or by cause where there was no answer.
 */
import type Database from 'better-sqlite3';
import type { EventData } from '../../core/event.ts';
import type { DeferralRow } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';

const EVENTS_PER_PIECE = 5000;

type Body = Pick<EventData, 'attempt' | 'failed_over'>;

/** Makes `deferrals` over `db`. */
export function createDeferrals(db: Database.Database): ReaderCalls['deferrals'] {
  const firstSince = createFirstSince(db, 'events', 'seq', 'at');
  const last = db.prepare<[], number | null>('SELECT max(seq) FROM events').pluck();
  // Tries over routes that failed before stand in the event of whatever came of the attempt.
  const piece = db
    .prepare<[number, number, number], string>(`
      SELECT e.body FROM events e
      WHERE e.seq >= ? AND e.seq < ? AND e.at >= ?
        AND (e.type = 'message.deferred' OR (e.state IS NOT NULL AND instr(e.body, '"failed_over"') > 0))
      ORDER BY e.seq`)
    .pluck();

  return (sinceMs, limit) => {
    const rows = new Map<string, DeferralRow>();
    const end = last.get() ?? 0;
    for (let from = firstSince(sinceMs); from <= end; from += EVENTS_PER_PIECE) {
      for (const body of piece.all(from, from + EVENTS_PER_PIECE, sinceMs)) {
        const { attempt, failed_over: failed = [] }: Body = JSON.parse(body);
        for (const { outcome, route, stage, cause, code, enhanced, response } of [
          ...failed,
          ...(attempt ? [attempt] : []),
        ]) {
          if (outcome !== 'deferred' && outcome !== 'uncertain') continue;
          const key = JSON.stringify([route, stage, code, enhanced, code === null ? cause : null]);
          rows.set(key, { route, stage, cause, code, enhanced, count: (rows.get(key)?.count ?? 0) + 1, response });
        }
      }
    }
    return [...rows.values()].sort((a, b) => b.count - a.count).slice(0, limit);
  };
}
