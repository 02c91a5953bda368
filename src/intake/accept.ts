/**
 * The page: parse, decide, audit links, sign, commit, answer.
 *
 *   parse      5xx 5.6.0   the bytes are not a message we would put our name to
 *   decide     550 5.7.1   sender, header or rule says no
 *   links      550 5.7.0   a link breaks the policy of the tag
 *   sign       451 4.3.0   a key fault the app should see and retry
 *   commit     451/452     the disk or the database cannot keep it
 *   repeated   550 5.6.0   the idempotency key was used for another message
 *   answer     250         only ever after the commit returned
 *
 * What the recipient alone decides (suppression, throttle) is decided inside the commit and never shows in the answer: one who
 * asks for resets cannot learn from it which accounts exist.
 *
 * A refusal is kept as a `message.rejected` event where the store can take it. What is signed here is what every attempt
 * sends: a retry is identical. After a crash, a message is either committed whole or was never answered with 250.
 */
import type { Config } from '../config/types.ts';
import { domainOf, type EnvelopeAddress } from '../core/address.ts';
import { RelayError } from '../core/errors.ts';
import type { DeliveryId, Ids, MessageId } from '../core/ids.ts';
import type { MessageRecord, NewDelivery } from '../core/message.ts';
import { type Refusal, refuse } from '../core/refusal.ts';
import type { Clock } from '../core/time.ts';
import { generateMessageId, readMessageId } from '../mail/message-id.ts';
import { parseMessage } from '../mail/parse.ts';
import { formatReceived } from '../mail/received.ts';
import type { MessageLayout } from '../mail/header.ts';
import { auditMessage } from '../policy/audit-message.ts';
import type { LinkAudit, LinkVerdict } from '../core/link-audit.ts';
import { refusalOfAudit } from '../policy/links.ts';
import { checkEnvelopeSender } from '../policy/sender.ts';
import type { Signer } from '../signing/sign.ts';
import type { AcceptResult, Arrival, HeadStart, HealthStore, IdempotencyClaim, IntakeStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { type Decision, decide } from './decide.ts';
import { submissionDigest } from './digest.ts';
import { buildOutgoing } from './outgoing.ts';
import type { Accepted, Intake, Submission } from './submission.ts';

const IDEMPOTENCY_MS = 24 * 3_600_000;

/** What may change while the relay runs (reload); read anew for each message. */
export interface IntakeSettings {
  readonly config: Config;
  readonly signer: Signer;
}

export interface IntakeDeps {
  readonly settings: () => IntakeSettings;
  readonly store: IntakeStore;
  readonly health: Pick<HealthStore, 'current'>;
  readonly ids: Ids;
  readonly clock: Clock;
  readonly log: Log;
  /** Keeps the bytes at hand for the first attempts. */
  readonly contents: {
    put(id: MessageId, content: Uint8Array, deliveries: number): void;
    forget(id: MessageId): void;
  };
  /** The route of `via` to begin with: the first that is not down; the first of all when every one is. */
  readonly chooseRoute: (via: readonly string[]) => string;
  /** The envelope sender at `domain` by which a report about this delivery finds it. */
  readonly returnPath: (delivery: DeliveryId, domain: string) => EnvelopeAddress;
  /** A place on a route whose attempt may begin with the commit, or null when the delivery has to stand in line. */
  readonly headStart: (arrival: Arrival) => HeadStart | null;
  /** A newer message takes the place of these deliveries, which are being sent just now. */
  readonly interrupt: (deliveries: readonly DeliveryId[]) => void;
  /** Called after the commit, before the answer. `started`: its attempt begins by itself; else the queue must be woken. */
  readonly onAccepted: (accepted: AcceptedMessage, started: boolean) => void;
  readonly onRejected: (refusal: Refusal) => void;
  /** An idempotency key came again: the message is there already, under the tag that this one has. */
  readonly onDuplicate: (tag: string | null) => void;
  /** The links of a message were held against the policy of its tag. */
  readonly onAudited: (tag: string | null, verdict: LinkVerdict) => void;
}

export interface AcceptedMessage {
  readonly record: MessageRecord;
  readonly deliveries: readonly NewDelivery[];
  /** So long after acceptance it counts as delayed; null: never. */
  readonly delayedAfterMs: number | null;
}

/** Makes the one way in that SMTP and API share. */
export function createIntake(deps: IntakeDeps): Intake {
  const { settings, store, health, ids, clock, log } = deps;

  return {
    ready() {
      const state = health.current();
      if (state.accepting) return null;
      const refusal =
        state.kind === 'full'
          ? refuse(452, '4.3.1', 'Insufficient system storage, try again later', state.reason)
          : refuse(451, '4.3.0', 'Mail cannot be stored just now, try again later', state.reason);
      deps.onRejected(refusal);
      return refusal;
    },

    checkSender(submitter, mailFrom) {
      const refusal = checkEnvelopeSender(submitter.credential, mailFrom);
      if (refusal !== null) {
        const id = ids.message();
        keepRejection(id, { submitter, recipients: [], headerMessageId: null, tag: null, rule: null, refusal });
      }
      return refusal;
    },

    async accept(submission) {
      const now = clock.now();
      const id = ids.message();
      const { config, signer } = settings();
      const { submitter, envelope } = submission;
      const recipients = envelope.recipients.map((recipient) => recipient.address);
      let headerMessageId: string | null = null;
      const rejected = (refusal: Refusal, tag: string | null = null, rule: string | null = null): Refusal => {
        keepRejection(id, { submitter, recipients, headerMessageId, tag, rule, refusal });
        return refusal;
      };

      const parsed = parseMessage(submission.content);
      if (parsed.kind === 'malformed') return rejected(refuse(parsed.code, parsed.enhanced, parsed.reason));

      const ownId = readMessageId(parsed);
      if (ownId.kind === 'malformed') return rejected(refuse(550, '5.6.0', ownId.reason));
      const messageId = ownId.kind === 'message-id' ? ownId.value : generateMessageId(id, config.hostname);
      headerMessageId = messageId;

      const decision = decide(config, {
        submitter,
        envelope,
        bytes: parsed.bytes,
        fields: parsed.fields,
        now,
        isOwnReport: submission.paysReport !== null,
      });
      if (decision.kind === 'refused') return rejected(decision.refusal, decision.tag, decision.rule);

      const links = auditMessage(parsed.bytes, decision);
      if (links !== null) deps.onAudited(decision.tag, links.verdict);
      if (links?.verdict === 'reject') {
        const refusal = refuse(550, '5.7.0', refusalOfAudit(links));
        return rejected(refusal, decision.tag, decision.recipients[0]?.rule ?? null);
      }

      const outgoing = buildOutgoing({
        message: parsed,
        recovery: decision.recovery,
        credential: submitter.credential,
        newFrom: decision.newFrom,
        replyTo: decision.replyTo,
        received: formatReceived({
          helo: submitter.helo,
          address: submitter.address,
          hostname: config.hostname,
          protocol: submitter.protocol,
          tls: submitter.tls,
          id,
          recipient: recipients.length === 1 ? (recipients[0] ?? null) : null,
          at: now,
        }),
        newMessageId: ownId.kind === 'absent' ? messageId : null,
        now,
      });

      const signed = await sign(signer, domainOf(decision.headerFrom), outgoing, now);
      if (signed.kind === 'refused') {
        log.error({ event: 'signing.failed', message: id, reason: signed.reason }, 'signing failed');
        deps.onRejected(signed);
        return signed;
      }

      const record: MessageRecord = {
        ...recordOf(id, submission, decision, links, now),
        headerMessageId: messageId,
        size: signed.content.length,
        eightBit: parsed.eightBit,
        signatures: signed.signatures,
      };
      const deliveries = decision.recipients.map((routed, index): NewDelivery => {
        const delivery = ids.delivery();
        const route = deps.chooseRoute(routed.via);
        return {
          id: delivery,
          recipient: routed.recipient,
          dsn: envelope.recipients[index]?.dsn ?? null,
          rule: routed.rule,
          ruleReason: routed.reason,
          via: routed.via,
          route,
          byDestination: config.routes.get(route)?.type === 'mx',
          returnPath: decision.returnPathDomain === null ? null : deps.returnPath(delivery, decision.returnPathDomain),
        };
      });
      const { idempotencyKey } = decision.wishes;
      const idempotency =
        idempotencyKey === null
          ? null
          : {
              scope: record.credential ?? '',
              key: idempotencyKey,
              expiresAt: now + IDEMPOTENCY_MS,
              // Of what the app said, not of what became of it: the config may change between two tries.
              digest: submissionDigest(envelope, parsed),
            };
      const result = await commit(record, deliveries, signed.content, decision, idempotency, submission.paysReport);
      if (result.kind !== 'conflict') return result;
      const { id: first } = result;
      const refusal = refuse(
        550,
        '5.6.0',
        `X-Leadpush-Idempotency-Key was used for another message: ${first}. Use a new key for each new message`,
        `idempotency key of ${first} came again with other content`,
      );
      return { ...rejected(refusal, decision.tag, record.rule), conflictsWith: first };
    },
  };

  async function commit(
    record: MessageRecord,
    deliveries: readonly NewDelivery[],
    content: Uint8Array,
    decision: Decision,
    idempotency: IdempotencyClaim | null,
    paysReport: number | null,
  ): Promise<Accepted | Refusal | { readonly kind: 'conflict'; readonly id: MessageId }> {
    const { collapseScope, suppression, throttles, delayedAfterMs, wantsReports } = decision;
    const [only] = deliveries;
    const headStart =
      deliveries.length === 1 && only !== undefined
        ? deps.headStart({ route: only.route, priority: record.priority, recipient: only.recipient })
        : null;
    // Before the commit: the attempt may begin with it.
    deps.contents.put(record.id, content, deliveries.length);
    let result: AcceptResult;
    try {
      result = await store.accept({
        record,
        deliveries,
        content,
        idempotency,
        leaseMs: headStart?.leaseMs ?? null,
        collapseScope,
        suppression,
        throttles,
        delayedAfterMs,
        wantsReports,
        paysReport,
      });
    } catch (error) {
      headStart?.cancel();
      deps.contents.forget(record.id);
      if (!(error instanceof RelayError)) throw error;
      log.error({ event: 'commit.failed', message: record.id, code: error.code, reason: error.message }, 'not stored');
      const refusal =
        error.code === 'store-full'
          ? refuse(452, '4.3.1', 'Insufficient system storage, try again later', error.message)
          : refuse(451, '4.3.0', 'Mail could not be stored, try again later', error.message);
      deps.onRejected(refusal);
      return refusal;
    }
    if (result.kind !== 'accepted') {
      headStart?.cancel();
      deps.contents.forget(record.id);
      if (result.kind === 'conflict') return { kind: 'conflict', id: result.messageId };
      log.info({ event: 'message.duplicate', message: result.messageId, credential: record.credential }, 'duplicate');
      deps.onDuplicate(record.tag);
      return { kind: 'duplicate', id: result.messageId };
    }
    for (const delivery of deliveries) {
      log.info(
        {
          event: 'message.accepted',
          message: record.id,
          delivery: delivery.id,
          recipient: delivery.recipient,
          from: record.headerFrom,
          message_id: record.headerMessageId,
          tag: record.tag,
          tag_source: record.tagSource,
          flow: record.flow,
          priority: record.priority,
          credential: record.credential,
          rule: delivery.rule,
          route: delivery.route,
          size: record.size,
          client: record.client.address,
          ...(record.warnings.length > 0 ? { warnings: record.warnings } : {}),
        },
        'accepted',
      );
    }
    // Before the new attempt begins: a connection that an outdated message holds is free the sooner.
    if (result.interrupt.length > 0) deps.interrupt(result.interrupt);
    if (result.lease === null) headStart?.cancel();
    else headStart?.begin(result.lease);
    deps.onAccepted({ record, deliveries, delayedAfterMs }, result.lease !== null);
    return { kind: 'accepted', id: record.id, deliveries };
  }

  interface Rejection {
    readonly submitter: Submission['submitter'];
    readonly recipients: readonly NewDelivery['recipient'][];
    readonly headerMessageId: string | null;
    readonly tag: string | null;
    readonly rule: string | null;
    readonly refusal: Refusal;
  }

  /** The client gets its answer at once; the event follows, and is only logged when the store cannot take it. */
  function keepRejection(id: MessageId, rejection: Rejection): void {
    const { submitter, recipients, refusal, tag, rule } = rejection;
    const credential = submitter.credential?.username ?? null;
    log.warn(
      {
        event: 'message.rejected',
        message: id,
        recipients,
        tag,
        credential,
        rule,
        code: refusal.code,
        enhanced: refusal.enhanced,
        reason: refusal.reason,
        client: submitter.address,
      },
      'rejected at submission',
    );
    deps.onRejected(refusal);
    store
      .reject({
        id,
        at: clock.now(),
        headerMessageId: rejection.headerMessageId,
        tag,
        credential,
        rule,
        recipients,
        refusal,
      })
      .catch((error: unknown) => {
        if (!(error instanceof RelayError)) throw error;
        log.error({ event: 'store.failed', message: id, reason: error.message }, 'rejection not recorded');
      });
  }
}

type Signed =
  | { readonly kind: 'signed'; readonly content: Uint8Array; readonly signatures: readonly string[] }
  | Refusal;

async function sign(signer: Signer, domain: string, message: MessageLayout, now: number): Promise<Signed> {
  if (!signer.domains.has(domain)) return { kind: 'signed', content: message.bytes, signatures: [] };
  try {
    const { header, signatures } = await signer.sign(domain, message.bytes, message.fields, message.bodyStart, now);
    return { kind: 'signed', content: Buffer.concat([header, message.bytes]), signatures };
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    return refuse(451, '4.3.0', 'Signing failed, try again later', error.message);
  }
}

/** The record but for what only the finished bytes can tell. */
function recordOf(
  id: MessageId,
  submission: Submission,
  decision: Decision,
  links: LinkAudit | null,
  now: number,
): Omit<MessageRecord, 'headerMessageId' | 'size' | 'eightBit' | 'signatures'> {
  const { submitter, envelope } = submission;
  return {
    id,
    mailFrom: envelope.mailFrom,
    headerFrom: decision.headerFrom,
    dsn: envelope.dsn,
    smtpUtf8: envelope.smtpUtf8,
    tag: decision.tag,
    tagSource: decision.tagSource,
    flow: decision.wishes.flow,
    metadata: decision.wishes.metadata,
    priority: decision.priority,
    collapseKey: decision.wishes.collapseKey,
    requireTls: decision.wishes.requireTls,
    credential: submitter.credential?.username ?? null,
    rule: decision.recipients[0]?.rule ?? '',
    acceptedAt: now,
    deadline: decision.deadline,
    deadlineSource: decision.deadlineSource,
    warnings: [...decision.warnings, ...linkWarnings(links)],
    links,
    client: { address: submitter.address, helo: submitter.helo, tls: submitter.tls },
  };
}

/** What the audit found, short: the whole is kept with the message. */
function linkWarnings(links: LinkAudit | null): readonly string[] {
  if (links === null || links.findings.length === 0) return [];
  const codes = [...new Set(links.findings.map(({ code }) => code))];
  return [`links: ${codes.join(', ')}`];
}
