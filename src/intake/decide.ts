/**
 * What is to become of a message: its tag, lane, deadline, sender and, per recipient, its route.
 *
 * Deciding touches nothing: `accept` does it for real mail and `explain` for a dry run, with the same answer.
 * Precedence: a header beats the tag's setting, the tag's setting beats the default.
 */
import type { Config, RateConfig, SenderConfig, TagConfig } from '../config/types.ts';
import { domainOf, type EnvelopeAddress } from '../core/address.ts';
import type { Envelope, MessageRecord, Priority, TagSource } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { parseFrom } from '../mail/from.ts';
import type { HeaderField } from '../mail/header.ts';
import { checkEnvelopeSender, checkHeaderFrom } from '../policy/sender.ts';
import { chooseRoute, type RouteChoice } from '../routing/choose.ts';
import { readRelayHeaders, type Wishes } from './relay-headers.ts';
import type { Submitter } from './submission.ts';
import { chooseTag } from './tag.ts';

export interface DecisionInput {
  readonly submitter: Submitter;
  readonly envelope: Envelope;
  readonly bytes: Uint8Array;
  readonly fields: readonly HeaderField[];
  /** Epoch milliseconds of acceptance. */
  readonly now: number;
  /** The relay's own report (RFC 3464): what is asked of apps' mail is not asked of it. */
  readonly isOwnReport: boolean;
}

export type RoutedRecipient = Extract<RouteChoice, { kind: 'via' }> & { readonly recipient: EnvelopeAddress };

export interface Decision {
  readonly kind: 'decided';
  readonly wishes: Wishes;
  readonly warnings: readonly string[];
  readonly tag: string | null;
  readonly tagSource: TagSource;
  readonly headerFrom: EnvelopeAddress;
  readonly priority: Priority;
  readonly deadline: number;
  readonly deadlineSource: MessageRecord['deadlineSource'];
  /** One per recipient of the envelope, in its order. */
  readonly recipients: readonly RoutedRecipient[];
  /** Older undelivered messages to the same recipient with the same scope are replaced; null: none is. */
  readonly collapseScope: string | null;
  /** Which of the two made the scope. */
  readonly collapseBy: 'key' | 'tag' | null;
  readonly suppression: 'apply' | 'bypass';
  /** The scope is the tag. */
  readonly throttle: ({ readonly scope: string } & RateConfig) | null;
  readonly delayedAfterMs: number | null;
  /** Reports about it are owed to its envelope sender. */
  readonly wantsReports: boolean;
  /** Domain of the return path that each delivery gets; null: the envelope sender stays as it came. */
  readonly returnPathDomain: string | null;
}

/** What a refusal can still tell about the message: whatever was known when it was refused. */
export interface RefusedDecision {
  readonly kind: 'refused';
  readonly refusal: Refusal;
  readonly tag: string | null;
  readonly rule: string | null;
}

