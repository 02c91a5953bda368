/** Writing the attempts of a delivery, one row a try over one route. */
import type Database from 'better-sqlite3';
import type { EventAttempt } from '../../core/event.ts';

/** Makes the writer of rows of `attempts`. */
export function createAttemptInsert(
  db: Database.Database,
): (did: number, startedAt: number, attempt: EventAttempt) => void {
  const insert = db.prepare<(string | number | null)[]>(`
    INSERT INTO attempts (did, number, route, started_at, outcome, cause, next_hop, tls, cipher, stage, code, enhanced,
      response, timings)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  return (did, startedAt, attempt) => {
    insert.run(
      did,
      attempt.number,
      attempt.route,
      startedAt,
      attempt.outcome,
      attempt.cause,
      attempt.next_hop,
      attempt.tls,
      attempt.cipher,
      attempt.stage,
      attempt.code,
      attempt.enhanced,
      attempt.response,
      JSON.stringify(attempt.timings_ms),
    );
  };
}
