/** Counts and delivery times as the API and `--json` show them. */
import { z } from 'zod';
import { DELIVERY_STATES, type DeliveryState } from '../../core/delivery.ts';
import type { StatsRow } from '../../store/store.ts';
import { time } from './json.ts';

export interface WireStatsRow {
  readonly tag: string | null;
  readonly accepted: number;
  readonly states: Readonly<Partial<Record<DeliveryState, number>>>;
  readonly delivered_ms: { readonly p50: number | null; readonly p95: number | null; readonly p99: number | null };
}

/** The deliveries accepted in one span of time. */
export interface WireStatsBucket {
  readonly from: string;
  readonly tags: readonly WireStatsRow[];
}

export interface WireStats {
  readonly since: string;
  readonly until: string;
  /** Of the whole span. */
  readonly tags: readonly WireStatsRow[];
  /** In time order; empty unless `bucket` was asked for. */
  readonly buckets: readonly WireStatsBucket[];
}

const percentile = z.number().nullable();

export const statsRow: z.ZodType<WireStatsRow> = z
  .object({
    tag: z.string().nullable(),
    accepted: z.int().describe('Deliveries that were accepted.'),
    states: z.partialRecord(z.enum(DELIVERY_STATES), z.int()).describe('How many of them are in which state now.'),
    delivered_ms: z
      .object({ p50: percentile, p95: percentile, p99: percentile })
      .describe('Milliseconds from acceptance to the 250 of the next hop; null: none was delivered.'),
  })
  .meta({ id: 'TagStats' });

export const stats: z.ZodType<WireStats> = z
  .object({
    since: time('Begin of the span.'),
    until: time('End of the span.'),
    tags: z.array(statsRow).describe('By tag, over the whole span.'),
    buckets: z
      .array(z.object({ from: time('Begin of the bucket.'), tags: z.array(statsRow) }))
      .describe('In time order, without the empty ones; empty unless `bucket` was asked for.'),
  })
  .meta({ id: 'Stats', description: 'What was accepted in a span of time, and what became of it.' });

/** Counts and delivery times of one tag. */
export function wireStats(row: StatsRow): WireStatsRow {
  return {
    tag: row.tag,
    accepted: row.accepted,
    states: row.states,
    delivered_ms: { p50: row.p50Ms, p95: row.p95Ms, p99: row.p99Ms },
  };
}
