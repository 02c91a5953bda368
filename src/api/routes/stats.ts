/** Counts and delivery times by tag, and what waits. */
import { z } from 'zod';
import { isoTime, type Clock } from '../../core/time.ts';
import { TAG_GRAMMAR } from '../../core/message.ts';
import type { HistoryStore, TrendPoint } from '../../store/history.ts';
import { refuse } from '../answer.ts';
import type { Api } from '../api.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { readStats, SHORTEST_STEP_MS } from '../story/read-stats.ts';
import { countQuery, limitQuery, page } from '../wire/json.ts';
import { queuePage, wireQueueRow } from '../wire/queue.ts';
import { stats, wireFault, wireStats, type WireStatsBucket } from '../wire/stats.ts';

export interface StatsDeps {
  readonly history: Pick<HistoryStore, 'stats' | 'trend' | 'queue'>;
  readonly clock: Clock;
}

const MINUTE_MS = 60_000;
const BUCKETS = {
  '5m': 5 * MINUTE_MS,
  '15m': 15 * MINUTE_MS,
  '1h': 60 * MINUTE_MS,
  '2h': 120 * MINUTE_MS,
  '6h': 360 * MINUTE_MS,
  '1d': 1440 * MINUTE_MS,
} as const;
/** What an answer may hold. */
const MAX_BUCKETS = 800;
const DEFAULT_FAULTS = 50;
const MAX_FAULTS = 1000;
/** Every page of the queue is found by counting from the first. */
const MAX_QUEUE_DEPTH = 100_000;

const statsQuery = z.strictObject({
  since: momentQuery('Accepted at or after this; a day back when it is absent.').optional(),
  bucket: z
    .enum(['5m', '15m', '1h', '2h', '6h', '1d'])
    .optional()
    .describe(
      'Figures for each such piece of the span too. What is older than a day is kept by the hour, what is older than eight days by six hours.',
    ),
  tag: z.string().regex(TAG_GRAMMAR).optional(),
  top: countQuery(0, MAX_FAULTS).default(DEFAULT_FAULTS).describe(`How many kinds of faults, at most ${MAX_FAULTS}.`),
});

const queueQuery = z.strictObject({
  cursor: countQuery(0, MAX_QUEUE_DEPTH)
    .optional()
    .describe('How many to pass over. What waits changes meanwhile: a delivery may be on two pages, or on none.'),
  limit: limitQuery(),
});

/** Adds `GET /v1/stats` and `GET /v1/queue`. */
export function addStats(api: Api, { history, clock }: StatsDeps): void {
  api.get(
    '/v1/stats',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getStats',
        tags: ['relay'],
        summary: 'What was accepted, what became of it and how long delivery took, by tag; and what stood in the way',
        description:
          'Of a span with more than 20,000 deliveries the figures come from counters: percentiles are off by some percent, `since` counts from the five minutes it falls into, and states that are not final are not told apart.',
        querystring: statsQuery,
        response: { 200: stats },
      },
    },
    async ({ query: { since, bucket, tag, top } }, reply) => {
      const now = clock.now();
      const sinceMs = momentOf(since ?? '24h', now) ?? now;
      const stepMs = bucket === undefined ? SHORTEST_STEP_MS : BUCKETS[bucket];
      if (bucket !== undefined && (now - sinceMs) / stepMs > MAX_BUCKETS) {
        const detail = `must be so long that the span has ${MAX_BUCKETS} of them at most`;
        return refuse(reply, 'validation', 'Some values are not accepted: see errors.', [
          { pointer: '/bucket', in: 'query', detail },
        ]);
      }
      const story = await readStats(history, {
        sinceMs,
        untilMs: now + 1,
        stepMs,
        topFaults: top,
        ...(tag === undefined ? {} : { tag }),
      });
      return {
        since: isoTime(sinceMs),
        until: isoTime(now),
        tags: story.tags.map(wireStats),
        buckets: bucket === undefined ? [] : bucketsOf(story.points),
        faults: story.faults.map(wireFault),
      };
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
        querystring: queueQuery,
        response: { 200: queuePage },
      },
    },
    async ({ query: { limit, cursor = 0 } }) => {
      const rows = (await history.queue(cursor + limit + 1)).slice(cursor);
      return page(rows.map(wireQueueRow), limit, () => String(cursor + limit));
    },
  );
}

/** `points`, which are in order of time, by their time. */
function bucketsOf(points: readonly TrendPoint[]): readonly WireStatsBucket[] {
  const byTime = Map.groupBy(points, ({ at }) => at);
  return [...byTime].map(([at, tags]) => ({ from: isoTime(at), tags: tags.map(wireStats) }));
}
