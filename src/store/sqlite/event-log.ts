/**
 * Appends events. Only ever called inside the transaction that changes what the event tells of.
 *
 * `seq` comes from SQLite's AUTOINCREMENT, whose counter is rolled back with the transaction: it grows without gaps, and
 * numbers of deleted events are never given again.
 */
import type Database from 'better-sqlite3';
import type { EventData, EventType } from '../../core/event.ts';
import { createIds } from '../../core/ids.ts';
import { type Clock, systemClock } from '../../core/time.ts';

export interface EventLog {
  /** `recipientKey`: `addressKey` of the recipient that it is about, or null. */
  append(type: EventType, at: number, data: EventData, recipientKey: string | null): void;
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
  return {
    append(type, at, data, recipientKey) {
      time = at;
      insert.run(
        ids.event(),
        type,
        at,
        data.message?.id ?? null,
        data.message?.tag ?? null,
        recipientKey,
        data.delivery?.state ?? null,
        JSON.stringify(data),
      );
    },
  };
}
