/**
 * Random histories against one store: whatever is asked for in whatever order, every delivery ends once, events have no
 * gap, no room is exceeded, nothing is lost, and what is kept beside the deliveries for speed agrees with them.
 */
import { expect, test } from 'vitest';
import { isFinal } from '../../src/core/delivery.ts';
import { createIds } from '../../src/core/ids.ts';
import { PRIORITIES } from '../../src/core/message.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { composeStore } from '../../src/store/sqlite/compose.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { createEngine } from '../../src/store/sqlite/engine.ts';
import { createEventLog } from '../../src/store/sqlite/event-log.ts';
import { createInlineHost } from '../../src/store/sqlite/inline-host.ts';
import { migrate } from '../../src/store/sqlite/migrations.ts';
import { createReader } from '../../src/store/sqlite/reader.ts';
import { createWriter } from '../../src/store/sqlite/writer.ts';
import type { Lease, Store } from '../../src/store/store.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';
import { BOUNCED, DEFERRED, DELIVERED, LEASE_MS, REJECTED, START_MS, UNCERTAIN } from './fixture.ts';
import { newMessage } from './message.ts';
import { adoptedRing } from './ring.ts';

const ROUTES = [
  { name: 'ses', byDestination: false },
  { name: 'mx', byDestination: true },
] as const;

const OUTCOMES: ReadonlyMap<string, Outcome> = new Map([
  ['delivered', DELIVERED],
  ['bounced', REJECTED],
  ['uncertain', UNCERTAIN],
]);

/** A store in memory, and its database to look into. */
async function openWithDatabase(clock: ManualClock): Promise<{ store: Store; db: ReturnType<typeof connect> }> {
  const db = connect({ file: ':memory:', readonly: false, busyMs: 0 });
  migrate(db, false);
  const ring = adoptedRing(db);
  const events = createEventLog(db);
  const wal = (): { frames: number; folded: number } => ({ frames: 0, folded: 0 });
  const shared = { db, clock, wal, makeRoom() {}, close() {} };
  const writer = createInlineHost(
    createEngine({ ...shared, events, procedures: createWriter(db, events, true, ring) }),
  );
  const procedures = createReader(db, { checkpoint: wal, freeBytes: () => null }, ring);
  const reader = createInlineHost(createEngine({ ...shared, events: null, procedures }));
  const stop = async (): Promise<void> => void db.close();
  const options = { file: ':memory:', clock, floorBytes: 0, onDisk: false, voidLeases: false };
  return { store: await composeStore({ writer, reader, stop }, options), db };
}

const lane = fc.constantFrom(...PRIORITIES);
const room = fc.tuple(fc.nat(4), fc.nat(4), fc.nat(4)).map(([a, b, c]) => [a + b + c, b + c, c] as const);
const step = fc.oneof(
  fc.record({
    do: fc.constant('accept' as const),
    to: fc.array(fc.constantFrom('ann@a.example', 'bob@a.example', 'ann@b.example', 'ann@c.example'), {
      minLength: 1,
      maxLength: 3,
    }),
    route: fc.constantFrom(...ROUTES),
    priority: lane,
    collapse: fc.boolean(),
    throttle: fc.boolean(),
    born: fc.boolean(),
    ttlMs: fc.integer({ min: 500, max: 200_000 }),
  }),
  fc.record({ do: fc.constant('claim' as const), route: fc.constantFrom(...ROUTES), room, at: room }),
  fc.record({
    do: fc.constant('settle' as const),
    pick: fc.nat(),
    as: fc.constantFrom('delivered', 'bounced', 'deferred', 'uncertain', 'released', 'quarantined', 'expired'),
    route: fc.constantFrom(...ROUTES),
    tries: fc.integer({ min: 1, max: 3 }),
  }),
  fc.record({ do: fc.constantFrom('expire', 'reclaim', 'delay', 'swap', 'wait'), ms: fc.nat(70_000) }),
  fc.record({ do: fc.constantFrom('retry', 'cancel'), pick: fc.nat() }),
);

