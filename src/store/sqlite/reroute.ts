/**
 * After a change of config, at the start, and when a route went down or came up: undelivered deliveries leave routes that cannot
 * be used, for the first of their own that can, and those on a route that has gained or lost its limit for each recipient domain are put under the right destination.
 *
 * The search runs on the reading connection, since it may have to look at every delivery that waits on a vanished route;
 * the moves follow in pieces. A delivery in work is moved too; its attempt is recorded under the routes that it was tried on.
 */
import type Database from 'better-sqlite3';
import { domainOf, type EnvelopeAddress } from '../../core/address.ts';
import { PRIORITIES } from '../../core/message.ts';
import type { ReaderCalls, WriterCalls } from './calls.ts';
import { DUE_CLEAN, DUE_INDEXES, DUE_SUSPECT, selectRoutes } from './due.ts';
import { OPEN_STATES, sqlList } from './states.ts';

interface Place {
  readonly route: string;
  readonly destination: string;
}

/** A delivery by its short key, where it is, and where it is to go. */
export interface Reroute {
  readonly did: number;
  readonly from: Place;
  readonly to: Place;
}

interface RoutedRow extends Place {
  readonly did: number;
  readonly recipient: EnvelopeAddress;
  readonly via: string;
}

const COLUMNS = 'did, recipient, route, destination, via';

/** Makes the search over `db`. */
export function createReroutable(db: Database.Database): ReaderCalls['reroutable'] {
  const waiting = DUE_INDEXES.map(({ name, condition }) => ({
    routes: db.prepare<[], string>(selectRoutes({ name, condition })).pluck(),
    on: db.prepare<[string], RoutedRow>(
      `SELECT ${COLUMNS} FROM deliveries INDEXED BY ${name} WHERE route = ? AND ${condition}`,
    ),
  }));
  const misplaced = (comparison: string): Database.Statement<[string, number], RoutedRow> =>
    db.prepare(
      `SELECT ${COLUMNS} FROM deliveries INDEXED BY ${DUE_CLEAN.name}
       WHERE route = ? AND priority = ? AND destination ${comparison} '' AND ${DUE_CLEAN.condition}`,
    );
  const withDestination = misplaced('>');
  const withoutDestination = misplaced('=');
  const suspects = db.prepare<[string], RoutedRow>(
    `SELECT ${COLUMNS} FROM deliveries INDEXED BY ${DUE_SUSPECT.name} WHERE route = ? AND ${DUE_SUSPECT.condition}`,
  );
  const inWork = db.prepare<[], RoutedRow>(
    `SELECT ${COLUMNS} FROM deliveries INDEXED BY deliveries_lease WHERE lease_until IS NOT NULL`,
  );
  const quarantined = db.prepare<[], RoutedRow>(
    `SELECT ${COLUMNS} FROM deliveries INDEXED BY deliveries_state
     WHERE state = 'quarantined' AND state NOT IN ('sending', 'delivered')`,
  );

  return (routes) => {
    const byDestination = new Map(routes.map((route) => [route.name, route.byDestination]));
    const changes: Reroute[] = [];
    const look = ({ did, recipient, route, destination, via }: RoutedRow): void => {
      const order: readonly string[] = byDestination.has(route) ? [route] : JSON.parse(via);
      const to = order.find((candidate) => byDestination.has(candidate));
      if (to === undefined) return;
      const right = byDestination.get(to) === true ? domainOf(recipient) : '';
      if (to === route && right === destination) return;
      changes.push({ did, from: { route, destination }, to: { route: to, destination: right } });
    };
    for (const { routes: routesInUse, on } of waiting) {
      for (const route of routesInUse.all()) {
        if (!byDestination.has(route)) for (const row of on.iterate(route)) look(row);
      }
    }
    for (const { name, byDestination: hasDestinations } of routes) {
      const wrong = hasDestinations ? withoutDestination : withDestination;
      for (let lane = 0; lane < PRIORITIES.length; lane++) for (const row of wrong.iterate(name, lane)) look(row);
      for (const row of suspects.iterate(name)) look(row);
    }
    for (const row of inWork.all()) look(row);
    for (const row of quarantined.all()) look(row);
    return changes;
  };
}

/** Makes the moves over `db`; what has come to its end meanwhile, or was moved already, stays as it is. */
export function createReroute(db: Database.Database): WriterCalls['reroute'] {
  const update = db.prepare<[string, string, number, string, string]>(
    `UPDATE deliveries SET route = ?, destination = ? WHERE did = ? AND route = ? AND destination = ?
       AND state IN ${sqlList(OPEN_STATES)}`,
  );
  return (changes) =>
    changes.reduce(
      (moved, { did, from, to }) =>
        moved + update.run(to.route, to.destination, did, from.route, from.destination).changes,
      0,
    );
}
