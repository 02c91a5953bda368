/** Looking into the outbox: how endpoints fare, what became of each event, and which events a replay is about. */
import type Database from 'better-sqlite3';
import type { EventType } from '../../core/event.ts';
import { timeOfEventId, type EventId, type MessageId } from '../../core/ids.ts';
import type { OutboxAttempt, OutboxDelivery, OutboxFigures, OutboxState } from '../outbox.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';
import {
  createEndpointLookup,
  type EndpointRow,
  LOGGED_COLUMNS,
  type LoggedEvent,
  parseList,
  standingOf,
  wantsOf,
} from './outbox-rows.ts';

type OutboxReads = Pick<ReaderCalls, 'outboxFigures' | 'outboxDeliveries' | 'outboxSelect'>;

/** Events beyond the cursor that are counted: a backlog may be as long as the log. */
const COUNT_EVENTS = 10_000;
/** Events of one millisecond that are looked through for one id, before the whole log is. */
const SAME_TIME = 2000;

interface DeliveryRow {
  readonly seq: number;
  readonly event_id: EventId;
  readonly type: EventType;
  readonly at: number;
  readonly message_id: MessageId | null;
  readonly state: OutboxState;
  readonly due_at: number | null;
}

interface AttemptRow extends Omit<OutboxAttempt, 'delivered'> {
  readonly delivered: number;
}

/** Makes the reads of the outbox over `db`. */
export function createOutboxReads(db: Database.Database): OutboxReads {
  const find = createEndpointLookup(db);
  const all = db.prepare<[], EndpointRow>('SELECT * FROM webhooks ORDER BY name');
  const waiting = db
    .prepare<[number], number>(
      `SELECT count(*) FROM webhook_rows INDEXED BY webhook_waiting WHERE wid = ? AND state = 'waiting'`,
    )
    .pluck();
  const oldest = db
    .prepare<[number], number | null>(
      `SELECT min(born_at) FROM webhook_rows INDEXED BY webhook_waiting WHERE wid = ? AND state = 'waiting'`,
    )
    .pluck();
  const dead = db
    .prepare<[number], number>(
      `SELECT count(*) FROM webhook_rows INDEXED BY webhook_dead WHERE wid = ? AND state = 'dead'`,
    )
    .pluck();
  const nextDue = db
    .prepare<[number], number | null>(
      'SELECT min(due_at) FROM webhook_rows INDEXED BY webhook_due WHERE wid = +? AND due_at IS NOT NULL',
    )
    .pluck();
  const scan = db.prepare<[number, number], LoggedEvent>(
    `SELECT ${LOGGED_COLUMNS} FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
  );
  const deadAfter = db
    .prepare<[number, number, number], number>(
      `SELECT seq FROM webhook_rows INDEXED BY webhook_dead WHERE wid = +? AND state = 'dead' AND seq > +? ORDER BY seq LIMIT +?`,
    )
    .pluck();
  const attempts = db.prepare<[number, number], AttemptRow>(
    'SELECT number, at, ms, delivered, status, text FROM webhook_attempts WHERE wid = ? AND seq = ? ORDER BY number',
  );
  const sameTime = db.prepare<[number, number], LoggedEvent & { readonly event_id: string }>(
    `SELECT ${LOGGED_COLUMNS}, event_id FROM events WHERE seq >= ? ORDER BY seq LIMIT ?`,
  );
  const byId = db.prepare<[string], LoggedEvent>(`SELECT ${LOGGED_COLUMNS} FROM events WHERE event_id = ?`);
  const firstSince = createFirstSince(db, 'events', 'seq', 'at');
  const listFor = (index: string, condition: string): Database.Statement<[number, number, number], DeliveryRow> =>
    db.prepare<[number, number, number], DeliveryRow>(`
      SELECT r.seq, e.event_id, e.type, e.at, e.message_id, r.state, r.due_at
      FROM webhook_rows r ${index} CROSS JOIN events e ON e.seq = r.seq
      WHERE r.wid = +? AND r.seq < +? ${condition} ORDER BY r.seq DESC LIMIT +?`);
  const lists = {
    any: listFor('NOT INDEXED', ''),
    waiting: listFor('INDEXED BY webhook_waiting', "AND r.state = 'waiting'"),
    delivered: listFor('NOT INDEXED', "AND r.state = 'delivered'"),
    dead: listFor('INDEXED BY webhook_dead', "AND r.state = 'dead'"),
  };

  function figuresOf(row: EndpointRow): OutboxFigures {
    const wants = wantsOf(row);
    const ahead = scan.all(row.cursor, COUNT_EVENTS).filter(wants);
    const times = [oldest.get(row.wid) ?? null, ahead[0]?.at ?? null].filter((time) => time !== null);
    return {
      ...standingOf(row),
      types: parseList(row.types),
      tags: row.tags === null ? null : parseList(row.tags),
      backlog: (waiting.get(row.wid) ?? 0) + ahead.length,
      oldestPendingAt: times.length === 0 ? null : Math.min(...times),
      dead: dead.get(row.wid) ?? 0,
      nextAttemptAt: row.disabled_at === null ? (nextDue.get(row.wid) ?? null) : null,
      lastDeliveredAt: row.delivered_at,
      lastFailedAt: row.failed_at,
    };
  }

  /** An id begins with the time of its event, which leads to its place in the log, unless the clock was set back. */
  function eventWithId(id: string): LoggedEvent | undefined {
    const at = timeOfEventId(id);
    if (at === null) return undefined;
    return sameTime.all(firstSince(at), SAME_TIME).find((event) => event.event_id === id) ?? byId.get(id);
  }

  return {
    outboxFigures: () => all.all().map(figuresOf),

    outboxDeliveries(name, { state, before, limit }) {
      const row = find(name);
      if (row === undefined) return null;
      return lists[state ?? 'any'].all(row.wid, before ?? Number.MAX_SAFE_INTEGER, limit).map(
        (delivery): OutboxDelivery => ({
          seq: delivery.seq,
          eventId: delivery.event_id,
          type: delivery.type,
          eventAt: delivery.at,
          messageId: delivery.message_id,
          state: delivery.state,
          nextAttemptAt: delivery.due_at,
          attempts: attempts
            .all(row.wid, delivery.seq)
            .map((attempt) => ({ ...attempt, delivered: attempt.delivered === 1 })),
        }),
      );
    },

    outboxSelect(name, selection, after, limit) {
      const row = find(name);
      if (row === undefined) return null;
      const wants = wantsOf(row);
      switch (selection.kind) {
        case 'events': {
          const found = selection.ids.map((id) => ({ id, event: eventWithId(id) }));
          const known = found.flatMap(({ event }) => (event !== undefined && wants(event) ? [event.seq] : []));
          const unknown = found.filter(({ event }) => event === undefined || !wants(event)).map(({ id }) => id);
          return { seqs: known.toSorted((a, b) => a - b), unknown, next: null };
        }
        case 'range': {
          const from = Math.max(after, firstSince(selection.since) - 1);
          const events = scan.all(from, limit);
          const last = events.at(-1);
          const seqs = events
            .filter((event) => event.at >= selection.since && event.at < selection.until && wants(event))
            .map(({ seq }) => seq);
          const isOver = last === undefined || events.length < limit || last.at >= selection.until;
          return { seqs, unknown: [], next: isOver ? null : last.seq };
        }
        case 'dead': {
          const seqs = deadAfter.all(row.wid, after, limit);
          return { seqs, unknown: [], next: seqs.length < limit ? null : (seqs.at(-1) ?? null) };
        }
      }
    },
  };
}
