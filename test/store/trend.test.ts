/** Statistics over time: counters that every delivery leaves behind, whatever becomes of it. */
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { Trend } from '../../src/store/history.ts';
import { createManualClock } from '../support/clock.ts';
import { type Bench, BOUNCED, DEFERRED, openBench, REJECTED, START_MS, tempFolder, until } from './fixture.ts';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

const open = (dropContentWhenSettled = true): Promise<Bench> =>
  openBench((clock) => openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled, exclusive: false }));

function trendOf(
  b: Bench,
  over: { readonly spanMs?: number; readonly stepMs?: number; readonly tag?: string; readonly topFaults?: number } = {},
): Promise<Trend> {
  const { spanMs = HOUR_MS, stepMs = 5 * MINUTE_MS, topFaults = 50, ...rest } = over;
  return b.store.history.trend({
    sinceMs: b.clock.now() - spanMs,
    untilMs: b.clock.now() + 1,
    stepMs,
    topFaults,
    ...rest,
  });
}

/** A message that is delivered `tookMs` after its acceptance. */
async function delivered(b: Bench, tookMs: number, tag: string | null = 'password-reset'): Promise<void> {
  await b.accept({ record: { tag } });
  const lease = await b.claimOne();
  await b.clock.advance(tookMs);
  await b.deliver(lease);
}

