/** What a next hop got, and what the relay recorded, by the tokens of `load.ts`. */
import Database from 'better-sqlite3';
import type { NextHop } from './next-hop.ts';
import type { RelayHome } from './relay.ts';

/** A delivery in the relay's database. */
export interface DeliveryRow {
  readonly token: string;
  readonly state: string;
  readonly uncertain: number;
}

/** How often each token arrived at one of `hops`. */
export function countCopies(...hops: readonly NextHop[]): ReadonlyMap<string, number> {
  const copies = new Map<string, number>();
  for (const { token } of arrivals(...hops)) copies.set(token, (copies.get(token) ?? 0) + 1);
  return copies;
}

/** Each message that `hops` got, with the monotonic milliseconds of its final dot. */
export function arrivals(...hops: readonly NextHop[]): readonly { readonly token: string; readonly atMs: number }[] {
  return hops.flatMap((hop) =>
    hop.messages.map(({ content, atMonotonicMs }) => ({
      token: /^Message-ID: <(.+)@load\.example\.com>/m.exec(content.toString('latin1'))?.[1] ?? 'none',
      atMs: atMonotonicMs,
    })),
  );
}

/** Every delivery of the relay at `home`. */
export function readDeliveries(home: RelayHome): readonly DeliveryRow[] {
  return read(home, (db) =>
    db
      .prepare<[], DeliveryRow>(
        `SELECT replace(replace(m.header_message_id, '<', ''), '@load.example.com>', '') AS token, d.state,
                (SELECT count(*) FROM attempts a WHERE a.did = d.did AND a.outcome = 'uncertain') AS uncertain
           FROM deliveries d JOIN messages m USING (mid)`,
      )
      .all(),
  );
}

/** A delivery with its last attempt. */
export interface AttemptedDelivery {
  readonly state: string;
  readonly attempts: number;
  readonly route: string | null;
  readonly cause: string | null;
  readonly stage: string | null;
  readonly enhanced: string | null;
  readonly tls: string | null;
  readonly nextHop: string | null;
  readonly response: string | null;
  readonly bounce: string | null;
}

/** The newest delivery to `recipient`, or undefined when there is none. */
export function deliveryTo(home: RelayHome, recipient: string): AttemptedDelivery | undefined {
  return read(home, (db) =>
    db
      .prepare<[string], AttemptedDelivery>(
        `SELECT d.state, d.attempts, a.route, a.cause, a.stage, a.enhanced, a.tls, a.next_hop AS nextHop, a.response,
                d.bounce_class AS bounce
           FROM deliveries d LEFT JOIN attempts a ON a.did = d.did AND a.number = d.attempts
          WHERE d.recipient = ? ORDER BY d.did DESC LIMIT 1`,
      )
      .get(recipient),
  );
}

/** Deliveries that are not final yet. */
export function openDeliveries(home: RelayHome): number {
  return read(
    home,
    (db) =>
      db
        .prepare<[], { n: number }>(
          "SELECT count(*) AS n FROM deliveries WHERE state IN ('queued', 'sending', 'deferred')",
        )
        .get()?.n ?? -1,
  );
}

/** Numbers missing in the event sequence. */
export function eventGaps(home: RelayHome): number {
  return read(
    home,
    (db) => db.prepare<[], { gaps: number }>('SELECT max(seq) - count(*) AS gaps FROM events').get()?.gaps ?? -1,
  );
}

function read<T>(home: RelayHome, ask: (db: Database.Database) => T): T {
  const db = new Database(home.database, { readonly: true });
  try {
    return ask(db);
  } finally {
    db.close();
  }
}
