/** Counts and delivery times by tag, and what waits. */
import { z } from 'zod';
import { isoTime, type Clock } from '../../core/time.ts';
import { TAG_GRAMMAR } from '../../core/message.ts';
import type { DeferralRow, FaultRow, HistoryStore, TrendPoint } from '../../store/history.ts';
import { refuse } from '../answer.ts';
import type { Api } from '../api.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { countQuery, limitQuery, page } from '../wire/json.ts';
import { queuePage, wireQueueRow } from '../wire/queue.ts';
import { stats, wireFault, wireStats, type WireStatsBucket } from '../wire/stats.ts';

export interface StatsDeps {
  readonly history: Pick<HistoryStore, 'stats' | 'trend' | 'deferrals' | 'queue'>;
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
/** Up to here the messages of a span are counted themselves; beyond, their counters are taken. */
const FEW_DELIVERIES = 20_000;
const DEFAULT_DEFERRALS = 10;
const MAX_DEFERRALS = 1000;
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
  top: countQuery(0, MAX_DEFERRALS)
    .default(DEFAULT_DEFERRALS)
    .describe(`How many of what held mail up, at most ${MAX_DEFERRALS}.`),
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
        summary: 'What was accepted, what became of it and how long delivery took, by tag; and what held mail up',
        description:
          'Of a span with more than 20,000 deliveries the figures come from counters: percentiles are off by some percent, `since` counts from the five minutes it falls into, and states that are not final are not told apart.',
        querystring: statsQuery,
        response: { 200: stats },
      },
    },
    async ({ query: { since, bucket, tag, top } }, reply) => {
      const now = clock.now();
      const sinceMs = momentOf(since ?? '24h', now) ?? now;
      const stepMs = BUCKETS[bucket ?? '5m'];
      if (bucket !== undefined && (now - sinceMs) / stepMs > MAX_BUCKETS) {
        const detail = `must be so long that the span has ${MAX_BUCKETS} of them at most`;
        return refuse(reply, 'validation', 'Some values are not accepted: see errors.', [
          { pointer: '/bucket', in: 'query', detail },
        ]);
      }
      const trend = await history.trend({
        sinceMs,
        untilMs: now + 1,
        stepMs,
        ...(tag === undefined ? {} : { tag }),
      });
      const deliveries = trend.totals.reduce((sum, { accepted }) => sum + accepted, 0);
      const isLarge = deliveries > FEW_DELIVERIES;
      const rows = isLarge
        ? trend.totals
        : (await history.stats(sinceMs)).filter((row) => tag === undefined || row.tag === tag);
      return {
        since: isoTime(sinceMs),
        until: isoTime(now),
        tags: rows.map(wireStats),
        buckets: bucket === undefined ? [] : bucketsOf(trend.points),
        faults: trend.faults.map(wireFault),
        deferrals: isLarge
          ? deferralsOf(trend.faults).slice(0, top)
          : top === 0
            ? []
            : await history.deferrals(sinceMs, top),
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

/** Those that held mail up, as the log itself would tell them. */
function deferralsOf(faults: readonly FaultRow[]): readonly DeferralRow[] {
  return faults
    .filter(({ outcome }) => outcome === 'deferred' || outcome === 'uncertain')
    .map(({ route, stage, cause, code, enhanced, count, response }) => ({
      route,
      stage,
      cause,
      code,
      enhanced,
      count,
      response,
    }));
}

/** `points`, which are in order of time, by their time. */
function bucketsOf(points: readonly TrendPoint[]): readonly WireStatsBucket[] {
  const byTime = Map.groupBy(points, ({ at }) => at);
  return [...byTime].map(([at, tags]) => ({ from: isoTime(at), tags: tags.map(wireStats) }));
}
