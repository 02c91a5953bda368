/** `MessageRecord` as a row of `messages`, and back. */
import type Database from 'better-sqlite3';
import type { ReversePath } from '../../core/address.ts';
import type { EventMessageSource } from '../../core/event.ts';
import type { MessageId } from '../../core/ids.ts';
import { type EnvelopeDsn, type MessageRecord, PRIORITIES, type Priority, type TagSource } from '../../core/message.ts';

export interface MessageRow extends EventMessageRow {
  readonly mid: number;
  readonly mail_from: ReversePath;
  readonly header_from: string;
  readonly dsn: string | null;
  readonly smtp_utf8: number;
  readonly collapse_key: string | null;
  readonly require_tls: number;
  readonly rule: string;
  readonly deadline_source: MessageRecord['deadlineSource'];
  readonly size: number;
  readonly eight_bit: number;
  readonly signatures: string | null;
  readonly warnings: string | null;
  readonly links: string | null;
  readonly client_address: string;
  readonly client_helo: string;
  readonly client_tls: string | null;
  readonly content_kept: number;
}

/** The columns of `messages` that events show, with `id` as `message_id`. */
export interface EventMessageRow {
  readonly message_id: MessageId;
  readonly header_message_id: string;
  readonly tag: string | null;
  readonly tag_source: TagSource;
  readonly flow: string | null;
  readonly metadata: string | null;
  readonly priority: number;
  readonly credential: string | null;
  readonly accepted_at: number;
  readonly deadline: number;
}

export const EVENT_MESSAGE_COLUMNS: string = `m.id AS message_id, m.header_message_id, m.tag, m.tag_source, m.flow, m.metadata,
  m.priority, m.credential, m.accepted_at, m.deadline`;

export const MESSAGE_COLUMNS: string = `${EVENT_MESSAGE_COLUMNS}, m.mid, m.mail_from, m.header_from, m.dsn, m.smtp_utf8,
  m.collapse_key, m.require_tls, m.rule, m.deadline_source, m.size, m.eight_bit, m.signatures, m.warnings, m.links,
  m.client_address, m.client_helo, m.client_tls, m.content_kept`;

const NO_DSN: EnvelopeDsn = { ret: null, envid: null };

/** The number by which the queue sorts a lane. */
export function laneOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

export function priorityOf(lane: number): Priority {
  return PRIORITIES[lane] ?? 'bulk';
}

export function dsnOf(json: string | null): EnvelopeDsn {
  return json === null ? NO_DSN : JSON.parse(json);
}

export function eventSourceOf(row: EventMessageRow): EventMessageSource {
  return {
    id: row.message_id,
    headerMessageId: row.header_message_id,
    tag: row.tag,
    tagSource: row.tag_source,
    flow: row.flow,
    metadata: row.metadata === null ? {} : JSON.parse(row.metadata),
    priority: priorityOf(row.priority),
    credential: row.credential,
    acceptedAt: row.accepted_at,
    deadline: row.deadline,
  };
}

export function recordOf(row: MessageRow): MessageRecord {
  return {
    ...eventSourceOf(row),
    mailFrom: row.mail_from,
    headerFrom: row.header_from,
    dsn: dsnOf(row.dsn),
    smtpUtf8: row.smtp_utf8 === 1,
    collapseKey: row.collapse_key,
    requireTls: row.require_tls === 1,
    rule: row.rule,
    deadlineSource: row.deadline_source,
    size: row.size,
    eightBit: row.eight_bit === 1,
    signatures: listOf(row.signatures),
    warnings: listOf(row.warnings),
    links: row.links === null ? null : JSON.parse(row.links),
    client: { address: row.client_address, helo: row.client_helo, tls: row.client_tls },
  };
}

/** Writes `record`, and whether reports may be owed for it; returns the row's short key. */
export function createMessageInsert(db: Database.Database): (record: MessageRecord, wantsReports: boolean) => number {
  const insert = db.prepare<(string | number | null)[]>(`
    INSERT INTO messages (id, header_message_id, mail_from, header_from, dsn, smtp_utf8, tag, tag_source, flow, metadata,
      priority, collapse_key, require_tls, credential, rule, accepted_at, deadline, deadline_source, size, eight_bit,
      signatures, warnings, links, client_address, client_helo, client_tls, wants_reports)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  return (record, wantsReports) => {
    const { client, dsn, metadata } = record;
    const { lastInsertRowid } = insert.run(
      record.id,
      record.headerMessageId,
      record.mailFrom,
      record.headerFrom,
      dsn.ret === null && dsn.envid === null ? null : JSON.stringify(dsn),
      record.smtpUtf8 ? 1 : 0,
      record.tag,
      record.tagSource,
      record.flow,
      Object.keys(metadata).length === 0 ? null : JSON.stringify(metadata),
      laneOf(record.priority),
      record.collapseKey,
      record.requireTls ? 1 : 0,
      record.credential,
      record.rule,
      record.acceptedAt,
      record.deadline,
      record.deadlineSource,
      record.size,
      record.eightBit ? 1 : 0,
      record.signatures.length === 0 ? null : JSON.stringify(record.signatures),
      record.warnings.length === 0 ? null : JSON.stringify(record.warnings),
      record.links === null ? null : JSON.stringify(record.links),
      client.address,
      client.helo,
      client.tls,
      wantsReports ? 1 : 0,
    );
    return Number(lastInsertRowid);
  };
}

function listOf(json: string | null): readonly string[] {
  return json === null ? [] : JSON.parse(json);
}
