/**
 * A process that accepts and settles mail in the database given to it until it is killed, and says what was answered: one
 * line a fact, written at once.
 */
import { writeSync } from 'node:fs';
import { createIds } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { systemClock } from '../../src/core/time.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { newMessage } from './message.ts';

const file = process.argv[2] ?? '';
const store = await openSqliteStore({
  file,
  clock: systemClock,
  dropContentWhenSettled: false,
  exclusive: true,
  freeFloorBytes: 0,
});
const ids = createIds(systemClock);
const say = (fact: string): void => void writeSync(1, `${fact}\n`);
const outcome: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  nextHop: null,
  tls: null,
  code: 250,
  enhanced: null,
  response: 'Ok',
  timings: {},
};

async function acceptForEver(size: number): Promise<void> {
  for (;;) {
    const message = newMessage(ids, systemClock.now(), { content: Buffer.alloc(size, 'x') });
    await store.intake.accept(message);
    say(`accepted ${message.record.id}`);
  }
}

async function settleForEver(): Promise<void> {
  for (;;) {
    for (const lease of await store.queue.claim(
      [{ route: 'ses', room: [2, 2, 2], destinations: null }],
      systemClock.now(),
      60_000,
    )) {
      const now = systemClock.now();
      const tries = [{ route: 'ses', startedAt: now, outcome }];
      await store.queue.settle(lease, tries, { state: 'delivered', captured: false }, now);
      say(`settled ${lease.messageId}`);
    }
  }
}

await Promise.all([acceptForEver(500), acceptForEver(5000), acceptForEver(60_000), settleForEver()]);
