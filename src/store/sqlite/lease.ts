/**
 * Leases: giving the right to work on a delivery, prolonging it, ending it.
 *
 * A lease's token is unique and grows for ever: the upper part is the number of the opening of the store (its epoch, kept
 * in the database), the lower part counts. Whoever holds an older token has lost: every write asks for the token that
 * stands in the row. Two partial indexes, by route, lane and due time, make the cost of a claim independent of the
 * backlog; deliveries that were in work during a crash (`crashes` > 0) have one of their own.
 */
import type Database from 'better-sqlite3';
import type { EnvelopeAddress, ReversePath } from '../../core/address.ts';
import { unreachable } from '../../core/errors.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import { PRIORITIES } from '../../core/message.ts';
import type { ClaimRequest, Lease, Settlement } from '../store.ts';
import type { LeaseTicket, WriterCalls } from './calls.ts';
import { dsnOf, priorityOf } from './message-row.ts';
import { type Move, type Mover, selectDelivery, type DeliveryRow } from './moves.ts';
import { mayBecome } from './states.ts';

/** Leases per opening, and openings, whose product stays a safe integer. */
const LEASES_PER_EPOCH = 2 ** 32;

interface ClaimRow {
  readonly did: number;
  readonly id: DeliveryId;
  readonly message_id: MessageId;
  readonly recipient: EnvelopeAddress;
  readonly recipient_dsn: string | null;
  readonly route: string;
  readonly via: string;
  readonly priority: number;
  readonly attempts: number;
  readonly crashes: number;
  readonly due_at: number;
  readonly deadline: number;
  readonly mail_from: ReversePath;
  readonly dsn: string | null;
  readonly smtp_utf8: number;
  readonly eight_bit: number;
  readonly require_tls: number;
  readonly tag: string | null;
  readonly accepted_at: number;
}

type LeaseCalls = Pick<WriterCalls, 'claim' | 'renew' | 'settle' | 'release'>;

/** Gives the next lease token of `epoch()`: larger than every one before, in this opening and in all earlier ones. */
export function createTokens(epoch: () => number): () => number {
  let leases = 0;
  return () => epoch() * LEASES_PER_EPOCH + ++leases;
}

/** Makes the calls around a lease. */
export function createLeases(db: Database.Database, move: Mover, nextToken: () => number): LeaseCalls {
  const dueClean = selectDue(db, 'deliveries_due', 'd.crashes = 0');
  const dueSuspect = selectDue(db, 'deliveries_suspect', 'd.crashes > 0');
  const suspectInWork = db
    .prepare<[], number>(
      `SELECT 1 FROM deliveries INDEXED BY deliveries_suspect_lease WHERE lease_until IS NOT NULL AND crashes > 0 LIMIT 1`,
    )
    .pluck();
  const lease = db.prepare<[number, number, number, number, number]>(`
    UPDATE deliveries SET state = 'sending', due_at = NULL, lease_until = ?, lease_token = ?, leased_at = ?, updated_at = ?
    WHERE did = ? AND ${mayBecome('sending')}`);
  const renew = db.prepare<[number, DeliveryId, number]>(
    `UPDATE deliveries SET lease_until = ? WHERE id = ? AND lease_token = ? AND state = 'sending'`,
  );
  const release = db.prepare<[number, number, DeliveryId, number]>(`
    UPDATE deliveries SET state = 'queued', due_at = ?, lease_until = NULL, lease_token = NULL, updated_at = ?
    WHERE id = ? AND lease_token = ? AND state = 'sending'`);
  const held = db.prepare<[DeliveryId, number], DeliveryRow>(
    selectDelivery(
      'INDEXED BY sqlite_autoindex_deliveries_1',
      `d.id = +? AND d.lease_token = +? AND d.state = 'sending'`,
    ),
  );

  /** Due deliveries of one lane, longest due first; at most one suspect, and none while another is in work. */
  function dueInLane(request: ClaimRequest, lane: number, limit: number, now: number, suspects: boolean): ClaimRow[] {
    const rows = dueClean.all(request.route, lane, now, now, limit);
    const suspect = suspects ? dueSuspect.get(request.route, lane, now, now, 1) : undefined;
    if (suspect === undefined) return rows;
    return [...rows, suspect].sort((a, b) => a.due_at - b.due_at || a.did - b.did).slice(0, limit);
  }

  return {
    claim(requests, now, leaseMs) {
      const claimed: Lease[] = [];
      let suspects = suspectInWork.get() === undefined;
      const leaseUntil = now + leaseMs;
      for (const request of requests) {
        let left = request.limit;
        for (let lane = 0; lane < PRIORITIES.length && left > 0; lane++) {
          for (const row of dueInLane(request, lane, left, now, suspects)) {
            if (row.crashes > 0) suspects = false;
            const token = nextToken();
            lease.run(leaseUntil, token, now, now, row.did);
            claimed.push(leaseOf(row, token, leaseUntil));
            left--;
          }
        }
      }
      return claimed;
    },

    renew: (ticket, leaseUntil) =>
      renew.run(leaseUntil, ticket.deliveryId, ticket.token).changes > 0 ? 'kept' : 'lost',

    settle(ticket, outcome, settlement, now) {
      const row = held.get(ticket.deliveryId, ticket.token);
      if (row === undefined) return 'lost';
      const attempt = { route: ticket.route, startedAt: row.leased_at ?? now, outcome };
      move(row, { ...moveOf(settlement, row), attempt }, now);
      return 'settled';
    },

    release: (ticket: LeaseTicket, dueAt, now) =>
      release.run(dueAt, now, ticket.deliveryId, ticket.token).changes > 0 ? 'released' : 'lost',
  };
}

function moveOf(settlement: Settlement, row: DeliveryRow): Move {
  switch (settlement.state) {
    case 'delivered':
      return { to: 'delivered', captured: settlement.captured };
    case 'bounced':
      return { to: 'bounced' };
    case 'expired':
      return { to: 'expired', reason: settlement.reason };
    case 'quarantined':
      return { to: 'quarantined', reason: settlement.reason, crashes: row.crashes };
    // An attempt that came to a result clears the suspicion of an earlier crash.
    case 'deferred':
      return { to: 'deferred', dueAt: settlement.dueAt, route: settlement.route, crashes: 0 };
    default:
      return unreachable(settlement);
  }
}

function selectDue(
  db: Database.Database,
  index: string,
  condition: string,
): Database.Statement<[string, number, number, number, number], ClaimRow> {
  return db.prepare(`
    SELECT d.did, d.id, m.id AS message_id, d.recipient, d.dsn AS recipient_dsn, d.route, d.via, d.priority, d.attempts,
      d.crashes, d.due_at, d.deadline, m.mail_from, m.dsn, m.smtp_utf8, m.eight_bit, m.require_tls, m.tag, m.accepted_at
    FROM deliveries d INDEXED BY ${index} CROSS JOIN messages m ON m.mid = d.mid
    WHERE d.route = +? AND d.priority = +? AND d.due_at <= +? AND d.deadline > +? AND ${condition}
    ORDER BY d.due_at LIMIT +?`);
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
    attempts: row.attempts,
    crashes: row.crashes,
    acceptedAt: row.accepted_at,
    dueAt: row.due_at,
    deadline: row.deadline,
  };
}
