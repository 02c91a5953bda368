/**
 * Taking mail in: a message with all it needs, or the event that it was refused.
 *
 * A message is written whole or not at all. An idempotency key that is still valid wins over everything: then nothing is
 * written, and the first message's id is the answer, with whether it said the same. Only a keyed hash of what it said is kept: a bare
 * one would let whoever reads the database try out guesses at a code. A message that pays a report is accepted once, however often it comes:
 * what is owed goes in the same transaction.
 */
import { createHmac, createSecretKey, type KeyObject } from 'node:crypto';
import type Database from 'better-sqlite3';
import { addressKey, domainOf } from '../../core/address.ts';
import { acceptedEvent, type EventMessage, eventMessage } from '../../core/event.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import type { MessageRecord, NewDelivery } from '../../core/message.ts';
import type { AcceptResult, IdempotencyClaim, Lease, NewMessage, RejectedMessage } from '../store.ts';
import type { WriterCalls } from './calls.ts';
import type { Contents } from './contents.ts';
import { createCollapse } from './collapse.ts';
import type { EventLog } from './event-log.ts';
import { createFate } from './fate.ts';
import { deliveryKey } from './keys.ts';
import type { MessageEnd } from './message-end.ts';
import { createMessageInsert, laneOf } from './message-row.ts';
import type { Mover } from './moves.ts';
import type { ReportWrites } from './reports.ts';

export interface AcceptDeps {
  readonly contents: Pick<Contents, 'put'>;
  readonly events: EventLog;
  readonly move: Mover;
  readonly end: MessageEnd;
  readonly reports: Pick<ReportWrites, 'isOwed' | 'settle'>;
  readonly nextToken: () => number;
}

interface KeyOwner {
  readonly message_id: MessageId;
  readonly digest: Buffer | null;
}

