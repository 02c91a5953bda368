import { expect, test } from 'vitest';
import { readStats, SHORTEST_STEP_MS } from '../../src/api/story/read-stats.ts';
import type { StatsRow } from '../../src/store/history.ts';

const row = (tag: string | null, accepted: number, p50Ms: number): StatsRow => {
  return { tag, accepted, states: { delivered: accepted }, p50Ms, p95Ms: p50Ms, p99Ms: p50Ms };
};
const QUERY = { sinceMs: 1000, untilMs: 2000, stepMs: SHORTEST_STEP_MS, topFaults: 3 };

/** A log whose counters say `totals`; told apart from what is counted one by one by the times, 40 and 41 ms. */
function historyOf(...totals: readonly (readonly [tag: string | null, accepted: number])[]): {
  readonly walks: number[];
  readonly history: Parameters<typeof readStats>[0];
} {
  const walks: number[] = [];
  return {
    walks,
    history: {
      trend: async ({ sinceMs, stepMs }) => {
        return { sinceMs, stepMs, points: [], totals: totals.map(([tag, count]) => row(tag, count, 41)), faults: [] };
      },
      stats: async (sinceMs) => {
        walks.push(sinceMs);
        return totals.map(([tag, count]) => row(tag, count, 40));
      },
    },
  };
}

test('few deliveries are counted one by one', async () => {
  const { history } = historyOf(['otp', 19_999], [null, 1]);
  expect((await readStats(history, QUERY)).tags).toEqual([row(null, 1, 40), row('otp', 19_999, 40)]);
});

test('many deliveries are told by their counters, and the log is not walked', async () => {
  const { history, walks } = historyOf(['otp', 20_000], [null, 1]);
  expect((await readStats(history, QUERY)).tags).toEqual([row(null, 1, 41), row('otp', 20_000, 41)]);
  expect(walks).toEqual([]);
});

test.each([
  ['otp', [row('otp', 2, 40)]],
  ['', [row(null, 1, 40)]],
])('of one tag, %j, no other is told', async (tag, rows) => {
  const { history } = historyOf(['otp', 2], [null, 1]);
  expect((await readStats(history, { ...QUERY, tag })).tags).toEqual(rows);
});
