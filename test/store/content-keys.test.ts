/** Content at rest: encrypted while it waits, beyond the reach of every key when it is gone, and keys that change meanwhile. */
import { chmodSync, existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import Database from 'better-sqlite3';
import { describe, expect, onTestFinished, test } from 'vitest';
import { createIds, type MessageId } from '../../src/core/ids.ts';
import { systemClock } from '../../src/core/time.ts';
import { type ContentKey, contentKey, createSeal, openSealed } from '../../src/store/sqlite/content-cipher.ts';
import { readKeyFile } from '../../src/store/sqlite/key-file.ts';
import { keyFileBeside } from '../../src/store/sqlite/key-ring.ts';
import { openSqliteKeys } from '../../src/store/sqlite/open-keys.ts';
import { openSqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { overwriteWal } from '../../src/store/sqlite/overwrite-wal.ts';
import type { Store } from '../../src/store/store.ts';
import { DELIVERED, LEASE_MS, room, tempFolder } from './fixture.ts';
import { newMessage } from './message.ts';
import { filesIn, openableKeys } from './remnants.ts';

const ids = createIds(systemClock);
const SECRET = 'canary-token-4711';
const CONTENT = Buffer.from(`Subject: ${SECRET}\r\n\r\nhttps://accounts.example.com/reset?t=${SECRET}\r\n`.repeat(40));

async function open(file: string): Promise<Store> {
  const store = await openSqliteStore({ file, clock: systemClock, dropContentWhenSettled: true, exclusive: true });
  onTestFinished(() => store.stop());
  return store;
}

async function accept(store: Store): Promise<MessageId> {
  const message = newMessage(ids, systemClock.now(), { content: CONTENT });
  await store.intake.accept(message);
  return message.record.id;
}

async function deliverAll(store: Store): Promise<void> {
  const now = systemClock.now();
  for (const lease of await store.queue.claim([{ route: 'ses', room: room(999), destinations: null }], now, LEASE_MS)) {
    const tries = [{ route: 'ses', startedAt: now, outcome: DELIVERED }];
    await store.queue.settle(lease, tries, { state: 'delivered', captured: false }, now);
  }
}

const keysOf = (folder: string): readonly ContentKey[] => readKeyFile(path.join(folder, 'content.key')) ?? [];

describe('the cipher', () => {
  const under = contentKey(Buffer.alloc(32, 7));
  const id = ids.message();

  test('gives back what it was given, for its message and under its key alone', () => {
    const sealed = createSeal()(CONTENT, id, under);
    expect(openSealed(sealed, id, under)).toEqual(CONTENT);
    expect(() => openSealed(sealed, ids.message(), under)).toThrow(/cannot be decrypted/);
    expect(() => openSealed(sealed, id, contentKey(Buffer.alloc(32, 8)))).toThrow(/cannot be decrypted/);
  });

  test('notices any octet that was changed', () => {
    const sealed = createSeal()(Buffer.from('abc'), id, under);
    for (const part of ['wrapped', 'bytes'] as const) {
      for (let at = 0; at < sealed[part].length; at++) {
        const changed = Buffer.from(sealed[part]);
        changed[at] = (changed[at] ?? 0) ^ 1;
        expect(() => openSealed({ ...sealed, [part]: changed }, id, under), `${part} ${at}`).toThrow(
          /cannot be decrypted/,
        );
      }
    }
  });

  test('uses a key of its own for each message, over more messages than one pool serves', () => {
    const seal = createSeal();
    const all = Array.from({ length: 300 }, () => seal(Buffer.from('same'), id, under));
    expect(new Set(all.map(({ bytes }) => bytes.toString('hex'))).size).toBe(300);
    for (const sealed of all) expect(openSealed(sealed, id, under).toString()).toBe('same');
  });
});

describe('on disk', () => {
  test('there is no plaintext while a message waits, and its content can be read', async () => {
    const folder = await tempFolder();
    const store = await open(path.join(folder, 'relay.db'));
    const id = await accept(store);
    for (const [name, octets] of filesIn(folder)) expect(octets.includes(SECRET), name).toBe(false);
    expect(openableKeys(folder, keysOf(folder), id)).toBeGreaterThan(0);
    expect(Buffer.from((await store.queue.content(id)) ?? [])).toEqual(CONTENT);
    expect(Buffer.from((await store.history.content(id)) ?? [])).toEqual(CONTENT);
  });

  test('no key of a delivered message is left in database or log once the log was overwritten', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const store = await open(file);
    const accepted: MessageId[] = [];
    for (let i = 0; i < 30; i++) accepted.push(await accept(store));
    const db = new Database(file);
    onTestFinished(() => void db.close());
    // Into the database file first, so that it has to be overwritten there as well.
    db.pragma('wal_checkpoint(RESTART)');
    await deliverAll(store);
    expect(accepted.some((id) => openableKeys(folder, keysOf(folder), id) > 0)).toBe(true);
    db.pragma('wal_checkpoint(RESTART)');
    overwriteWal(db);
    expect(accepted.map((id) => openableKeys(folder, keysOf(folder), id))).toEqual(accepted.map(() => 0));
    // What is not final stays.
    const waiting = await accept(store);
    overwriteWal(db);
    expect(Buffer.from((await store.queue.content(waiting)) ?? [])).toEqual(CONTENT);
    expect(db.pragma('integrity_check', { simple: true })).toBe('ok');
  });

  test('a log that was overwritten with frames still in it loses none of them in a crash', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const store = await open(file);
    const accepted: MessageId[] = [];
    const db = new Database(file);
    onTestFinished(() => void db.close());
    db.pragma('wal_autocheckpoint = 0');
    for (let i = 0; i < 5; i++) {
      accepted.push(await accept(store));
      if (i === 2) db.pragma('wal_checkpoint(RESTART)');
      overwriteWal(db);
    }
    // What a crash leaves: the files as they are now, without the shared memory.
    const copy = await tempFolder();
    for (const name of ['relay.db', 'relay.db-wal', 'content.key']) {
      writeFileSync(path.join(copy, name), readFileSync(path.join(folder, name)), { mode: 0o600 });
    }
    const after = await open(path.join(copy, 'relay.db'));
    for (const id of accepted) expect(Buffer.from((await after.queue.content(id)) ?? [])).toEqual(CONTENT);
  });

  test('a slot is used again, and the table of keys does not grow', async () => {
    const file = path.join(await tempFolder(), 'relay.db');
    const store = await open(file);
    for (let i = 0; i < 20; i++) {
      await accept(store);
      await deliverAll(store);
    }
    const db = new Database(file);
    onTestFinished(() => void db.close());
    expect(db.prepare('SELECT count(*), sum(used) FROM content_keys').raw().get()).toEqual([1, 0]);
    expect(db.prepare('SELECT count(*) FROM sealed').pluck().get()).toBe(0);
  });
});

