/**
 * Messages as the API and `--json` show them: snake_case, times in RFC 3339, no subject, body or link.
 *
 * The names here are public. Events need no such step: their bodies are stored in their public form.
 */
import { BOUNCE_EXPLANATIONS } from '../core/bounce.ts';
import { isoTime } from '../core/time.ts';
import type { AttemptView, DeliveryView, MessageView, QueueRow, StatsRow, Suppression } from '../store/store.ts';

export interface WireDelivery {
  readonly id: string;
  readonly recipient: string;
  readonly state: string;
  readonly attempts: number;
  readonly rule: string;
  readonly rule_reason: string;
  readonly route: string;
  readonly next_attempt_at: string | null;
  readonly last_response: string | null;
  readonly delivered_at: string | null;
  /** Of a bounced delivery: what kind of bounce, what of the answer decided, and what it means. */
  readonly bounce: { readonly class: string; readonly why: string; readonly explanation: string } | null;
  /** The newer message that took its place, or came when it was too late for that (state `delivered`). */
  readonly superseded_by: string | null;
}

export interface WireLink {
  /** Empty: the link has none. */
  readonly scheme: string;
  readonly host: string | null;
  /** The host as people see it, where that is other letters. */
  readonly shown: string | null;
  readonly kind: string;
  readonly count: number;
  readonly verdict: string;
  readonly codes: readonly string[];
}

export interface WireMessage {
  readonly id: string;
  readonly message_id: string;
  readonly tag: string | null;
  readonly tag_source: string;
  readonly flow: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: string;
  readonly credential: string | null;
  readonly from: string;
  readonly mail_from: string;
  readonly rule: string;
  readonly accepted_at: string;
  readonly deadline: string;
  readonly deadline_source: string;
  readonly size: number;
  readonly signatures: readonly string[];
  readonly client: { readonly address: string; readonly helo: string; readonly tls: string | null };
  readonly warnings: readonly string[];
  /** Links by scheme, host and kind, with what was found; empty when its tag has no link policy. */
  readonly links: readonly WireLink[];
  /** What the link audit said of the message as a whole; null: its tag has no link policy. */
  readonly link_audit: {
    readonly verdict: string;
    readonly findings: readonly {
      readonly code: string;
      readonly severity: string;
      readonly part: string;
      readonly host: string | null;
      readonly count: number;
      readonly text: string;
    }[];
    /** What the two lists leave out. */
    readonly omitted: { readonly links: number; readonly findings: number };
  } | null;
  readonly deliveries: readonly WireDelivery[];
}

/** A message as the API shows it. */
export function wireMessage(view: MessageView): WireMessage {
  return {
    id: view.id,
    message_id: view.headerMessageId,
    tag: view.tag,
    tag_source: view.tagSource,
    flow: view.flow,
    metadata: view.metadata,
    priority: view.priority,
    credential: view.credential,
    from: view.headerFrom,
    mail_from: view.mailFrom,
    rule: view.rule,
    accepted_at: isoTime(view.acceptedAt),
    deadline: isoTime(view.deadline),
    deadline_source: view.deadlineSource,
    size: view.size,
    signatures: view.signatures,
    client: view.client,
    warnings: view.warnings,
    links: view.links?.links ?? [],
    link_audit:
      view.links === null
        ? null
        : { verdict: view.links.verdict, findings: view.links.findings, omitted: view.links.omitted },
    deliveries: view.deliveries.map(wireDelivery),
  };
}

function wireDelivery(view: DeliveryView): WireDelivery {
  return {
    id: view.id,
    recipient: view.recipient,
    state: view.state,
    attempts: view.attempts,
    rule: view.rule,
    rule_reason: view.ruleReason,
    route: view.route,
    next_attempt_at: timeOrNull(view.nextAttemptAt),
    last_response: view.lastResponse,
    delivered_at: timeOrNull(view.deliveredAt),
    bounce:
      view.bounce === null
        ? null
        : { class: view.bounce.class, why: view.bounce.why, explanation: BOUNCE_EXPLANATIONS[view.bounce.class] },
    superseded_by: view.supersededBy,
  };
}

/** An attempt, with the delivery that it belongs to. */
export function wireAttempt({ deliveryId, startedAt, ...attempt }: AttemptView): Readonly<Record<string, unknown>> {
  return { delivery_id: deliveryId, started_at: isoTime(startedAt), ...attempt };
}

/** A delivery that waits in the queue. */
export function wireQueueRow(row: QueueRow): Readonly<Record<string, unknown>> {
  return {
    message_id: row.messageId,
    delivery_id: row.deliveryId,
    recipient: row.recipient,
    state: row.state,
    route: row.route,
    priority: row.priority,
    tag: row.tag,
    attempts: row.attempts,
    accepted_at: isoTime(row.acceptedAt),
    next_attempt_at: timeOrNull(row.dueAt),
    deadline: isoTime(row.deadline),
    last_response: row.lastResponse,
  };
}

/** An entry of the suppression list. */
export function wireSuppression(entry: Suppression): Readonly<Record<string, unknown>> {
  return {
    recipient: entry.recipient,
    reason: entry.reason,
    detail: entry.detail,
    message_id: entry.messageId,
    created_at: isoTime(entry.createdAt),
    expires_at: timeOrNull(entry.expiresAt),
  };
}

/** Counts and delivery times of one tag. */
export function wireStats(row: StatsRow): Readonly<Record<string, unknown>> {
  return {
    tag: row.tag,
    accepted: row.accepted,
    states: row.states,
    delivered_ms: { p50: row.p50Ms, p95: row.p95Ms, p99: row.p99Ms },
  };
}

function timeOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : isoTime(epochMs);
}
