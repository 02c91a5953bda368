/** A migration that was released is never edited, and a database of an older version goes on where it stopped. */
import { createHash } from 'node:crypto';
import path from 'node:path';
import Database from 'better-sqlite3';
import { expect, onTestFinished, test } from 'vitest';
import { createIds, parseMessageId } from '../../src/core/ids.ts';
import { MIGRATIONS } from '../../src/store/sqlite/migrations.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { createManualClock } from '../support/clock.ts';
import { until } from '../support/relay.ts';
import { DEFERRED, openBench, START_MS, tempFolder, until as deferredUntil } from './fixture.ts';
import { newMessage } from './message.ts';

/** One line a released migration. To change the schema, add a migration and its line; never change a line. */
const RELEASED: readonly string[] = [
  'fae1f7fb4d4842cc494fa67f2f2ae39ed78614cb16e1a37ee3ee203c83817899',
  'fdc4e48f1d36f814b5fedbf553af40b5608eb7cfeba2eac9040463c5b25bb47a',
  '1f86f6b08666785ee46ab294b650db0eabe274d8212c5d352145ec3e9120ed86',
  '79da4cd00f25fd244feddef586765348e1ee06db2faa765586181ed29c79b543',
  '4389a2d1e1547e26bfb722a45a108f0eb83466469b758d86628e8a1f93cdd0ff',
  '4ce8a7f219b2df4e72cdae32a9f754d4704865dda1dc1731ad0632e1c285d6e9',
];

test('every migration is the one that was released', () => {
  expect(MIGRATIONS.map((sql) => createHash('sha256').update(sql).digest('hex'))).toEqual(RELEASED);
});

/** A database of schema 1, as its relay left it: one delivery queued, one deferred after an attempt, one delivered. */
function writeSchema1(file: string): { readonly ids: readonly string[]; readonly deliveries: readonly string[] } {
  const made = createIds(createManualClock(START_MS));
  const db = new Database(file);
  db.pragma('journal_mode = WAL');
  db.exec(MIGRATIONS[0] ?? '');
  db.pragma('user_version = 1');
  const ids: string[] = [];
  const deliveries: string[] = [];
  for (const [index, state] of ['queued', 'deferred', 'delivered'].entries()) {
    const mid = index + 1;
    const [id, delivery] = [made.message(), made.delivery()];
    ids.push(id);
    deliveries.push(delivery);
    db.prepare(`
      INSERT INTO messages (mid, id, header_message_id, mail_from, header_from, smtp_utf8, tag_source, priority, require_tls,
        rule, accepted_at, deadline, deadline_source, size, eight_bit, client_address, client_helo, content_kept, settled_at)
      VALUES (?, ?, ?, 'a@example.com', 'a@example.com', 0, 'none', 1, 0, 'default', ?, ?, 'give-up', 3, 0, '::1', 'x', ?, ?)`).run(
      mid,
      id,
      `<${mid}@example.com>`,
      START_MS,
      START_MS + 900_000,
      state === 'delivered' ? 0 : 1,
      state === 'delivered' ? START_MS : null,
    );
    if (state !== 'delivered') db.prepare("INSERT INTO contents (mid, bytes) VALUES (?, x'616263')").run(mid);
    db.prepare(`
      INSERT INTO deliveries (did, id, mid, recipient, recipient_key, state, rule, rule_reason, via, route, priority, due_at,
        deadline, attempts, updated_at)
      VALUES (?, ?, ?, 'Ann@example.net', 'ann@example.net', ?, 'default', 'r', '["ses","mx"]', 'ses', 1, ?, ?, ?, ?)`).run(
      mid * 65_536,
      delivery,
      mid,
      state,
      state === 'delivered' ? null : START_MS + index,
      START_MS + 900_000,
      state === 'queued' ? 0 : 1,
      START_MS,
    );
    db.prepare(
      "INSERT INTO events (event_id, type, at, message_id, recipient_key, state, body) VALUES (?, 'message.accepted', ?, ?, 'ann@example.net', 'queued', '{}')",
    ).run(made.event(), START_MS, id);
  }
  db.close();
  return { ids, deliveries };
}

