/**
 * After a change of config: undelivered deliveries leave routes that are no more, for the first of their own routes that is.
 *
 * The search runs on the reading connection, since it may have to look at every delivery that waits on a vanished route;
 * the moves follow in pieces. A delivery in work is moved too; its attempt is recorded under the route of its lease.
 */
import type Database from 'better-sqlite3';
import type { ReaderCalls, WriterCalls } from './calls.ts';
import { DUE_INDEXES, selectRoutes } from './due.ts';
import { OPEN_STATES, sqlList } from './states.ts';

/** A delivery by its short key, the route that it is on, and the one that it is to go to. */
export type RouteChange = readonly [did: number, from: string, to: string];

type RoutedRow = readonly [did: number, route: string, via: string];

/** Makes the search over `db`. */
export function createReroutable(db: Database.Database): ReaderCalls['reroutable'] {
  const waiting = DUE_INDEXES.map(({ name, condition }) => ({
    routes: db.prepare<[], string>(selectRoutes({ name, condition })).pluck(),
    on: rows<[string]>(`SELECT did, route, via FROM deliveries INDEXED BY ${name} WHERE route = ? AND ${condition}`),
  }));
  const inWork = rows<[]>(
    'SELECT did, route, via FROM deliveries INDEXED BY deliveries_lease WHERE lease_until IS NOT NULL',
  );
  const quarantined = rows<[]>(
    `SELECT did, route, via FROM deliveries INDEXED BY deliveries_state
     WHERE state = 'quarantined' AND state NOT IN ('sending', 'delivered')`,
  );

  function rows<P extends unknown[]>(sql: string): Database.Statement<P, RoutedRow> {
    return db.prepare<P, RoutedRow>(sql).raw();
  }

  return (routes) => {
    const known = new Set(routes);
    const changes: RouteChange[] = [];
    const look = ([did, route, via]: RoutedRow): void => {
      if (known.has(route)) return;
      const order: readonly string[] = JSON.parse(via);
      const to = order.find((candidate) => known.has(candidate));
      if (to !== undefined) changes.push([did, route, to]);
    };
    for (const { routes: routesInUse, on } of waiting) {
      for (const route of routesInUse.all()) {
        if (!known.has(route)) for (const row of on.iterate(route)) look(row);
      }
    }
    for (const row of inWork.all()) look(row);
    for (const row of quarantined.all()) look(row);
    return changes;
  };
}

/** Makes the moves over `db`; what has come to its end meanwhile, or was moved already, stays as it is. */
export function createReroute(db: Database.Database): WriterCalls['reroute'] {
  const update = db.prepare<[string, number, string]>(
    `UPDATE deliveries SET route = ? WHERE did = ? AND route = ? AND state IN ${sqlList(OPEN_STATES)}`,
  );
  return (changes) => changes.reduce((moved, [did, from, to]) => moved + update.run(to, did, from).changes, 0);
}
