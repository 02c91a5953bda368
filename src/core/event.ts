/**
 * Events: what happened, for the log, `tail`, `trace`, the API and webhooks. Append-only, with a gapless growing `seq`,
 * written in the transaction that changes the state. The body's shape is public; no subject, body or link is ever in it.
 */
import type { BounceClass } from './bounce.ts';
import type { DeliveryState } from './delivery.ts';
import type { DeliveryId, EventId, MessageId } from './ids.ts';
import type { MessageRecord, NewDelivery } from './message.ts';
import type { Outcome } from './outcome.ts';
import { isoTime } from './time.ts';

export const EVENT_TYPES = [
  'message.accepted',
  'message.rejected',
  'message.deferred',
  'message.delayed',
  'message.delivered',
  'message.bounced',
  'message.expired',
  'message.superseded',
  'message.suppressed',
  'message.throttled',
  'message.canceled',
  'message.quarantined',
  'message.complained',
  'route.down',
  'route.up',
  'webhook.disabled',
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

export interface EventMessage {
  readonly id: MessageId;
  readonly message_id: string | null;
  readonly tag: string | null;
  readonly tag_source: string;
  readonly flow: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: string;
  readonly credential: string | null;
  readonly rule: string | null;
  readonly accepted_at: string | null;
  readonly deadline: string | null;
}

export interface EventDelivery {
  readonly id: DeliveryId | null;
  readonly recipient: string;
  readonly state: DeliveryState | 'rejected';
  readonly attempts: number;
  /** When the next attempt is due; only while the delivery is queued or deferred. */
  readonly next_attempt_at?: string;
}

export interface EventAttempt {
  readonly number: number;
  readonly route: string;
  readonly outcome: Outcome['kind'];
  readonly cause: string | null;
  readonly next_hop: string | null;
  readonly tls: string | null;
  readonly cipher: string | null;
  readonly stage: string | null;
  readonly code: number | null;
  readonly enhanced: string | null;
  readonly response: string;
  readonly timings_ms: Readonly<Record<string, number>>;
}

export interface EventBounce {
  readonly class: BounceClass;
  /** What of the answer decided. */
  readonly why: string;
  /** What the class means, and what to do. */
  readonly explanation: string;
  /** The recipient is on the suppression list until then; absent: it is not put there. */
  readonly suppressed_until?: string;
}

export interface EventReport {
  /** `dsn`: RFC 3464; `arf`: a complaint, RFC 5965. */
  readonly kind: 'dsn' | 'arf';
  /** Who reports: `Reporting-MTA` or the feedback's source; cleaned, null when it does not say. */
  readonly reporter: string | null;
  /** `Status` of the report, or null. */
  readonly status: string | null;
  /** `Diagnostic-Code` or feedback type: one line, cleaned, cut. */
  readonly diagnostic: string;
}

export interface EventRoute {
  readonly name: string;
  /** What happened last on it, one line. */
  readonly reason: string;
}

export interface EventWebhook {
  /** Name of the endpoint. */
  readonly name: string;
  /** What it answered, one line. */
  readonly reason: string;
}

/** Everything of an event but `event_id` and `seq`, which the store gives. */
export interface EventData {
  readonly message?: EventMessage;
  readonly delivery?: EventDelivery;
  readonly attempt?: EventAttempt;
  /** Attempts over other routes just before `attempt`, in order: their routes failed, and the message moved on at once. */
  readonly failed_over?: readonly EventAttempt[];
  /** `message.bounced`: what kind of bounce, and what it means. */
  readonly bounce?: EventBounce;
  /** `message.bounced` and `message.complained` that came by mail after the next hop had taken the message. */
  readonly report?: EventReport;
  /** `message.accepted`: older messages to the same recipient that this one replaced, or came too late to replace. */
  readonly supersedes?: readonly MessageId[];
  /** `message.superseded`, and an older message that was already being sent when the newer one came: the newer one. */
  readonly superseded_by?: MessageId;
  /** `route.down`, `route.up`. */
  readonly route?: EventRoute;
  /** `webhook.disabled`. */
  readonly webhook?: EventWebhook;
  /** Why, in words, when there was no attempt that tells it (expired, canceled, rejected at submission ...). */
  readonly reason?: string;
  /** The refusal that the submitting client saw (`message.rejected`). */
  readonly refusal?: { readonly code: number; readonly enhanced: string; readonly text: string };
  readonly warnings?: readonly string[];
}

/** An event as the store returns it and as `tail --json`, API and webhooks show it. */
export interface RelayEvent {
  readonly type: EventType;
  readonly timestamp: string;
  readonly data: { readonly event_id: EventId; readonly seq: number } & EventData;
}

/** The part of a `MessageRecord` that goes into events. */
export type EventMessageSource = Pick<
  MessageRecord,
  | 'id'
  | 'headerMessageId'
  | 'tag'
  | 'tagSource'
  | 'flow'
  | 'metadata'
  | 'priority'
  | 'credential'
  | 'acceptedAt'
  | 'deadline'
>;

/** The `message` part of an event about a delivery of an accepted message; `rule` is that delivery's. */
export function eventMessage(record: EventMessageSource, rule: string): EventMessage {
  return {
    id: record.id,
    message_id: record.headerMessageId,
    tag: record.tag,
    tag_source: record.tagSource,
    flow: record.flow,
    metadata: record.metadata,
    priority: record.priority,
    credential: record.credential,
    rule,
    accepted_at: isoTime(record.acceptedAt),
    deadline: isoTime(record.deadline),
  };
}

/** The body of `message.accepted` for one recipient. */
export function acceptedEvent(record: MessageRecord, delivery: NewDelivery): EventData {
  return {
    message: eventMessage(record, delivery.rule),
    delivery: { id: delivery.id, recipient: delivery.recipient, state: 'queued', attempts: 0 },
    ...(record.warnings.length > 0 ? { warnings: record.warnings } : {}),
  };
}

/** The `attempt` part of an event: `outcome` on `route`, the delivery's attempt number `number` (from 1). */
export function eventAttempt(number: number, route: string, outcome: Outcome): EventAttempt {
  return {
    number,
    route,
    outcome: outcome.kind,
    cause: outcome.kind === 'delivered' ? null : outcome.cause,
    next_hop: outcome.nextHop,
    tls: outcome.tls?.version ?? null,
    cipher: outcome.tls?.cipher ?? null,
    stage: outcome.stage,
    code: outcome.code,
    enhanced: outcome.enhanced,
    response: outcome.response,
    timings_ms: { ...outcome.timings },
  };
}
