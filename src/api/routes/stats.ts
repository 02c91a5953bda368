/** Counts and delivery times by tag, and what waits. */
import { z } from 'zod';
import { isoTime, type Clock } from '../../core/time.ts';
import type { HistoryStore } from '../../store/store.ts';
import type { Api } from '../api.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { limitQuery } from '../wire/json.ts';
import { queueRow, wireQueueRow, type WireQueueRow } from '../wire/queue.ts';
import { stats, wireStats } from '../wire/stats.ts';

export interface StatsDeps {
  readonly history: Pick<HistoryStore, 'stats' | 'queue'>;
  readonly clock: Clock;
}

const statsQuery = z.strictObject({
  since: momentQuery('Accepted at or after this; a day back when it is absent.').optional(),
});

const queueList: z.ZodType<{ readonly data: readonly WireQueueRow[]; readonly has_more: boolean }> = z
  .object({ data: z.array(queueRow), has_more: z.boolean().describe('Whether more waits than is shown.') })
  .meta({ id: 'QueueList' });

/** Adds `GET /v1/stats` and `GET /v1/queue`. */
export function addStats(api: Api, { history, clock }: StatsDeps): void {
  api.get(
    '/v1/stats',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getStats',
        tags: ['relay'],
        summary: 'What was accepted, what became of it, and how long delivery took, by tag',
        querystring: statsQuery,
        response: { 200: stats },
      },
    },
    async ({ query }) => {
      const now = clock.now();
      const sinceMs = momentOf(query.since ?? '24h', now) ?? now;
      const rows = await history.stats(sinceMs);
      return { since: isoTime(sinceMs), until: isoTime(now), tags: rows.map(wireStats), buckets: [] };
    },
  );

  api.get(
    '/v1/queue',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getQueue',
        tags: ['relay'],
        summary: 'What waits, most urgent first',
        querystring: z.strictObject({ limit: limitQuery() }),
        response: { 200: queueList },
      },
    },
    async ({ query: { limit } }) => {
      const rows = await history.queue(limit + 1);
      return { data: rows.slice(0, limit).map(wireQueueRow), has_more: rows.length > limit };
    },
  );
}
