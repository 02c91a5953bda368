/** Metrics of webhooks that are read at each scrape: what waits for each endpoint of the config. */
import type { Clock } from '../core/time.ts';
import type { Instruments } from './instruments.ts';

/** How an endpoint fares, as the store tells it. */
export interface WebhookNumbers {
  readonly name: string;
  readonly backlog: number;
  /** Epoch milliseconds; null: nothing waits. */
  readonly oldestPendingAt: number | null;
  readonly dead: number;
  readonly disabledAt: number | null;
}

/** Makes the metrics; what comes back reads `source` anew. Null: it cannot tell. */
export function createWebhookReadings(
  make: Instruments,
  source: () => Promise<readonly WebhookNumbers[] | null>,
  clock: Clock,
): () => Promise<void> {
  const backlogs = make.gauge('webhookBacklog');
  const ages = make.gauge('webhookOldestAge');
  const deadLetters = make.gauge('webhookDeadLetters');
  const disabled = make.gauge('webhookDisabled');
  return async () => {
    const numbers = await source();
    for (const gauge of [backlogs, ages, deadLetters, disabled]) gauge.reset();
    const now = clock.now();
    for (const { name: endpoint, backlog, oldestPendingAt, dead, disabledAt } of numbers ?? []) {
      backlogs.set({ endpoint }, backlog);
      ages.set({ endpoint }, oldestPendingAt === null ? 0 : Math.max(0, now - oldestPendingAt) / 1000);
      deadLetters.set({ endpoint }, dead);
      disabled.set({ endpoint }, disabledAt === null ? 0 : 1);
    }
  };
}