test('a database of schema 1 goes on where it stopped: what waits is delivered, what is done stays', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const { ids, deliveries } = writeSchema1(file);
  const b = await openBench((clock) =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: true, freeFloorBytes: 0 }),
  );
  await b.clock.advance(1);
  expect(await b.store.queue.nextDue(new Map())).toMatchObject({
    routes: new Map([['ses', [null, START_MS, null]]]),
    nextDeadline: START_MS + 900_000,
    nextDelay: null,
  });
  const [queued, deferred] = await b.claim();
  if (queued === undefined || deferred === undefined) throw new Error('two leases were expected');
  expect([queued.deliveryId, deferred.deliveryId]).toEqual(deliveries.slice(0, 2));
  expect(queued).toMatchObject({ destination: '', mailFrom: 'a@example.com', deadlineSource: 'give-up', attempts: 0 });
  expect(deferred.attempts).toBe(1);

  await b.deliver(queued);
  await b.settle(deferred, DEFERRED, deferredUntil(START_MS + 9, 'mx', true));
  await b.clock.advance(9);
  const [moved] = await b.claim(1, 'mx', { room: [1, 1, 1], busy: [] });
  expect(moved).toMatchObject({ destination: 'example.net', deliveryId: deferred.deliveryId });
  const views = await b.store.history.messages({ limit: 9 });
  expect(views.map((view) => view.id)).toEqual(ids.toReversed());
  expect(views.map((view) => view.deliveries[0]?.state)).toEqual(['delivered', 'sending', 'delivered']);
  expect(views[0]?.deliveries[0]).toMatchObject({ bounce: null, supersededBy: null });
  expect(await b.store.feedback.secret()).toHaveLength(32);
  expect((await b.store.history.events({ afterSeq: 0, limit: 9 })).map((event) => event.data.seq)).toEqual([
    1, 2, 3, 4, 5,
  ]);
});

test('the secret that the migration makes stays over restarts', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  writeSchema1(file);
  const open = (): Promise<Awaited<ReturnType<typeof openSqliteStore>>> =>
    openSqliteStore({ file, clock: createManualClock(START_MS), dropContentWhenSettled: true, exclusive: true });
  const first = await open();
  const secret = Buffer.from(await first.feedback.secret());
  await first.stop();
  const second = await open();
  onTestFinished(() => second.stop());
  expect(Buffer.from(await second.feedback.secret()).equals(secret)).toBe(true);
});

test('a database of schema 2 goes on: what it left in plain is read, and encrypted after the start; limits still count', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const { ids } = writeSchema1(file);
  const before = new Database(file);
  before.exec(MIGRATIONS[1] ?? '');
  before.pragma('user_version = 2');
  const plain = 'https://accounts.example.com/?t=canary-4711 '.repeat(200);
  before.prepare('UPDATE contents SET bytes = ?').run(Buffer.from(plain));
  const count = before.prepare("INSERT INTO throttle VALUES ('password-reset', 'ann@example.net', ?, ?, ?)");
  for (const [did, at] of [START_MS - 5, START_MS - 9].entries()) count.run(at, did, at + 60_000);
  before.prepare("INSERT INTO idempotency VALUES ('keycloak', 'k', ?, ?)").run(ids[0], START_MS + 60_000);
  before.close();

  const b = await openBench((clock) =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: true, freeFloorBytes: 0 }),
  );
  const [first, second, third] = ids.map(parseMessageId);
  if (first == null || second == null || third == null) throw new Error('three ids were expected');
  // Asked for before and after the encryption: each answer is the whole content.
  for (let i = 0; i < 4; i++) {
    for (const id of [first, second]) expect(String(Buffer.from((await b.store.queue.content(id)) ?? []))).toBe(plain);
  }
  expect(await b.store.queue.content(third)).toBeNull();
  const db = new Database(file, { readonly: true });
  onTestFinished(() => void db.close());
  await until(() => db.prepare('SELECT count(*) FROM contents').pluck().get() === 0, 'the encryption');
  expect(db.prepare('SELECT count(*) FROM sealed').pluck().get()).toBe(2);
  for (const id of [first, second]) expect(String(Buffer.from((await b.store.history.content(id)) ?? []))).toBe(plain);

  const again = newMessage(b.ids, b.clock.now(), { idempotencyKey: 'k', digest: 'any' });
  expect(await b.store.intake.accept(again)).toEqual({ kind: 'duplicate', messageId: first });
  const throttle = { scope: 'tag:password-reset', per: 'recipient', count: 2, perMs: 60_000 } as const;
  const { id } = await b.accept({ throttles: [throttle] });
  expect((await b.store.history.message(id))?.deliveries[0]?.state).toBe('throttled');
});
