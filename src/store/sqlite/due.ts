/**
 * When something is to be done next, answered from the ends of indexes: its cost grows with the number of routes that have
 * waiting deliveries and of full destinations, not with the number of deliveries.
 */
import type Database from 'better-sqlite3';
import { PRIORITIES } from '../../core/message.ts';
import type { LaneTimes } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import { createOccupancy } from './occupancy.ts';

/** A partial index over waiting deliveries by route and lane, and the condition that it holds rows for. */
export interface DueIndex {
  readonly name: string;
  readonly condition: string;
}

/** By route, lane, destination and due time. */
export const DUE_CLEAN: DueIndex = { name: 'deliveries_due', condition: 'due_at IS NOT NULL AND crashes = 0' };
/** By route, lane and due time. */
export const DUE_SUSPECT: DueIndex = { name: 'deliveries_suspect', condition: 'due_at IS NOT NULL AND crashes > 0' };

export const DUE_INDEXES: readonly DueIndex[] = [DUE_CLEAN, DUE_SUSPECT];

/** The routes that have entries in `index`; SQLite steps from one route to the next without reading what lies between. */
export function selectRoutes(index: DueIndex): string {
  const next = (after: string): string =>
    `(SELECT min(route) FROM deliveries INDEXED BY ${index.name} WHERE ${after}${index.condition})`;
  return `
    WITH RECURSIVE routes (route) AS (
      SELECT ${next('')}
      UNION ALL SELECT ${next('route > routes.route AND ')} FROM routes WHERE routes.route IS NOT NULL
    )
    SELECT route FROM routes WHERE route IS NOT NULL`;
}

/** Makes `nextDue` over `db`. */
export function createNextDue(db: Database.Database): WriterCalls['nextDue'] {
  const routesClean = db.prepare<[], string>(selectRoutes(DUE_CLEAN)).pluck();
  const routesSuspect = db.prepare<[], string>(selectRoutes(DUE_SUSPECT)).pluck();
  const firstPlain = db
    .prepare<[string, number], number | null>(
      `SELECT min(due_at) FROM deliveries INDEXED BY deliveries_due
       WHERE route = +? AND priority = +? AND destination = '' AND ${DUE_CLEAN.condition}`,
    )
    .pluck();
  const isAnyWaiting = db.prepare<[], number>('SELECT 1 FROM waiting LIMIT 1').pluck();
  const notFull = 'destination NOT IN (SELECT value FROM json_each(+?))';
  const firstAtDestination = db
    .prepare<[string, number, string], number>(
      `SELECT due_at FROM waiting INDEXED BY waiting_due
       WHERE route = +? AND priority = +? AND ${notFull} ORDER BY due_at LIMIT 1`,
    )
    .pluck();
  const firstSuspect = db
    .prepare<[string, number, string], number>(
      `SELECT due_at FROM deliveries INDEXED BY deliveries_suspect
       WHERE route = +? AND priority = +? AND ${DUE_SUSPECT.condition} AND ${notFull} ORDER BY due_at LIMIT 1`,
    )
    .pluck();
  const deadline = db
    .prepare<[], number | null>(
      `SELECT min(deadline) FROM deliveries INDEXED BY deliveries_deadline
       WHERE state IN ('queued', 'deferred', 'quarantined')`,
    )
    .pluck();
  const delay = db
    .prepare<[], number | null>(
      'SELECT min(delay_at) FROM deliveries INDEXED BY deliveries_delay WHERE delay_at IS NOT NULL',
    )
    .pluck();
  const leaseEnd = db
    .prepare<[], number | null>(
      'SELECT min(lease_until) FROM deliveries INDEXED BY deliveries_lease WHERE lease_until IS NOT NULL',
    )
    .pluck();
  const suspectInWork = db
    .prepare<[], number>(
      'SELECT 1 FROM deliveries INDEXED BY deliveries_suspect_lease WHERE lease_until IS NOT NULL AND crashes > 0 LIMIT 1',
    )
    .pluck();

  return (destinations) => {
    const rooms = new Map(destinations);
    const routes: [string, LaneTimes][] = [];
    const anyWaiting = isAnyWaiting.get() !== undefined;
    const clean = new Set(routesClean.all());
    // A suspect that has to wait for another one is not due, whatever its time says.
    const suspect = new Set(suspectInWork.get() === undefined ? routesSuspect.all() : []);
    for (const route of new Set([...clean, ...suspect])) {
      const at = createOccupancy(rooms.get(route) ?? null);
      const times = PRIORITIES.map((_, lane) => {
        if (at.hasNoRoom(lane)) return null;
        const full = at.full(lane);
        const plain = clean.has(route) && at.roomAt('', lane) > 0 ? firstPlain.get(route, lane) : null;
        const bound = anyWaiting && clean.has(route) ? firstAtDestination.get(route, lane, full) : null;
        return earliest(plain, bound, suspect.has(route) ? firstSuspect.get(route, lane, full) : null);
      });
      const [critical = null, normal = null, bulk = null] = times;
      if (times.some((time) => time !== null)) routes.push([route, [critical, normal, bulk]]);
    }
    return {
      routes,
      nextDeadline: deadline.get() ?? null,
      nextDelay: delay.get() ?? null,
      nextLeaseEnd: leaseEnd.get() ?? null,
    };
  };
}

function earliest(...times: readonly (number | null | undefined)[]): number | null {
  return times.reduce<number | null>(
    (first, time) => (time == null ? first : first === null ? time : Math.min(first, time)),
    null,
  );
}
