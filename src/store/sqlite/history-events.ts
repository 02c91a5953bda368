/**
 * Reading the event log.
 *
 * Without a filter the log is walked by `seq`. With one, each wanted type is looked up in the index that fits (tag and type,
 * or type), and the few results are merged. Events of a recipient are found through its deliveries: an index of its own
 * over events would cost every commit two more pages. A recipient with a great many deliveries is found by a walk along
 * the types instead, where it is never far.
 */
import type Database from 'better-sqlite3';
import { EVENT_TYPES, type EventType, type RelayEvent } from '../../core/event.ts';
import type { EventId, MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { EventFilter } from '../store.ts';
import type { ReaderCalls } from './calls.ts';
import { createFirstSince } from './first-since.ts';
import { recipientKeyOf } from './history-messages.ts';

type EventReads = Pick<ReaderCalls, 'eventsOf' | 'events' | 'rejectedFor'>;
type Value = string | number;

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
  const statements = new Map<string, Database.Statement<Value[], number>>();
  const prepared = (sql: string): Database.Statement<Value[], number> => {
    const known = statements.get(sql);
    if (known !== undefined) return known;
    const statement = db.prepare<Value[], number>(sql).pluck();
    statements.set(sql, statement);
    return statement;
  };
  const firstSince = createFirstSince(db, 'events', 'seq', 'at');
  const hasMany = db
    .prepare<[string, number], number>(
      'SELECT 1 FROM deliveries INDEXED BY deliveries_recipient WHERE recipient_key = ? LIMIT 1 OFFSET ?',
    )
    .pluck();

  return ({ afterSeq, types, tag, state, recipient, sinceMs, limit }) => {
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
    if (sinceMs !== undefined) demand('e.seq >= ? AND e.at >= ?', firstSince(sinceMs), sinceMs);
    const conditions = ['1', ...where].join(' AND ');
    const forward = afterSeq !== undefined;
    const order = `ORDER BY e.seq ${forward ? 'ASC' : 'DESC'} LIMIT ?`;
    const wanted = typesOf(types ?? EVENT_TYPES, state);

    let seqs: number[];
    if (recipientKey !== undefined && hasMany.get(recipientKey, MANY_DELIVERIES) === undefined) {
      const ofDeliveries = prepared(`
        SELECT e.seq FROM (
          SELECT DISTINCT mid FROM deliveries INDEXED BY deliveries_recipient WHERE recipient_key = ?
        ) own CROSS JOIN messages m ON m.mid = own.mid CROSS JOIN events e INDEXED BY events_message ON e.message_id = m.id
        WHERE e.type IN (SELECT value FROM json_each(?)) AND ${conditions}`);
      const ofRejections = prepared(
        `SELECT e.seq FROM events e INDEXED BY events_rejected WHERE e.type = 'message.rejected' AND ${conditions}`,
      );
      seqs = ofDeliveries.all(recipientKey, JSON.stringify(wanted), ...values);
      if (wanted.includes('message.rejected')) seqs.push(...ofRejections.all(...values));
    } else if (types !== undefined || state !== undefined || tag !== undefined || recipientKey !== undefined) {
      const index = tag === undefined ? 'events_type' : 'events_tag';
      const ofType = prepared(
        `SELECT e.seq FROM events e INDEXED BY ${index} WHERE e.type = ? AND ${conditions} ${order}`,
      );
      seqs = wanted.flatMap((type) => ofType.all(type, ...values, limit));
    } else {
      seqs = prepared(`SELECT e.seq FROM events e WHERE ${conditions} ${order}`).all(...values, limit);
    }
    seqs.sort((a, b) => a - b);
    return forward ? seqs.slice(0, limit) : seqs.slice(Math.max(0, seqs.length - limit));
  };
}

/** Types whose delivery may be in `state`: most types have one state only, which spares a look at their rows. */
function typesOf(types: readonly EventType[], state: string | undefined): readonly EventType[] {
  const distinct = [...new Set(types)];
  if (state === undefined) return distinct;
  return distinct.filter((type) => {
    if (type === 'message.accepted') return state === 'queued';
    return type === 'message.delayed' || type === 'message.complained' || type === `message.${state}`;
  });
}
