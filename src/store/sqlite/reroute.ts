/**
 * After a change of config: undelivered deliveries leave routes that are no more.
 *
 * A delivery in work is moved too; its attempt is recorded under the route that its lease names.
 */
import type Database from 'better-sqlite3';
import type { WriterCalls } from './calls.ts';
import { DUE_INDEXES, selectRoutes } from './due.ts';

interface RoutedRow {
  readonly did: number;
  readonly via: string;
}

/** Makes `reroute` over `db`. */
export function createReroute(db: Database.Database): WriterCalls['reroute'] {
  const waiting = DUE_INDEXES.map(({ name, condition }) => ({
    routes: db.prepare<[], string>(selectRoutes({ name, condition })).pluck(),
    on: db.prepare<[string, number], RoutedRow>(
      `SELECT did, via FROM deliveries INDEXED BY ${name} WHERE route = ? AND ${condition} LIMIT ?`,
    ),
  }));
  const unknownRoute = 'route NOT IN (SELECT value FROM json_each(?)) LIMIT ?';
  const inWork = db.prepare<[string, number], RoutedRow>(
    `SELECT did, via FROM deliveries INDEXED BY deliveries_lease WHERE lease_until IS NOT NULL AND ${unknownRoute}`,
  );
  const quarantined = db.prepare<[string, number], RoutedRow>(
    `SELECT did, via FROM deliveries INDEXED BY deliveries_state
     WHERE state = 'quarantined' AND state NOT IN ('sending', 'delivered') AND ${unknownRoute}`,
  );
  const update = db.prepare<[string, number]>('UPDATE deliveries SET route = ? WHERE did = ?');

  return (routes, fallback, limit) => {
    const known = new Set([...routes, fallback]);
    const knownJson = JSON.stringify([...known]);
    const rows: RoutedRow[] = [];
    for (const { routes: routesInUse, on } of waiting) {
      for (const route of routesInUse.all()) {
        if (!known.has(route)) rows.push(...on.all(route, limit - rows.length));
      }
    }
    rows.push(...inWork.all(knownJson, limit - rows.length));
    rows.push(...quarantined.all(knownJson, limit - rows.length));
    for (const { did, via } of rows) {
      const order: readonly string[] = JSON.parse(via);
      update.run(order.find((route) => routes.includes(route)) ?? fallback, did);
    }
    return rows.length;
  };
}
