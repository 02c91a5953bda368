/**
 * The relay's metrics, in Prometheus' text format; names and labels stand in `metric-names.ts`.
 *
 * Counts begin at 0 with the process, as Prometheus expects; what is read at each scrape stands in `readings.ts`.
 * Labels are bounded: a tag or route that is not in the config counts as `other`.
 * Cost: 9 microseconds for a message with one delivery, from acceptance to the end (measured), and 2 milliseconds a scrape.
 */
import { Registry } from 'prom-client';
import type { Clock } from '../core/time.ts';
import { createInstruments } from './instruments.ts';
import type { Log } from './log.ts';
import { createMailMetrics, type MailMetrics } from './mail-metrics.ts';
import { createMetricLabels, type MetricNames } from './metric-labels.ts';
import { createReadings, type Sources } from './readings.ts';

export interface MetricsDeps {
  readonly sources: Sources;
  readonly clock: Clock;
  /** Told of a source that failed by a bug. */
  readonly log: Log;
  /** Version of the relay. */
  readonly version: string;
  /** Names from the config that may stand in labels. */
  readonly names: MetricNames;
}

export interface HttpExchange {
  readonly method: string;
  /** The route's pattern (`/v1/messages/:id`), never the path of the request; null: there is none. */
  readonly route: string | null;
  readonly status: number;
  readonly ms: number;
}

export interface Metrics extends Omit<MailMetrics, 'begin'> {
  commit(commit: { readonly ms: number; readonly operations: number }): void;
  /** A client connected to `listener` (`host:port`); `tls` is the listener's setting. */
  smtpConnection(listener: string, tls: string): void;
  /** That connection is closed. */
  smtpDisconnection(listener: string): void;
  /** A login failed; `reason` comes from a fixed list. */
  smtpAuthFailure(reason: string): void;
  /** An SMTP client was turned away, or its mail was refused before it was looked at; `reason` comes from a fixed list. */
  smtpRefused(reason: string): void;
  /** An HTTP request was answered. */
  httpRequest(exchange: HttpExchange): void;
  /** A try to send an event to a webhook endpoint ended; `outcome` comes from a fixed list. */
  webhook(endpoint: string, outcome: string, ms: number): void;
  /** A clean-up came to its end. */
  upkeepDone(): void;
  /** The listeners show a certificate that ends at `notAfter` (epoch milliseconds). */
  certificate(notAfter: number): void;
  /** The config was read anew; its names may stand in labels from now on. */
  configReloaded(names: MetricNames): void;
  /** The config was read anew and refused. */
  configRefused(): void;
  /** Everything as Prometheus text, and its content type. */
  scrape(): Promise<{ readonly contentType: string; readonly text: string }>;
  /** Stops the watch over the event loop. */
  stop(): void;
}

const COMMIT_BUCKETS = [0.0002, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5];
const OPERATIONS_BUCKETS = [1, 2, 5, 10, 20, 50, 100, 200, 500];
const HTTP_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const WEBHOOK_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15];
/** As `SmtpMetrics` has them. */
const LOGIN_FAILURES = ['denied', 'slow-down'];
/** Any other word that a client makes up counts as `other`. */
const METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);

/** Makes the metrics in a registry of their own; `stop()` must be called. */
export function createMetrics(deps: MetricsDeps): Metrics {
  const { clock } = deps;
  const registry = new Registry();
  const make = createInstruments(registry);
  const labels = createMetricLabels(deps.names);
  const { begin, ...mail } = createMailMetrics(make, labels);
  const readings = createReadings(make, deps.sources, clock, deps.log);
  const commitSeconds = make.histogram('commitSeconds', COMMIT_BUCKETS);
  const commitOperations = make.histogram('commitOperations', OPERATIONS_BUCKETS);
  const smtpConnections = make.counter('smtpConnections');
  const smtpConnectionsActive = make.gauge('smtpConnectionsActive');
  const smtpAuthFailures = make.counter('smtpAuthFailures');
  for (const reason of LOGIN_FAILURES) smtpAuthFailures.inc({ reason }, 0);
  const smtpRefused = make.counter('smtpRefused');
  const certificateExpiry = make.gauge('certificateExpiry');
  const httpRequests = make.counter('httpRequests');
  const httpSeconds = make.histogram('httpSeconds', HTTP_BUCKETS);
  const webhookAttempts = make.counter('webhookAttempts');
  const webhookSeconds = make.histogram('webhookSeconds', WEBHOOK_BUCKETS);
  const upkeepAt = make.gauge('upkeepAt');
  const configReloadOk = make.gauge('configReloadOk');
  const configReloadAt = make.gauge('configReloadAt');
  make.gauge('buildInfo').set({ version: deps.version, node: process.version }, 1);

  const nowSeconds = (): number => Math.floor(clock.now() / 1000);
  const configRead = (): void => {
    configReloadOk.set(1);
    configReloadAt.set(nowSeconds());
    begin();
  };
  configRead();
  // Until one is told of there is none: a series at 0 would be a certificate that ended in 1970.
  certificateExpiry.remove();

  return {
    ...mail,
    commit({ ms, operations }) {
      commitSeconds.observe(ms / 1000);
      commitOperations.observe(operations);
    },
    smtpConnection(listener, tls) {
      smtpConnections.inc({ listener, tls });
      smtpConnectionsActive.inc({ listener });
    },
    smtpDisconnection: (listener) => smtpConnectionsActive.dec({ listener }),
    smtpAuthFailure: (reason) => smtpAuthFailures.inc({ reason }),
    smtpRefused: (reason) => smtpRefused.inc({ reason }),
    httpRequest({ method, route, status, ms }) {
      const pattern = route ?? 'none';
      httpRequests.inc({ method: METHODS.has(method) ? method : 'other', route: pattern, status: String(status) });
      httpSeconds.observe({ route: pattern }, ms / 1000);
    },
    webhook(endpoint, outcome, ms) {
      webhookAttempts.inc({ endpoint, outcome });
      webhookSeconds.observe({ endpoint }, ms / 1000);
    },
    upkeepDone: () => upkeepAt.set(nowSeconds()),
    certificate: (notAfter) => certificateExpiry.set(Math.floor(notAfter / 1000)),
    configReloaded(names) {
      labels.set(names);
      configRead();
    },
    configRefused: () => configReloadOk.set(0),
    async scrape() {
      await readings.read();
      return { contentType: registry.contentType, text: await registry.metrics() };
    },
    stop: readings.stop,
  };
}
