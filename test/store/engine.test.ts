/** Batches on one connection: what fails together, what fails alone, and what a full disk still takes. */
import { existsSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import type { Call, CallResult, Engine, Procedure } from '../../src/store/sqlite/calls.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { createEngine } from '../../src/store/sqlite/engine.ts';
import { createEventLog } from '../../src/store/sqlite/event-log.ts';
import { migrate } from '../../src/store/sqlite/migrations.ts';
import { createReserve } from '../../src/store/sqlite/reserve.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import { createManualClock } from '../support/clock.ts';
import { DELIVERED, LEASE_MS, START_MS, tempFolder } from './fixture.ts';
import { newMessage } from './message.ts';
import { adoptedRing } from './ring.ts';

const ids = createIds(createManualClock(START_MS));

/** An engine over a table of numbers, with one procedure of each kind. */
function numbers(): { engine: Engine; db: Database.Database; all: () => unknown[] } {
  const db = new Database(':memory:');
  onTestFinished(() => void db.close());
  db.exec('CREATE TABLE numbers (n INTEGER PRIMARY KEY CHECK (n < 100))');
  const insert = db.prepare<[number]>('INSERT INTO numbers VALUES (?)');
  const procedures: Record<string, Procedure> = {
    add: {
      access: 'write',
      run(n) {
        insert.run(Number(n));
        return n;
      },
    },
    count: { access: 'read', run: () => db.prepare('SELECT count(*) FROM numbers').pluck().get() },
    addThenBreak: {
      access: 'write',
      run(n) {
        insert.run(Number(n));
        throw new TypeError('a bug');
      },
    },
    addThenTrouble: {
      access: 'write',
      run(n) {
        insert.run(Number(n));
        throw Object.assign(new Error('disk I/O error'), { code: 'SQLITE_IOERR_FSYNC' });
      },
    },
  };
  const engine = createEngine({
    db,
    procedures,
    clock: { monotonicMs: () => 0 },
    events: null,
    wal: () => ({ frames: 0, folded: 0 }),
    makeRoom() {},
    close() {},
  });
  const all = (): unknown[] => db.prepare('SELECT n FROM numbers ORDER BY n').pluck().all();
  return { engine, db, all };
}

const call = (name: string, ...args: readonly unknown[]): Call => ({ name, args });
const values = (results: readonly CallResult[]): unknown[] =>
  results.map((result) => (result.ok ? result.value : result.code));

describe('a batch', () => {
  test('is one transaction, and its reads see the writes before them', () => {
    const { engine, all } = numbers();
    const reply = engine.run([call('add', 1), call('count'), call('add', 2)]);
    expect(values(reply.results)).toEqual([1, 1, 2]);
    expect(reply).toMatchObject({ writes: 2, trouble: null });
    expect(all()).toEqual([1, 2]);
  });

  test('that only reads opens no transaction', () => {
    const { engine, db } = numbers();
    db.exec('BEGIN IMMEDIATE');
    expect(values(engine.run([call('count')]).results)).toEqual([0]);
    db.exec('ROLLBACK');
  });

  test('keeps its neighbours when one call breaks a rule of the database', () => {
    const { engine, all } = numbers();
    const reply = engine.run([call('add', 1), call('add', 1), call('add', 500), call('add', 2)]);
    expect(reply.results.map((result) => result.ok)).toEqual([true, false, false, true]);
    expect(values(reply.results)).toEqual([1, null, null, 2]);
    expect(reply.trouble).toBeNull();
    expect(all()).toEqual([1, 2]);
  });

  test('keeps nothing of a call that threw halfway', () => {
    const { engine, all } = numbers();
    const reply = engine.run([call('add', 1), call('addThenBreak', 7), call('add', 2)]);
    expect(reply.results[1]).toEqual({
      ok: false,
      code: null,
      message: expect.stringMatching(/^TypeError: its message is withheld/),
    });
    expect(all()).toEqual([1, 2]);
  });

  test('fails whole on trouble with the disk, and nothing of it happened', () => {
    const { engine, all, db } = numbers();
    const reply = engine.run([call('add', 1), call('addThenTrouble', 7), call('add', 2)]);
    expect(values(reply.results)).toEqual(['store-io', 'store-io', 'store-io']);
    expect(reply.trouble).toMatchObject({ kind: 'io', lasting: false });
    expect(all()).toEqual([]);
    expect(db.inTransaction).toBe(false);
    expect(values(engine.run([call('add', 3)]).results)).toEqual([3]);
  });

  test('fails whole when trouble comes after another call had to be set apart', () => {
    const { engine, all } = numbers();
    const reply = engine.run([call('add', 1), call('add', 1), call('addThenTrouble', 7)]);
    expect(values(reply.results)).toEqual(['store-io', 'store-io', 'store-io']);
    expect(all()).toEqual([]);
  });

  test('fails whole when another process holds the database for too long', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const db = connect({ file, readonly: false, busyMs: 1 });
    migrate(db, false);
    const other = connect({ file, readonly: false, busyMs: 1 });
    onTestFinished(() => {
      other.close();
      db.close();
    });
    const engine = relayEngine(db, () => undefined);
    other.exec('BEGIN IMMEDIATE');
    const reply = engine.run([call('probe', START_MS)]);
    expect(values(reply.results)).toEqual(['store-io']);
    expect(reply.trouble).toMatchObject({ kind: 'io', reason: expect.stringMatching(/another process holds/) });
    other.exec('COMMIT');
    expect(engine.run([call('probe', START_MS)]).trouble).toBeNull();
  });
});