describe('the key file', () => {
  const refusal = (message: RegExp): unknown =>
    expect.objectContaining({ code: 'store-open', message: expect.stringMatching(message) });

  test('is made at the first start, for its owner alone, and stays', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    await (await open(file)).stop();
    const key = path.join(folder, 'content.key');
    expect(statSync(key).mode & 0o777).toBe(0o600);
    const before = readFileSync(key, 'utf8');
    await (await open(file)).stop();
    expect(readFileSync(key, 'utf8')).toBe(before);
    expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  });

  test('is asked for when it is gone and messages need it; without such messages a new one is made', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const key = path.join(folder, 'content.key');
    const store = await open(file);
    await accept(store);
    await store.stop();
    const kept = readFileSync(key);
    rmSync(key);
    await expect(open(file)).rejects.toEqual(refusal(/content\.key is gone, and 1 messages/));
    expect(existsSync(key)).toBe(false);
    writeFileSync(key, kept, { mode: 0o600 });
    const again = await open(file);
    await deliverAll(again);
    await again.stop();
    rmSync(key);
    await accept(await open(file));
    expect(existsSync(key)).toBe(true);
  });

  test('is refused when others may read it, when it is damaged, and when it is another one', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const key = path.join(folder, 'content.key');
    const store = await open(file);
    await accept(store);
    await store.stop();
    const kept = readFileSync(key);
    chmodSync(key, 0o640);
    await expect(open(file)).rejects.toEqual(refusal(/others may read .*mode is 640/));
    chmodSync(key, 0o600);
    for (const text of ['', 'nonsense\n', kept.toString().trimEnd(), kept.toString().replace(/ ..../, ' ')]) {
      writeFileSync(key, text);
      await expect(open(file)).rejects.toEqual(refusal(/content\.key is damaged/));
    }
    writeFileSync(key, `2026-01-05T10:00:00.000Z ${Buffer.alloc(32, 3).toString('base64')}\n`);
    await expect(open(file)).rejects.toEqual(
      refusal(/under keys that are not in .*content\.key: [0-9a-f]{16} \(1 messages\)/),
    );
    writeFileSync(key, kept);
    await expect(open(file)).resolves.toBeDefined();
  });
});