/** Decides, or refuses with a text for the client and a reason for the log. */
export function decide(config: Config, input: DecisionInput): Decision | RefusedDecision {
  const { submitter, envelope, bytes, fields, now, isOwnReport } = input;
  const { credential } = submitter;

  const headers = readRelayHeaders(bytes, fields, credential);
  if (headers.kind === 'refused') return { kind: 'refused', refusal: headers, tag: null, rule: null };
  const { wishes, warnings } = headers;
  const { tag, source } = chooseTag(wishes, credential);
  const refused = (refusal: Refusal, rule: string | null = null): RefusedDecision => ({
    kind: 'refused',
    refusal,
    tag,
    rule,
  });

  const from = parseFrom(bytes, fields);
  if (from.kind === 'malformed') return refused(refuse(550, '5.6.0', from.reason));
  const refusal = isOwnReport
    ? null
    : (checkEnvelopeSender(credential, envelope.mailFrom) ?? checkHeaderFrom(config, credential, from.address));
  if (refusal !== null) return refused(refusal);

  const tagConfig = tag === null ? undefined : config.tags.get(tag);
  const priority = wishes.priority ?? tagConfig?.priority ?? 'normal';
  const recipients: RoutedRecipient[] = [];
  for (const { address } of envelope.recipients) {
    const choice = chooseRoute(config.rules, config.routes, {
      tag,
      priority,
      credential: credential?.username ?? null,
      recipient: address,
      senderDomain: domainOf(from.address),
      requireTls: wishes.requireTls,
    });
    switch (choice.kind) {
      case 'via':
        recipients.push({ ...choice, recipient: address });
        break;
      case 'reject':
        return refused(refuse(550, '5.7.1', choice.text, `rule ${choice.rule}: ${choice.text}`), choice.rule);
      case 'unusable':
        return refused(
          refuse(550, '5.7.10', `No route with verified TLS for this message`, `rule ${choice.rule}: ${choice.reason}`),
          choice.rule,
        );
      case 'unmatched':
        return refused(refuse(550, '5.7.1', 'No routing rule takes this message', choice.reason));
    }
  }

  const { mailFrom } = envelope;
  const collapse = chooseCollapse(wishes, tag, tagConfig, credential?.username ?? '');
  return {
    kind: 'decided',
    collapseScope: collapse?.scope ?? null,
    collapseBy: collapse?.by ?? null,
    suppression: isOwnReport ? 'bypass' : (tagConfig?.suppression ?? 'apply'),
    throttle:
      isOwnReport || tagConfig === undefined || tagConfig.throttle === null
        ? null
        : { scope: tagConfig.name, ...tagConfig.throttle.perRecipient },
    delayedAfterMs: tagConfig?.delayedAfterMs ?? null,
    // A report is for SMTP mail alone, and never about a report: mail loops begin there (RFC 3464, section 2; RFC 5321, 4.5.5).
    wantsReports: config.bounces.dsn && mailFrom !== '' && !isOwnReport && submitter.protocol !== 'HTTP',
    returnPathDomain: mailFrom === '' ? null : (senderOf(config, from.address)?.returnPath ?? null),
    wishes,
    warnings,
    tag,
    tagSource: source,
    headerFrom: from.address,
    priority,
    ...chooseDeadline(config, wishes, tagConfig?.ttlMs ?? null, envelope.deliverBySeconds, now),
    recipients,
  };
}

/** The sender under whose name a message goes out, or undefined when its domain is none of ours. */
export function senderOf(config: Config, headerFrom: EnvelopeAddress): SenderConfig | undefined {
  const domain = domainOf(headerFrom);
  return config.senders.find((sender) => sender.domain === domain);
}

/**
 * What a message replaces: the header's key goes before the tag's `collapse: recipient`. The scope holds the credential, so
 * that no app takes another's mail out of the queue. A line break, which none of the parts can hold, keeps them apart.
 */
function chooseCollapse(
  wishes: Wishes,
  tag: string | null,
  tagConfig: TagConfig | undefined,
  username: string,
): { readonly by: 'key' | 'tag'; readonly scope: string } | null {
  const collapse = tagConfig?.collapse ?? 'key';
  if (collapse === 'none') return null;
  if (wishes.collapseKey !== null) return { by: 'key', scope: `key\n${username}\n${wishes.collapseKey}` };
  return collapse === 'recipient' && tag !== null ? { by: 'tag', scope: `tag\n${username}\n${tag}` } : null;
}

/** The earliest that applies: the header's TTL and `BY=` (RFC 2852) or else the tag's, and always `give_up_after`. */
function chooseDeadline(
  config: Config,
  wishes: Wishes,
  tagTtlMs: number | null,
  deliverBySeconds: number | null,
  now: number,
): Pick<Decision, 'deadline' | 'deadlineSource'> {
  const asked: { readonly ms: number; readonly source: MessageRecord['deadlineSource'] }[] = [];
  if (wishes.ttlMs !== null) asked.push({ ms: wishes.ttlMs, source: 'header' });
  if (deliverBySeconds !== null) asked.push({ ms: deliverBySeconds * 1000, source: 'deliverby' });
  if (asked.length === 0 && tagTtlMs !== null) asked.push({ ms: tagTtlMs, source: 'tag' });
  asked.push({ ms: config.retry.giveUpAfterMs, source: 'give-up' });
  const earliest = asked.reduce((best, next) => (next.ms < best.ms ? next : best));
  return { deadline: now + earliest.ms, deadlineSource: earliest.source };
}
