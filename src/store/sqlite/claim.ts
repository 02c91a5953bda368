/**
 * Handing out due deliveries under leases: most urgent lane first, as far as each lane has room.
 *
 * On a route without destinations, the longest due come first, along one index. On a route with them, destinations take
 * turns: `waiting` (migration 2) names those with something due, the claim goes on behind the one where the last claim of
 * that lane ended, and passes over full ones; within a destination, the longest due come first. What a claim costs grows
 * with what it hands out, never with a backlog. A delivery whose route has changed its kind since it was queued waits under
 * the other kind's key: both are looked at.
 *
 * Deliveries that were in work during a crash (`crashes` > 0) have an index of their own: one at a time.
 */
import type Database from 'better-sqlite3';
import type { EnvelopeAddress, ReversePath } from '../../core/address.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import { type MessageRecord, PRIORITIES } from '../../core/message.ts';
import type { ClaimRequest, Lease } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import { createOccupancy, type Occupancy } from './occupancy.ts';
import { dsnOf, priorityOf } from './message-row.ts';
import { mayBecome } from './states.ts';

interface ClaimRow {
  readonly did: number;
  readonly id: DeliveryId;
  readonly message_id: MessageId;
  readonly recipient: EnvelopeAddress;
  readonly recipient_dsn: string | null;
  readonly route: string;
  readonly destination: string;
  readonly via: string;
  readonly priority: number;
  readonly attempts: number;
  readonly rounds: number;
  readonly crashes: number;
  readonly due_at: number;
  readonly deadline: number;
  readonly deadline_source: MessageRecord['deadlineSource'];
  readonly mail_from: ReversePath;
  readonly dsn: string | null;
  readonly smtp_utf8: number;
  readonly eight_bit: number;
  readonly require_tls: number;
  readonly tag: string | null;
  readonly accepted_at: number;
}

const CLAIM_COLUMNS = `d.did, d.id, m.id AS message_id, d.recipient, d.dsn AS recipient_dsn, d.route, d.destination, d.via,
  d.priority, d.attempts, d.rounds, d.crashes, d.due_at, d.deadline, m.deadline_source, coalesce(d.return_path, m.mail_from) AS mail_from,
  m.dsn, m.smtp_utf8, m.eight_bit, m.require_tls, m.tag, m.accepted_at`;