function relayEngine(db: Database.Database, makeRoom: () => void): Engine {
  const events = createEventLog(db);
  return createEngine({
    db,
    procedures: createWriter(db, events, true, adoptedRing(db)),
    clock: { monotonicMs: () => 0 },
    events,
    wal: () => ({ frames: 0, folded: 0 }),
    makeRoom,
    close() {},
  });
}

describe('a full disk', () => {
  const accept = (bytes: number): Call => {
    const { content, ...message } = newMessage(ids, START_MS, { content: Buffer.alloc(bytes) });
    return call('accept', message, content);
  };

  /** A database that may grow by a few pages only, until room is made. */
  function smallDatabase(): { engine: Engine; rooms: () => number } {
    const db = connect({ file: ':memory:', readonly: false, busyMs: 0 });
    onTestFinished(() => void db.close());
    migrate(db, false);
    let rooms = 0;
    const engine = relayEngine(db, () => {
      rooms++;
      db.pragma('max_page_count = 100000');
    });
    engine.run([accept(10), accept(10)]);
    db.pragma(`max_page_count = ${Number(db.pragma('page_count', { simple: true })) + 1}`);
    return { engine, rooms: () => rooms };
  }

  test('refuses new mail, records results from the reserve, and says that it is full', () => {
    const { engine, rooms } = smallDatabase();
    const [claim] = engine.run([
      call('claim', [{ route: 'ses', room: [2, 2, 2], destinations: null }], START_MS, LEASE_MS),
    ]).results;
    const leases = (claim?.ok ? claim.value : []) as readonly unknown[];
    expect(leases).toHaveLength(2);

    const settle = (lease: unknown): Call =>
      call(
        'settle',
        lease,
        [{ route: 'ses', startedAt: START_MS, outcome: DELIVERED }],
        { state: 'delivered', captured: false },
        START_MS,
      );
    const reply = engine.run([settle(leases[0]), accept(50_000), settle(leases[1])]);
    expect(values(reply.results)).toEqual(['settled', 'store-full', 'settled']);
    expect(reply.trouble).toMatchObject({ kind: 'full', lasting: false });
    expect(rooms()).toBe(1);
    expect(reply.events).toHaveLength(2);
  });

  test('leaves nothing behind of a message that did not fit', () => {
    const { engine } = smallDatabase();
    expect(values(engine.run([accept(50_000)]).results)).toEqual(['store-full']);
    const reply = engine.run([accept(1)]);
    expect(reply.events.map((text) => JSON.parse(text).data.seq)).toEqual([3]);
  });
});

describe('the reserve', () => {
  test('takes real space, gives it free, and comes back when there is room above the floor', async () => {
    const file = path.join(await tempFolder(), 'relay.reserve');
    const reserve = createReserve(file);
    const before = reserve.restore(0);
    expect(existsSync(file)).toBe(true);
    reserve.spend();
    expect(existsSync(file)).toBe(false);
    reserve.spend();
    reserve.restore(before * 2);
    expect(existsSync(file)).toBe(false);
    reserve.restore(0);
    expect(existsSync(file)).toBe(true);
  });
});
