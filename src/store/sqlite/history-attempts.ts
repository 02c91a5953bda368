/** Reading the attempts of a message, in the order in which they began. */
import type Database from 'better-sqlite3';
import type { DeliveryId } from '../../core/ids.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { AttemptView } from '../store.ts';
import type { ReaderCalls } from './calls.ts';
import { DELIVERY_OF_MESSAGE } from './keys.ts';

interface AttemptRow extends Omit<AttemptView, 'deliveryId' | 'startedAt' | 'timings_ms'> {
  readonly delivery_id: DeliveryId;
  readonly outcome: Outcome['kind'];
  readonly started_at: number;
  readonly timings: string;
}

/** Makes `attempts` over `db`. */
export function createAttemptReads(db: Database.Database): ReaderCalls['attempts'] {
  const ofMessage = db.prepare<[string], AttemptRow>(`
    SELECT d.id AS delivery_id, a.number, a.route, a.started_at, a.outcome, a.cause, a.next_hop, a.tls, a.cipher, a.stage,
      a.code, a.enhanced, a.response, a.timings
    FROM messages m CROSS JOIN deliveries d ON ${DELIVERY_OF_MESSAGE} CROSS JOIN attempts a ON a.did = d.did
    WHERE m.id = ?
    ORDER BY a.started_at, d.did, a.number`);
  return (id) =>
    ofMessage.all(id).map(({ delivery_id, started_at, timings, ...attempt }) => ({
      ...attempt,
      timings_ms: JSON.parse(timings),
      deliveryId: delivery_id,
      startedAt: started_at,
    }));
}
