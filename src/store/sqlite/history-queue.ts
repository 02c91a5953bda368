/** Reading the queue as a whole: its most urgent deliveries, its figures, and how mail has fared by tag. */
import type Database from 'better-sqlite3';
import type { EnvelopeAddress } from '../../core/address.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import { PRIORITIES, type Priority } from '../../core/message.ts';
import type { QueueRow } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { DUE_CLEAN, DUE_SUSPECT, selectRoutes } from './due.ts';
import { priorityOf } from './message-row.ts';

type QueueReads = Pick<ReaderCalls, 'queue' | 'figures'>;

interface WaitingRow {
  readonly message_id: MessageId;
  readonly delivery_id: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly state: DeliveryState;
  readonly route: string;
  readonly priority: number;
  readonly tag: string | null;
  readonly attempts: number;
  readonly accepted_at: number;
  readonly due_at: number | null;
  readonly deadline: number;
  readonly last_response: string | null;
}

interface DestinationRow {
  readonly destination: string;
  readonly due_at: number;
}

const IN_STATE = "state = ? AND state NOT IN ('sending', 'delivered') AND priority = ?";
/** States of undelivered rows that stand in the index by state. */
const LISTED: readonly DeliveryState[] = ['queued', 'deferred', 'quarantined'];

/** Makes the queue reads over `db`. */
export function createQueueReads(db: Database.Database): QueueReads {
  const select = (index: string, condition: string): string => `
    SELECT m.id AS message_id, d.id AS delivery_id, d.recipient, d.state, d.route, d.priority, m.tag, d.attempts,
      m.accepted_at, d.due_at, d.deadline, d.last_response
    FROM deliveries d INDEXED BY ${index} CROSS JOIN messages m ON m.mid = d.mid WHERE ${condition}`;
  const routesClean = db.prepare<[], string>(selectRoutes(DUE_CLEAN)).pluck();
  const routesSuspect = db.prepare<[], string>(selectRoutes(DUE_SUSPECT)).pluck();
  const firstClean = db.prepare<[string, number, string, number], WaitingRow>(
    `${select(DUE_CLEAN.name, `d.route = ? AND d.priority = ? AND d.destination = ? AND ${DUE_CLEAN.condition}`)}
     ORDER BY d.due_at LIMIT ?`,
  );
  const firstSuspect = db.prepare<[string, number, number], WaitingRow>(
    `${select(DUE_SUSPECT.name, `d.route = ? AND d.priority = ? AND ${DUE_SUSPECT.condition}`)} ORDER BY d.due_at LIMIT ?`,
  );
  const destinations = db.prepare<[string, number, number], DestinationRow>(
    `SELECT destination, due_at FROM waiting INDEXED BY waiting_due
     WHERE route = ? AND priority = ? ORDER BY due_at LIMIT ?`,
  );
  const inWork = db.prepare<[number], WaitingRow>(
    `${select('deliveries_lease', 'd.lease_until IS NOT NULL')} ORDER BY d.lease_until LIMIT ?`,
  );
  const quarantined = db.prepare<[number, number], WaitingRow>(
    `${select(
      'deliveries_state',
      "d.state = 'quarantined' AND d.state NOT IN ('sending', 'delivered') AND d.priority = ?",
    )} ORDER BY d.mid LIMIT ?`,
  );

  const countIn = db
    .prepare<[string, number], number>(`SELECT count(*) FROM deliveries INDEXED BY deliveries_state WHERE ${IN_STATE}`)
    .pluck();
  const countInWork = db
    .prepare<[], number>('SELECT count(*) FROM deliveries INDEXED BY deliveries_lease WHERE lease_until IS NOT NULL')
    .pluck();
  const oldestIn = db
    .prepare<[string, number], number | null>(
      `SELECT accepted_at FROM messages WHERE mid = (
        SELECT min(mid) FROM deliveries INDEXED BY deliveries_state WHERE ${IN_STATE})`,
    )
    .pluck();
  const oldestInWork = db
    .prepare<[number], number | null>(
      `SELECT min(m.accepted_at) FROM deliveries d INDEXED BY deliveries_lease CROSS JOIN messages m ON m.mid = d.mid
       WHERE d.lease_until IS NOT NULL AND d.priority = ?`,
    )
    .pluck();

  const lastSeq = db.prepare<[], number | null>('SELECT max(seq) FROM events').pluck();
  // Places of keys are never deleted: the last one tells how many there are.
  const lastSlot = db.prepare<[], number | null>('SELECT max(slot) FROM content_keys').pluck();
  const freeKeys = db
    .prepare<[], number>('SELECT count(*) FROM content_keys INDEXED BY content_keys_free WHERE used = 0')
    .pluck();

  /** Of all destinations together: none matters whose first is due later than enough others. */
  function firstAtDestinations(route: string, lane: number, limit: number): readonly WaitingRow[] {
    let rows: WaitingRow[] = [];
    for (const { destination, due_at } of destinations.all(route, lane, limit)) {
      if ((rows[limit - 1]?.due_at ?? Number.MAX_SAFE_INTEGER) <= due_at) break;
      rows.push(...firstClean.all(route, lane, destination, limit));
      rows = rows.sort((a, b) => placeOf(a) - placeOf(b)).slice(0, limit);
    }
    return rows;
  }

  function* rowsByLane(limit: number): Generator<WaitingRow> {
    yield* inWork.all(limit);
    for (let lane = 0; lane < PRIORITIES.length; lane++) {
      yield* quarantined.all(lane, limit);
      for (const route of routesClean.all()) {
        yield* firstClean.all(route, lane, '', limit);
        yield* firstAtDestinations(route, lane, limit);
      }
      for (const route of routesSuspect.all()) yield* firstSuspect.all(route, lane, limit);
    }
  }

  return {
    /** Within a lane: what is in work, then by due time; quarantined deliveries, due at no time, come last. */
    queue: (limit) =>
      [...rowsByLane(limit)]
        .sort((a, b) => a.priority - b.priority || placeOf(a) - placeOf(b))
        .slice(0, limit)
        .map(queueRowOf),

    figures() {
      const byState: Partial<Record<DeliveryState, number>> = {};
      const oldestAcceptedAt: Partial<Record<Priority, number>> = {};
      const note = (priority: Priority, acceptedAt: number | null | undefined): void => {
        if (acceptedAt == null) return;
        oldestAcceptedAt[priority] = Math.min(acceptedAt, oldestAcceptedAt[priority] ?? acceptedAt);
      };
      for (const state of LISTED) byState[state] = 0;
      byState.sending = countInWork.get() ?? 0;
      for (const [lane, priority] of PRIORITIES.entries()) {
        for (const state of LISTED) {
          byState[state] = (byState[state] ?? 0) + (countIn.get(state, lane) ?? 0);
          if (state !== 'quarantined') note(priority, oldestIn.get(state, lane));
        }
        note(priority, oldestInWork.get(lane));
      }
      const free = freeKeys.get() ?? 0;
      const contentKeys = { used: (lastSlot.get() ?? 0) - free, free };
      return { byState, oldestAcceptedAt, lastSeq: lastSeq.get() ?? 0, contentKeys };
    },
  };
}

function placeOf(row: WaitingRow): number {
  if (row.state === 'sending') return Number.NEGATIVE_INFINITY;
  return row.due_at ?? Number.MAX_SAFE_INTEGER;
}

function queueRowOf(row: WaitingRow): QueueRow {
  return {
    messageId: row.message_id,
    deliveryId: row.delivery_id,
    recipient: row.recipient,
    state: row.state,
    route: row.route,
    priority: priorityOf(row.priority),
    tag: row.tag,
    attempts: row.attempts,
    acceptedAt: row.accepted_at,
    dueAt: row.due_at,
    deadline: row.deadline,
    lastResponse: row.last_response,
  };
}
