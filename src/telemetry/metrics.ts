/**
 * The relay's metrics, in Prometheus' text format; names and labels stand in `metric-names.ts`.
 *
 * Counts begin at 0 with the process, as Prometheus expects; what the queue holds is read from the store at each scrape.
 * When the store cannot answer, the queue's series are missing from that scrape and all others are there.
 * Labels are bounded: a tag or route that is not in the config counts as `other`.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { DELIVERY_STATES, type DeliveryState, isFinal } from '../core/delivery.ts';
import type { RelayEvent } from '../core/event.ts';
import { PRIORITIES, type Priority, RECOVERY_TAGS } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Refusal } from '../core/refusal.ts';
import type { Clock } from '../core/time.ts';
import { METRICS } from './metric-names.ts';
import { rejectionReason } from './rejection-reason.ts';

/** What the queue holds, as the store tells it. */
export interface QueueNumbers {
  readonly byState: Readonly<Partial<Record<DeliveryState, number>>>;
  /** Epoch milliseconds. */
  readonly oldestAcceptedAt: Readonly<Partial<Record<Priority, number>>>;
}

export interface MetricsDeps {
  /** Asked once a scrape. */
  readonly queueFigures: () => Promise<QueueNumbers>;
  readonly clock: Clock;
  /** Version of the relay. */
  readonly version: string;
  /** Names from the config that may stand in labels. */
  readonly names: MetricNames;
}

export interface MetricNames {
  readonly tags: Iterable<string>;
  readonly routes: Iterable<string>;
}

export interface Metrics {
  /** A message was answered with 250. */
  accepted(tag: string | null): void;
  /** A message was refused at submission, for what it is or because it could not be stored. */
  rejected(refusal: Pick<Refusal, 'code' | 'enhanced'>): void;
  /** An attempt ended, with its phases. */
  attempt(route: string, outcome: Outcome): void;
  /** An event of the log: counted when it brought a delivery to a final state. */
  settled(event: RelayEvent): void;
  commit(commit: { readonly ms: number; readonly operations: number }): void;
  /** A client connected to `listener` (`host:port`); `tls` is the listener's setting. */
  smtpConnection(listener: string, tls: string): void;
  /** A login failed; `reason` comes from a fixed list. */
  smtpAuthFailure(reason: string): void;
  /** An SMTP client was turned away, or its mail was refused before it was looked at; `reason` comes from a fixed list. */
  smtpRefused(reason: string): void;
  /** Replaces the names that may stand in labels, after a change of config. */
  setNames(names: MetricNames): void;
  /** Everything as Prometheus text, and its content type. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Stops the watch over the event loop. */
  stop(): void;
}

const LAG_RESOLUTION_MS = 20;
const LAG_QUANTILES = [50, 99, 100] as const;
const DELIVERED_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];
const PHASE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const COMMIT_BUCKETS = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const OPERATIONS_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];

