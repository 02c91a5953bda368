/**
 * When something is to be done next, answered from the ends of indexes: its cost grows with the number of routes that have
 * waiting deliveries, not with the number of deliveries.
 */
import type Database from 'better-sqlite3';
import { PRIORITIES } from '../../core/message.ts';
import type { WriterCalls } from './calls.ts';

/** A partial index over waiting deliveries by route, lane and due time, and the condition that it holds rows for. */
export interface DueIndex {
  readonly name: string;
  readonly condition: string;
}

export const DUE_INDEXES: readonly DueIndex[] = [
  { name: 'deliveries_due', condition: 'due_at IS NOT NULL AND crashes = 0' },
  { name: 'deliveries_suspect', condition: 'due_at IS NOT NULL AND crashes > 0' },
];

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
  const indexes = DUE_INDEXES.map(({ name, condition }) => ({
    routes: db.prepare<[], string>(selectRoutes({ name, condition })).pluck(),
    first: db
      .prepare<[string, number], number | null>(
        `SELECT min(due_at) FROM deliveries INDEXED BY ${name} WHERE route = +? AND priority = +? AND ${condition}`,
      )
      .pluck(),
  }));
  const deadline = db
    .prepare<[], number | null>(
      `SELECT min(deadline) FROM deliveries INDEXED BY deliveries_deadline
       WHERE state IN ('queued', 'deferred', 'quarantined')`,
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

  return () => {
    const routes = new Map<string, number>();
    // A suspect that has to wait for another one is not due, whatever its time says.
    const open = suspectInWork.get() === undefined ? indexes : indexes.slice(0, 1);
    for (const index of open) {
      for (const route of index.routes.all()) {
        for (let lane = 0; lane < PRIORITIES.length; lane++) {
          const dueAt = index.first.get(route, lane) ?? null;
          if (dueAt !== null) routes.set(route, Math.min(dueAt, routes.get(route) ?? dueAt));
        }
      }
    }
    return { routes: [...routes], nextDeadline: deadline.get() ?? null, nextLeaseEnd: leaseEnd.get() ?? null };
  };
}
