/**
 * After an interruption: the epoch of this opening, and the leases that nobody works on any more.
 *
 * A lease that ran out, or whose relay died, may have come as far as its final dot: the attempt is recorded as `uncertain`.
 *
 * Whoever is in work when a relay dies is a suspect, and a relay may be killed from outside again and again. So the evidence
 * counts: `crashLimit` crashes in which a delivery was the only one in work make it poison, or twice as many in company.
 */
import type Database from 'better-sqlite3';
import type { Outcome } from '../../core/outcome.ts';
import type { WriterCalls } from './calls.ts';
import { SUPERSEDED } from './collapse.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { Mover } from './moves.ts';

const STOPPED = 'the relay stopped during this attempt; whether the next hop has the message is not known';
const STOPPED_ALONE = `${STOPPED} (nothing else was in work)`;

const INTERRUPTED: Outcome = {
  kind: 'uncertain',
  cause: 'local',
  stage: 'dot',
  nextHop: null,
  tls: null,
  code: null,
  enhanced: null,
  response: STOPPED,
  timings: {},
};

/**
 * The wait before the next attempt, by crashes so far. A relay that is killed again and again from outside begins with what
 * it was at each time: without a wait it would take innocent mail for poison within seconds.
 */
const WAIT_MS: readonly number[] = [0, 0, 10_000];

/**
 * Begins a new epoch and returns its number. `voidLeases`: this process is known to be the only one, so every lease that
 * stands is a dead one's and counts as run out.
 */
export function beginEpoch(db: Database.Database, voidLeases: boolean): number {
  const begin = db.transaction((): number => {
    const epoch = db
      .prepare<[], number>('UPDATE relay SET epoch = epoch + 1 WHERE only_row = 1 RETURNING epoch')
      .pluck()
      .get();
    if (voidLeases) db.prepare('UPDATE deliveries SET lease_until = 0 WHERE lease_until IS NOT NULL').run();
    return epoch ?? 0;
  });
  return begin.immediate();
}

/** Makes `reclaimExpired` over `db`. */
export function createReclaim(db: Database.Database, move: Mover): WriterCalls['reclaimExpired'] {
  const expired = db.prepare<[number, number], DeliveryRow>(
    `${selectDelivery('INDEXED BY deliveries_lease', 'd.lease_until < +?')} ORDER BY d.lease_until LIMIT +?`,
  );
  const crashesAlone = db
    .prepare<[number, string], number>('SELECT count(*) FROM attempts WHERE did = ? AND response = ?')
    .pluck();

  return (now, crashLimit, limit) => {
    const rows = expired.all(now, limit);
    const isAlone = rows.length === 1;
    const outcome = isAlone ? { ...INTERRUPTED, response: STOPPED_ALONE } : INTERRUPTED;
    for (const row of rows) {
      const crashes = row.crashes + 1;
      const alone = (crashesAlone.get(row.did, STOPPED_ALONE) ?? 0) + (isAlone ? 1 : 0);
      const tries = [{ route: row.route, startedAt: row.leased_at ?? now, outcome }];
      if (row.superseded_by !== null) {
        move(row, { to: 'superseded', by: row.superseded_by, reason: SUPERSEDED, tries }, now);
      } else if (crashes >= 2 * crashLimit || (crashes >= crashLimit && alone >= crashLimit)) {
        const reason = `the relay stopped ${crashes} times while it worked on this delivery`;
        move(row, { to: 'quarantined', crashes, tries, reason }, now);
      } else {
        const waitMs = WAIT_MS[crashes] ?? WAIT_MS.at(-1) ?? 0;
        const { route, destination } = row;
        move(row, { to: 'deferred', dueAt: now + waitMs, route, destination, crashes, tries }, now);
      }
    }
    return rows.length;
  };
}
