/** How calls become batches. */
import { expect, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import type { Call, Host, Reply } from '../../src/store/sqlite/calls.ts';
import { createGroupCommit, endOfTurn } from '../../src/store/sqlite/group-commit.ts';
import { createManualClock } from '../support/clock.ts';
import { newMessage } from './message.ts';

const ids = createIds(createManualClock(1));

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** A host that answers a batch with the first argument of each call when told to. */
function slowHost(): { host: Host; batches: (readonly Call[])[]; finish: () => Promise<void> } {
  const batches: (readonly Call[])[] = [];
  const waiting: (() => void)[] = [];
  const host: Host = {
    send(calls) {
      batches.push(calls);
      const results = calls.map((call) => ({ ok: true, value: call.args[0] }) as const);
      const reply: Reply = { results, ms: 0, writes: 1, trouble: null, wal: { frames: 0, folded: 0 }, events: [] };
      return new Promise((resolve) => waiting.push(() => resolve(reply)));
    },
    async stop() {},
  };
  return {
    host,
    batches,
    async finish() {
      waiting.shift()?.();
      await nextTurn();
      await nextTurn();
    },
  };
}

test('an idle store commits a call at once, and what comes meanwhile goes together as the next batch', async () => {
  const { host, batches, finish } = slowHost();
  const group = createGroupCommit(host, () => undefined);
  const calls = [group.call('probe', 0)];
  await nextTurn();
  for (let i = 1; i < 5; i++) calls.push(group.call('probe', i));
  expect(batches.map((batch) => batch.length)).toEqual([1]);
  await finish();
  expect(batches.map((batch) => batch.length)).toEqual([1, 4]);
  await finish();
  expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4]);
});

test('no batch grows past its bounds in calls or in octets', async () => {
  const { host, batches, finish } = slowHost();
  const group = createGroupCommit(host, () => undefined);
  void group.call('probe', 0);
  await nextTurn();
  for (let i = 0; i < 300; i++) void group.call('probe', i);
  const { content, ...message } = newMessage(ids, 1);
  expect(content.length).toBeGreaterThan(0);
  for (let i = 0; i < 3; i++) void group.call('accept', message, new Uint8Array(12 * 1024 * 1024));
  for (let i = 0; i < 6; i++) await finish();
  expect(batches.map((batch) => batch.length)).toEqual([1, 256, 45, 1, 1]);
});

test('a checkpoint goes alone, in its place', async () => {
  const { host, batches, finish } = slowHost();
  const group = createGroupCommit(host, () => undefined);
  void group.call('probe', 0);
  await nextTurn();
  void group.call('probe', 1);
  void group.call('checkpoint', 'PASSIVE');
  void group.call('probe', 2);
  for (let i = 0; i < 4; i++) await finish();
  expect(batches.map((batch) => batch.map((call) => call.name))).toEqual([
    ['probe'],
    ['probe'],
    ['checkpoint'],
    ['probe'],
  ]);
});

test('calls of one turn of the event loop go as one batch', async () => {
  const { host, batches, finish } = slowHost();
  const group = createGroupCommit(host, () => undefined, endOfTurn);
  void group.call('probe', 1);
  await Promise.resolve();
  void group.call('probe', 2);
  expect(batches).toEqual([]);
  await nextTurn();
  expect(batches.map((batch) => batch.length)).toEqual([2]);
  await finish();
});

test('every call of a batch fails when the engine is gone, and the next batch is tried', async () => {
  let sent = 0;
  const host: Host = {
    async send() {
      sent++;
      throw new Error('the thread has ended');
    },
    async stop() {},
  };
  const group = createGroupCommit(host, () => undefined);
  const results = await Promise.allSettled([group.call('probe', 1), group.call('probe', 2)]);
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected']);
  await expect(group.call('probe', 3)).rejects.toThrow('the thread has ended');
  expect(sent).toBeGreaterThan(1);
});
