/**
 * Moves a delivery to its next state, and keeps everything that must change with it: the attempts, the event, a suppression,
 * a report that is owed, and, when it was the message's last open delivery, the message's end and its content.
 *
 * Legal moves come from core/delivery's table, as a condition of the UPDATE itself: a row that may not move is a bug here,
 * and throws. Claiming, releasing and an operator's retry have no event and stand in their own files.
 */
import type Database from 'better-sqlite3';
import { type Bounce, BOUNCE_EXPLANATIONS } from '../../core/bounce.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import { type EventBounce, type EventData, eventAttempt, eventMessage } from '../../core/event.ts';
import type { MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { PendingReport, Try } from '../store.ts';
import { createAttemptInsert } from './attempt-row.ts';
import type { DeliveryRow } from './delivery-row.ts';
import type { EventLog } from './event-log.ts';
import { eventSourceOf } from './message-row.ts';
import type { MessageEnd } from './message-end.ts';
import { asksFor, createOwe } from './owed.ts';
import { mayBecome } from './states.ts';
import { createSuppress } from './suppress.ts';

interface Reasons {
  /** Recorded and told in the event, in order; they count. */
  readonly tries?: readonly Try[];
  readonly reason?: string;
}

/** Where a delivery goes. */
export type Move = Reasons &
  (
    | { readonly to: 'delivered'; readonly captured: boolean }
    | { readonly to: 'bounced'; readonly bounce: Bounce; readonly suppressUntil: number | null }
    | { readonly to: 'expired' | 'canceled' }
    | { readonly to: 'superseded'; readonly by: MessageId }
    | { readonly to: 'quarantined'; readonly crashes: number }
    | {
        readonly to: 'deferred';
        readonly dueAt: number;
        readonly route: string;
        readonly destination: string;
        readonly crashes: number;
        /** Absent: as many as before. */
        readonly rounds?: number;
      }
  );

export type Mover = (row: DeliveryRow, move: Move, now: number) => void;

const TARGETS = ['delivered', 'bounced', 'expired', 'superseded', 'canceled', 'quarantined', 'deferred'] as const;

const TOO_LATE = 'a newer message came when this one could not be held back any more';

/** Makes the mover of `db`. */
export function createMover(db: Database.Database, events: EventLog, end: MessageEnd): Mover {
  const recordAttempt = createAttemptInsert(db);
  const owe = createOwe(db);
  const suppress = createSuppress(db);
  const updates = new Map(
    TARGETS.map((to) => [
      to,
      db.prepare<(string | number | null)[]>(`
        UPDATE deliveries SET state = '${to}', route = ?, destination = ?, attempts = ?, rounds = coalesce(?, rounds), crashes = ?,
          due_at = ?,
          delivered_at = ?, last_response = coalesce(?, last_response), updated_at = ?, lease_until = NULL,
          lease_token = NULL
        WHERE did = ? AND ${mayBecome(to)}`),
    ]),
  );
  const noteBounce = db.prepare<[string, string, number]>(
    'UPDATE deliveries SET bounce_class = ?, bounce_why = ? WHERE did = ?',
  );
  const dropDelay = db.prepare<[number]>('UPDATE deliveries SET delay_at = NULL WHERE did = ?');
  const noteNewer = db.prepare<[MessageId, number]>('UPDATE deliveries SET superseded_by = ? WHERE did = ?');

  return (row, move, now) => {
    const tries = move.tries ?? [];
    const last = tries.at(-1);
    const attempts = row.attempts + tries.length;
    const dueAt = move.to === 'deferred' ? move.dueAt : null;
    const updated = updates
      .get(move.to)
      ?.run(
        move.to === 'deferred' ? move.route : (last?.route ?? row.route),
        move.to === 'deferred' ? move.destination : row.destination,
        attempts,
        move.to === 'deferred' ? (move.rounds ?? null) : null,
        'crashes' in move ? move.crashes : row.crashes,
        dueAt,
        move.to === 'delivered' ? now : null,
        last?.outcome.response ?? null,
        now,
        row.did,
      );
    if (updated?.changes !== 1) throw new Error(`${row.id} cannot go from ${row.state} to ${move.to}`);
    if (row.delay_at !== null && move.to !== 'deferred') dropDelay.run(row.did);
    if (move.to === 'superseded') noteNewer.run(move.by, row.did);
    if (move.to === 'bounced') {
      noteBounce.run(move.bounce.class, move.bounce.why, row.did);
      if (move.suppressUntil !== null) {
        suppress(row, 'bounce', last?.outcome.response ?? move.bounce.why, now, move.suppressUntil);
      }
    }

    const told = tries.map(({ route, startedAt, outcome }, index) => {
      const attempt = eventAttempt(row.attempts + index + 1, route, outcome);
      recordAttempt(row.did, startedAt, attempt);
      return attempt;
    });
    const attempt = told.at(-1);
    const reason = move.reason ?? (move.to === 'delivered' && row.superseded_by !== null ? TOO_LATE : undefined);
    const newer = move.to === 'superseded' ? move.by : isEnd(move.to) ? row.superseded_by : null;
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
        ...(attempt === undefined ? {} : { attempt }),
        ...(told.length > 1 ? { failed_over: told.slice(0, -1) } : {}),
        ...(move.to === 'bounced' ? { bounce: eventBounce(move.bounce, move.suppressUntil) } : {}),
        ...(newer === null ? {} : { superseded_by: newer }),
        ...(reason === undefined ? {} : { reason }),
      } satisfies EventData,
      row.recipient_key,
    );
    if (row.wants_reports === 1) {
      const action = actionOf(move, row.return_path !== null);
      if (action !== null && asksFor(action, row.recipient_dsn)) {
        const bounce = move.to === 'bounced' ? move.bounce : null;
        owe({ did: row.did, action, at: now, state: move.to, attempt: attempts, bounce, reason: reason ?? null });
      }
    }
    if (isEnd(move.to)) {
      end.deliveryEnded(row.mid, move.to === 'delivered' && move.captured, row.wants_reports === 1, now);
    }
  };
}

/** The `bounce` part of an event. */
export function eventBounce(bounce: Bounce, suppressUntil: number | null): EventBounce {
  return {
    class: bounce.class,
    why: bounce.why,
    explanation: BOUNCE_EXPLANATIONS[bounce.class],
    ...(suppressUntil === null ? {} : { suppressed_until: isoTime(suppressUntil) }),
  };
}

function isEnd(to: DeliveryState): boolean {
  return to !== 'deferred' && to !== 'quarantined';
}

/**
 * The report that a move may owe. A next hop that took DSN over reports its success itself, but to the envelope sender that it
 * was given: with a return path of the delivery's own that is this relay, and the sender would hear nothing.
 */
function actionOf(move: Move, ownReturnPath: boolean): PendingReport['action'] | null {
  switch (move.to) {
    case 'bounced':
    case 'expired':
      return 'failed';
    case 'delivered':
      if (move.captured) return 'delivered';
      return move.tries?.at(-1)?.outcome.dsnPassedOn === true && !ownReturnPath ? null : 'relayed';
    case 'superseded':
    case 'canceled':
    case 'quarantined':
    case 'deferred':
      return null;
  }
}