describe('the trend', () => {
  test('counts what was accepted and what became of it, by tag and in order of time', async () => {
    const b = await open();
    await delivered(b, 40);
    await delivered(b, 60, null);
    await b.accept();
    await b.settle(await b.claimOne(), REJECTED, BOUNCED);
    await b.clock.advance(10 * MINUTE_MS);
    await b.accept();
    const { points, totals, stepMs } = await trendOf(b);
    expect(stepMs).toBe(5 * MINUTE_MS);
    expect(points.map(({ at, tag, accepted }) => [at - START_MS, tag, accepted])).toEqual([
      [0, null, 1],
      [0, 'password-reset', 2],
      [10 * MINUTE_MS, 'password-reset', 1],
    ]);
    expect(totals).toMatchObject([
      { tag: 'password-reset', accepted: 3, states: { delivered: 1, bounced: 1 } },
      { tag: null, accepted: 1, states: { delivered: 1 } },
    ]);
  });

  test('keeps to one tag when one is asked for', async () => {
    const b = await open();
    await delivered(b, 40);
    await delivered(b, 40, 'otp');
    const { totals, points } = await trendOf(b, { tag: 'otp' });
    expect(totals.map(({ tag }) => tag)).toEqual(['otp']);
    expect(points.map(({ tag }) => tag)).toEqual(['otp']);
  });

  test('tells percentiles within a step of the truth', async () => {
    const b = await open();
    for (let i = 1; i <= 100; i++) await delivered(b, i * 10);
    const [row] = (await trendOf(b)).totals;
    for (const [found, truth] of [
      [row?.p50Ms, 500],
      [row?.p95Ms, 950],
      [row?.p99Ms, 990],
    ] as const) {
      expect(found).toBeGreaterThan(truth / 1.29);
      expect(found).toBeLessThan(truth * 1.29);
    }
  });

  test('has no percentile where nothing was delivered', async () => {
    const b = await open();
    await b.accept();
    expect((await trendOf(b)).totals).toMatchObject([{ accepted: 1, p50Ms: null, p95Ms: null, p99Ms: null }]);
  });

  test('takes an end back when an operator puts the delivery back to work', async () => {
    const b = await open(false);
    const { id } = await b.accept();
    await b.store.queue.cancel(id, b.clock.now(), 'canceled');
    expect((await trendOf(b)).totals[0]?.states).toEqual({ canceled: 1 });
    await b.store.queue.retryNow(id, b.clock.now());
    expect((await trendOf(b)).totals).toMatchObject([{ accepted: 1, states: {} }]);
  });

  test('takes an end back from an hour that its slot was folded into', async () => {
    const b = await open(false);
    const { id } = await b.accept({ record: { deadline: START_MS + 7 * DAY_MS } });
    await b.store.queue.cancel(id, b.clock.now(), 'canceled');
    await b.clock.advance(2 * DAY_MS);
    await b.store.upkeep.dropHistory(0, 100);
    await b.store.queue.retryNow(id, b.clock.now());
    const reopened = await trendOf(b, { spanMs: 3 * DAY_MS, stepMs: HOUR_MS });
    expect(reopened.totals.map(({ accepted, states }) => [accepted, states])).toEqual([[1, {}]]);
    await b.store.queue.cancel(id, b.clock.now(), 'canceled');
    const canceled = await trendOf(b, { spanMs: 3 * DAY_MS, stepMs: HOUR_MS });
    expect(canceled.totals.map(({ accepted, states }) => [accepted, states])).toEqual([[1, { canceled: 1 }]]);
  });

  test('gathers tries that did not deliver by their codes, with the newest answer', async () => {
    const b = await open();
    for (let i = 0; i < 2; i++) {
      await b.accept();
      await b.settle(
        await b.claimOne(),
        { ...DEFERRED, response: `try later, ticket ${i}` },
        until(b.clock.now() + DAY_MS),
      );
    }
    const { faults } = await trendOf(b);
    expect(faults).toMatchObject([
      { route: 'ses', outcome: 'deferred', code: 450, enhanced: '4.2.1', count: 2, response: 'try later, ticket 1' },
    ]);
  });

  test('keeps the count and the newest answer of faults when they are folded into days', async () => {
    const b = await open();
    for (let i = 0; i < 5; i++) {
      await b.accept();
      await b.settle(await b.claimOne(), { ...DEFERRED, response: `ticket ${i}` }, until(b.clock.now() + 30 * DAY_MS));
      await b.clock.advance(HOUR_MS);
    }
    const before = await trendOf(b, { spanMs: 6 * HOUR_MS, stepMs: HOUR_MS });
    await b.clock.advance(3 * DAY_MS);
    // Twice: what is folded stays as it is.
    for (let i = 0; i < 2; i++) await b.store.upkeep.dropHistory(0, 100);
    const after = await trendOf(b, { spanMs: 5 * DAY_MS, stepMs: HOUR_MS });
    expect(before.faults).toMatchObject([{ count: 5, response: 'ticket 4' }]);
    expect(after.faults).toEqual(before.faults);
  });

  test('stays the same when old slots are folded into hours', async () => {
    const b = await open();
    for (let i = 0; i < 6; i++) {
      await delivered(b, 100 + i);
      await b.clock.advance(20 * MINUTE_MS);
    }
    const before = await trendOf(b, { spanMs: 3 * DAY_MS, stepMs: HOUR_MS });
    await b.clock.advance(2 * DAY_MS);
    await b.store.upkeep.dropHistory(0, 100);
    const after = await b.store.history.trend({
      sinceMs: before.sinceMs,
      untilMs: b.clock.now(),
      stepMs: HOUR_MS,
      topFaults: 50,
    });
    expect(after.points).toEqual(before.points);
    expect(after.totals).toEqual(before.totals);
  });

  test('goes with the history', async () => {
    const b = await open();
    await delivered(b, 50);
    await b.clock.advance(3 * DAY_MS);
    // The first folds, the second drops.
    for (let i = 0; i < 2; i++) await b.store.upkeep.dropHistory(b.clock.now() - DAY_MS, 100);
    expect((await trendOf(b, { spanMs: 10 * DAY_MS, stepMs: HOUR_MS })).totals).toEqual([]);
  });
});

test('a database of schema 4 is counted when it is opened', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const b = await openBench((clock) =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: true, freeFloorBytes: 0 }),
  );
  await delivered(b, 80);
  await b.accept();
  await b.settle(await b.claimOne(), DEFERRED, until(b.clock.now() + HOUR_MS));
  const expected = await trendOf(b);
  await b.store.stop();

  const db = new Database(file);
  for (const name of ['stats_born', 'stats_ended', 'stats_reopened', 'stats_delivered', 'stats_fault']) {
    db.exec(`DROP TRIGGER ${name}`);
  }
  for (const table of ['stats', 'stats_times', 'stats_faults']) db.exec(`DROP TABLE ${table}`);
  db.exec(MIGRATIONS[4] ?? '');
  db.close();

  const clock = createManualClock(b.clock.now());
  const again = await openSqliteStore({
    file,
    clock,
    dropContentWhenSettled: true,
    exclusive: true,
    freeFloorBytes: 0,
  });
  onTestFinished(() => again.stop());
  const found = await again.history.trend({
    sinceMs: clock.now() - HOUR_MS,
    untilMs: clock.now() + 1,
    stepMs: 5 * MINUTE_MS,
    topFaults: 50,
  });
  expect(found).toEqual(expected);
});
