/**
 * Metrics of mail: what was taken, and, made from the events of each commit, what became of it. Log, `tail` and metrics
 * therefore tell the same story, also of attempts that a crash left behind.
 *
 * Series that alerts count on begin at 0 with the process: an increase from nothing to 1 would not show as one.
 */
import { BOUNCE_CLASSES } from '../core/bounce.ts';
import { type DeliveryState, isFinal } from '../core/delivery.ts';
import type { EventAttempt, RelayEvent } from '../core/event.ts';
import type { LinkVerdict } from '../core/link-audit.ts';
import { STAGES } from '../core/outcome.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Instruments } from './instruments.ts';
import type { MetricLabels } from './metric-labels.ts';
import { providerOf } from './provider.ts';
import { REJECTION_REASONS, rejectionReason } from './rejection-reason.ts';

const DELIVERED_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const PHASE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
/** Before MAIL it is open whether the connection will be under TLS. */
const MAIL_STAGE = STAGES.indexOf('mail');
const REACHED_MAIL: ReadonlySet<string> = new Set(STAGES.slice(MAIL_STAGE));

export interface MailMetrics {
  /** A message was answered with 250. */
  accepted(tag: string | null): void;
  /** A message was refused at submission, for what it is or because it could not be stored. */
  rejected(refusal: Pick<Refusal, 'code' | 'enhanced'>): void;
  /** An idempotency key came again. */
  duplicate(tag: string | null): void;
  /** The links of a message were looked at. */
  linksAudited(tag: string | null, verdict: LinkVerdict): void;
  /** A message was signed, once with each of `algorithms`. */
  signed(algorithms: readonly string[]): void;
  signingFailed(): void;
  /** An event of the log. */
  event(event: RelayEvent): void;
  /** Lets the series of these labels begin at 0, those that are new. */
  begin(): void;
}

/** Makes the metrics of mail. */
export function createMailMetrics(make: Instruments, labels: MetricLabels): MailMetrics {
  const messagesAccepted = make.counter('messagesAccepted');
  const messagesRejected = make.counter('messagesRejected');
  const messagesDuplicate = make.counter('messagesDuplicate');
  const linkAudits = make.counter('linkAudits');
  const dkimSignatures = make.counter('dkimSignatures');
  const dkimFailures = make.counter('dkimFailures');
  const deliveries = make.counter('deliveries');
  const timeToDelivered = make.histogram('timeToDelivered', DELIVERED_BUCKETS);
  const delayed = make.counter('delayed');
  const bounces = make.counter('bounces');
  const complaints = make.counter('complaints');
  const deliveryAttempts = make.counter('deliveryAttempts');
  const attemptPhase = make.histogram('attemptPhase', PHASE_BUCKETS);
  const attemptTls = make.counter('attemptTls');
  const mxAttempts = make.counter('mxAttempts');
  const failovers = make.counter('failovers');
  const routeChanges = make.counter('routeChanges');
  /** Tags whose times have begun: to set a histogram to zero again would take what it has counted. */
  const begun = new Set<string>();

  function attempted({ route, outcome, next_hop, stage, tls, timings_ms }: EventAttempt): void {
    const label = labels.route(route);
    const type = labels.routeType(route);
    deliveryAttempts.inc({ route: label, outcome });
    for (const [phase, ms] of Object.entries(timings_ms)) attemptPhase.observe({ type, phase }, ms / 1000);
    if (type === 'sandbox') return;
    if (stage !== null && REACHED_MAIL.has(stage)) attemptTls.inc({ route: label, version: tls ?? 'none' });
    if (type === 'mx') mxAttempts.inc({ provider: providerOf(next_hop), outcome });
  }

  function ended(event: RelayEvent, state: DeliveryState): void {
    const { message, attempt } = event.data;
    if (message === undefined) return;
    const tag = labels.tag(message.tag);
    deliveries.inc({ tag, route: attempt === undefined ? 'none' : labels.route(attempt.route), outcome: state });
    if (state !== 'delivered' || message.accepted_at === null) return;
    const tookMs = Date.parse(event.timestamp) - Date.parse(message.accepted_at);
    timeToDelivered.observe({ tag }, Math.max(0, tookMs) / 1000);
  }

  return {
    accepted: (tag) => messagesAccepted.inc({ tag: labels.tag(tag) }),
    rejected: (refusal) => messagesRejected.inc({ reason: rejectionReason(refusal) }),
    duplicate: (tag) => messagesDuplicate.inc({ tag: labels.tag(tag) }),
    linksAudited: (tag, verdict) => linkAudits.inc({ tag: labels.tag(tag), verdict }),
    signed(algorithms) {
      for (const algorithm of algorithms) dkimSignatures.inc({ algorithm });
    },
    signingFailed: () => dkimFailures.inc(),
    event(event) {
      const { type, data } = event;
      const { message, delivery, attempt, failed_over, bounce, report, route } = data;
      let from: EventAttempt | null = null;
      for (const one of [...(failed_over ?? []), ...(attempt === undefined ? [] : [attempt])]) {
        attempted(one);
        if (from !== null) failovers.inc({ from: labels.route(from.route), to: labels.route(one.route) });
        from = one;
      }
      if (bounce !== undefined) bounces.inc({ class: bounce.class, source: report === undefined ? 'reply' : 'report' });
      if (type === 'message.complained') complaints.inc({ tag: labels.tag(message?.tag ?? null) });
      if (type === 'route.down' || type === 'route.up') {
        routeChanges.inc({ route: labels.route(route?.name ?? ''), to: type === 'route.up' ? 'up' : 'down' });
      }
      // What comes by mail about a delivery leaves its state as it is: it ended before.
      if (report !== undefined) return;
      if (type === 'message.delayed') delayed.inc({ tag: labels.tag(message?.tag ?? null) });
      const state = delivery?.state;
      if (state !== undefined && state !== 'rejected' && isFinal(state)) ended(event, state);
    },
    begin() {
      for (const tag of labels.tags()) {
        messagesAccepted.inc({ tag }, 0);
        complaints.inc({ tag }, 0);
        delayed.inc({ tag }, 0);
        if (!begun.has(tag)) timeToDelivered.zero({ tag });
        begun.add(tag);
        deliveries.inc({ tag, route: 'none', outcome: 'expired' }, 0);
        for (const route of labels.routes()) {
          for (const outcome of ['delivered', 'bounced', 'expired']) deliveries.inc({ tag, route, outcome }, 0);
        }
      }
      for (const reason of REJECTION_REASONS) messagesRejected.inc({ reason }, 0);
      for (const name of BOUNCE_CLASSES) bounces.inc({ class: name, source: 'reply' }, 0);
      for (const route of labels.routes()) routeChanges.inc({ route, to: 'down' }, 0);
    },
  };
}
