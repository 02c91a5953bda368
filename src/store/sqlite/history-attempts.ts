/** Reading the attempts of a message, in the order in which they began. */
import type Database from 'better-sqlite3';
import type { EventAttempt } from '../../core/event.ts';
import type { DeliveryId } from '../../core/ids.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { ReaderCalls } from './calls.ts';
import { DELIVERY_OF_MESSAGE } from './keys.ts';

export interface AttemptRow extends Omit<EventAttempt, 'timings_ms'> {
  readonly outcome: Outcome['kind'];
  readonly timings: string;
}

interface AttemptOfMessageRow extends AttemptRow {
  readonly delivery_id: DeliveryId;
  readonly started_at: number;
}

/** The columns of an `AttemptRow`. */
export const ATTEMPT_COLUMNS: string = `a.number, a.route, a.outcome, a.cause, a.next_hop, a.tls, a.cipher, a.stage, a.code,
  a.enhanced, a.response, a.timings`;

/** `row` as events show it. */
export function attemptOf({ timings, ...attempt }: AttemptRow): EventAttempt {
  return { ...attempt, timings_ms: JSON.parse(timings) };
}

/** Makes `attempts` over `db`. */
export function createAttemptReads(db: Database.Database): ReaderCalls['attempts'] {
  const ofMessage = db.prepare<[string], AttemptOfMessageRow>(`
    SELECT d.id AS delivery_id, a.started_at, ${ATTEMPT_COLUMNS}
    FROM messages m CROSS JOIN deliveries d ON ${DELIVERY_OF_MESSAGE} CROSS JOIN attempts a ON a.did = d.did
    WHERE m.id = ?
    ORDER BY a.started_at, d.did, a.number`);
  return (id) =>
    ofMessage.all(id).map(({ delivery_id, started_at, ...attempt }) => ({
      ...attemptOf(attempt),
      deliveryId: delivery_id,
      startedAt: started_at,
    }));
}
