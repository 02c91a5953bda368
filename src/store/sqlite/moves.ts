/**
 * Moves a delivery to its next state, and keeps everything that must change with it: the attempt, the event, and, when it
 * was the message's last open delivery, the message's end and its content.
 *
 * Legal moves come from core/delivery's table, as a condition of the UPDATE itself: a row that may not move is a bug here,
 * and throws. Claiming, releasing and an operator's retry have no event and stand in their own files.
 */
import type Database from 'better-sqlite3';
import type { EnvelopeAddress } from '../../core/address.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import { eventAttempt, eventMessage } from '../../core/event.ts';
import type { DeliveryId } from '../../core/ids.ts';
import type { MessageRecord } from '../../core/message.ts';
import type { Outcome } from '../../core/outcome.ts';
import { isoTime } from '../../core/time.ts';
import type { EventLog } from './event-log.ts';
import { deliveryKeys } from './keys.ts';
import { EVENT_MESSAGE_COLUMNS, type EventMessageRow, eventSourceOf } from './message-row.ts';
import { mayBecome, OPEN_STATES, sqlList } from './states.ts';

/** A delivery with what its events tell of its message. */
export interface DeliveryRow extends EventMessageRow {
  readonly did: number;
  readonly id: DeliveryId;
  readonly mid: number;
  readonly recipient: EnvelopeAddress;
  readonly recipient_key: string;
  readonly state: DeliveryState;
  readonly rule: string;
  readonly route: string;
  readonly attempts: number;
  readonly crashes: number;
  readonly leased_at: number | null;
  readonly deadline_source: MessageRecord['deadlineSource'];
  readonly content_kept: number;
}

/** `SELECT` of a `DeliveryRow`; `index` (`INDEXED BY ...`, `NOT INDEXED`) is what of `deliveries` answers the question. */
export function selectDelivery(index: string, condition: string): string {
  return `
    SELECT d.did, d.id, d.mid, d.recipient, d.recipient_key, d.state, d.rule, d.route, d.attempts, d.crashes, d.leased_at,
      m.deadline_source, m.content_kept, ${EVENT_MESSAGE_COLUMNS}
    FROM deliveries d ${index} CROSS JOIN messages m ON m.mid = d.mid
    WHERE ${condition}`;
}

export interface Attempt {
  readonly route: string;
  readonly startedAt: number;
  readonly outcome: Outcome;
}

interface Reasons {
  /** Recorded and told in the event; counts. */
  readonly attempt?: Attempt;
  readonly reason?: string;
}

/** Where a delivery goes. */
export type Move = Reasons &
  (
    | { readonly to: 'delivered'; readonly captured: boolean }
    | { readonly to: 'bounced' | 'expired' | 'canceled' }
    | { readonly to: 'quarantined'; readonly crashes: number }
    | { readonly to: 'deferred'; readonly dueAt: number; readonly route: string; readonly crashes: number }
  );

export type Mover = (row: DeliveryRow, move: Move, now: number) => void;

/** Makes the mover of `db`. */
export function createMover(db: Database.Database, events: EventLog, dropContentWhenSettled: boolean): Mover {
  const recordAttempt = createAttemptInsert(db);
  const end = createMessageEnd(db, dropContentWhenSettled);
  const updates = new Map(
    (['delivered', 'bounced', 'expired', 'canceled', 'quarantined', 'deferred'] as const).map((to) => [
      to,
      db.prepare<(string | number | null)[]>(`
        UPDATE deliveries SET state = '${to}', route = ?, attempts = ?, crashes = ?, due_at = ?, delivered_at = ?,
          last_response = coalesce(?, last_response), updated_at = ?, lease_until = NULL, lease_token = NULL
        WHERE did = ? AND ${mayBecome(to)}`),
    ]),
  );

  return (row, move, now) => {
    const attempts = row.attempts + (move.attempt === undefined ? 0 : 1);
    const dueAt = move.to === 'deferred' ? move.dueAt : null;
    const updated = updates
      .get(move.to)
      ?.run(
        move.to === 'deferred' ? move.route : row.route,
        attempts,
        'crashes' in move ? move.crashes : row.crashes,
        dueAt,
        move.to === 'delivered' ? now : null,
        move.attempt?.outcome.response ?? null,
        now,
        row.did,
      );
    if (updated?.changes !== 1) throw new Error(`${row.id} cannot go from ${row.state} to ${move.to}`);

    const { attempt } = move;
    const told = attempt && eventAttempt(attempts, attempt.route, attempt.outcome);
    if (attempt && told) recordAttempt(row.did, attempt.startedAt, told);
    events.append(
      `message.${move.to}`,
      now,
      {
        message: eventMessage(eventSourceOf(row), row.rule),
        delivery: {
          id: row.id,
          recipient: row.recipient,
          state: move.to,
          attempts,
          ...(dueAt === null ? {} : { next_attempt_at: isoTime(dueAt) }),
        },
        ...(told ? { attempt: told } : {}),
        ...(move.reason === undefined ? {} : { reason: move.reason }),
      },
      row.recipient_key,
    );
    if (move.to === 'deferred' || move.to === 'quarantined') return;
    end(row.mid, move.to === 'delivered' && move.captured, now);
  };
}

function createAttemptInsert(
  db: Database.Database,
): (did: number, startedAt: number, attempt: ReturnType<typeof eventAttempt>) => void {
  const insert = db.prepare<(string | number | null)[]>(`
    INSERT INTO attempts (did, number, route, started_at, outcome, cause, next_hop, tls, cipher, stage, code, enhanced,
      response, timings)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  return (did, startedAt, attempt) => {
    insert.run(
      did,
      attempt.number,
      attempt.route,
      startedAt,
      attempt.outcome,
      attempt.cause,
      attempt.next_hop,
      attempt.tls,
      attempt.cipher,
      attempt.stage,
      attempt.code,
      attempt.enhanced,
      attempt.response,
      JSON.stringify(attempt.timings_ms),
    );
  };
}

/** What happens to the message when one of its deliveries has come to its end. */
function createMessageEnd(
  db: Database.Database,
  dropContentWhenSettled: boolean,
): (mid: number, captured: boolean, now: number) => void {
  const open = db
    .prepare<[number, number], number>(
      `SELECT 1 FROM deliveries WHERE did BETWEEN ? AND ? AND state IN ${sqlList(OPEN_STATES)} LIMIT 1`,
    )
    .pluck();
  const markCaptured = db.prepare<[number]>('UPDATE messages SET captured = 1 WHERE mid = ?');
  const settleAndDrop = db.prepare<[number, number]>(
    'UPDATE messages SET settled_at = ?, content_kept = 0 WHERE mid = ? AND captured = 0',
  );
  const dropContent = db.prepare<[number]>('DELETE FROM contents WHERE mid = ?');
  const settle = db.prepare<[number, number]>('UPDATE messages SET settled_at = ? WHERE mid = ?');
  return (mid, captured, now) => {
    if (captured) markCaptured.run(mid);
    if (open.get(...deliveryKeys(mid)) !== undefined) return;
    if (dropContentWhenSettled && settleAndDrop.run(now, mid).changes > 0) dropContent.run(mid);
    else settle.run(now, mid);
  };
}
