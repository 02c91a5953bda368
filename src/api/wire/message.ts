/**
 * Messages as the API and `--json` show them: snake_case, times in RFC 3339, no subject, body or link.
 *
 * The names here are public. In a list, `attempts` of a delivery is their number; of one message alone it is the attempts
 * themselves, and `attempt_count` is their number in both.
 */
import { z } from 'zod';
import { BOUNCE_CLASSES, BOUNCE_EXPLANATIONS, type BounceClass } from '../../core/bounce.ts';
import { DELIVERY_STATES, type DeliveryState } from '../../core/delivery.ts';
import { type MessageRecord, PRIORITIES, type Priority, TAG_SOURCES, type TagSource } from '../../core/message.ts';
import { isoTime } from '../../core/time.ts';
import type { DeliveryView, MessageView } from '../../store/history.ts';
import { attempt, type AttemptFacts, type WireAttempt, wireAttempt } from './attempt.ts';
import { type Page, pageOf, type Plain, time, timeOrNull } from './json.ts';
import { link, linkAudit, type WireLink, type WireLinkAudit } from './link-audit.ts';

/** What a `WireMessage` is made of: a message as the store has it, without what only a next hop needs. */
export type MessageFacts = Plain<Omit<MessageView, 'dsn' | 'smtpUtf8' | 'requireTls' | 'eightBit'>>;

export type DeliveryFacts = Plain<DeliveryView>;

export interface WireDelivery {
  readonly id: string;
  readonly recipient: string;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly attempt_count: number;
  readonly rule: string;
  readonly rule_reason: string;
  readonly via: readonly string[];
  readonly route: string;
  readonly next_attempt_at: string | null;
  readonly last_response: string | null;
  readonly delivered_at: string | null;
  /** Of a bounced delivery: what kind of bounce, what of the answer decided, and what it means. */
  readonly bounce: { readonly class: BounceClass; readonly why: string; readonly explanation: string } | null;
  /** The newer message that took its place, or came when it was too late for that (state `delivered`). */
  readonly superseded_by: string | null;
  readonly updated_at: string;
}

/** A delivery of one message alone. */
export interface WireDeliveryDetail extends Omit<WireDelivery, 'attempts'> {
  readonly attempts: readonly WireAttempt[];
}

export interface WireMessage {
  readonly id: string;
  readonly message_id: string;
  readonly tag: string | null;
  readonly tag_source: TagSource;
  readonly flow: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly priority: Priority;
  readonly collapse_key: string | null;
  readonly credential: string | null;
  readonly from: string;
  readonly mail_from: string;
  readonly rule: string;
  readonly accepted_at: string;
  readonly deadline: string;
  readonly deadline_source: MessageRecord['deadlineSource'];
  readonly size: number;
  readonly signatures: readonly string[];
  readonly client: { readonly address: string; readonly helo: string; readonly tls: string | null };
  readonly warnings: readonly string[];
  /** Links by scheme, host and kind, with what was found; empty when its tag has no link policy. */
  readonly links: readonly WireLink[];
  /** What the link audit said of the message as a whole; null: its tag has no link policy. */
  readonly link_audit: WireLinkAudit | null;
  readonly deliveries: readonly WireDelivery[];
}

/** One message alone. */
export interface WireMessageDetail extends Omit<WireMessage, 'deliveries'> {
  /** Whether its content is still there. */
  readonly content_kept: boolean;
  readonly deliveries: readonly WireDeliveryDetail[];
}

const deliveryFacts = {
  id: z.string(),
  recipient: z.string(),
  state: z.enum(DELIVERY_STATES),
  attempt_count: z.int().describe('How many attempts there were.'),
  rule: z.string().describe('The routing rule that matched for this recipient.'),
  rule_reason: z.string().describe('Why it matched.'),
  via: z.array(z.string()).describe('The routes that may carry it, in order.'),
  route: z.string().describe('The route of the last attempt, or of the next.'),
  next_attempt_at: time('When the next attempt is due; null: none is planned.').nullable(),
  last_response: z.string().nullable().describe('The last reply or error; one line.'),
  delivered_at: time('When a next hop took it.').nullable(),
  bounce: z
    .object({
      class: z.enum(BOUNCE_CLASSES),
      why: z.string().describe('What of the answer decided.'),
      explanation: z.string().describe('What the class means, and what to do.'),
    })
    .nullable()
    .describe('Of a bounced delivery.'),
  superseded_by: z
    .string()
    .nullable()
    .describe('The newer message that took its place, or came when it was too late for that (state `delivered`).'),
  updated_at: time('When its state last changed.'),
};

