/**
 * Reading the event log.
 *
 * Without a filter the log is walked by `seq`. With one, each wanted type is looked up in the index that fits (recipient and
 * type, tag and type, or type), and the few results are merged: no filter reads the log from end to end.
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

/** Makes the event reads over `db`. */
export function createEventReads(db: Database.Database): EventReads {
  const ofMessage = db.prepare<[string], EventRow>(
    `SELECT ${COLUMNS} FROM events INDEXED BY events_message WHERE message_id = ? ORDER BY seq`,
  );
  const bySeq = db.prepare<[number], EventRow>(`SELECT ${COLUMNS} FROM events WHERE seq = ?`);
  const rejected = db
    .prepare<[string, number], MessageId>(
      `SELECT message_id FROM events INDEXED BY events_recipient
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

  return ({ afterSeq, types, tag, state, recipient, sinceMs, limit }) => {
    const recipientKey = recipient === undefined ? undefined : recipientKeyOf(recipient);
    if (recipientKey === null) return [];
    const where: string[] = [];
    const values: Value[] = [];
    const demand = (condition: string, ...given: readonly Value[]): void => {
      where.push(condition);
      values.push(...given);
    };
    if (recipientKey !== undefined) demand('recipient_key = ?', recipientKey);
    if (tag !== undefined) demand('tag = ?', tag);
    if (state !== undefined) demand('state = ?', state);
    if (afterSeq !== undefined) demand('seq > ?', afterSeq);
    if (sinceMs !== undefined) demand('seq >= ? AND at >= ?', firstSince(sinceMs), sinceMs);
    const conditions = ['1', ...where].join(' AND ');
    const forward = afterSeq !== undefined;
    const order = `ORDER BY seq ${forward ? 'ASC' : 'DESC'} LIMIT ?`;

    const filtered = types !== undefined || state !== undefined || tag !== undefined || recipientKey !== undefined;
    let seqs: number[];
    if (filtered) {
      const index = recipientKey !== undefined ? 'events_recipient' : tag !== undefined ? 'events_tag' : 'events_type';
      const ofType = prepared(`SELECT seq FROM events INDEXED BY ${index} WHERE type = ? AND ${conditions} ${order}`);
      seqs = typesOf(types ?? EVENT_TYPES, state).flatMap((type) => ofType.all(type, ...values, limit));
    } else {
      seqs = prepared(`SELECT seq FROM events WHERE ${conditions} ${order}`).all(...values, limit);
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
