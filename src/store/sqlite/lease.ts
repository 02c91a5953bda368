/**
 * Leases: prolonging the right to work on a delivery, and ending it. `claim.ts` gives it.
 *
 * A lease's token is unique and grows for ever: the upper part is the number of the opening of the store (its epoch, kept
 * in the database), the lower part counts. Whoever holds an older token has lost: every write asks for the token that
 * stands in the row.
 *
 * A delivery for which a newer message came while it was in work ends as `superseded` wherever it would have waited
 * again, or ended without a verdict of the next hop; a delivery or a bounce stays what it is.
 */
import type Database from 'better-sqlite3';
import { domainOf } from '../../core/address.ts';
import { unreachable } from '../../core/errors.ts';
import type { DeliveryId } from '../../core/ids.ts';
import type { Settlement } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import { SUPERSEDED } from './collapse.ts';
import { type DeliveryRow, selectDelivery } from './delivery-row.ts';
import type { Move, Mover } from './moves.ts';

/** Leases per opening, and openings, whose product stays a safe integer. */
const LEASES_PER_EPOCH = 2 ** 32;

type LeaseCalls = Pick<WriterCalls, 'renew' | 'settle' | 'release'>;

/** Gives the next lease token of `epoch()`: larger than every one before, in this opening and in all earlier ones. */
export function createTokens(epoch: () => number): () => number {
  let leases = 0;
  return () => epoch() * LEASES_PER_EPOCH + ++leases;
}

/** Makes the calls around a lease. */
export function createLeases(db: Database.Database, move: Mover): LeaseCalls {
  const renew = db.prepare<[number, DeliveryId, number]>(
    `UPDATE deliveries SET lease_until = ? WHERE id = ? AND lease_token = ? AND state = 'sending'`,
  );
  const release = db.prepare<[number, number, DeliveryId, number]>(`
    UPDATE deliveries SET state = 'queued', due_at = ?, lease_until = NULL, lease_token = NULL, updated_at = ?
    WHERE id = ? AND lease_token = ? AND state = 'sending' AND superseded_by IS NULL`);
  const held = db.prepare<[DeliveryId, number], DeliveryRow>(
    selectDelivery(
      'INDEXED BY sqlite_autoindex_deliveries_1',
      `d.id = +? AND d.lease_token = +? AND d.state = 'sending'`,
    ),
  );

  return {
    renew: (ticket, leaseUntil) =>
      renew.run(leaseUntil, ticket.deliveryId, ticket.token).changes > 0 ? 'kept' : 'lost',

    settle(ticket, tries, settlement, now) {
      if (tries.length === 0) throw new RangeError('an attempt consists of one try or more');
      const row = held.get(ticket.deliveryId, ticket.token);
      if (row === undefined) return 'lost';
      if (row.superseded_by !== null && settlement.state !== 'delivered' && settlement.state !== 'bounced') {
        move(row, { to: 'superseded', by: row.superseded_by, reason: SUPERSEDED, tries }, now);
        return 'superseded';
      }
      move(row, { ...moveOf(settlement, row), tries }, now);
      return 'settled';
    },

    release(ticket, dueAt, now) {
      if (release.run(dueAt, now, ticket.deliveryId, ticket.token).changes > 0) return 'released';
      const row = held.get(ticket.deliveryId, ticket.token);
      if (row === undefined || row.superseded_by === null) return 'lost';
      move(row, { to: 'superseded', by: row.superseded_by, reason: SUPERSEDED }, now);
      return 'superseded';
    },
  };
}

function moveOf(settlement: Settlement, row: DeliveryRow): Move {
  switch (settlement.state) {
    case 'delivered':
      return { to: 'delivered', captured: settlement.captured };
    case 'bounced':
      return { to: 'bounced', bounce: settlement.bounce, suppressUntil: settlement.suppressUntil };
    case 'expired':
      return { to: 'expired', reason: settlement.reason };
    case 'quarantined':
      return { to: 'quarantined', reason: settlement.reason, crashes: row.crashes };
    // An attempt that came to a result clears the suspicion of an earlier crash.
    case 'deferred':
      return {
        to: 'deferred',
        ...(settlement.rounds === undefined ? {} : { rounds: settlement.rounds }),
        dueAt: settlement.dueAt,
        route: settlement.route,
        destination: settlement.byDestination ? domainOf(row.recipient) : '',
        crashes: 0,
      };
    default:
      return unreachable(settlement);
  }
}
