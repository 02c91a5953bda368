/** Other processes beside a live relay: they read what it commits, and it notices what they change. */
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Store } from '../../src/store/store.ts';
import { openSqliteOperator } from '../../src/store/sqlite/open-operator.ts';
import { openSqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { ManualClock } from '../support/clock.ts';
import { type Bench, DEFERRED, openBench, START_MS, tempFolder, until } from './fixture.ts';

async function live(): Promise<Bench & { file: string }> {
  const file = path.join(await tempFolder(), 'relay.db');
  const open = (clock: ManualClock): Promise<Store> =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: true });
  return { ...(await openBench(open)), file };
}

/** Lets the store look for changes of other processes, and waits for the looks to end. */
async function look({ clock, store }: Bench): Promise<void> {
  await clock.advance(500);
  // The look went before this call, and its answer comes first.
  await store.queue.nextDue(new Map());
}

test('a reader in another process sees each commit as soon as it was answered', async () => {
  const bench = await live();
  const reader = await openSqliteReader(bench.file);
  onTestFinished(() => reader.stop());
  expect(await reader.events({ limit: 10 })).toEqual([]);
  for (let i = 1; i <= 3; i++) {
    const { id } = await bench.accept();
    expect((await reader.messages({ limit: 1 }))[0]?.id).toBe(id);
    expect(await reader.events({ limit: 10 })).toHaveLength(i);
  }
});

test('the reads of the store see each commit that was answered', async () => {
  const bench = await live();
  for (let i = 1; i <= 20; i++) {
    const { id } = await bench.accept();
    expect(await bench.store.history.message(id)).not.toBeNull();
  }
});

test('an operator in another process changes the queue, and the relay notices it', async () => {
  const bench = await live();
  const { id, deliveries } = await bench.accept();
  await bench.settle(await bench.claimOne(), DEFERRED, until(START_MS + 99_999));
  let noticed = 0;
  bench.store.health.onOutsideChange(() => noticed++);
  await look(bench);
  expect(noticed).toBe(0);

  const operator = await openSqliteOperator({ file: bench.file, dropContentWhenSettled: true });
  expect(await operator.retryNow(id, bench.clock.now())).toEqual({ changed: deliveries, unchanged: [] });
  await operator.stop();
  await look(bench);
  expect(noticed).toBe(1);
  expect(await bench.claimOne()).toMatchObject({ messageId: id });
  await look(bench);
  expect(noticed).toBe(1);
});

test('an operator cancels without a relay at work, and content goes with it', async () => {
  const bench = await live();
  const { id } = await bench.accept();
  await bench.store.stop();
  const operator = await openSqliteOperator({ file: bench.file, dropContentWhenSettled: true });
  expect((await operator.cancel(id, START_MS, 'by hand')).changed).toHaveLength(1);
  await operator.stop();
  const reader = await openSqliteReader(bench.file);
  onTestFinished(() => reader.stop());
  expect(await reader.content(id)).toBeNull();
  await expect(operator.cancel(id, START_MS, 'again')).rejects.toMatchObject({ code: 'store-closed' });
});
