/** When mail is taken, when not, and how that changes back. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import type { Engine } from '../../src/store/sqlite/calls.ts';
import { composeStore } from '../../src/store/sqlite/compose.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { createEngine } from '../../src/store/sqlite/engine.ts';
import { createEventLog } from '../../src/store/sqlite/event-log.ts';
import { createHealth } from '../../src/store/sqlite/health.ts';
import { createInlineHost } from '../../src/store/sqlite/inline-host.ts';
import { migrate } from '../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createReader } from '../../src/store/sqlite/reader.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { type Bench, DELIVERED, openBench } from './fixture.ts';
import { adoptedRing } from './ring.ts';

const MEGABYTE = 1024 * 1024;

interface Disk {
  free: number | null;
  broken: boolean;
  inPlace?: boolean;
}

function health(disk: Disk): { clock: ManualClock; health: ReturnType<typeof createHealth>; writes: () => number } {
  const clock = createManualClock(0);
  let writes = 0;
  const made = createHealth({
    clock,
    floorBytes: 64 * MEGABYTE,
    async write() {
      writes++;
      if (disk.broken) {
        made.note({ kind: 'io', lasting: false, reason: 'the database cannot be written' });
        throw new RelayError('the database cannot be written', { code: 'store-io', op: 'store.probe' });
      }
    },
    isInPlace: async () => disk.inPlace !== false,
    freeBytes: async () => disk.free,
  });
  onTestFinished(() => made.stop());
  return { clock, health: made, writes: () => writes };
}

describe('health', () => {
  test('refuses mail for good when the database file was taken away', async () => {
    const disk: Disk = { free: 64 * MEGABYTE, broken: false };
    const { health: h, clock } = health(disk);
    h.watch();
    disk.inPlace = false;
    await clock.advance(5000);
    expect(h.current()).toMatchObject({ accepting: false, reason: expect.stringContaining('removed or replaced') });
    disk.inPlace = true;
    await clock.advance(10_000);
    expect(h.current().accepting).toBe(false);
  });

  test('refuses mail while the disk has less free than the floor, and takes it again by itself', async () => {
    const disk: Disk = { free: 64 * MEGABYTE, broken: false };
    const { health: h, clock } = health(disk);
    h.watch();
    await clock.advance(5000);
    expect(h.current().accepting).toBe(true);
    disk.free = 64 * MEGABYTE - 1;
    await clock.advance(5000);
    expect(h.current()).toEqual({
      accepting: false,
      kind: 'full',
      reason: 'the disk has 63 MB free, and mail is taken from 64 MB on',
    });
    expect(h.refusal()).toMatchObject({ code: 'store-full' });
    disk.free = 64 * MEGABYTE;
    await clock.advance(5000);
    expect(h.current()).toEqual({ accepting: true, kind: 'ok', reason: '' });
    expect(h.refusal()).toBeNull();
  });

  test('turns with a failed commit, and back only when a probe could write', async () => {
    const disk: Disk = { free: null, broken: true };
    const { health: h, clock, writes } = health(disk);
    h.watch();
    await clock.advance(60_000);
    expect(writes()).toBe(0);
    h.note({ kind: 'io', lasting: false, reason: 'the database cannot be written' });
    expect(h.refusal()).toMatchObject({ code: 'store-io', message: 'the database cannot be written' });
    await clock.advance(10_000);
    expect(h.current().accepting).toBe(false);
    expect(writes()).toBe(2);
    disk.broken = false;
    expect(await h.probe()).toEqual({ accepting: true, kind: 'ok', reason: '' });
  });

  test('stays turned when the file is damaged, whatever a probe could write', async () => {
    const { health: h, clock, writes } = health({ free: null, broken: false });
    h.watch();
    h.note({ kind: 'io', lasting: true, reason: 'the database is damaged' });
    await clock.advance(60_000);
    expect(await h.probe()).toMatchObject({ accepting: false, reason: 'the database is damaged' });
    expect(writes()).toBe(0);
  });

  test('tells each change once', async () => {
    const { health: h } = health({ free: null, broken: false });
    const told: boolean[] = [];
    h.onChange(({ accepting }) => told.push(accepting));
    await h.probe();
    h.note({ kind: 'io', lasting: false, reason: 'x' });
    h.note({ kind: 'full', lasting: false, reason: 'y' });
    await h.probe();
    expect(told).toEqual([false, true]);
  });
});

describe('a store whose disk is full', () => {
  interface SmallStore extends Bench {
    fill(): void;
    empty(): void;
  }

  /** A whole store over a database whose pages can be limited as a full disk limits them. */
  async function smallStore(): Promise<SmallStore> {
    const db = connect({ file: ':memory:', readonly: false, busyMs: 0 });
    migrate(db, false);
    const ring = adoptedRing(db);
    const limit = (pages: number): void => void db.pragma(`max_page_count = ${pages}`);
    const used = (): number => Number(db.pragma('page_count', { simple: true }));
    const events = createEventLog(db);
    const shared = { db, clock: { monotonicMs: () => 0 }, wal: () => ({ frames: 0, folded: 0 }), close() {} };
    const writer: Engine = createEngine({
      ...shared,
      events,
      procedures: createWriter(db, events, true, ring),
      makeRoom: () => limit(used() + 50),
    });
    const duties = { checkpoint: shared.wal, freeBytes: () => null };
    const reader = createEngine({ ...shared, events: null, procedures: createReader(db, duties, ring), makeRoom() {} });
    const hosts = { writer: createInlineHost(writer), reader: createInlineHost(reader), stop: async () => db.close() };
    const bench = await openBench((clock) =>
      composeStore(
        { ...hosts, stop: async () => void db.close() },
        { file: 'relay.db', clock, floorBytes: 0, onDisk: false, voidLeases: false },
      ),
    );
    return { ...bench, fill: () => limit(used()), empty: () => limit(1_000_000) };
  }

  test('refuses mail, records results all the same, and heals when a probe finds space', async () => {
    const { store, accept, claim, settle, fill, empty } = await smallStore();
    for (let i = 0; i < 3; i++) await accept();
    const leases = await claim(2);
    fill();

    await expect(accept({ content: Buffer.alloc(100_000) })).rejects.toMatchObject({ code: 'store-full' });
    expect(store.health.current()).toMatchObject({ accepting: false, kind: 'full' });
    for (const lease of leases) {
      expect(await settle(lease, DELIVERED, { state: 'delivered', captured: false })).toBe('settled');
    }
    expect((await claim(2)).length).toBe(1);
    await expect(accept()).rejects.toMatchObject({ code: 'store-full' });

    empty();
    expect(await store.health.probe()).toMatchObject({ accepting: true });
    await accept({ content: Buffer.alloc(100_000) });
  });
});

test('a store in a file tells its size, that of its log and the free space; one in memory has none', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'relay-sizes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const open = (file: string) => (clock: ManualClock) =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: false });
  const { store, accept } = await openBench(open(path.join(folder, 'relay.db')));
  await accept();
  const { databaseBytes, walBytes, freeBytes } = await store.health.sizes();
  expect(databaseBytes).toBeGreaterThan(4095);
  expect(walBytes).toBeGreaterThan(0);
  expect(freeBytes).toBeGreaterThan(0);
  const memory = await openBench(open(':memory:'));
  expect(await memory.store.health.sizes()).toEqual({ databaseBytes: null, walBytes: null, freeBytes: null });
});

test('a database that is gone from its place has no size to tell, and that is no bug', async () => {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'relay-sizes-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const { store } = await openBench((clock) =>
    openSqliteStore({ file: path.join(folder, 'relay.db'), clock, dropContentWhenSettled: true, exclusive: false }),
  );
  rmSync(path.join(folder, 'relay.db'));
  await expect(store.health.sizes()).rejects.toMatchObject({ name: 'RelayError', code: 'store-io' });
});
