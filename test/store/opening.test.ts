/** Opening the database: what is made, what is refused, and what a predecessor leaves behind. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';
import { openSqliteOperator } from '../../src/store/sqlite/open-operator.ts';
import { openSqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { Store } from '../../src/store/store.ts';
import { createManualClock } from '../support/clock.ts';
import { LEASE_MS, START_MS, tempFolder } from './fixture.ts';
import { newMessage } from './message.ts';

const clock = createManualClock(START_MS);
const ids = createIds(clock);

async function open(file: string, exclusive = true): Promise<Store> {
  const store = await openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive });
  onTestFinished(() => store.stop());
  return store;
}

function refusal(message: RegExp, hint: RegExp): unknown {
  return expect.objectContaining({
    name: 'RelayError',
    code: 'store-open',
    message: expect.stringMatching(message),
    hint: expect.stringMatching(hint),
  });
}

async function newDatabase(): Promise<string> {
  const file = path.join(await tempFolder(), 'data', 'relay.db');
  await (await open(file)).stop();
  return file;
}

describe('a connection', () => {
  test('waits for the disk on every commit, overwrites what it deletes, and keeps its references', async () => {
    const db = connect({ file: path.join(await tempFolder(), 'relay.db'), readonly: false, busyMs: 0 });
    onTestFinished(() => void db.close());
    const settings = ['journal_mode', 'synchronous', 'secure_delete', 'foreign_keys', 'wal_autocheckpoint'];
    expect(settings.map((name) => db.pragma(name, { simple: true }))).toEqual(['wal', 2, 1, 1, 0]);
  });

  test('for reading alone waits for the disk too, and cannot write', async () => {
    const file = await newDatabase();
    const db = connect({ file, readonly: true, busyMs: 0 });
    onTestFinished(() => void db.close());
    expect(db.pragma('synchronous', { simple: true })).toBe(2);
    expect(() => db.exec('DELETE FROM messages')).toThrow(/readonly/);
  });
});

describe('a first start', () => {
  test('makes the folder and files that only their owner can read', async () => {
    const file = await newDatabase();
    const store = await open(file);
    await store.intake.accept(newMessage(ids, START_MS));
    for (const suffix of ['', '-wal', '-shm']) expect(statSync(file + suffix).mode & 0o777).toBe(0o600);
    expect(statSync(path.dirname(file)).mode & 0o777).toBe(0o700);
  });

  test('is the same for two that start at one moment: both see one schema', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const stores = await Promise.all(Array.from({ length: 3 }, () => open(file, false)));
    for (const store of stores) await store.intake.accept(newMessage(ids, START_MS));
    expect(await stores[0]?.history.events({ limit: 10 })).toHaveLength(3);
  });

  test('in an exclusive way is won by one of two', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const results = await Promise.allSettled([open(file), open(file)]);
    expect(results.map((result) => result.status).sort()).toEqual(['fulfilled', 'rejected']);
  });
});

describe('what is refused', () => {
  test('is a newer schema, which stays as it is', async () => {
    const file = await newDatabase();
    const db = new Database(file);
    db.pragma(`user_version = ${MIGRATIONS.length + 1}`);
    db.close();
    const newer = refusal(/has schema \d+, and this program knows schemas up to \d+$/, /newer version of the relay/);
    await expect(open(file)).rejects.toEqual(newer);
    await expect(openSqliteReader(file)).rejects.toEqual(newer);
    await expect(openSqliteOperator({ file, dropContentWhenSettled: true })).rejects.toEqual(newer);
    const after = new Database(file);
    expect(after.pragma('user_version', { simple: true })).toBe(MIGRATIONS.length + 1);
    after.close();
  });

  test('is a file that is no database', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    writeFileSync(file, 'Dear operator, this is not a database. '.repeat(100));
    await expect(open(file)).rejects.toEqual(refusal(/SQLITE_NOTADB/, /Restore .* from a backup/));
  });

  test('is a damaged database', async () => {
    const file = await newDatabase();
    const bytes = readFileSync(file);
    writeFileSync(file, bytes.fill(0xff, 4096 + 100));
    await expect(open(file)).rejects.toEqual(refusal(/SQLITE_CORRUPT/, /Restore .* from a backup/));
  });

  test('is the database of another program', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const db = new Database(file);
    db.exec('CREATE TABLE theirs (x)');
    db.close();
    await expect(open(file)).rejects.toEqual(refusal(/is a database of another program/, /folder of its own/));
    const after = new Database(file);
    expect(after.prepare('SELECT name FROM sqlite_master').pluck().all()).toEqual(['theirs']);
    after.close();
  });

  test('is a folder in place of the file', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    mkdirSync(file);
    await expect(open(file)).rejects.toEqual(refusal(/it is not a file/, /path of a file/));
  });

  test('is a folder that cannot be made', async () => {
    const folder = await tempFolder();
    writeFileSync(path.join(folder, 'data'), '');
    await expect(open(path.join(folder, 'data', 'relay.db'))).rejects.toEqual(refusal(/cannot open/, /./));
  });

  test('is a database that is gone, or empty, where a relay has kept its queue', async () => {
    const file = await newDatabase();
    truncateSync(file, 0);
    await expect(open(file)).rejects.toEqual(refusal(/is empty, although a relay/, /remove the \.lock file/));
    rmSync(file);
    await expect(open(file)).rejects.toEqual(refusal(/is gone, although a relay/, /remove the \.lock file/));
    expect(existsSync(file)).toBe(false);
    rmSync(file.replace('.db', '.lock'));
    expect((await open(file)).health.current().accepting).toBe(true);
  });

  test('is reading a database that holds no queue yet', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    writeFileSync(file, '');
    await expect(openSqliteReader(file)).rejects.toEqual(refusal(/holds no queue yet/, /Start the relay once/));
    rmSync(file);
    await expect(openSqliteReader(file)).rejects.toEqual(refusal(/cannot open/, /./));
    expect(existsSync(file)).toBe(false);
  });
});

describe('the process lock', () => {
  test('lets a second relay not in, and lets it in when the first has stopped', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const first = await open(file);
    const inUse = refusal(/another relay is working on .*relay\.db$/, /Stop it first/);
    await expect(open(file)).rejects.toEqual(inUse);
    await first.stop();
    const second = await open(file);
    await expect(open(file)).rejects.toEqual(inUse);
    await second.stop();
  });

  test('dies with its process, and leases of the dead process count as run out', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const child = spawn(process.execPath, [path.join(import.meta.dirname, 'holder.ts'), file], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill('SIGKILL'));
    const [line] = await once(createInterface(child.stdout), 'line');
    const { token, deliveryId } = JSON.parse(String(line)) as { token: number; deliveryId: string };
    await expect(open(file)).rejects.toEqual(refusal(/another relay/, /Stop it first/));
    child.kill('SIGKILL');
    await once(child, 'exit');

    const store = await open(file);
    expect((await store.queue.nextDue(new Map())).nextLeaseEnd).toBe(0);
    expect(await store.queue.reclaimExpired(START_MS, 3)).toBe(1);
    const [lease] = await store.queue.claim(
      [{ route: 'ses', room: [1, 1, 1], destinations: null }],
      START_MS,
      LEASE_MS,
    );
    expect(lease).toMatchObject({ deliveryId, crashes: 1 });
    expect(lease?.token).toBeGreaterThan(token);
  });
});

test('a stop folds the write-ahead log into the database, which then stands alone', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const store = await open(file);
  await store.intake.accept(newMessage(ids, START_MS));
  await store.stop();
  expect(existsSync(`${file}-wal`)).toBe(false);
  const reader = await openSqliteReader(file);
  expect(await reader.events({ limit: 10 })).toHaveLength(1);
  await reader.stop();
});
