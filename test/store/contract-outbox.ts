/** What every store must do for webhooks, whatever it is made of. */
import { describe, expect, test } from 'vitest';
import { EVENT_TYPES } from '../../src/core/event.ts';
import type { OutboxEndpoint, OutboxItem, OutboxTry } from '../../src/store/outbox.ts';
import type { Store } from '../../src/store/store.ts';
import type { ManualClock } from '../support/clock.ts';
import { type Bench, openBench, type OpenSettings, START_MS } from './fixture.ts';

const AUTH: OutboxEndpoint = { name: 'auth', types: EVENT_TYPES, tags: null, fingerprint: 'a' };
const OTHER: OutboxEndpoint = { ...AUTH, name: 'other' };
const MINUTE_MS = 60_000;

const made = (seq: number, verdict: OutboxTry['verdict'], over: Partial<OutboxTry> = {}): OutboxTry => ({
  seq,
  at: START_MS,
  ms: 5,
  status: verdict.kind === 'delivered' ? 200 : 500,
  text: verdict.kind === 'delivered' ? 'ok' : 'broken',
  verdict,
  disable: null,
  ...over,
});
const DONE = { kind: 'delivered' } as const;
const DEAD = { kind: 'dead' } as const;
const again = (dueAt: number): OutboxTry['verdict'] => ({ kind: 'again', dueAt });
const typesOf = (items: readonly OutboxItem[]): readonly string[] => items.map(({ body }) => JSON.parse(body).type);

