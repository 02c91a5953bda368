/** Counts and delivery times as the API and `--json` show them. */
import { z } from 'zod';
import { DELIVERY_STATES } from '../../core/delivery.ts';
import { isoTime } from '../../core/time.ts';
import type { FaultRow, StatsRow } from '../../store/history.ts';
import { time } from './json.ts';

export interface WireStatsRow extends Pick<StatsRow, 'tag' | 'accepted' | 'states'> {
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
  /** In the hours of the span; most frequent first. */
  readonly faults: readonly WireFault[];
}

/** Tries that did not deliver, of one kind. */
export interface WireFault extends Omit<FaultRow, 'lastAt'> {
  readonly last_at: string;
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

export const fault: z.ZodType<WireFault> = z
  .object({
    route: z.string(),
    outcome: z.string().describe('`deferred`, `rejected` or `uncertain`.'),
    cause: z.string().nullable(),
    stage: z.string().describe('How far the SMTP dialogue came.'),
    code: z.int().nullable(),
    enhanced: z.string().nullable(),
    count: z.int(),
    response: z.string().describe('The newest answer of this kind; one line.'),
    last_at: time('When it last came.'),
  })
  .meta({
    id: 'Fault',
    description: 'Tries that did not deliver, with the same codes at the same stage of the same route.',
  });

export const stats: z.ZodType<WireStats> = z
  .object({
    since: time('Begin of the span.'),
    until: time('End of the span.'),
    tags: z.array(statsRow).describe('By tag, over the whole span.'),
    buckets: z
      .array(z.object({ from: time('Begin of the bucket.'), tags: z.array(statsRow) }))
      .describe('In time order, without the empty ones; empty unless `bucket` was asked for.'),
    faults: z
      .array(fault)
      .describe(
        'Tries that did not deliver, in the hours of the span, by kind; most frequent first, as many as `top` says.',
      ),
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

export function wireFault({ lastAt, ...row }: FaultRow): WireFault {
  return { ...row, last_at: isoTime(lastAt) };
}
