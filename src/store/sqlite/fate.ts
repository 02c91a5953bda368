/**
 * What a new delivery is born as: alive, or `suppressed` or `throttled`, and then nothing is ever sent.
 *
 * Decided in the transaction that accepts it, so that two messages at the same moment cannot both be the last one that a
 * throttle lets through. The submitting client is told nothing of it.
 */
import type Database from 'better-sqlite3';
import { isoTime } from '../../core/time.ts';
import type { NewMessage, Suppression, Throttle } from '../store.ts';
import { createSuppressionLookup } from './suppressions.ts';

export type Fate = { readonly kind: 'alive' } | { readonly kind: 'suppressed' | 'throttled'; readonly reason: string };

const ALIVE: Fate = { kind: 'alive' };

type Wishes = Pick<NewMessage, 'suppression' | 'throttles'>;

/** Stands for all recipients together. */
const EVERYBODY = '';

interface Counted {
  readonly scope: string;
  readonly of: string;
  readonly number: number;
  readonly perMs: number;
}

/** Makes the decision over `db`; a delivery that every throttle lets through counts in each of them from then on. */
export function createFate(db: Database.Database): (wishes: Wishes, recipientKey: string, now: number) => Fate {
  const suppressionOf = createSuppressionLookup(db);
  const last = db
    .prepare<[string, string], number | null>(
      'SELECT max(number) FROM throttle WHERE scope = +? AND recipient_key = +?',
    )
    .pluck();
  // Deliveries are numbered, so the one that must have left the window for a next one to pass is found without counting.
  const timeOf = db
    .prepare<[string, string, number], number>(
      `SELECT at FROM throttle WHERE scope = +? AND recipient_key = +? AND number <= +? ORDER BY number DESC LIMIT 1`,
    )
    .pluck();
  const note = db.prepare<[string, string, number, number, number]>(
    'INSERT INTO throttle (scope, recipient_key, number, at, expires_at) VALUES (?, ?, ?, ?, ?)',
  );

  return ({ suppression, throttles }, recipientKey, now) => {
    const entry = suppression === 'apply' ? suppressionOf(recipientKey, now) : null;
    if (entry !== null) return { kind: 'suppressed', reason: suppressedReason(entry) };
    const counts: Counted[] = [];
    for (const throttle of throttles) {
      const { scope, count, perMs } = throttle;
      const of = throttle.per === 'recipient' ? recipientKey : EVERYBODY;
      const number = (last.get(scope, of) ?? 0) + 1;
      const at = count === 0 ? now : timeOf.get(scope, of, number - count);
      if (at !== undefined && at > now - perMs) return { kind: 'throttled', reason: throttledReason(throttle) };
      // Two limits of one scope share its numbers; the longer one says how long they are kept.
      const known = counts.findIndex((one) => one.scope === scope && one.of === of);
      const longest = Math.max(perMs, counts[known]?.perMs ?? 0);
      if (known >= 0) counts.splice(known, 1);
      counts.push({ scope, of, number, perMs: longest });
    }
    for (const { scope, of, number, perMs } of counts) note.run(scope, of, number, now, now + perMs);
    return ALIVE;
  };
}

function throttledReason({ scope, per, count, perMs }: Throttle): string {
  const whose = per === 'recipient' ? 'the recipient has had' : 'all recipients together have had';
  return `${whose} ${count} messages of ${scope} in ${perMs / 1000} s, as many as the throttle allows`;
}

function suppressedReason({ createdAt, expiresAt, detail }: Suppression): string {
  const until = expiresAt === null ? '' : ` until ${isoTime(expiresAt)}`;
  return `on the suppression list since ${isoTime(createdAt)}${until}: ${detail}`;
}
