/**
 * Appends events. Only ever called inside the transaction that changes what the event tells of.
 *
 * `seq` comes from SQLite's AUTOINCREMENT, whose counter is rolled back with the transaction: it grows without gaps, and
 * numbers of deleted events are never given again. What was appended is also kept for the feed until the commit returns;
 * after a rollback it is forgotten.
 */
import type Database from 'better-sqlite3';
import type { EventData, EventType } from '../../core/event.ts';
import { createIds, type EventId } from '../../core/ids.ts';
import { type Clock, isoTime, systemClock } from '../../core/time.ts';

export interface EventLog {
  /** `recipientKey`: `addressKey` of the recipient that it is about, or null. */
  append(type: EventType, at: number, data: EventData, recipientKey: string | null): void;
  /** Where the log stands, for `forgetSince`. */
  mark(): number;
  /** A rollback undid what was appended since `mark`. */
  forgetSince(mark: number): void;
  /** The events appended since the last call, each as the JSON text of a `RelayEvent`. */
  take(): readonly string[];
}

/** Makes the log of `db`. */
export function createEventLog(db: Database.Database): EventLog {
  const insert = db.prepare<
    [string, EventType, number, string | null, string | null, string | null, string | null, string]
  >(
    'INSERT INTO events (event_id, type, at, message_id, tag, recipient_key, state, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)',
  );
  // Ids carry the time of their event, which is the caller's.
  let time = 0;
  const clockOfEvents: Clock = { ...systemClock, now: () => time };
  const ids = createIds(clockOfEvents);
  let appended: string[] = [];
  return {
    append(type, at, data, recipientKey) {
      time = at;
      const id = ids.event();
      const body = JSON.stringify(data);
      const { lastInsertRowid } = insert.run(
        id,
        type,
        at,
        data.message?.id ?? null,
        data.message?.tag ?? null,
        recipientKey,
        data.delivery?.state ?? null,
        body,
      );
      appended.push(eventText(type, at, id, Number(lastInsertRowid), body));
    },
    mark: () => appended.length,
    forgetSince: (mark) => void appended.splice(mark),
    take() {
      const taken = appended;
      appended = [];
      return taken;
    },
  };
}

/** A `RelayEvent` as JSON text. `body` is text already: it is set in, not parsed and written anew. */
export function eventText(type: EventType, at: number, id: EventId, seq: number, body: string): string {
  const rest = body === '{}' ? '}' : `,${body.slice(1)}`;
  return `{"type":"${type}","timestamp":"${isoTime(at)}","data":{"event_id":"${id}","seq":${seq}${rest}}`;
}