test('random histories keep every promise of the store', { timeout: 60_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const clock = createManualClock(START_MS);
      const ids = createIds(clock);
      const { store, db } = await openWithDatabase(clock);
      let held: Lease[] = [];
      const accepted: string[] = [];
      let expected = 0;
      const drop = (lease: Lease): void => void (held = held.filter((one) => one.token !== lease.token));

      for (const one of steps) {
        const now = clock.now();
        switch (one.do) {
          case 'accept': {
            const message = newMessage(ids, now, {
              recipients: one.to,
              record: { priority: one.priority, deadline: now + one.ttlMs },
              delivery: { route: one.route.name, byDestination: one.route.byDestination, via: ['ses', 'mx'] },
              delayedAfterMs: 300,
              wantsReports: true,
              ...(one.collapse ? { collapseScope: 's' } : {}),
              ...(one.throttle
                ? { throttles: [{ scope: 't', per: 'recipient' as const, count: 2, perMs: 60_000 }] }
                : {}),
              ...(one.born ? { leaseMs: LEASE_MS } : {}),
            });
            const result = await store.intake.accept(message);
            if (result.kind !== 'accepted') throw new Error('not accepted');
            accepted.push(message.record.id);
            expected += one.to.length;
            if (result.lease !== null) held.push(result.lease);
            const inWork = new Set(held.map((lease) => lease.deliveryId));
            for (const id of result.interrupt) expect(inWork.has(id)).toBe(true);
            break;
          }
          case 'claim': {
            const busy = new Map<string, number>();
            for (const lease of held) {
              if (lease.route === one.route.name) busy.set(lease.destination, (busy.get(lease.destination) ?? 0) + 1);
            }
            const destinations = one.route.byDestination ? { room: one.at, busy: [...busy] } : null;
            const request = { route: one.route.name, room: one.room, destinations };
            for (const [index, lease] of (await store.queue.claim([request], now, LEASE_MS)).entries()) {
              const position = PRIORITIES.indexOf(lease.priority);
              expect(index).toBeLessThan(one.room[position] ?? 0);
              const there = busy.get(lease.destination) ?? 0;
              if (one.route.byDestination) expect(there).toBeLessThan(one.at[position] ?? 0);
              busy.set(lease.destination, there + 1);
              expect(lease.deadline).toBeGreaterThan(now);
              expect(held.some((other) => other.deliveryId === lease.deliveryId)).toBe(false);
              held.push(lease);
            }
            break;
          }
          case 'settle': {
            const lease = held[one.pick % Math.max(held.length, 1)];
            if (lease === undefined) break;
            drop(lease);
            if (one.as === 'released') {
              expect(await store.queue.release(lease, now + 100)).not.toBe('lost');
              break;
            }
            const outcome = OUTCOMES.get(one.as) ?? DEFERRED;
            const tries = Array.from({ length: one.tries }, () => ({ route: 'x', startedAt: now, outcome }));
            const { name: route, byDestination } = one.route;
            const settlement =
              one.as === 'delivered'
                ? ({ state: 'delivered', captured: false } as const)
                : one.as === 'bounced'
                  ? { ...BOUNCED, suppressUntil: now + 50_000 }
                  : one.as === 'quarantined' || one.as === 'expired'
                    ? { state: one.as, reason: 'r' }
                    : ({ state: 'deferred', dueAt: now + 50, route, byDestination } as const);
            expect(await store.queue.settle(lease, tries, settlement, now)).not.toBe('lost');
            break;
          }
          case 'expire':
            await clock.advance(one.ms % 1000);
            await store.queue.expireDue(clock.now(), 3);
            break;
          case 'reclaim':
            await clock.advance(one.ms);
            await store.queue.reclaimExpired(clock.now(), 2);
            held = held.filter((lease) => lease.leaseUntil >= clock.now());
            break;
          case 'delay':
            await store.queue.markDelayed(now, 2);
            break;
          case 'swap':
            await store.queue.reroute([
              { name: 'ses', byDestination: one.ms % 2 === 0 },
              { name: 'mx', byDestination: one.ms % 3 === 0 },
            ]);
            await store.queue.reroute(ROUTES);
            break;
          case 'wait':
            await clock.advance(one.ms);
            break;
          case 'retry':
          case 'cancel': {
            const id = (await store.history.messages({ limit: 50 }))[one.pick % Math.max(accepted.length, 1)]?.id;
            if (id === undefined) break;
            if (one.do === 'retry') await store.queue.retryNow(id, now);
            else await store.queue.cancel(id, now, 'c');
            break;
          }
        }
        // What is kept for speed says what the deliveries say.
        const kept = db.prepare('SELECT * FROM waiting ORDER BY 1, 2, 3').all();
        const right = db
          .prepare(`SELECT route, priority, destination, min(due_at) AS due_at FROM deliveries
            WHERE destination <> '' AND due_at IS NOT NULL AND crashes = 0 GROUP BY 1, 2, 3 ORDER BY 1, 2, 3`)
          .all();
        expect(kept).toEqual(right);
      }

      // In the end nothing waits for ever: leases end, deadlines pass.
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 2);
      await clock.advance(300_000);
      while ((await store.queue.expireDue(clock.now(), 100)) > 0);
      const views = await store.history.messages({ limit: 1000 });
      expect(views.map((view) => view.id).sort()).toEqual([...accepted].sort());
      expect(views.flatMap((view) => view.deliveries)).toHaveLength(expected);
      const events = await store.history.events({ afterSeq: 0, limit: 10_000 });
      expect(events.map((event) => event.data.seq)).toEqual(events.map((_, index) => index + 1));
      for (const view of views) {
        for (const delivery of view.deliveries) {
          expect(isFinal(delivery.state) && delivery.state !== 'quarantined').toBe(true);
          const own = events.filter((event) => event.data.delivery?.id === delivery.id);
          expect(own.filter((event) => event.type === 'message.delayed').length).toBeLessThan(2);
          expect(own.filter((event) => event.type !== 'message.delayed').at(-1)?.data.delivery?.state).toBe(
            delivery.state,
          );
          expect(own.at(-1)?.data.delivery?.attempts).toBe(delivery.attempts);
        }
        const attempts = await store.history.attempts(view.id);
        expect(attempts).toHaveLength(view.deliveries.reduce((sum, delivery) => sum + delivery.attempts, 0));
      }
      for (const report of await store.reports.pending(1000)) await store.reports.drop(report.number);
      expect(db.prepare('SELECT count(*) FROM contents').pluck().get()).toBe(0);
      await store.stop();
    }),
    { numRuns: 150 },
  );
});
