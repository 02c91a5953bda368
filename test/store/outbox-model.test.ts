/**
 * The outbox against any order of events, tries, crashes, replays and clean-ups: nothing is lost, and what a message's events
 * look like to a receiver that keeps what it got first is in the order of the log.
 */
import { expect, test } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { OutboxItem, OutboxTry } from '../../src/store/outbox.ts';
import type { RouteChange } from '../../src/store/store.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';
import { START_MS } from './fixture.ts';
import { newMessage } from './message.ts';

const ENDPOINT = {
  name: 'auth',
  types: ['route.down', 'route.up', 'message.accepted'] as const,
  tags: null,
  fingerprint: 'a',
};
const ROUTES = ['a', 'b', 'c'] as const;

type Step =
  /** An event about one of a few routes: routes stand for messages here, their events are as easily made. */
  | { readonly do: 'event'; readonly route: number }
  | { readonly do: 'message' }
  /** Takes up to `room` events, of which those that are not in `fates` stay under way. */
  | { readonly do: 'send'; readonly room: number; readonly fates: readonly ('ok' | 'fail' | 'dead' | 'none')[] }
  | { readonly do: 'crash' | 'hasten' | 'clean' | 'replay-dead' | 'wait' };

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant('event' as const), route: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.constant({ do: 'message' as const }) },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      room: fc.integer({ min: 1, max: 5 }),
      fates: fc.array(
        fc.constantFrom('ok' as const, 'ok' as const, 'fail' as const, 'dead' as const, 'none' as const),
        {
          minLength: 5,
          maxLength: 5,
        },
      ),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('crash', 'hasten', 'clean', 'replay-dead', 'wait') }) },
);

const keyOf = ({ body }: OutboxItem): string => {
  const { data } = JSON.parse(body);
  return data.message?.id ?? data.route.name;
};

test('nothing is lost, and events of one message or route are taken in the order of the log', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), async (steps) => {
      const clock = createManualClock(START_MS);
      const ids = createIds(clock);
      const store = await openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled: true, exclusive: false });
      try {
        const { outbox } = store;
        await outbox.sync([ENDPOINT], clock.now());
        /** What a receiver has: numbers in the order in which it first took them, by key. */
        const taken = new Map<string, number[]>();
        const dead = new Set<number>();
        const replayed = new Set<number>();
        const underWay = new Set<number>();
        let events = 0;

        const take = (item: OutboxItem): void => {
          const known = taken.get(keyOf(item)) ?? [];
          if (!known.includes(item.seq)) known.push(item.seq);
          taken.set(keyOf(item), known);
          dead.delete(item.seq);
        };
        const record = async (item: OutboxItem, verdict: OutboxTry['verdict']): Promise<void> => {
          const made = { seq: item.seq, at: clock.now(), ms: 0, status: null, text: '', disable: null };
          expect(await outbox.record('auth', { ...made, verdict })).toBe('recorded');
        };
        const work = async (room: number): Promise<readonly OutboxItem[]> => {
          const { items } = await outbox.work('auth', clock.now(), room, [...underWay]);
          expect(items.length).toBeLessThanOrEqual(room);
          expect(items.some(({ seq }) => underWay.has(seq))).toBe(false);
          return items;
        };

        for (const one of steps) {
          switch (one.do) {
            case 'event': {
              const change: Pick<RouteChange, 'route' | 'reason' | 'at'> = {
                route: ROUTES[one.route] ?? 'a',
                reason: 'r',
                at: clock.now(),
              };
              await store.queue.routeChanged({ type: events % 2 ? 'route.up' : 'route.down', ...change });
              events++;
              break;
            }
            case 'message':
              await store.intake.accept(newMessage(ids, clock.now(), {}));
              events++;
              break;
            case 'send':
              for (const [index, item] of (await work(one.room)).entries()) {
                const fate = one.fates[index] ?? 'none';
                underWay.add(item.seq);
                if (fate === 'none') {
                  // The receiver has it, and the relay ends before it knows.
                  take(item);
                  continue;
                }
                underWay.delete(item.seq);
                if (fate === 'ok') {
                  take(item);
                  await record(item, { kind: 'delivered' });
                } else if (fate === 'dead') {
                  dead.add(item.seq);
                  await record(item, { kind: 'dead' });
                } else await record(item, { kind: 'again', dueAt: clock.now() + 5000 });
              }
              break;
            case 'crash':
              underWay.clear();
              break;
            case 'hasten':
              await outbox.hasten('auth', clock.now());
              break;
            case 'clean':
              await store.upkeep.dropHistory(0, 100);
              break;
            case 'replay-dead':
              for (const seq of dead) replayed.add(seq);
              await outbox.replay('auth', { kind: 'dead' }, clock.now());
              break;
            case 'wait':
              await clock.advance(5000);
              break;
          }
        }

        underWay.clear();
        for (let idle = 0; idle < 2; ) {
          await clock.advance(5000);
          const items = await work(5);
          idle = items.length === 0 ? idle + 1 : 0;
          for (const item of items) {
            take(item);
            await record(item, { kind: 'delivered' });
          }
        }
        const all = [...taken.values()].flat();
        const lost = Array.from({ length: events }, (_, index) => index + 1).filter(
          (seq) => !all.includes(seq) && !dead.has(seq),
        );
        expect(lost).toEqual([]);
        for (const seqs of taken.values()) {
          // What was given up and replayed comes late; everything else is in order.
          const inTurn = seqs.filter((seq) => !replayed.has(seq));
          expect(inTurn).toEqual(inTurn.toSorted((a, b) => a - b));
        }
      } finally {
        await store.stop();
      }
    }),
    { numRuns: 100 },
  );
}, 120_000);
