/**
 * What is to become of a message: its tag, lane, deadline, sender and, per recipient, its route.
 *
 * Deciding touches nothing: `accept` does it for real mail and `explain` for a dry run, with the same answer.
 * Precedence: a header beats the tag's setting, the tag's setting beats the default.
 */
import type { Config, Identity, LinksConfig, SenderConfig, TagConfig } from '../config/types.ts';
import { addressKey, domainOf, type EnvelopeAddress } from '../core/address.ts';
import { type Envelope, type MessageRecord, type Priority, type TagSource } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import { parseFrom } from '../mail/from.ts';
import type { HeaderField } from '../mail/header.ts';
import { checkOtherSenders } from '../policy/other-senders.ts';
import { checkEnvelopeSender, checkHeaderFrom } from '../policy/sender.ts';
import type { TagVerdict } from '../policy/tag-rules.ts';
import { applyTagFrom, type TrustedFrom, type WrittenFrom } from '../policy/trusted-sender.ts';
import { chooseRoute, type RouteChoice } from '../routing/choose.ts';
import type { Throttle } from '../store/store.ts';
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
  /** Every tag rule that matches, in the order of the config, whatever gave the tag. */
  readonly tagRules: readonly TagVerdict[];
  /** Mail that restores access to an account. */
  readonly recovery: boolean;
  /** The From that goes out. */
  readonly headerFrom: EnvelopeAddress;
  /** What From is replaced by; null: it stays as the app wrote it. */
  readonly newFrom: WrittenFrom | null;
  /** The app's From, to become Reply-To where there is none; null: nothing is added. */
  readonly replyTo: WrittenFrom | null;
  /** What links it may hold; null: they are not looked at. */
  readonly links: LinksConfig | null;
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
  /** A delivery over one of them is not sent; the client sees no difference. */
  readonly throttles: readonly Throttle[];
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
  const { wishes, aliasTag } = headers;
  const from = parseFrom(bytes, fields);
  const { tag, source, rules } = isOwnReport
    ? { tag: null, source: 'none' as const, rules: [] }
    : chooseTag(config, {
        bytes,
        fields,
        credential,
        from: from.kind === 'from' ? from.address : null,
        header: wishes.tag,
        alias: aliasTag,
      });
  const refused = (refusal: Refusal, rule: string | null = null): RefusedDecision => ({
    kind: 'refused',
    refusal,
    tag,
    rule,
  });
  if (from.kind === 'malformed') return refused(refuse(550, '5.6.0', from.reason));

  const tagConfig = tag === null ? undefined : config.tags.get(tag);
  const trusted = applyTagFrom(tagConfig, from);
  if (trusted.kind === 'refused') return refused(trusted);
  const headerFrom = trusted.from.address;
  // The From that goes out is the one that is held to the rules: what a tag replaces is nobody's claim any more.
  const refusal = isOwnReport
    ? null
    : (checkEnvelopeSender(credential, envelope.mailFrom) ??
      checkHeaderFrom(config, credential, headerFrom) ??
      checkOtherSenders(config, credential, bytes, fields));
  if (refusal !== null) return refused(refusal);

  const priority = wishes.priority ?? tagConfig?.priority ?? 'normal';
  const recipients: RoutedRecipient[] = [];
  for (const { address } of envelope.recipients) {
    const choice = chooseRoute(config.rules, config.routes, {
      tag,
      priority,
      credential: credential?.username ?? null,
      recipient: address,
      senderDomain: domainOf(headerFrom),
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
    throttles: isOwnReport ? [] : chooseThrottles(tagConfig, credential),
    delayedAfterMs: tagConfig?.delayedAfterMs ?? null,
    // A report is for SMTP mail alone, and never about a report: mail loops begin there (RFC 3464, section 2; RFC 5321, 4.5.5).
    wantsReports: config.bounces.dsn && mailFrom !== '' && !isOwnReport && submitter.protocol !== 'HTTP',
    returnPathDomain: mailFrom === '' ? null : (senderOf(config, headerFrom)?.returnPath ?? null),
    wishes,
    warnings: [...headers.warnings, ...senderWarnings(trusted, tagConfig)],
    tag,
    tagSource: source,
    tagRules: rules,
    recovery: tagConfig?.recovery ?? false,
    headerFrom,
    newFrom: trusted.kind === 'rewritten' ? trusted.from : null,
    replyTo: trusted.kind === 'rewritten' && trusted.keepReplyTo ? trusted.old : null,
    links: tagConfig?.links ?? null,
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

/** The trace tells that From is another than the app's. */
function senderWarnings(trusted: Exclude<TrustedFrom, Refusal>, tagConfig: TagConfig | undefined): readonly string[] {
  if (trusted.kind === 'kept') return [];
  const [old, now] = [trusted.old.address, trusted.from.address];
  const what =
    addressKey(old) === addressKey(now)
      ? `The name in From <${old}> was replaced`
      : `From <${old}> was replaced by <${now}>`;
  return [`${what} (tags.${tagConfig?.name ?? ''}.from)`];
}

/** The flood guards: of the tag for each recipient, of the credential for all of its mail. */
function chooseThrottles(tagConfig: TagConfig | undefined, credential: Identity | null): readonly Throttle[] {
  const throttles: Throttle[] = [];
  if (tagConfig !== undefined && tagConfig.throttle !== null) {
    throttles.push({ scope: `tag:${tagConfig.name}`, per: 'recipient', ...tagConfig.throttle.perRecipient });
  }
  if (credential !== null && credential.rate !== null) {
    throttles.push({ scope: `credential:${credential.username}`, per: 'scope', ...credential.rate });
  }
  return throttles;
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
