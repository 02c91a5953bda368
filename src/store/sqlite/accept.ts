/**
 * Taking mail in: a message with all it needs, or the event that it was refused.
 *
 * A message is written whole or not at all. An idempotency key that is still valid wins over everything: then nothing is
 * written, and the first message's id is the answer.
 */
import type Database from 'better-sqlite3';
import { addressKey } from '../../core/address.ts';
import { acceptedEvent, type EventMessage } from '../../core/event.ts';
import type { MessageId } from '../../core/ids.ts';
import type { MessageRecord, NewDelivery } from '../../core/message.ts';
import type { IdempotencyClaim, Lease, RejectedMessage } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import type { EventLog } from './event-log.ts';
import { deliveryKey } from './keys.ts';
import { createMessageInsert, laneOf } from './message-row.ts';

/** Makes `accept` and `reject` over `db`. */
export function createAccept(
  db: Database.Database,
  events: EventLog,
  nextToken: () => number,
): Pick<WriterCalls, 'accept' | 'reject'> {
  const claimKey = db.prepare<[string, string, MessageId, number, number]>(`
    INSERT INTO idempotency (scope, key, message_id, expires_at) VALUES (?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at
      WHERE idempotency.expires_at <= ?`);
  const keyOwner = db
    .prepare<[string, string], MessageId>('SELECT message_id FROM idempotency WHERE scope = ? AND key = ?')
    .pluck();
  const insertMessage = createMessageInsert(db);
  const insertContent = db.prepare<[number, Uint8Array]>('INSERT INTO contents (mid, bytes) VALUES (?, ?)');
  const insertDelivery = db.prepare<(string | number | null)[]>(`
    INSERT INTO deliveries (did, id, mid, recipient, recipient_key, dsn, rule, rule_reason, via, route, priority, deadline,
      updated_at, state, due_at, lease_until, lease_token, leased_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);

  /** The message that owns the key already, or null when it is now `messageId`'s. */
  function ownerOf(claim: IdempotencyClaim, messageId: MessageId, now: number): MessageId | null {
    const { changes } = claimKey.run(claim.scope, claim.key, messageId, claim.expiresAt, now);
    return changes > 0 ? null : (keyOwner.get(claim.scope, claim.key) ?? null);
  }

  return {
    accept({ record, deliveries, idempotency, leaseMs }, content) {
      if (idempotency !== null) {
        const owner = ownerOf(idempotency, record.id, record.acceptedAt);
        if (owner !== null) return { kind: 'duplicate', messageId: owner };
      }
      const mid = insertMessage(record);
      insertContent.run(mid, content);
      const [only] = deliveries;
      const lease =
        leaseMs !== null && deliveries.length === 1 && only !== undefined
          ? firstLease(record, only, nextToken(), leaseMs)
          : null;
      for (const [index, delivery] of deliveries.entries()) {
        const recipientKey = addressKey(delivery.recipient);
        insertDelivery.run(
          deliveryKey(mid, index),
          delivery.id,
          mid,
          delivery.recipient,
          recipientKey,
          delivery.dsn === null ? null : JSON.stringify(delivery.dsn),
          delivery.rule,
          delivery.ruleReason,
          JSON.stringify(delivery.via),
          delivery.route,
          laneOf(record.priority),
          record.deadline,
          record.acceptedAt,
          lease === null ? 'queued' : 'sending',
          lease === null ? record.acceptedAt : null,
          lease?.leaseUntil ?? null,
          lease?.token ?? null,
          lease === null ? null : record.acceptedAt,
        );
        events.append('message.accepted', record.acceptedAt, acceptedEvent(record, delivery), recipientKey);
      }
      return { kind: 'accepted', lease };
    },

    reject(rejected) {
      const { refusal } = rejected;
      const data = {
        message: rejectedEventMessage(rejected),
        reason: refusal.reason,
        refusal: { code: refusal.code, enhanced: refusal.enhanced, text: refusal.text },
      };
      for (const recipient of rejected.recipients) {
        const delivery = { id: null, recipient, state: 'rejected', attempts: 0 } as const;
        events.append('message.rejected', rejected.at, { ...data, delivery }, addressKey(recipient));
      }
      // Refused before any recipient was named: still worth one event.
      if (rejected.recipients.length === 0) events.append('message.rejected', rejected.at, data, null);
      return null;
    },
  };
}

/** The lease under which a delivery begins life: what a claim at once after the acceptance would give. */
function firstLease(record: MessageRecord, delivery: NewDelivery, token: number, leaseMs: number): Lease {
  return {
    deliveryId: delivery.id,
    messageId: record.id,
    token,
    leaseUntil: record.acceptedAt + leaseMs,
    route: delivery.route,
    via: delivery.via,
    recipient: delivery.recipient,
    mailFrom: record.mailFrom,
    dsn: record.dsn,
    recipientDsn: delivery.dsn,
    smtpUtf8: record.smtpUtf8,
    eightBit: record.eightBit,
    requireTls: record.requireTls,
    priority: record.priority,
    tag: record.tag,
    attempts: 0,
    crashes: 0,
    acceptedAt: record.acceptedAt,
    dueAt: record.acceptedAt,
    deadline: record.deadline,
  };
}

/** What is known of a message that was never taken in. */
function rejectedEventMessage(rejected: RejectedMessage): EventMessage {
  return {
    id: rejected.id,
    message_id: rejected.headerMessageId,
    tag: rejected.tag,
    tag_source: rejected.tag === null ? 'none' : 'unknown',
    flow: null,
    metadata: {},
    priority: 'unknown',
    credential: rejected.credential,
    rule: rejected.rule,
    accepted_at: null,
    deadline: null,
  };
}
