/**
 * Reading the event log.
 *
 * Without a filter the log is walked by `seq`. With one, each wanted type of each wanted tag is looked up in the one index
 * over both, and the few results are merged: there are few tags. Events of a recipient are found through its deliveries, those
 * of a flow through its messages.
 * Every index more would cost every commit a page or two: the events of a route are looked for among the newest alone. A recipient with a great many deliveries is found by a walk along
 * the types instead, where it is never far.
 */
import type Database from 'better-sqlite3';
import { EVENT_TYPES, type EventType, type RelayEvent } from '../../core/event.ts';
import type { EventId, MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import { type EventFilter, ROUTE_REACH } from '../history.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';
import { recipientKeyOf } from './history-messages.ts';
import { createStatementCache, type Value } from './statement-cache.ts';

type EventReads = Pick<ReaderCalls, 'eventsOf' | 'events' | 'rejectedFor'>;

interface EventRow {
  readonly seq: number;
  readonly event_id: EventId;
  readonly type: EventType;
  readonly at: number;
  readonly body: string;
}

const COLUMNS = 'seq, event_id, type, at, body';
/** From this many deliveries on, a recipient's events are found by a walk. */
const MANY_DELIVERIES = 5000;

/** Makes the event reads over `db`. */
export function createEventReads(db: Database.Database): EventReads {
  const ofMessage = db.prepare<[string], EventRow>(
    `SELECT ${COLUMNS} FROM events INDEXED BY events_message WHERE message_id = ? ORDER BY seq`,
  );
  const bySeq = db.prepare<[number], EventRow>(`SELECT ${COLUMNS} FROM events WHERE seq = ?`);
  const rejected = db
    .prepare<[string, number], MessageId>(
      `SELECT message_id FROM events INDEXED BY events_rejected
       WHERE recipient_key = ? AND type = 'message.rejected' ORDER BY seq DESC LIMIT ?`,
    )
    .pluck();
  const listSeqs = createSeqList(db);

  return {
    eventsOf: (id) => ofMessage.all(id).map(eventOf),
    events: (filter) =>
      listSeqs(filter)
        .flatMap((seq) => bySeq.all(seq))
        .map(eventOf),
    rejectedFor(recipient, limit) {
      const key = recipientKeyOf(recipient);
      return key === null ? [] : [...new Set(rejected.all(key, limit))];
    },
  };
}

function eventOf(row: EventRow): RelayEvent {
  const data: Omit<RelayEvent['data'], 'event_id' | 'seq'> = JSON.parse(row.body);
  return { type: row.type, timestamp: isoTime(row.at), data: { event_id: row.event_id, seq: row.seq, ...data } };
}

/** The numbers of the events that `filter` describes, ascending. */
function createSeqList(db: Database.Database): (filter: EventFilter) => readonly number[] {
  const prepared = createStatementCache(db);
  const firstSince = createFirstSince(db, 'events', 'seq', 'at');
  const last = db.prepare<[], number | null>('SELECT max(seq) FROM events').pluck();
  // SQLite steps from one tag to the next without reading what lies between.
  const tags = db
    .prepare<[], string>(`
      WITH RECURSIVE tags (tag) AS (
        SELECT (SELECT min(tag) FROM events INDEXED BY events_tag WHERE tag IS NOT NULL)
        UNION ALL SELECT (SELECT min(tag) FROM events INDEXED BY events_tag WHERE tag > tags.tag) FROM tags
          WHERE tags.tag IS NOT NULL
      )
      SELECT tag FROM tags WHERE tag IS NOT NULL`)
    .pluck();
  const hasMany = db
    .prepare<[string, number], number>(
      'SELECT 1 FROM deliveries INDEXED BY deliveries_recipient WHERE recipient_key = ? LIMIT 1 OFFSET ?',
    )
    .pluck();

  return ({ afterSeq, beforeSeq, types, tag, state, recipient, flow, route, sinceMs, untilMs, limit }) => {
    const recipientKey = recipient === undefined ? undefined : recipientKeyOf(recipient);
    if (recipientKey === null) return [];
    const where: string[] = [];
    const values: Value[] = [];
    const demand = (condition: string, ...given: readonly Value[]): void => {
      where.push(condition);
      values.push(...given);
    };
    if (recipientKey !== undefined) demand('e.recipient_key = ?', recipientKey);
    if (tag !== undefined) demand('e.tag = ?', tag);
    if (state !== undefined) demand('e.state = ?', state);
    if (afterSeq !== undefined) demand('e.seq > ?', afterSeq);
    if (beforeSeq !== undefined) demand('e.seq < ?', beforeSeq);
    if (sinceMs !== undefined) demand('e.seq >= ? AND e.at >= ?', firstSince(sinceMs), sinceMs);
    if (untilMs !== undefined) demand('e.seq < ? AND e.at <= ?', firstSince(untilMs + 1), untilMs);
    if (route !== undefined) {
      const isNarrow =
        flow !== undefined || recipientKey !== undefined || sinceMs !== undefined || afterSeq !== undefined;
      if (!isNarrow) demand('e.seq >= ?', (beforeSeq ?? (last.get() ?? 0) + 1) - ROUTE_REACH);
      demand("coalesce(e.body ->> '$.attempt.route', e.body ->> '$.route.name') = ?", route);
    }
    const conditions = ['1', ...where].join(' AND ');
    const forward = afterSeq !== undefined;
    const order = `ORDER BY e.seq ${forward ? 'ASC' : 'DESC'} LIMIT ?`;
    const wanted = typesOf(types ?? EVENT_TYPES, state);

    let seqs: number[];
    if (flow !== undefined) {
      const ofFlow = prepared(`
        SELECT e.seq FROM messages m INDEXED BY messages_flow
          CROSS JOIN events e INDEXED BY events_message ON e.message_id = m.id
        WHERE m.flow = ? AND e.type IN (SELECT value FROM json_each(?)) AND ${conditions}`);
      seqs = ofFlow.all(flow, JSON.stringify(wanted), ...values);
    } else if (recipientKey !== undefined && hasMany.get(recipientKey, MANY_DELIVERIES) === undefined) {
      const ofDeliveries = prepared(`
        SELECT e.seq FROM (
          SELECT DISTINCT mid FROM deliveries INDEXED BY deliveries_recipient WHERE recipient_key = ?
        ) own CROSS JOIN messages m ON m.mid = own.mid CROSS JOIN events e INDEXED BY events_message ON e.message_id = m.id
        WHERE e.type IN (SELECT value FROM json_each(?)) AND ${conditions}`);
      const ofRejections = prepared(
        `SELECT e.seq FROM events e INDEXED BY events_rejected WHERE e.type = 'message.rejected' AND ${conditions}`,
      );
      // What was refused has no delivery.
      const isRejected = wanted.every((type) => type === 'message.rejected');
      seqs = isRejected ? [] : ofDeliveries.all(recipientKey, JSON.stringify(wanted), ...values);
      if (wanted.includes('message.rejected')) seqs.push(...ofRejections.all(...values));
    } else if (types !== undefined || state !== undefined || tag !== undefined || recipientKey !== undefined) {
      const ofType = prepared(
        `SELECT e.seq FROM events e INDEXED BY events_tag WHERE e.tag IS ? AND e.type = ? AND ${conditions} ${order}`,
      );
      seqs = (tag === undefined ? [null, ...tags.all()] : [tag]).flatMap((each) =>
        wanted.flatMap((type) => ofType.all(each, type, ...values, limit)),
      );
    } else {
      seqs = prepared(`SELECT e.seq FROM events e WHERE ${conditions} ${order}`).all(...values, limit);
    }
    seqs.sort((a, b) => a - b);
    return forward ? seqs.slice(0, limit) : seqs.slice(Math.max(0, seqs.length - limit));
  };
}

const ANY_STATE: ReadonlySet<EventType> = new Set(['message.delayed', 'message.complained', 'message.bounced']);

/** Types whose delivery may be in `state`: most types have one state only, which spares a look at their rows. */
function typesOf(types: readonly EventType[], state: string | undefined): readonly EventType[] {
  const distinct = [...new Set(types)];
  if (state === undefined) return distinct;
  return distinct.filter((type) => {
    if (type === 'message.accepted') return state === 'queued';
    // A report of a bounce may come by mail after the delivery.
    return ANY_STATE.has(type) || type === `message.${state}`;
  });
}
