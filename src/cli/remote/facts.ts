/** What the HTTP API says, turned back into what commands show: the other way round of `api/wire/`. */
import type { AttemptFacts, WireAttempt } from '../../api/wire/attempt.ts';
import type { Plain } from '../../api/wire/json.ts';
import type { DeliveryFacts, MessageFacts, WireDeliveryDetail, WireMessageDetail } from '../../api/wire/message.ts';
import type { WireQueueRow } from '../../api/wire/queue.ts';
import type { WireFault, WireStatsRow } from '../../api/wire/stats.ts';
import type { SuppressionFacts, WireSuppression } from '../../api/wire/suppression.ts';
import type { FaultRow, QueueRow, StatsRow } from '../../store/history.ts';

/** A message as the store has it, out of the API's answer. */
export function messageFacts(wire: WireMessageDetail): MessageFacts {
  return {
    id: wire.id,
    headerMessageId: wire.message_id,
    mailFrom: wire.mail_from,
    headerFrom: wire.from,
    tag: wire.tag,
    tagSource: wire.tag_source,
    flow: wire.flow,
    metadata: wire.metadata,
    priority: wire.priority,
    collapseKey: wire.collapse_key,
    credential: wire.credential,
    rule: wire.rule,
    acceptedAt: Date.parse(wire.accepted_at),
    deadline: Date.parse(wire.deadline),
    deadlineSource: wire.deadline_source,
    size: wire.size,
    signatures: wire.signatures,
    warnings: wire.warnings,
    links: wire.link_audit === null ? null : { ...wire.link_audit, links: wire.links },
    client: wire.client,
    contentKept: wire.content_kept,
    deliveries: wire.deliveries.map(deliveryFacts),
  };
}

function deliveryFacts(wire: WireDeliveryDetail): DeliveryFacts {
  return {
    id: wire.id,
    recipient: wire.recipient,
    state: wire.state,
    attempts: wire.attempt_count,
    rule: wire.rule,
    ruleReason: wire.rule_reason,
    via: wire.via,
    route: wire.route,
    nextAttemptAt: msOrNull(wire.next_attempt_at),
    lastResponse: wire.last_response,
    deliveredAt: msOrNull(wire.delivered_at),
    bounce: wire.bounce === null ? null : { class: wire.bounce.class, why: wire.bounce.why },
    supersededBy: wire.superseded_by,
    updatedAt: Date.parse(wire.updated_at),
  };
}

/** Every attempt of a message, in the order in which they began. */
export function attemptFacts(wire: WireMessageDetail): readonly AttemptFacts[] {
  return wire.deliveries
    .flatMap(({ attempts }) => attempts)
    .map(({ delivery_id, started_at, ...facts }: WireAttempt): AttemptFacts => {
      return { deliveryId: delivery_id, startedAt: Date.parse(started_at), ...facts };
    })
    .sort((a, b) => a.startedAt - b.startedAt);
}

/** What waits. */
export function queueFacts(wire: WireQueueRow): Plain<QueueRow> {
  return {
    messageId: wire.message_id,
    deliveryId: wire.delivery_id,
    recipient: wire.recipient,
    state: wire.state,
    route: wire.route,
    priority: wire.priority,
    tag: wire.tag,
    attempts: wire.attempts,
    acceptedAt: Date.parse(wire.accepted_at),
    dueAt: msOrNull(wire.next_attempt_at),
    deadline: Date.parse(wire.deadline),
    lastResponse: wire.last_response,
  };
}

/** Counts and times of one tag. */
export function statsFacts({ tag, accepted, states, delivered_ms: { p50, p95, p99 } }: WireStatsRow): StatsRow {
  return { tag, accepted, states, p50Ms: p50, p95Ms: p95, p99Ms: p99 };
}

/** Tries that did not deliver, of one kind. */
export function faultFacts({ last_at, ...row }: WireFault): FaultRow {
  return { ...row, lastAt: Date.parse(last_at) };
}

/** An entry of the suppression list. */
export function suppressionFacts(wire: WireSuppression): SuppressionFacts {
  return {
    recipient: wire.recipient,
    reason: wire.reason,
    detail: wire.detail,
    messageId: wire.message_id,
    createdAt: Date.parse(wire.created_at),
    expiresAt: msOrNull(wire.expires_at),
  };
}

function msOrNull(time: string | null): number | null {
  return time === null ? null : Date.parse(time);
}