/** Runs the contract over stores that `open` makes. */
export function describeOutbox(
  name: string,
  open: (clock: ManualClock, settings: OpenSettings) => Promise<Store>,
): void {
  const bench = async (...endpoints: readonly OutboxEndpoint[]): Promise<Bench> => {
    const b = await openBench(open);
    await b.store.outbox.sync(endpoints, b.clock.now());
    return b;
  };
  /** What is due now, at most `room`. */
  const due = async (b: Bench, room = 10, busy: readonly number[] = [], of = 'auth'): Promise<readonly OutboxItem[]> =>
    (await b.store.outbox.work(of, b.clock.now(), room, busy)).items;
  const first = async (b: Bench): Promise<OutboxItem> => {
    const [item] = await due(b, 1);
    if (item === undefined) throw new Error('nothing is due');
    return item;
  };
  const route = (b: Bench, type: 'route.down' | 'route.up', called = 'ses'): Promise<void> =>
    b.store.queue.routeChanged({ type, route: called, reason: 'r', at: b.clock.now() });

  describe(`${name}: the outbox`, () => {
    test('gives out an event as the log has it, and again until it is recorded', async () => {
      const b = await bench(AUTH);
      await b.accept();
      const [event] = await b.store.history.events({ afterSeq: 0, limit: 9 });
      const items = await due(b);
      expect(items).toEqual([
        { seq: event?.data.seq, eventId: event?.data.event_id, tries: 0, body: JSON.stringify(event) },
      ]);
      expect(await due(b)).toEqual(items);
      await b.store.outbox.record('auth', made(1, DONE));
      expect(await due(b)).toEqual([]);
    });

    test('leaves out what is under way, and holds to the room', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 5; i++) await b.accept();
      expect((await due(b, 2)).map(({ seq }) => seq)).toEqual([1, 2]);
      expect((await due(b, 2, [1, 2])).map(({ seq }) => seq)).toEqual([3, 4]);
    });

    test('an endpoint begins with what comes after it was added', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await b.store.outbox.sync([AUTH, OTHER], b.clock.now());
      expect(await due(b, 10, [], 'other')).toEqual([]);
      await b.accept();
      expect((await due(b, 10, [], 'other')).map(({ seq }) => seq)).toEqual([2]);
      expect(await due(b)).toHaveLength(2);
    });

    test('an endpoint added after every event was deleted gets the next one', async () => {
      const b = await bench();
      await b.accept({ recipients: ['a@example.net'] });
      await b.clock.advance(10);
      await b.store.upkeep.dropHistory(b.clock.now(), 100);
      expect(await b.store.history.events({ afterSeq: 0, limit: 9 })).toEqual([]);
      await b.store.outbox.sync([AUTH], b.clock.now());
      await b.accept();
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2]);
    });

    test('a later event of a message waits for the earlier one, other messages go on', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await b.deliver(await b.claimOne());
      await b.accept();
      expect(typesOf(await due(b))).toEqual(['message.accepted', 'message.accepted']);
      await b.store.outbox.record('auth', made(1, again(b.clock.now() + MINUTE_MS)));
      await b.store.outbox.record('auth', made(3, DONE));
      expect(await due(b)).toEqual([]);
      await b.clock.advance(MINUTE_MS);
      expect((await due(b)).map(({ seq }) => seq)).toEqual([1]);
      await b.store.outbox.record('auth', made(1, DONE));
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2]);
    });

    test('a dead letter lets the next event of its message go', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await b.deliver(await b.claimOne());
      await due(b);
      await b.store.outbox.record('auth', made(1, DEAD));
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2]);
    });

    test('events of one route are in order, those of two are not tied', async () => {
      const b = await bench(AUTH);
      await route(b, 'route.down');
      await route(b, 'route.up');
      await route(b, 'route.down', 'postmark');
      expect((await due(b)).map(({ seq }) => seq)).toEqual([1, 3]);
    });

    test('a tag keeps other messages away, and not the events of routes', async () => {
      const b = await bench({ ...AUTH, tags: ['otp'] });
      await b.accept({ record: { tag: 'otp' } });
      await b.accept({ record: { tag: 'news' } });
      await b.accept({ record: { tag: null, tagSource: 'none' } });
      await route(b, 'route.down');
      expect((await due(b)).map(({ seq }) => seq)).toEqual([1, 4]);
    });

    test('only the wanted types are given out, however far they are apart', async () => {
      const b = await bench({ ...AUTH, types: ['route.down'] });
      for (let i = 0; i < 250; i++) await b.accept();
      await route(b, 'route.down');
      const work = await b.store.outbox.work('auth', b.clock.now(), 10, []);
      expect(work).toMatchObject({ items: [], more: true });
      expect((await due(b)).map(({ seq }) => seq)).toEqual([251]);
    });

    test('says when the next event is due, and that there is more', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await due(b);
      await b.store.outbox.record('auth', made(1, again(b.clock.now() + 5000)));
      expect(await b.store.outbox.work('auth', b.clock.now(), 10, [])).toEqual({
        items: [],
        nextDueAt: b.clock.now() + 5000,
        more: false,
        halted: null,
      });
      await b.accept();
      await b.accept();
      expect(await b.store.outbox.work('auth', b.clock.now(), 1, [])).toMatchObject({ more: true });
    });

    test('takes from the log no more than there is room for', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 50; i++) await b.accept();
      await due(b, 3);
      expect(await b.store.outbox.deliveries('auth', { limit: 100 })).toHaveLength(3);
      expect(await b.store.outbox.figures()).toMatchObject([{ backlog: 50, dead: 0, oldestPendingAt: START_MS }]);
    });

    test('keeps every try, and counts failures until a success', async () => {
      const b = await bench(AUTH);
      await b.accept();
      const { seq, eventId } = await first(b);
      await b.store.outbox.record('auth', made(seq, again(START_MS), { status: null, text: 'refused' }));
      await b.store.outbox.record('auth', made(seq, again(START_MS), { at: START_MS + 1 }));
      expect(await b.store.outbox.figures()).toMatchObject([
        { failures: 2, failingSince: START_MS, nextAttemptAt: START_MS, lastDeliveredAt: null },
      ]);
      expect((await first(b)).tries).toBe(2);
      await b.store.outbox.record('auth', made(seq, DONE, { at: START_MS + 2, ms: 7 }));
      expect(await b.store.outbox.figures()).toMatchObject([
        {
          failures: 0,
          failingSince: null,
          backlog: 0,
          oldestPendingAt: null,
          lastFailedAt: START_MS + 1,
          lastDeliveredAt: START_MS + 2,
          nextAttemptAt: null,
        },
      ]);
      expect(await b.store.outbox.deliveries('auth', { limit: 9 })).toEqual([
        {
          seq,
          eventId,
          type: 'message.accepted',
          eventAt: START_MS,
          messageId: expect.stringMatching(/^msg_/),
          state: 'delivered',
          nextAttemptAt: null,
          attempts: [
            { number: 1, at: START_MS, ms: 5, delivered: false, status: null, text: 'refused' },
            { number: 2, at: START_MS + 1, ms: 5, delivered: false, status: 500, text: 'broken' },
            { number: 3, at: START_MS + 2, ms: 7, delivered: true, status: 200, text: 'ok' },
          ],
        },
      ]);
    });

    test('a try of what does not wait any more is lost', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await due(b);
      expect(await b.store.outbox.record('auth', made(1, DONE))).toBe('recorded');
      expect(await b.store.outbox.record('auth', made(1, DEAD))).toBe('lost');
      expect(await b.store.outbox.record('nobody', made(1, DEAD))).toBe('lost');
      expect(await b.store.outbox.figures()).toMatchObject([{ dead: 0 }]);
    });

    test('lists deliveries newest first, by state and page', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 6; i++) await b.accept();
      await due(b);
      for (const seq of [1, 2, 3]) await b.store.outbox.record('auth', made(seq, DONE));
      await b.store.outbox.record('auth', made(4, DEAD));
      const list = async (filter: Parameters<Store['outbox']['deliveries']>[1]): Promise<unknown> =>
        (await b.store.outbox.deliveries('auth', filter))?.map(({ seq }) => seq);
      expect(await list({ limit: 4 })).toEqual([6, 5, 4, 3]);
      expect(await list({ limit: 4, before: 3 })).toEqual([2, 1]);
      expect(await list({ limit: 4, state: 'delivered' })).toEqual([3, 2, 1]);
      expect(await list({ limit: 4, state: 'dead' })).toEqual([4]);
      expect(await list({ limit: 1, state: 'waiting' })).toEqual([6]);
      expect(await b.store.outbox.deliveries('nobody', { limit: 1 })).toBeNull();
    });

    test('a disabled endpoint gets nothing until it is enabled, and never an event about itself', async () => {
      const b = await bench(AUTH, OTHER);
      await b.accept();
      await due(b);
      await b.store.outbox.record('auth', made(1, again(START_MS), { status: 410, disable: 'it answered 410' }));
      await b.accept();
      expect(await b.store.outbox.work('auth', b.clock.now(), 9, [])).toMatchObject({ items: [], halted: 'disabled' });
      expect(await b.store.outbox.figures()).toMatchObject([
        { name: 'auth', disabledAt: START_MS + 5, disabledReason: 'it answered 410' },
        { name: 'other', disabledAt: null },
      ]);
      expect(await b.eventTypes()).toEqual(['message.accepted', 'webhook.disabled', 'message.accepted']);
      const told = await due(b, 9, [], 'other');
      expect(JSON.parse(told[1]?.body ?? '').data.webhook).toEqual({ name: 'auth', reason: 'it answered 410' });
      expect(await b.store.outbox.enable('auth', b.clock.now())).toBe(true);
      expect((await due(b)).map(({ seq }) => seq)).toEqual([1, 3]);
      expect(await b.store.outbox.enable('nobody', b.clock.now())).toBe(false);
    });

    test('two tries under way that end in 410 disable once', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await b.accept();
      await due(b);
      for (const seq of [1, 2]) await b.store.outbox.record('auth', made(seq, again(START_MS), { disable: 'gone' }));
      expect((await b.eventTypes()).filter((type) => type === 'webhook.disabled')).toHaveLength(1);
    });

    test('another config enables an endpoint and makes what waits due; the same one does not', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await due(b);
      await b.store.outbox.record('auth', made(1, again(START_MS + MINUTE_MS), { disable: 'gone' }));
      expect(await b.store.outbox.sync([AUTH], START_MS + 9)).toMatchObject([
        { disabledAt: START_MS + 5, failures: 1 },
      ]);
      expect(await b.store.outbox.sync([{ ...AUTH, fingerprint: 'b' }], START_MS + 9)).toMatchObject([
        { disabledAt: null, failures: 0 },
      ]);
      await b.clock.advance(9);
      expect((await due(b)).map(({ seq }) => seq)).toEqual([1]);
    });

    test('what waits since a time ahead of the clock, which was set back, is due; other waits are kept', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 3; i++) await b.accept();
      const dayAhead = START_MS + 1440 * MINUTE_MS;
      const [, , third] = await due(b);
      await b.store.outbox.record('auth', made(1, again(START_MS + 5 * MINUTE_MS)));
      await b.store.outbox.record('auth', made(2, again(dayAhead + 5 * MINUTE_MS), { at: dayAhead }));
      await b.store.outbox.record('auth', made(3, DONE));
      await b.store.outbox.replay('auth', { kind: 'events', ids: [third?.eventId ?? ''] }, dayAhead);
      await b.store.outbox.sync([AUTH], b.clock.now());
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2, 3]);
      await b.clock.advance(5 * MINUTE_MS);
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2, 3, 1]);
    });

    test('an endpoint that is taken out is forgotten, and begins anew when it comes back', async () => {
      const b = await bench(AUTH, OTHER);
      for (let i = 0; i < 600; i++) await b.accept();
      await due(b, 600);
      await b.store.outbox.record('auth', made(1, DONE));
      await b.store.outbox.sync([OTHER], b.clock.now());
      expect((await b.store.outbox.figures()).map((figures) => figures.name)).toEqual(['other']);
      expect(await b.store.outbox.work('auth', b.clock.now(), 9, [])).toMatchObject({ items: [], halted: 'gone' });
      await b.store.outbox.sync([AUTH, OTHER], b.clock.now());
      expect(await due(b)).toEqual([]);
      expect(await b.store.outbox.deliveries('auth', { limit: 9 })).toEqual([]);
    });

    test('hastens what waits for its next try', async () => {
      const b = await bench(AUTH);
      await b.accept();
      await b.accept();
      await due(b);
      for (const seq of [1, 2]) await b.store.outbox.record('auth', made(seq, again(START_MS + MINUTE_MS)));
      expect(await b.store.outbox.hasten('auth', b.clock.now())).toBe(2);
      expect(await due(b)).toHaveLength(2);
    });

    test('gives up what is too old, taken from the log or not, and lets younger events go', async () => {
      const b = await bench(AUTH);
      const { delivery } = await b.accept();
      await b.accept();
      await due(b, 1);
      await b.clock.advance(MINUTE_MS);
      await b.store.queue.cancel(delivery, b.clock.now(), 'r');
      expect(await b.store.outbox.giveUp('auth', b.clock.now(), b.clock.now(), 100)).toBe(2);
      expect(await b.store.outbox.giveUp('auth', b.clock.now(), b.clock.now(), 100)).toBe(0);
      expect(await b.store.outbox.figures()).toMatchObject([{ dead: 2, backlog: 1 }]);
      expect((await due(b)).map(({ seq }) => seq)).toEqual([3]);
    });

    test('replays by id, and says which ids are not for this endpoint', async () => {
      const b = await bench({ ...AUTH, tags: ['otp'] });
      await b.accept({ record: { tag: 'otp' } });
      await b.accept({ record: { tag: 'news' } });
      const { seq, eventId } = await first(b);
      await b.store.outbox.record('auth', made(seq, DONE));
      const [, other] = await b.store.history.events({ afterSeq: 0, limit: 9 });
      const foreign = other?.data.event_id ?? '';
      const absent = `evt_${'0'.repeat(26)}`;
      await due(b);
      const result = await b.store.outbox.replay(
        'auth',
        { kind: 'events', ids: [eventId, foreign, absent, 'x'] },
        b.clock.now(),
      );
      expect(result).toEqual({ queued: 1, unknown: [foreign, absent, 'x'] });
      expect(await due(b)).toEqual([{ seq, eventId, tries: 0, body: expect.stringContaining(eventId) }]);
      await b.store.outbox.record('auth', made(seq, DONE));
      expect((await b.store.outbox.deliveries('auth', { limit: 1 }))?.[0]?.attempts).toHaveLength(2);
      expect(await b.store.outbox.replay('nobody', { kind: 'dead' }, b.clock.now())).toBeNull();
    });

    test('finds an id again though the clock was set back since', async () => {
      const b = await bench(AUTH);
      await b.clock.advance(MINUTE_MS);
      await b.accept();
      await b.clock.advance(-MINUTE_MS);
      for (let i = 0; i < 5; i++) await b.accept();
      const items = await due(b);
      for (const { eventId } of items) {
        const result = await b.store.outbox.replay('auth', { kind: 'events', ids: [eventId] }, b.clock.now());
        expect(result).toEqual({ queued: 1, unknown: [] });
      }
    });

    test('replays a range of time, from its first moment up to but without its last', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 4; i++) {
        await b.accept();
        await b.clock.advance(1000);
      }
      for (const { seq } of await due(b)) await b.store.outbox.record('auth', made(seq, DONE));
      const range = { kind: 'range', since: START_MS + 1000, until: START_MS + 3000 } as const;
      expect(await b.store.outbox.replay('auth', range, b.clock.now())).toEqual({ queued: 2, unknown: [] });
      expect((await due(b)).map(({ seq }) => seq)).toEqual([2, 3]);
    });

    test('replays more than one transaction takes, in order per message', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 1100; i++) await b.accept();
      const items = await due(b, 1100);
      expect(items).toHaveLength(200);
      for (let taken = items.length; taken < 1100; ) taken = (await due(b, 1100)).length;
      for (let seq = 1; seq <= 1100; seq++) await b.store.outbox.record('auth', made(seq, seq % 2 ? DEAD : DONE));
      expect(await b.store.outbox.replay('auth', { kind: 'dead' }, b.clock.now())).toEqual({
        queued: 550,
        unknown: [],
      });
      const all = { kind: 'range', since: 0, until: START_MS + 1 } as const;
      expect(await b.store.outbox.replay('auth', all, b.clock.now())).toEqual({ queued: 1100, unknown: [] });
      expect(await b.store.outbox.figures()).toMatchObject([{ backlog: 1100, dead: 0 }]);
    });

    test('what is new goes out among a long replay, not after it', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 40; i++) await b.accept();
      for (const { seq } of await due(b, 40)) await b.store.outbox.record('auth', made(seq, DONE));
      await b.store.outbox.replay('auth', { kind: 'range', since: 0, until: b.clock.now() + 1 }, b.clock.now());
      await b.clock.advance(1);
      await b.accept();
      const order: number[] = [];
      for (let i = 0; i < 41; i++) {
        const { seq } = await first(b);
        order.push(seq);
        await b.store.outbox.record('auth', made(seq, DONE));
      }
      expect(order.indexOf(41)).toBeLessThan(10);
      expect(order.toSorted((x, y) => x - y)).toEqual(Array.from({ length: 41 }, (_, at) => at + 1));
    });

    test('a replayed event makes a later one of its message that has not gone out wait', async () => {
      const b = await bench(AUTH);
      await b.accept();
      const { seq, eventId } = await first(b);
      await b.store.outbox.record('auth', made(seq, DONE));
      await b.store.outbox.replay('auth', { kind: 'events', ids: [eventId] }, b.clock.now());
      await b.deliver(await b.claimOne());
      expect((await due(b)).map((item) => item.seq)).toEqual([1]);
    });

    test('events that have yet to be sent are not deleted, and go when they are', async () => {
      const b = await bench(AUTH);
      for (let i = 0; i < 3; i++) await b.accept();
      const [, second] = await due(b, 2);
      await b.store.outbox.record('auth', made(1, DONE));
      await b.clock.advance(1000);
      const kept = async (): Promise<readonly number[]> => {
        await b.store.upkeep.dropHistory(b.clock.now(), 100);
        return (await b.store.history.events({ afterSeq: 0, limit: 9 })).map(({ data }) => data.seq);
      };
      expect(await kept()).toEqual([2, 3]);
      await b.store.outbox.record('auth', made(second?.seq ?? 0, DONE));
      expect(await kept()).toEqual([3]);
      expect(await b.store.outbox.deliveries('auth', { limit: 9 })).toEqual([]);
      await b.store.outbox.sync([], b.clock.now());
      expect(await kept()).toEqual([]);
    });
  });
}