describe('a rotation', () => {
  test('beside a running store moves everything, and the store encrypts and reads under the new key at once', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const store = await open(file);
    const before = await accept(store);
    const keyFile = path.join(folder, 'content.key');
    const old = readFileSync(keyFile);
    const keys = openSqliteKeys(file, keyFileBeside(file));
    onTestFinished(() => keys.stop());
    const [first] = keys.list();
    const rotation = await keys.rotate(systemClock, AbortSignal.timeout(20_000));
    expect(rotation).toMatchObject({ resumed: false, messages: 1, retired: [first?.id] });
    const after = await accept(store);
    expect(keys.list()).toEqual([
      expect.objectContaining({ id: rotation.to, messages: 2, current: true, missing: false }),
    ]);
    for (const id of [before, after]) {
      expect(Buffer.from((await store.queue.content(id)) ?? [])).toEqual(CONTENT);
      expect(Buffer.from((await store.history.content(id)) ?? [])).toEqual(CONTENT);
    }
    expect(readFileSync(keyFile).includes(old.subarray(25, 60))).toBe(false);
  });

  test('that was broken off, at any step, is finished by the next one, and everything can be read meanwhile', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const keyFile = path.join(folder, 'content.key');
    const store = await open(file);
    const accepted = [await accept(store), await accept(store)];
    const readAll = async (): Promise<void> => {
      const reader = await openSqliteReader(file);
      for (const id of accepted) expect(Buffer.from((await reader.content(id)) ?? [])).toEqual(CONTENT);
      await reader.stop();
    };
    const keys = openSqliteKeys(file, keyFileBeside(file));
    onTestFinished(() => keys.stop());

    // After the file, before the database: a key that nothing names yet.
    const line = `${new Date(0).toISOString()} ${Buffer.alloc(32, 9).toString('base64')}\n`;
    writeFileSync(keyFile, line + readFileSync(keyFile, 'utf8'));
    accepted.push(await accept(store));
    await readAll();

    // After the first piece.
    await expect(keys.rotate(systemClock, AbortSignal.abort(new Error('broken off')))).rejects.toThrow('broken off');
    expect(readKeyFile(keyFile)).toHaveLength(2);
    accepted.push(await accept(store));
    await readAll();

    const rotation = await keys.rotate(systemClock, AbortSignal.timeout(20_000));
    expect(rotation.resumed).toBe(true);
    expect(rotation.to).not.toBe(contentKey(Buffer.alloc(32, 9)).id.toString('hex'));
    expect(readKeyFile(keyFile)).toHaveLength(1);
    expect(keys.list()).toMatchObject([{ messages: 4, current: true }]);
    await readAll();
  });
});

describe('keys from the config', () => {
  const key = (octet: number): string => Buffer.alloc(32, octet).toString('base64');
  const openWith = async (file: string, keys: readonly string[]): Promise<Store> => {
    const contentKeys = { kind: 'given', keys } as const;
    const store = await openSqliteStore({
      file,
      clock: systemClock,
      dropContentWhenSettled: true,
      exclusive: true,
      contentKeys,
    });
    onTestFinished(() => store.stop());
    return store;
  };

  test('encrypt with the first and open with all, make no file, and a missing one is named', async () => {
    const folder = await tempFolder();
    const file = path.join(folder, 'relay.db');
    const first = await openWith(file, [key(1)]);
    const id = await accept(first);
    await first.stop();
    await expect(openWith(file, [key(2)])).rejects.toThrow(/under keys that are not in `content_key` in the config/);
    const both = await openWith(file, [key(2), key(1)]);
    await accept(both);
    expect(Buffer.from((await both.queue.content(id)) ?? [])).toEqual(CONTENT);
    expect(existsSync(path.join(folder, 'content.key'))).toBe(false);

    const keys = openSqliteKeys(file, { kind: 'given', keys: [key(2), key(1)] });
    onTestFinished(() => keys.stop());
    expect(keys.list()).toMatchObject([
      { messages: 1, current: true },
      { messages: 1, current: false },
    ]);
    const moved = await keys.moveToFirst(systemClock, AbortSignal.timeout(20_000));
    expect(moved).toMatchObject({ messages: 1, retired: [contentKey(Buffer.alloc(32, 1)).id.toString('hex')] });
    expect(Buffer.from((await both.queue.content(id)) ?? [])).toEqual(CONTENT);

    const early = openSqliteKeys(file, { kind: 'given', keys: [key(3), key(2)] });
    onTestFinished(() => early.stop());
    await expect(early.moveToFirst(systemClock, AbortSignal.timeout(20_000))).rejects.toThrow(/still encrypts under/);
  });
});