/** Makes `accept` and `reject` over `db`. */
export function createAccept(db: Database.Database, deps: AcceptDeps): Pick<WriterCalls, 'accept' | 'reject'> {
  const { contents, events, move, end, reports, nextToken } = deps;
  const claimKey = db.prepare<[string, string, MessageId, number, Uint8Array, number]>(`
    INSERT INTO idempotency (scope, key, message_id, expires_at, digest) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (scope, key) DO UPDATE SET message_id = excluded.message_id, expires_at = excluded.expires_at,
      digest = excluded.digest
      WHERE idempotency.expires_at <= ?`);
  const keyOwner = db.prepare<[string, string], KeyOwner>(
    'SELECT message_id, digest FROM idempotency WHERE scope = ? AND key = ?',
  );
  const digestOf = createKeyedDigest(db);
  const insertMessage = createMessageInsert(db);
  const insertDelivery = db.prepare<(string | number | null)[]>(`
    INSERT INTO deliveries (did, id, mid, recipient, recipient_key, dsn, rule, rule_reason, via, route, destination,
      return_path, collapse_scope, delay_at, priority, deadline, updated_at, state, due_at, lease_until, lease_token,
      leased_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`);
  const fateOf = createFate(db);
  const collapse = createCollapse(db, move);

  /** What to answer when another message owns the key already; null when it is now `messageId`'s. */
  function ownerOf(claim: IdempotencyClaim, messageId: MessageId, now: number): AcceptResult | null {
    const digest = digestOf(claim);
    const { changes } = claimKey.run(claim.scope, claim.key, messageId, claim.expiresAt, digest, now);
    const owner = changes > 0 ? undefined : keyOwner.get(claim.scope, claim.key);
    if (owner === undefined) return null;
    // A key from before digests were kept tells nothing of what it was used for.
    const isSame = owner.digest === null || owner.digest.equals(digest);
    return { kind: isSame ? 'duplicate' : 'conflict', messageId: owner.message_id };
  }

  return {
    accept(message, content) {
      const { record, deliveries, idempotency, leaseMs, paysReport } = message;
      const now = record.acceptedAt;
      if (paysReport !== null && !reports.isOwed(paysReport)) return { kind: 'duplicate', messageId: record.id };
      if (idempotency !== null) {
        const owner = ownerOf(idempotency, record.id, now);
        if (owner !== null) return owner;
      }
      if (paysReport !== null) reports.settle(paysReport);
      const mid = insertMessage(record, message.wantsReports && record.mailFrom !== '');
      contents.put(mid, record.id, content);

      let lease: Lease | null = null;
      let alive = false;
      const interrupt: DeliveryId[] = [];
      for (const [index, delivery] of deliveries.entries()) {
        const did = deliveryKey(mid, index);
        const recipientKey = addressKey(delivery.recipient);
        const fate = fateOf(message, recipientKey, now);
        if (fate.kind === 'alive') {
          alive = true;
          if (leaseMs !== null && deliveries.length === 1) lease = firstLease(record, delivery, nextToken(), leaseMs);
        }
        const dueAt = fate.kind === 'alive' && lease === null ? now : null;
        insertDelivery.run(
          did,
          delivery.id,
          mid,
          delivery.recipient,
          recipientKey,
          delivery.dsn === null ? null : JSON.stringify(delivery.dsn),
          delivery.rule,
          delivery.ruleReason,
          JSON.stringify(delivery.via),
          delivery.route,
          destinationOf(delivery),
          delivery.returnPath,
          message.collapseScope,
          fate.kind === 'alive' ? delayAt(message) : null,
          laneOf(record.priority),
          record.deadline,
          now,
          fate.kind === 'alive' ? (lease === null ? 'queued' : 'sending') : fate.kind,
          dueAt,
          lease?.leaseUntil ?? null,
          lease?.token ?? null,
          lease === null ? null : now,
        );
        const older =
          message.collapseScope !== null && fate.kind === 'alive'
            ? collapse.find(message.collapseScope, recipientKey, mid)
            : [];
        const accepted = acceptedEvent(record, delivery);
        events.append(
          'message.accepted',
          now,
          older.length === 0 ? accepted : { ...accepted, supersedes: [...new Set(older.map((row) => row.message_id))] },
          recipientKey,
        );
        if (older.length > 0) interrupt.push(...collapse.supersede(older, record.id, now));
        if (fate.kind !== 'alive') {
          const view = { id: delivery.id, recipient: delivery.recipient, state: fate.kind, attempts: 0 };
          const data = { message: eventMessage(record, delivery.rule), delivery: view, reason: fate.reason };
          events.append(`message.${fate.kind}`, now, data, recipientKey);
        }
      }
      if (!alive && deliveries.length > 0) end.deliveryEnded(mid, false, false, now);
      return { kind: 'accepted', lease, interrupt };
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

/** Makes the keyed hash (HMAC-SHA256 with the database's own secret) of what a claim's message says. */
function createKeyedDigest(db: Database.Database): (claim: IdempotencyClaim) => Buffer {
  const read = db.prepare<[], Uint8Array>('SELECT secret FROM relay WHERE only_row = 1').pluck();
  let secret: KeyObject | null = null;
  function secretKey(): KeyObject {
    const octets = read.get();
    if (octets === undefined) throw new Error('the database has no secret');
    return createSecretKey(octets);
  }
  return ({ scope, key, digest }) => {
    secret ??= secretKey();
    return createHmac('sha256', secret)
      .update(JSON.stringify(['idempotency', scope, key, digest]))
      .digest();
  };
}

function destinationOf(delivery: NewDelivery): string {
  return delivery.byDestination ? domainOf(delivery.recipient) : '';
}

/** When `message.delayed` is due; null: never, or not before the deadline. */
function delayAt({ record, delayedAfterMs }: Omit<NewMessage, 'content'>): number | null {
  if (delayedAfterMs === null) return null;
  const at = record.acceptedAt + delayedAfterMs;
  return at < record.deadline ? at : null;
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
    mailFrom: delivery.returnPath ?? record.mailFrom,
    dsn: record.dsn,
    recipientDsn: delivery.dsn,
    smtpUtf8: record.smtpUtf8,
    eightBit: record.eightBit,
    requireTls: record.requireTls,
    priority: record.priority,
    tag: record.tag,
    deadlineSource: record.deadlineSource,
    destination: destinationOf(delivery),
    attempts: 0,
    rounds: 0,
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