/** Makes the metrics in a registry of their own; `stop()` must be called. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const registry = new Registry();
  const inRegistry = { registers: [registry] };
  const messagesAccepted = new Counter({ ...spec('messagesAccepted'), ...inRegistry });
  const messagesRejected = new Counter({ ...spec('messagesRejected'), ...inRegistry });
  const deliveries = new Counter({ ...spec('deliveries'), ...inRegistry });
  const deliveryAttempts = new Counter({ ...spec('deliveryAttempts'), ...inRegistry });
  const timeToDelivered = new Histogram({ ...spec('timeToDelivered'), buckets: DELIVERED_BUCKETS, ...inRegistry });
  const attemptPhase = new Histogram({ ...spec('attemptPhase'), buckets: PHASE_BUCKETS, ...inRegistry });
  const queueDeliveries = new Gauge({ ...spec('queueDeliveries'), ...inRegistry });
  const queueOldestAge = new Gauge({ ...spec('queueOldestAge'), ...inRegistry });
  const commitSeconds = new Histogram({ ...spec('commitSeconds'), buckets: COMMIT_BUCKETS, ...inRegistry });
  const commitOperations = new Histogram({ ...spec('commitOperations'), buckets: OPERATIONS_BUCKETS, ...inRegistry });
  const eventLoopLag = new Gauge({ ...spec('eventLoopLag'), ...inRegistry });
  const smtpConnections = new Counter({ ...spec('smtpConnections'), ...inRegistry });
  const smtpAuthFailures = new Counter({ ...spec('smtpAuthFailures'), ...inRegistry });
  const smtpRefused = new Counter({ ...spec('smtpRefused'), ...inRegistry });
  const buildInfo = new Gauge({ ...spec('buildInfo'), ...inRegistry });
  buildInfo.set({ version: deps.version, node: process.version }, 1);

  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();

  let tags = knownTags(deps.names.tags);
  let routes = new Set(deps.names.routes);
  const tagLabel = (tag: string | null): string => (tag === null ? 'none' : tags.has(tag) ? tag : 'other');
  const routeLabel = (route: string): string => (routes.has(route) ? route : 'other');

  async function readQueue(): Promise<void> {
    const figures = await deps.queueFigures().catch(() => null);
    queueDeliveries.reset();
    queueOldestAge.reset();
    if (figures === null) return;
    for (const state of DELIVERY_STATES) {
      if (!isFinal(state) || state === 'quarantined') queueDeliveries.set({ state }, figures.byState[state] ?? 0);
    }
    const now = deps.clock.now();
    for (const priority of PRIORITIES) {
      const oldest = figures.oldestAcceptedAt[priority];
      queueOldestAge.set({ priority }, oldest === undefined ? 0 : Math.max(0, now - oldest) / 1000);
    }
  }

  function readLag(): void {
    for (const percentile of LAG_QUANTILES) {
      // The histogram holds the whole time between two ticks, in nanoseconds; the lag is what exceeds the interval.
      const ms = lag.count === 0 ? 0 : lag.percentile(percentile) / 1e6 - LAG_RESOLUTION_MS;
      eventLoopLag.set({ quantile: String(percentile / 100) }, Math.max(0, ms) / 1000);
    }
    lag.reset();
  }

  return {
    accepted: (tag) => messagesAccepted.inc({ tag: tagLabel(tag) }),
    rejected: (refusal) => messagesRejected.inc({ reason: rejectionReason(refusal) }),
    attempt(route, outcome) {
      deliveryAttempts.inc({ route: routeLabel(route), outcome: outcome.kind });
      for (const [phase, ms] of Object.entries(outcome.timings)) attemptPhase.observe({ phase }, ms / 1000);
    },
    settled({ timestamp, data: { message, delivery, attempt } }) {
      const state = delivery?.state;
      if (message === undefined || state === undefined || state === 'rejected' || !isFinal(state)) return;
      const tag = tagLabel(message.tag);
      deliveries.inc({ tag, route: attempt === undefined ? 'none' : routeLabel(attempt.route), outcome: state });
      if (state !== 'delivered' || message.accepted_at === null) return;
      timeToDelivered.observe({ tag }, Math.max(0, Date.parse(timestamp) - Date.parse(message.accepted_at)) / 1000);
    },
    commit({ ms, operations }) {
      commitSeconds.observe(ms / 1000);
      commitOperations.observe(operations);
    },
    smtpConnection: (listener, tls) => smtpConnections.inc({ listener, tls }),
    smtpAuthFailure: (reason) => smtpAuthFailures.inc({ reason }),
    smtpRefused: (reason) => smtpRefused.inc({ reason }),
    setNames(names) {
      tags = knownTags(names.tags);
      routes = new Set(names.routes);
    },
    async scrape() {
      await readQueue();
      readLag();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
    stop: () => void lag.disable(),
  };
}

function knownTags(tags: Iterable<string>): ReadonlySet<string> {
  return new Set([...RECOVERY_TAGS, ...tags]);
}

function spec<K extends keyof typeof METRICS>(
  key: K,
): { name: string; help: string; labelNames: (typeof METRICS)[K]['labels'][number][] } {
  const { name, help, labels } = METRICS[key];
  return { name, help, labelNames: [...labels] };
}
