/** The write-ahead log is kept short, and commits do not wait for it. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createWalKeeper, type WalKeeper } from '../../src/store/sqlite/wal-keeper.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { tempFolder } from './fixture.ts';
import { newMessage } from './message.ts';

function keeper(): { keeper: WalKeeper; clock: ManualClock; folds: string[]; finish: () => Promise<void> } {
  const clock = createManualClock(0);
  const folds: string[] = [];
  const waiting: (() => void)[] = [];
  const fold = (name: string): Promise<{ frames: number; folded: number }> => {
    folds.push(name);
    return new Promise((resolve) => waiting.push(() => resolve({ frames: 0, folded: 0 })));
  };
  const made = createWalKeeper({
    clock,
    foldBeside: () => fold('beside'),
    foldBetween: (mode) => fold(mode),
  });
  const finish = async (): Promise<void> => {
    waiting.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  };
  return { keeper: made, clock, folds, finish };
}

test('a log past its soft bound is folded beside the commits, then the rest between two of them', async () => {
  const { keeper: k, folds, finish } = keeper();
  k.note({ frames: 999, folded: 0 });
  expect(folds).toEqual([]);
  k.note({ frames: 1000, folded: 0 });
  k.note({ frames: 1400, folded: 0 });
  expect(folds).toEqual(['beside']);
  await finish();
  expect(folds).toEqual(['beside', 'PASSIVE']);
  await finish();
  k.note({ frames: 10, folded: 0 });
  k.note({ frames: 1000, folded: 0 });
  expect(folds).toEqual(['beside', 'PASSIVE', 'beside']);
});

test('a log that a reader keeps from starting over is tried again only after it has grown as much again', async () => {
  const { keeper: k, folds, finish } = keeper();
  k.note({ frames: 1000, folded: 0 });
  await finish();
  await finish();
  k.note({ frames: 1999, folded: 1000 });
  expect(folds).toHaveLength(2);
  k.note({ frames: 2000, folded: 1000 });
  expect(folds).toHaveLength(3);
});

test('past the hard bound commits wait for readers, and as often again', async () => {
  const { keeper: k, folds, finish } = keeper();
  k.note({ frames: 16_000, folded: 0 });
  expect(folds).toEqual(['RESTART']);
  await finish();
  k.note({ frames: 16_001, folded: 0 });
  await finish();
  await finish();
  k.note({ frames: 32_000, folded: 0 });
  expect(folds.filter((fold) => fold === 'RESTART')).toHaveLength(2);
});

test('an idle log is folded whole and cut, once', async () => {
  const { keeper: k, clock, folds, finish } = keeper();
  k.note({ frames: 5, folded: 0 });
  await clock.advance(1500);
  k.note({ frames: 6, folded: 0 });
  await clock.advance(1999);
  expect(folds).toEqual([]);
  await clock.advance(1);
  expect(folds).toEqual(['TRUNCATE']);
  await finish();
  await clock.advance(60_000);
  expect(folds).toEqual(['TRUNCATE']);
});

test('commits without a pause have the log overwritten every ten seconds', async () => {
  const { keeper: k, clock, folds, finish } = keeper();
  for (let second = 0; second < 21; second++) {
    k.note({ frames: 5, folded: 0 });
    await clock.advance(1000);
    await finish();
    await finish();
  }
  expect(folds).toEqual(['beside', 'OVERWRITE', 'beside', 'OVERWRITE']);
});

test('a log that falls idle while a fold is under way is cut after it', async () => {
  const { keeper: k, clock, folds, finish } = keeper();
  k.note({ frames: 1000, folded: 0 });
  await clock.advance(2000);
  expect(folds).toEqual(['beside']);
  await finish();
  await finish();
  expect(folds).toEqual(['beside', 'PASSIVE']);
  await clock.advance(2000);
  expect(folds).toEqual(['beside', 'PASSIVE', 'TRUNCATE']);
  await finish();
  await clock.advance(60_000);
  expect(folds).toEqual(['beside', 'PASSIVE', 'TRUNCATE']);
});

test('a keeper that stops waits for the fold under way and begins none', async () => {
  const { keeper: k, clock, folds, finish } = keeper();
  k.note({ frames: 1000, folded: 0 });
  let stopped = false;
  const stopping = k.stop().then(() => (stopped = true));
  await finish();
  expect(stopped).toBe(false);
  await finish();
  await stopping;
  k.note({ frames: 50_000, folded: 0 });
  await clock.advance(10_000);
  expect(folds).toEqual(['beside', 'PASSIVE']);
});

test('under load without a pause the log starts over again and again', { timeout: 60_000 }, async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const store = await openSqliteStore({ file, clock: systemClock, dropContentWhenSettled: true, exclusive: true });
  onTestFinished(() => store.stop());
  const ids = createIds(systemClock);
  const content = Buffer.alloc(20_000, 'x');
  const batch = 40;
  let written = 0;
  while (written < 48 * 1024 * 1024) {
    const messages = Array.from({ length: batch }, () => newMessage(ids, systemClock.now(), { content }));
    await Promise.all(messages.map((message) => store.intake.accept(message)));
    written += batch * content.length;
  }
  expect(statSync(`${file}-wal`).size).toBeLessThan(written / 2);
});