const messageFacts = {
  id: z.string(),
  message_id: z.string().describe('The Message-ID header, with its angle brackets.'),
  tag: z.string().nullable().describe('What kind of mail this is.'),
  tag_source: z.enum(TAG_SOURCES).describe('Where the tag came from.'),
  flow: z.string().nullable().describe('Id of the recovery flow.'),
  metadata: z.record(z.string(), z.string()),
  priority: z.enum(PRIORITIES).describe('The lane.'),
  collapse_key: z.string().nullable().describe('What older undelivered mail with the same key it replaced.'),
  credential: z.string().nullable().describe('Who submitted it; null: nobody that has a name.'),
  from: z.string().describe('The address in From, as it goes out.'),
  mail_from: z.string().describe('The envelope sender; empty: the null sender.'),
  rule: z.string().describe('The routing rule of the first recipient.'),
  accepted_at: time('When it was accepted.'),
  deadline: time('After this it is never delivered.'),
  deadline_source: z
    .enum(['header', 'deliverby', 'tag', 'give-up'])
    .describe('Why the deadline is what it is; `give-up`: nobody asked for one.'),
  size: z.int().describe('Octets as sent, signatures included.'),
  signatures: z.array(z.string()).describe('`selector._domainkey.domain (algorithm)` of each.'),
  client: z.object({ address: z.string(), helo: z.string(), tls: z.string().nullable() }),
  warnings: z.array(z.string()),
  links: z.array(link).describe('What its links lead to; empty when its tag has no link policy.'),
  link_audit: linkAudit.nullable().describe('What the link audit said; null: its tag has no link policy.'),
};

export const message: z.ZodType<WireMessage> = z
  .object({
    ...messageFacts,
    deliveries: z.array(
      z
        .object({ ...deliveryFacts, attempts: z.int().describe('How many attempts there were.') })
        .meta({ id: 'Delivery', description: 'One recipient of a message.' }),
    ),
  })
  .meta({ id: 'Message', description: 'A message in a list.' });

export const messagePage: z.ZodType<Page<WireMessage>> = pageOf('MessagePage', message);

export const messageDetail: z.ZodType<WireMessageDetail> = z
  .object({
    ...messageFacts,
    content_kept: z.boolean().describe('Whether its content is still there.'),
    deliveries: z.array(
      z
        .object({ ...deliveryFacts, attempts: z.array(attempt).describe('Every attempt, oldest first.') })
        .meta({ id: 'DeliveryDetail', description: 'One recipient of a message, with its attempts.' }),
    ),
  })
  .meta({ id: 'MessageDetail', description: 'One message with its deliveries and their attempts.' });

/** A message as the API shows it. */
export function wireMessage(view: MessageFacts): WireMessage {
  return {
    id: view.id,
    message_id: view.headerMessageId,
    tag: view.tag,
    tag_source: view.tagSource,
    flow: view.flow,
    metadata: view.metadata,
    priority: view.priority,
    collapse_key: view.collapseKey,
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

/** One message alone, with its attempts. */
export function wireMessageDetail(view: MessageFacts, attempts: readonly AttemptFacts[]): WireMessageDetail {
  return {
    ...wireMessage(view),
    content_kept: view.contentKept,
    deliveries: view.deliveries.map((delivery) => ({
      ...wireDelivery(delivery),
      attempts: attempts.filter(({ deliveryId }) => deliveryId === delivery.id).map(wireAttempt),
    })),
  };
}

function wireDelivery(view: DeliveryFacts): WireDelivery {
  return {
    id: view.id,
    recipient: view.recipient,
    state: view.state,
    attempts: view.attempts,
    attempt_count: view.attempts,
    rule: view.rule,
    rule_reason: view.ruleReason,
    via: view.via,
    route: view.route,
    next_attempt_at: timeOrNull(view.nextAttemptAt),
    last_response: view.lastResponse,
    delivered_at: timeOrNull(view.deliveredAt),
    bounce:
      view.bounce === null
        ? null
        : { class: view.bounce.class, why: view.bounce.why, explanation: BOUNCE_EXPLANATIONS[view.bounce.class] },
    superseded_by: view.supersededBy,
    updated_at: isoTime(view.updatedAt),
  };
}
