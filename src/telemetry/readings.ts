/**
 * Metrics that are read at each scrape: the queue, the store, the routes, the event loop, the process.
 *
 * A source that cannot answer costs its own series and no others: they are missing from that scrape, because the last
 * value would look alive. Where the store cannot answer, it is the store that says so; a bug is logged here.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { DELIVERY_STATES, isFinal } from '../core/delivery.ts';
import type { QueueFigures, StoreSizes } from '../core/figures.ts';
import { PRIORITIES } from '../core/message.ts';
import type { Clock } from '../core/time.ts';
import { createAsk } from './ask-source.ts';
import type { Instruments } from './instruments.ts';
import type { Log } from './log.ts';
import { createProcessFigures } from './process-figures.ts';
import { createWebhookReadings, type WebhookNumbers } from './webhook-readings.ts';

/** Each is asked once a scrape. */
export interface Sources {
  readonly queue: () => Promise<QueueFigures>;
  readonly sizes: () => Promise<StoreSizes>;
  readonly webhooks: () => Promise<readonly WebhookNumbers[]>;
  readonly accepting: () => boolean;
  /** Routes by name; true: mail goes over it. */
  readonly routes: () => Iterable<readonly [route: string, up: boolean]>;
}

export interface Readings {
  /** Reads everything anew; never rejects. */
  read(): Promise<void>;
  /** Stops the watch over the event loop. */
  stop(): void;
}

const LAG_RESOLUTION_MS = 20;
const LAG_PERCENTILES = [50, 99, 100] as const;

/** Makes the metrics and begins to watch the event loop. */
export function createReadings(make: Instruments, sources: Sources, clock: Clock, log: Log): Readings {
  const ask = createAsk(log);
  const queueDeliveries = make.gauge('queueDeliveries');
  const queueOldestAge = make.gauge('queueOldestAge');
  const eventSeq = make.gauge('eventSeq');
  const contentKeys = make.gauge('contentKeys');
  const storeAccepting = make.gauge('storeAccepting');
  const database = make.gauge('databaseBytes');
  const wal = make.gauge('walBytes');
  const diskFree = make.gauge('diskFree');
  const routeUp = make.gauge('routeUp');
  const eventLoopLag = make.gauge('eventLoopLag');
  const readProcess = createProcessFigures(make, clock);
  const readWebhooks = createWebhookReadings(make, () => ask('webhooks', sources.webhooks), clock);
  const lag = monitorEventLoopDelay({ resolution: LAG_RESOLUTION_MS });
  lag.enable();

  async function readQueue(): Promise<void> {
    const numbers = await ask('queue', sources.queue);
    queueDeliveries.reset();
    queueOldestAge.reset();
    contentKeys.reset();
    if (numbers === null) {
      eventSeq.remove();
      return;
    }
    for (const state of DELIVERY_STATES) {
      if (!isFinal(state) || state === 'quarantined') queueDeliveries.set({ state }, numbers.byState[state] ?? 0);
    }
    const now = clock.now();
    for (const priority of PRIORITIES) {
      const oldest = numbers.oldestAcceptedAt[priority];
      queueOldestAge.set({ priority }, oldest === undefined ? 0 : Math.max(0, now - oldest) / 1000);
    }
    eventSeq.set(numbers.lastSeq);
    contentKeys.set({ state: 'used' }, numbers.contentKeys.used);
    contentKeys.set({ state: 'free' }, numbers.contentKeys.free);
  }

  async function readSizes(): Promise<void> {
    const sizes = await ask('files', sources.sizes);
    for (const [gauge, bytes] of [
      [database, sizes?.databaseBytes],
      [wal, sizes?.walBytes],
      [diskFree, sizes?.freeBytes],
    ] as const) {
      if (bytes == null) gauge.remove();
      else gauge.set(bytes);
    }
  }

  async function readAccepting(): Promise<void> {
    const accepting = await ask('store', sources.accepting);
    if (accepting === null) storeAccepting.remove();
    else storeAccepting.set(accepting ? 1 : 0);
  }

  async function readRoutes(): Promise<void> {
    const routes = await ask('routes', () => [...sources.routes()]);
    routeUp.reset();
    for (const [route, up] of routes ?? []) routeUp.set({ route }, up ? 1 : 0);
  }

  function readLag(): void {
    for (const percentile of LAG_PERCENTILES) {
      // The histogram holds the whole time between two ticks, in nanoseconds; the lag is what exceeds the interval.
      const ms = lag.count === 0 ? 0 : lag.percentile(percentile) / 1e6 - LAG_RESOLUTION_MS;
      eventLoopLag.set({ percentile: String(percentile) }, Math.max(0, ms) / 1000);
    }
    lag.reset();
  }

  return {
    async read() {
      readLag();
      await Promise.all([readAccepting(), readRoutes(), readQueue(), readSizes(), readWebhooks(), readProcess()]);
    },
    stop: () => void lag.disable(),
  };
}
