/**
 * What a new delivery is born as: alive, or `suppressed` or `throttled`, and then nothing is ever sent.
 *
 * Decided in the transaction that accepts it, so that two messages at the same moment cannot both be the last one that a
 * throttle lets through. The submitting client is told nothing of it.
 */
import type Database from 'better-sqlite3';
import { isoTime } from '../../core/time.ts';
import type { NewMessage, Suppression } from '../store.ts';
import { createSuppressionLookup } from './suppressions.ts';

export type Fate = { readonly kind: 'alive' } | { readonly kind: 'suppressed' | 'throttled'; readonly reason: string };

const ALIVE: Fate = { kind: 'alive' };

type Wishes = Pick<NewMessage, 'suppression' | 'throttle'>;

/** Makes the decision over `db`; a delivery that a throttle lets through counts from then on. */
export function createFate(
  db: Database.Database,
): (wishes: Wishes, recipientKey: string, did: number, now: number) => Fate {
  const suppressionOf = createSuppressionLookup(db);
  // Few rows: what goes over the limit is not counted.
  const count = db
    .prepare<[string, string, number], number>(
      'SELECT count(*) FROM throttle WHERE scope = +? AND recipient_key = +? AND at > +?',
    )
    .pluck();
  const note = db.prepare<[string, string, number, number, number]>(
    'INSERT INTO throttle (scope, recipient_key, at, did, expires_at) VALUES (?, ?, ?, ?, ?)',
  );

  return ({ suppression, throttle }, recipientKey, did, now) => {
    const entry = suppression === 'apply' ? suppressionOf(recipientKey, now) : null;
    if (entry !== null) return { kind: 'suppressed', reason: suppressedReason(entry) };
    if (throttle === null) return ALIVE;
    const sent = count.get(throttle.scope, recipientKey, now - throttle.perMs) ?? 0;
    if (sent >= throttle.count) {
      const reason = `the recipient has had ${throttle.count} messages in ${throttle.perMs / 1000} s, as many as the throttle allows`;
      return { kind: 'throttled', reason };
    }
    note.run(throttle.scope, recipientKey, now, did, now + throttle.perMs);
    return ALIVE;
  };
}

function suppressedReason({ createdAt, expiresAt, detail }: Suppression): string {
  const until = expiresAt === null ? '' : ` until ${isoTime(expiresAt)}`;
  return `on the suppression list since ${isoTime(createdAt)}${until}: ${detail}`;
}