/** Makes `claim` over `db`. */
export function createClaim(db: Database.Database, nextToken: () => number): WriterCalls['claim'] {
  const dueClean = db.prepare<[string, number, string, number, number, number], ClaimRow>(`
    SELECT ${CLAIM_COLUMNS}
    FROM deliveries d INDEXED BY deliveries_due CROSS JOIN messages m ON m.mid = d.mid
    WHERE d.route = +? AND d.priority = +? AND d.destination = +? AND d.due_at <= +? AND d.deadline > +? AND d.crashes = 0
    ORDER BY d.due_at LIMIT +?`);
  const dueSuspect = db.prepare<[string, number, number, number, string, number], ClaimRow>(`
    SELECT ${CLAIM_COLUMNS}
    FROM deliveries d INDEXED BY deliveries_suspect CROSS JOIN messages m ON m.mid = d.mid
    WHERE d.route = +? AND d.priority = +? AND d.due_at <= +? AND d.deadline > +? AND d.crashes > 0
      AND d.destination NOT IN (SELECT value FROM json_each(+?))
    ORDER BY d.due_at LIMIT +?`);
  const isAnyDue = db
    .prepare<[string, number, number, string], number>(
      `SELECT 1 FROM waiting INDEXED BY waiting_due WHERE route = +? AND priority = +? AND due_at <= +?
         AND destination NOT IN (SELECT value FROM json_each(+?)) LIMIT 1`,
    )
    .pluck();
  const dueDestinations = db
    .prepare<[string, number, string, number, string, number], string>(
      `SELECT destination FROM waiting WHERE route = +? AND priority = +? AND destination > +? AND due_at <= +?
         AND destination NOT IN (SELECT value FROM json_each(+?)) ORDER BY destination LIMIT +?`,
    )
    .pluck();
  const suspectInWork = db
    .prepare<[], number>(
      `SELECT 1 FROM deliveries INDEXED BY deliveries_suspect_lease WHERE lease_until IS NOT NULL AND crashes > 0 LIMIT 1`,
    )
    .pluck();
  const lease = db.prepare<[number, number, number, number, number]>(`
    UPDATE deliveries SET state = 'sending', due_at = NULL, lease_until = ?, lease_token = ?, leased_at = ?, updated_at = ?
    WHERE did = ? AND ${mayBecome('sending')}`);
  /** By route and lane: the destination that had the last turn. */
  const lastTurns = new Map<string, string>();

  return (requests, now, leaseMs) => {
    const claimed: Lease[] = [];
    const leaseUntil = now + leaseMs;
    let suspects = suspectInWork.get() === undefined;

    function take(row: ClaimRow, occupancy: Occupancy): void {
      if (row.crashes > 0) suspects = false;
      const token = nextToken();
      lease.run(leaseUntil, token, now, now, row.did);
      occupancy.add(row.destination);
      claimed.push(leaseOf(row, token, leaseUntil));
    }

    /** The longest due under one destination; returns how many were taken. */
    function takeFrom(request: ClaimRequest, lane: number, destination: string, limit: number, at: Occupancy): number {
      const most = Math.min(limit, at.roomAt(destination, lane));
      if (most <= 0) return 0;
      const rows = dueClean.all(request.route, lane, destination, now, now, most);
      for (const row of rows) take(row, at);
      return rows.length;
    }

    /** Due deliveries without a destination and at most one suspect, by due time. */
    function takePlain(request: ClaimRequest, lane: number, limit: number, at: Occupancy): number {
      const rows = dueClean.all(request.route, lane, '', now, now, Math.min(limit, at.roomAt('', lane)));
      const suspect = suspects ? dueSuspect.get(request.route, lane, now, now, at.full(lane), 1) : undefined;
      const due =
        suspect === undefined ? rows : [...rows, suspect].sort((a, b) => a.due_at - b.due_at || a.did - b.did);
      const taken = due.slice(0, limit);
      for (const row of taken) take(row, at);
      return taken.length;
    }

    /** Destinations in turn, as many rounds as there is room. */
    function takeTurns(request: ClaimRequest, lane: number, limit: number, at: Occupancy): void {
      const { route } = request;
      const key = `${lane} ${route}`;
      const drained: string[] = [];
      let left = limit;
      while (left > 0) {
        const skip = at.full(lane, drained);
        if (isAnyDue.get(route, lane, now, skip) === undefined) return;
        const last = lastTurns.get(key) ?? '';
        const turn = dueDestinations.all(route, lane, last, now, skip, left);
        if (turn.length < left && last !== '') {
          const behind = new Set(turn);
          const before = dueDestinations.all(route, lane, '', now, skip, left - turn.length);
          turn.push(...before.filter((destination) => !behind.has(destination)));
        }
        if (turn.length === 0) return;
        const share = Math.max(1, Math.floor(left / turn.length));
        for (const destination of turn) {
          const taken = takeFrom(request, lane, destination, Math.min(share, left), at);
          left -= taken;
          lastTurns.set(key, destination);
          // Full, or nothing more to give: what has passed its deadline is not handed out. Every round thus ends or gets on.
          if (taken < share) drained.push(destination);
          if (left <= 0) return;
        }
      }
    }

    for (const request of requests) {
      const occupancy = createOccupancy(request.destinations);
      const before = claimed.length;
      for (let lane = 0; lane < PRIORITIES.length; lane++) {
        const left = (request.room[lane] ?? 0) - (claimed.length - before);
        if (left <= 0 || occupancy.hasNoRoom(lane)) continue;
        takeTurns(request, lane, left - takePlain(request, lane, left, occupancy), occupancy);
      }
    }
    return claimed;
  };
}

function leaseOf(row: ClaimRow, token: number, leaseUntil: number): Lease {
  return {
    deliveryId: row.id,
    messageId: row.message_id,
    token,
    leaseUntil,
    route: row.route,
    via: JSON.parse(row.via),
    recipient: row.recipient,
    mailFrom: row.mail_from,
    dsn: dsnOf(row.dsn),
    recipientDsn: row.recipient_dsn === null ? null : JSON.parse(row.recipient_dsn),
    smtpUtf8: row.smtp_utf8 === 1,
    eightBit: row.eight_bit === 1,
    requireTls: row.require_tls === 1,
    priority: priorityOf(row.priority),
    tag: row.tag,
    deadlineSource: row.deadline_source,
    destination: row.destination,
    attempts: row.attempts,
    rounds: row.rounds,
    crashes: row.crashes,
    acceptedAt: row.accepted_at,
    dueAt: row.due_at,
    deadline: row.deadline,
  };
}
