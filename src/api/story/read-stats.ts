/** What was accepted in a span and what became of it, as the API and commands tell it: one answer, from whichever source is quick. */
import type { FaultRow, HistoryStore, StatsRow, TrendPoint, TrendQuery } from '../../store/history.ts';

export interface StatsStory {
  /** Of the whole span, in the order of tags. */
  readonly tags: readonly StatsRow[];
  /** In order of time, each of `stepMs`. */
  readonly points: readonly TrendPoint[];
  /** Tries that did not deliver, most frequent kind first. */
  readonly faults: readonly FaultRow[];
}

/** The shortest piece of time that is counted by itself. */
export const SHORTEST_STEP_MS = 300_000;
/** Up to here the messages of a span are counted themselves; beyond, their counters are taken. */
const FEW_DELIVERIES = 20_000;

/**
 * Reads the figures of a span that ends now. Of more than 20,000 deliveries they come from counters: percentiles are off by some
 * percent, the span begins with the step that `sinceMs` falls into, and states that are not final are not told apart. Faults
 * always come from counters, by the hour.
 */
export async function readStats(
  history: Pick<HistoryStore, 'stats' | 'trend'>,
  query: TrendQuery,
): Promise<StatsStory> {
  const { sinceMs, tag } = query;
  const { totals, points, faults } = await history.trend(query);
  const deliveries = totals.reduce((sum, { accepted }) => sum + accepted, 0);
  const rows = deliveries > FEW_DELIVERIES ? totals : await history.stats(sinceMs);
  const tags = rows
    .filter((row) => tag === undefined || (row.tag ?? '') === tag)
    .toSorted((a, b) => (a.tag ?? '').localeCompare(b.tag ?? ''));
  return { tags, points, faults };
}
