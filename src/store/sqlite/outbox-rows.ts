/** What the statements of the outbox share: an endpoint's row, which events it wants, and the order among them. */
import type Database from 'better-sqlite3';
import type { EventType } from '../../core/event.ts';
import type { EventId, MessageId } from '../../core/ids.ts';
import type { OutboxStanding } from '../outbox.ts';

export interface EndpointRow {
  readonly wid: number;
  readonly name: string;
  readonly cursor: number;
  readonly fingerprint: string;
  readonly types: string;
  readonly tags: string | null;
  readonly failures: number;
  readonly failing_since: number | null;
  readonly delivered_at: number | null;
  readonly failed_at: number | null;
  readonly disabled_at: number | null;
  readonly disabled_reason: string | null;
}

/** An event of the log as far as it decides whether an endpoint wants it; `body` is null where it does not matter. */
export interface LoggedEvent {
  readonly seq: number;
  readonly at: number;
  readonly type: EventType;
  readonly tag: string | null;
  readonly message_id: MessageId | null;
  /** Of events that are about no message. */
  readonly body: string | null;
}

/** For `SELECT ... FROM events`: a `LoggedEvent`. */
export const LOGGED_COLUMNS = 'seq, at, type, tag, message_id, iif(message_id IS NULL, body, NULL) AS body';

export interface SentEvent {
  readonly seq: number;
  readonly event_id: EventId;
  readonly type: EventType;
  readonly at: number;
  readonly body: string;
}

/** Returns a function from an endpoint's name to its row. */
export function createEndpointLookup(db: Database.Database): (name: string) => EndpointRow | undefined {
  const get = db.prepare<[string], EndpointRow>('SELECT * FROM webhooks WHERE name = ?');
  return (name) => get.get(name);
}

export function standingOf(row: EndpointRow): OutboxStanding {
  return {
    name: row.name,
    failures: row.failures,
    failingSince: row.failing_since,
    disabledAt: row.disabled_at,
    disabledReason: row.disabled_reason,
  };
}

/** Returns whether the endpoint wants an event. */
export function wantsOf(row: EndpointRow): (event: LoggedEvent) => boolean {
  const types = new Set(parseList(row.types));
  const tags = row.tags === null ? null : new Set(parseList(row.tags));
  return (event) => {
    if (!types.has(event.type)) return false;
    if (event.message_id !== null) return tags === null || (event.tag !== null && tags.has(event.tag));
    // An endpoint that fails would else get an event for its own failure.
    return subjectOf(event) !== `webhook:${row.name}`;
  };
}

/** Events of the same key are sent one after the other. */
export function orderKeyOf(event: LoggedEvent): string {
  return event.message_id ?? subjectOf(event);
}

/** What an event without a message is about: `route:ses`, `webhook:auth`. */
function subjectOf(event: LoggedEvent): string {
  const data: unknown = JSON.parse(event.body ?? '{}');
  const kind = event.type.slice(0, event.type.indexOf('.'));
  const subject: unknown = isRecord(data) ? data[kind] : undefined;
  return `${kind}:${isRecord(subject) ? String(subject['name']) : ''}`;
}

/** A JSON list of texts. */
export function parseList(json: string): readonly string[] {
  const list: unknown = JSON.parse(json);
  return Array.isArray(list) ? list.map(String) : [];
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}
