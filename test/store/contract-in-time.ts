/**
 * What every store must do for delivery in time: destinations, collapse, throttle, suppression, delays, fail-over, reports,
 * and what is remembered of domains. Goes on where `contract.ts` ends; one list, and long for the same reason.
 */
import { describe, expect, test } from 'vitest';
import type { RelayEvent } from '../../src/core/event.ts';
import type { DeliveryId, MessageId } from '../../src/core/ids.ts';
import type { Feedback, Lease, Store, Suppression } from '../../src/store/store.ts';
import { address } from '../support/address.ts';
import type { ManualClock } from '../support/clock.ts';
import {
  type Bench,
  BOUNCED,
  DEFERRED,
  DELIVERED,
  LEASE_MS,
  openBench,
  type OpenSettings,
  REFUSED,
  REJECTED,
  room,
  START_MS,
  UNCERTAIN,
  until,
} from './fixture.ts';
import { type MessageWishes, newMessage } from './message.ts';

const DAY_MS = 86_400_000;
const ANN = address('ann@example.net');
const MX = { route: 'mx', byDestination: true } as const;
const BOUNCE = BOUNCED.bounce;

/** Runs the contract over stores that `open` makes. */
export function describeInTime(
  name: string,
  open: (clock: ManualClock, settings: OpenSettings) => Promise<Store>,
): void {
  const bench = (settings: OpenSettings = {}): Promise<Bench> => openBench(open, settings);
  const lastEvent = async ({ store }: Bench, id: MessageId): Promise<RelayEvent | undefined> =>
    (await store.history.eventsOf(id)).at(-1);
  const typesOf = async ({ store }: Bench, id: MessageId): Promise<string[]> =>
    (await store.history.eventsOf(id)).map((event) => event.type);
  const stateOf = async ({ store }: Bench, id: MessageId): Promise<string | undefined> =>
    (await store.history.message(id))?.deliveries[0]?.state;
  const toDomain = async (b: Bench, domain: string, wishes: MessageWishes = {}): Promise<DeliveryId> =>
    (await b.accept({ recipients: [`ann@${domain}`], delivery: MX, ...wishes })).delivery;
  const domainsOf = (leases: readonly Lease[]): string[] => leases.map((lease) => lease.destination);

  describe(`${name}: lanes and destinations`, () => {
    test('leases one of a lane only while fewer than its room have been leased', async () => {
      const b = await bench();
      for (const priority of ['bulk', 'normal', 'critical'] as const) {
        for (let i = 0; i < 5; i++) await b.accept({ record: { priority } });
      }
      const claim = (critical: number, normal: number, bulk: number): Promise<readonly Lease[]> =>
        b.store.queue.claim([{ route: 'ses', room: [critical, normal, bulk], destinations: null }], START_MS, LEASE_MS);
      expect((await claim(4, 3, 2)).map((lease) => lease.priority)).toEqual(Array(4).fill('critical'));
      expect((await claim(4, 3, 2)).map((lease) => lease.priority)).toEqual(['critical', 'normal', 'normal']);
      expect((await claim(9, 2, 0)).map((lease) => lease.priority)).toEqual(['normal', 'normal']);
      expect((await claim(9, 5, 3)).map((lease) => lease.priority)).toEqual(['normal', 'bulk', 'bulk']);
    });

    test('gives a delivery the domain of its recipient as destination, in lower case, on routes that have them alone', async () => {
      const b = await bench();
      await toDomain(b, 'Big.EXAMPLE');
      await b.accept();
      expect(domainsOf(await b.claim(1, 'mx', { room: room(1), busy: [] }))).toEqual(['big.example']);
      expect((await b.claimOne()).destination).toBe('');
      const born = await b.store.intake.accept(
        newMessage(b.ids, START_MS, { leaseMs: 1000, recipients: ['ann@Big.example'], delivery: MX }),
      );
      expect(born).toMatchObject({ lease: { destination: 'big.example' } });
    });

    test('passes over a destination that is full, and counts what it hands out', async () => {
      const b = await bench();
      for (let i = 0; i < 4; i++) await toDomain(b, 'full.example');
      for (let i = 0; i < 4; i++) await toDomain(b, 'half.example');
      for (let i = 0; i < 4; i++) await toDomain(b, 'idle.example');
      const leases = await b.claim(20, 'mx', {
        room: room(2),
        busy: [
          ['full.example', 2],
          ['half.example', 1],
        ],
      });
      expect(domainsOf(leases).sort()).toEqual(['half.example', 'idle.example', 'idle.example']);
    });

    test('keeps room at a destination free for more urgent lanes', async () => {
      const b = await bench();
      await toDomain(b, 'a.example', { record: { priority: 'bulk' } });
      await toDomain(b, 'a.example', { record: { priority: 'normal' } });
      const at = { room: [3, 2, 1], busy: [['a.example', 1]] } as const;
      expect((await b.claim(9, 'mx', at)).map((lease) => lease.priority)).toEqual(['normal']);
      await toDomain(b, 'a.example', { record: { priority: 'critical' } });
      expect((await b.claim(9, 'mx', { ...at, busy: [['a.example', 2]] })).map((lease) => lease.priority)).toEqual([
        'critical',
      ]);
    });

    test('counts what more urgent lanes of the same claim have started at a destination', async () => {
      const b = await bench();
      for (const priority of ['bulk', 'normal', 'critical', 'critical'] as const) {
        await toDomain(b, 'a.example', { record: { priority } });
      }
      const leases = await b.claim(9, 'mx', { room: [3, 3, 3], busy: [] });
      expect(leases.map((lease) => lease.priority)).toEqual(['critical', 'critical', 'normal']);
    });

    test('mends the destination of interrupted deliveries too', async () => {
      const b = await bench();
      await b.accept();
      await b.claimOne();
      await b.clock.advance(LEASE_MS + 1);
      await b.store.queue.reclaimExpired(b.clock.now(), 3);
      expect(await b.store.queue.reroute([{ name: 'ses', byDestination: true }])).toBe(1);
      expect(await b.claim(9, 'ses', { room: room(1), busy: [['example.net', 1]] })).toEqual([]);
      expect(domainsOf(await b.claim(9, 'ses', { room: room(1), busy: [] }))).toEqual(['example.net']);
    });

    test('lets destinations take turns, from claim to claim, and none starves behind a backlog', async () => {
      const b = await bench();
      for (let i = 0; i < 30; i++) await toDomain(b, 'a.example');
      for (let i = 0; i < 30; i++) await toDomain(b, 'b.example');
      await b.clock.advance(1);
      for (const domain of ['c.example', 'd.example', 'e.example']) await toDomain(b, domain);
      const at = { room: room(10), busy: [] };
      const seen: string[] = [];
      for (let i = 0; i < 3; i++) seen.push(...domainsOf(await b.claim(2, 'mx', at)));
      expect([...new Set(seen)].sort()).toEqual(['a.example', 'b.example', 'c.example', 'd.example', 'e.example']);
    });

    test('hands out the longest due of a destination first', async () => {
      const b = await bench();
      const ids: DeliveryId[] = [];
      for (let i = 0; i < 4; i++) {
        ids.push(await toDomain(b, 'a.example'));
        await b.clock.advance(1);
      }
      const leases = await b.claim(3, 'mx', { room: room(9), busy: [] });
      expect(leases.map((lease) => lease.deliveryId)).toEqual(ids.slice(0, 3));
    });

    test('fills the room from one destination when no other has anything', async () => {
      const b = await bench();
      for (let i = 0; i < 7; i++) await toDomain(b, 'a.example');
      expect(await b.claim(5, 'mx', { room: room(9), busy: [] })).toHaveLength(5);
      expect(await b.claim(5, 'mx', { room: room(9), busy: [] })).toHaveLength(2);
    });

    test('goes past a destination whose due deliveries are past their deadline', async () => {
      const b = await bench();
      await toDomain(b, 'a.example', { record: { deadline: START_MS + 5 } });
      await toDomain(b, 'b.example');
      await b.clock.advance(5);
      expect(domainsOf(await b.claim(1, 'mx', { room: room(9), busy: [] }))).toEqual(['b.example']);
    });

    test('has at most one interrupted delivery in work with destinations too, and none at a full one', async () => {
      const b = await bench();
      for (const domain of ['a.example', 'b.example']) await toDomain(b, domain);
      await b.claim(9, 'mx', { room: room(9), busy: [] });
      await b.clock.advance(LEASE_MS + 1);
      await b.store.queue.reclaimExpired(b.clock.now(), 3);
      expect(
        await b.claim(9, 'mx', {
          room: room(1),
          busy: [
            ['a.example', 1],
            ['b.example', 1],
          ],
        }),
      ).toEqual([]);
      const leases = await b.claim(9, 'mx', { room: room(1), busy: [['a.example', 1]] });
      expect(domainsOf(leases)).toEqual(['b.example']);
      expect(await b.claim(9, 'mx', { room: room(1), busy: [] })).toEqual([]);
    });

    test('follows a deferral and a change of routes with the destination', async () => {
      const b = await bench();
      await b.accept({ recipients: ['ann@a.example'], delivery: { via: ['ses', 'mx'] } });
      const at = { room: room(9), busy: [] };
      await b.settle(await b.claimOne(), DEFERRED, until(START_MS, 'mx', true));
      const [onMx] = await b.claim(1, 'mx', at);
      expect(onMx?.destination).toBe('a.example');
      if (onMx === undefined) throw new Error('a lease was expected');
      await b.settle(onMx, DEFERRED, until(START_MS, 'mx', true));

      expect(await b.store.queue.reroute([{ name: 'ses', byDestination: false }])).toBe(1);
      expect((await b.store.queue.nextDue(new Map())).routes).toEqual(new Map([['ses', [null, START_MS, null]]]));
      expect(await b.store.queue.reroute([{ name: 'mx', byDestination: true }])).toBe(1);
      expect(domainsOf(await b.claim(1, 'mx', at))).toEqual(['a.example']);
    });

    test('mends the destination of waiting, quarantined and running deliveries when their route changes its kind', async () => {
      const b = await bench();
      const wishes = { recipients: ['ann@a.example'], delivery: { route: 'direct', via: ['direct'] } };
      await b.accept(wishes);
      await b.settle(await b.claimOne('direct'), DEFERRED, { state: 'quarantined', reason: 'x' });
      await b.accept(wishes);
      const running = await b.claimOne('direct');
      await b.accept(wishes);
      const to = (byDestination: boolean): Promise<number> =>
        b.store.queue.reroute([{ name: 'direct', byDestination }]);
      expect(await to(true)).toBe(3);
      expect(await to(true)).toBe(0);
      const full = { room: room(1), busy: [['a.example', 1]] } as const;
      expect(await b.claim(9, 'direct', full)).toEqual([]);
      await b.store.queue.release(running, START_MS);
      expect(await b.claim(9, 'direct', full)).toEqual([]);
      expect(await to(false)).toBe(3);
      expect(domainsOf(await b.claim(9, 'direct'))).toEqual(['', '']);
    });

    test('hands out a delivery that is kept under the other kind of its route', async () => {
      const b = await bench();
      await toDomain(b, 'a.example');
      await b.accept({ delivery: { route: 'mx' } });
      expect(domainsOf(await b.claim(1, 'mx', { room: room(1), busy: [['a.example', 1]] }))).toEqual(['']);
      expect((await b.store.queue.nextDue(new Map())).routes.get('mx')).toEqual([null, START_MS, null]);
      expect(domainsOf(await b.claim(1, 'mx'))).toEqual(['a.example']);
    });
  });

  describe(`${name}: what is next, by lane`, () => {
    test('leaves out what waits for destinations that are full for its lane', async () => {
      const b = await bench();
      await toDomain(b, 'a.example', { record: { priority: 'bulk' } });
      await toDomain(b, 'a.example', { record: { priority: 'critical' } });
      await b.clock.advance(7);
      await toDomain(b, 'b.example', { record: { priority: 'bulk' } });
      const next = async (...busy: (readonly [string, number])[]): Promise<unknown> =>
        (await b.store.queue.nextDue(new Map([['mx', { room: [2, 1, 1], busy }]]))).routes.get('mx');
      expect(await next()).toEqual([START_MS, null, START_MS]);
      expect(await next(['a.example', 1])).toEqual([START_MS, null, START_MS + 7]);
      expect(await next(['a.example', 2])).toEqual([null, null, START_MS + 7]);
      expect(await next(['a.example', 2], ['b.example', 1])).toBeUndefined();
    });

    test('knows the next due time of a destination after every kind of move', async () => {
      const b = await bench();
      const at = { room: room(9), busy: [] };
      const next = async (): Promise<unknown> =>
        (await b.store.queue.nextDue(new Map([['mx', at]]))).routes.get('mx')?.[1];
      const first = await toDomain(b, 'a.example');
      const [lease] = await b.claim(1, 'mx', at);
      if (lease === undefined) throw new Error('a lease was expected');
      expect(await next()).toBeUndefined();
      await b.store.queue.release(lease, START_MS + 40);
      expect(await next()).toBe(START_MS + 40);
      await b.clock.advance(1);
      const second = await toDomain(b, 'a.example');
      expect(await next()).toBe(START_MS + 1);
      await b.store.queue.cancel(second, START_MS, 'x');
      expect(await next()).toBe(START_MS + 40);
      await b.store.queue.retryNow(first, START_MS + 20);
      expect(await next()).toBe(START_MS + 20);
      await b.store.queue.expireDue(START_MS + DAY_MS, 10);
      expect(await next()).toBeUndefined();
    });

    test('shows the queue by due time over destinations', async () => {
      const b = await bench();
      const ids: DeliveryId[] = [];
      for (const domain of ['z.example', 'a.example', 'z.example', 'm.example', 'a.example']) {
        ids.push(await toDomain(b, domain));
        await b.clock.advance(1);
      }
      expect((await b.store.history.queue(4)).map((row) => row.deliveryId)).toEqual(ids.slice(0, 4));
    });
  });

  describe(`${name}: fail-over`, () => {
    test('records each try as an attempt, in one settlement and one event', async () => {
      const b = await bench();
      const { id, delivery } = await b.accept();
      const lease = await b.claimOne();
      const tries = [b.tryOf(lease, REFUSED), { ...b.tryOf(lease, DELIVERED, 'postmark'), startedAt: START_MS + 9 }];
      expect(await b.store.queue.settle(lease, tries, { state: 'delivered', captured: false }, START_MS + 9)).toBe(
        'settled',
      );
      expect(
        (await b.store.history.attempts(id)).map(({ number, route, outcome }) => [number, route, outcome]),
      ).toEqual([
        [1, 'ses', 'deferred'],
        [2, 'postmark', 'delivered'],
      ]);
      expect((await b.store.history.message(id))?.deliveries[0]?.route).toBe('postmark');
      expect((await lastEvent(b, id))?.data).toMatchObject({
        delivery: { id: delivery, attempts: 2 },
        attempt: { number: 2, route: 'postmark' },
        failed_over: [{ number: 1, route: 'ses', cause: 'connect' }],
      });
    });

    test('counts the steps of the ladder that a settlement tells, and no other', async () => {
      const b = await bench();
      await b.accept();
      const first = await b.claimOne();
      const again = { state: 'deferred', dueAt: START_MS, route: 'ses', byDestination: false } as const;
      await b.store.queue.settle(first, [b.tryOf(first, REFUSED)], { ...again, rounds: 1 }, START_MS);
      const second = await b.claimOne();
      expect([first.rounds, second.rounds]).toEqual([0, 1]);
      await b.store.queue.settle(second, [b.tryOf(second, REFUSED)], again, START_MS);
      expect((await b.claimOne()).rounds).toBe(1);
    });

    test('tells of a route that went down and came up', async () => {
      const b = await bench();
      await b.store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'refused', at: START_MS });
      await b.store.queue.routeChanged({ type: 'route.up', route: 'ses', reason: 'answers', at: START_MS + 1 });
      const events = await b.store.history.events({ types: ['route.down', 'route.up'], limit: 9 });
      expect(events.map((event) => [event.type, event.data.route])).toEqual([
        ['route.down', { name: 'ses', reason: 'refused' }],
        ['route.up', { name: 'ses', reason: 'answers' }],
      ]);
    });

    test('sends from the return path of the delivery when it has one, the null sender among them', async () => {
      const b = await bench();
      await b.accept({ delivery: { returnPath: address('b+1@bounces.example.com') } });
      expect((await b.claimOne()).mailFrom).toBe('b+1@bounces.example.com');
      await b.accept({ delivery: { returnPath: '' } });
      expect((await b.claimOne()).mailFrom).toBe('');
      const born = newMessage(b.ids, START_MS, { leaseMs: 1, delivery: { returnPath: address('v@example.com') } });
      expect(await b.store.intake.accept(born)).toMatchObject({ lease: { mailFrom: 'v@example.com' } });
    });
  });

  describe(`${name}: collapse`, () => {
    const scoped = { collapseScope: 'reset' };

    test('replaces what waits, in the transaction of the newer message, and both tell of it', async () => {
      const b = await bench();
      const older = await b.accept(scoped);
      const deferred = await b.accept({ ...scoped, collapseScope: 'other' });
      const newer = await b.accept({ ...scoped, recipients: ['ANN@example.net'] });
      expect(await stateOf(b, older.id)).toBe('superseded');
      expect(await stateOf(b, deferred.id)).toBe('queued');
      expect((await lastEvent(b, older.id))?.data).toMatchObject({
        delivery: { state: 'superseded' },
        superseded_by: newer.id,
        reason: 'a newer message to the same recipient took its place',
      });
      expect((await lastEvent(b, newer.id))?.data.supersedes).toEqual([older.id]);
      expect(await b.store.history.message(older.id)).toMatchObject({
        contentKept: false,
        deliveries: [{ supersededBy: newer.id }],
      });
    });

    test('replaces deferred and quarantined deliveries, and leaves other recipients and ended ones alone', async () => {
      const b = await bench();
      const deferred = await b.accept(scoped);
      await b.settle(await b.claimOne(), DEFERRED, until(START_MS + 1));
      await b.accept({ recipients: ['bob@example.net'], ...scoped });
      const bob = await b.claimOne();
      await b.settle(bob, DEFERRED, { state: 'quarantined', reason: 'x' });
      const newer = await b.accept({ recipients: ['bob@example.net', 'eve@example.net'], ...scoped });
      expect(await stateOf(b, bob.messageId)).toBe('superseded');
      expect(await stateOf(b, deferred.id)).toBe('deferred');
      const again = await b.accept({ recipients: ['bob@example.net'], ...scoped });
      expect((await lastEvent(b, again.id))?.data.supersedes).toEqual([newer.id]);
      expect((await b.store.history.message(newer.id))?.deliveries.map((one) => one.state)).toEqual([
        'superseded',
        'queued',
      ]);
    });

    test('does not let recipients of one message replace each other', async () => {
      const b = await bench();
      const { id } = await b.accept({ ...scoped, recipients: ['ann@example.net', 'Ann@example.net'] });
      expect((await b.store.history.message(id))?.deliveries.map((one) => one.state)).toEqual(['queued', 'queued']);
    });

    const inWork = async (b: Bench): Promise<{ lease: Lease; newer: MessageId }> => {
      await b.accept(scoped);
      const lease = await b.claimOne();
      const newer = newMessage(b.ids, START_MS, scoped);
      expect(await b.store.intake.accept(newer)).toEqual({
        kind: 'accepted',
        lease: null,
        interrupt: [lease.deliveryId],
      });
      expect(await stateOf(b, lease.messageId)).toBe('sending');
      return { lease, newer: newer.record.id };
    };

    test('says which older ones are being sent, and lists them in the event', async () => {
      const b = await bench();
      const { lease, newer } = await inWork(b);
      expect((await lastEvent(b, newer))?.data.supersedes).toEqual([lease.messageId]);
    });

    test.each([
      ['deferred', until(START_MS + 1)],
      ['expired', { state: 'expired', reason: 'late' }],
      ['quarantined', { state: 'quarantined', reason: 'poison' }],
    ] as const)('ends one in work that would be %s, with its attempt', async (_, settlement) => {
      const b = await bench();
      const { lease, newer } = await inWork(b);
      expect(await b.settle(lease, UNCERTAIN, settlement)).toBe('superseded');
      expect((await lastEvent(b, lease.messageId))?.data).toMatchObject({
        delivery: { state: 'superseded', attempts: 1 },
        attempt: { outcome: 'uncertain' },
        superseded_by: newer,
      });
    });

    test('leaves one in work delivered that was delivered, and says that it came too late to hold it', async () => {
      const b = await bench();
      const { lease, newer } = await inWork(b);
      expect(await b.deliver(lease)).toBe('settled');
      expect((await lastEvent(b, lease.messageId))?.data).toMatchObject({
        delivery: { state: 'delivered' },
        superseded_by: newer,
        reason: 'a newer message came when this one could not be held back any more',
      });
      expect((await b.store.history.message(lease.messageId))?.deliveries[0]?.supersededBy).toBe(newer);
    });

    test('leaves one in work bounced that bounced', async () => {
      const b = await bench();
      const { lease } = await inWork(b);
      expect(await b.settle(lease, REJECTED, BOUNCED)).toBe('settled');
      expect(await stateOf(b, lease.messageId)).toBe('bounced');
    });

    test('ends one in work that is released, without an attempt, and one whose lease ran out, with it', async () => {
      const b = await bench();
      const { lease } = await inWork(b);
      expect(await b.store.queue.release(lease, START_MS)).toBe('superseded');
      expect((await lastEvent(b, lease.messageId))?.data).toMatchObject({ delivery: { attempts: 0 } });
      expect(await b.store.queue.release(lease, START_MS)).toBe('lost');

      const next = await b.claimOne();
      await b.accept(scoped);
      await b.clock.advance(LEASE_MS + 1);
      expect(await b.store.queue.reclaimExpired(b.clock.now(), 3)).toBe(1);
      expect((await lastEvent(b, next.messageId))?.data).toMatchObject({
        delivery: { state: 'superseded', attempts: 1 },
        attempt: { outcome: 'uncertain' },
      });
    });

    test('lets no operator send an older message after a newer one', async () => {
      const b = await bench({ dropContentWhenSettled: false });
      const canceled = await b.accept(scoped);
      await b.store.queue.cancel(canceled.id, START_MS, 'x');
      const superseded = await b.accept(scoped);
      await b.accept(scoped);
      for (const { id } of [canceled, superseded]) {
        expect((await b.store.queue.retryNow(id, START_MS)).unchanged).toMatchObject([
          { reason: 'a newer message took its place' },
        ]);
      }
    });
  });

  const entry = (wishes: Partial<Suppression> = {}): Suppression => ({
    recipient: ANN,
    reason: 'manual',
    detail: 'asked to',
    messageId: null,
    createdAt: START_MS,
    expiresAt: null,
    ...wishes,
  });

  describe(`${name}: suppression`, () => {
    test('keeps the list: adds, replaces, finds without regard to letter case, removes', async () => {
      const { store } = await bench();
      await store.suppressions.put(entry());
      const other = entry({ recipient: address('Ann@Example.NET'), detail: 'again', expiresAt: START_MS + 5 });
      await store.suppressions.put(other);
      expect(await store.suppressions.get(ANN, START_MS)).toEqual(other);
      expect(await store.suppressions.get(ANN, START_MS + 5)).toBeNull();
      expect(await store.suppressions.remove(ANN, START_MS + 5)).toBe(false);
      await store.suppressions.put(entry());
      expect(await store.suppressions.remove(address('ANN@example.net'), START_MS)).toBe(true);
      expect(await store.suppressions.remove(ANN, START_MS)).toBe(false);
      expect(await store.suppressions.get(ANN, START_MS)).toBeNull();
    });

    test('lists entries that stand in the order of addresses, page after page', async () => {
      const { store } = await bench();
      for (const name of ['dan', 'Bob', 'cat', 'ann']) {
        await store.suppressions.put(entry({ recipient: address(`${name}@example.net`) }));
      }
      await store.suppressions.put(entry({ recipient: address('boa@example.net'), expiresAt: START_MS }));
      const page = async (after: string | null): Promise<string[]> =>
        (await store.suppressions.list(START_MS, 2, after)).map((one) => one.recipient);
      expect(await page(null)).toEqual(['ann@example.net', 'Bob@example.net']);
      expect(await page('Bob@example.net')).toEqual(['cat@example.net', 'dan@example.net']);
      expect(await page('dan@example.net')).toEqual([]);
    });

    test('sends nothing to a recipient on the list, and ends the message at its birth', async () => {
      const b = await bench();
      await b.store.suppressions.put(entry());
      const message = newMessage(b.ids, START_MS, { leaseMs: 1000 });
      expect(await b.store.intake.accept(message)).toEqual({ kind: 'accepted', lease: null, interrupt: [] });
      expect(await typesOf(b, message.record.id)).toEqual(['message.accepted', 'message.suppressed']);
      expect((await lastEvent(b, message.record.id))?.data).toMatchObject({
        delivery: { state: 'suppressed', attempts: 0 },
        reason: 'on the suppression list since 2026-01-05T10:00:00.000Z: asked to',
      });
      expect(await b.store.history.message(message.record.id)).toMatchObject({ contentKept: false });
      expect(await b.claim()).toEqual([]);
      expect(await b.store.queue.expireDue(START_MS + DAY_MS, 9)).toBe(0);
      await b.clock.advance(DAY_MS);
      expect(await b.store.upkeep.dropHistory(b.clock.now(), 9)).toBeGreaterThan(0);
      expect(await b.store.history.message(message.record.id)).toBeNull();
    });

    test('sends to the other recipients, to those whose entry has expired, and where the list does not count', async () => {
      const b = await bench();
      await b.store.suppressions.put(entry({ expiresAt: START_MS + 5 }));
      const both = await b.accept({ recipients: ['ann@example.net', 'bob@example.net'] });
      expect((await b.store.history.message(both.id))?.deliveries.map((one) => one.state)).toEqual([
        'suppressed',
        'queued',
      ]);
      expect(await stateOf(b, (await b.accept({ suppression: 'bypass' })).id)).toBe('queued');
      await b.clock.advance(5);
      expect(await stateOf(b, (await b.accept()).id)).toBe('queued');
    });

    test('puts the recipient of a bounce on the list in its transaction, with what the event tells', async () => {
      const b = await bench();
      const { id } = await b.accept();
      const suppressUntil = START_MS + DAY_MS;
      await b.settle(await b.claimOne(), REJECTED, { ...BOUNCED, suppressUntil });
      expect(await b.store.suppressions.get(ANN, START_MS)).toEqual(
        entry({ reason: 'bounce', detail: 'no such user', messageId: id, expiresAt: suppressUntil }),
      );
      expect((await lastEvent(b, id))?.data.bounce).toEqual({
        ...BOUNCE,
        explanation: 'The mailbox or its domain does not exist or takes no mail: ask the person for another address.',
        suppressed_until: '2026-01-06T10:00:00.000Z',
      });
      expect((await b.store.history.message(id))?.deliveries[0]?.bounce).toEqual(BOUNCE);
    });

    test('puts nobody on the list for a bounce that says nothing of the mailbox', async () => {
      const b = await bench();
      const { id } = await b.accept();
      await b.settle(await b.claimOne(), REJECTED, BOUNCED);
      expect(await b.store.suppressions.get(ANN, START_MS)).toBeNull();
      expect((await lastEvent(b, id))?.data.bounce?.suppressed_until).toBeUndefined();
    });

    test('never shortens an entry by a bounce', async () => {
      const b = await bench();
      await b.store.suppressions.put(entry());
      await b.accept({ suppression: 'bypass' });
      await b.settle(await b.claimOne(), REJECTED, { ...BOUNCED, suppressUntil: START_MS + 5 });
      expect(await b.store.suppressions.get(ANN, START_MS + DAY_MS)).toEqual(entry());
    });
  });

  describe(`${name}: several throttles`, () => {
    const each = { scope: 'tag:reset', per: 'recipient', count: 2, perMs: 1000 } as const;
    const all = { scope: 'credential:app', per: 'scope', count: 3, perMs: 5000 } as const;

    test('hold a delivery back when one of them is reached, which the reason names, and count it in none then', async () => {
      const b = await bench();
      const send = async (
        recipient: string,
        throttles: MessageWishes['throttles'] = [each, all],
      ): Promise<string | undefined> => stateOf(b, (await b.accept({ recipients: [recipient], throttles })).id);
      expect(await send('ann@example.net')).toBe('queued');
      expect(await send('ann@example.net')).toBe('queued');
      expect(await send('ann@example.net')).toBe('throttled');
      expect(await send('bob@example.net')).toBe('queued');
      expect(await send('bob@example.net')).toBe('throttled');
      const reasons = (await b.store.history.events({ types: ['message.throttled'], limit: 9 })).map(
        ({ data }) => data.reason,
      );
      expect(reasons).toEqual([
        expect.stringMatching(/the recipient .* 2 messages of tag:reset in 1 s/),
        expect.stringMatching(/all recipients together .* 3 messages of credential:app in 5 s/),
      ]);
      // Bob has had one of his two: the held one did not count.
      expect(await send('bob@example.net', [each])).toBe('queued');
      await b.clock.advance(1000);
      expect(await send('ann@example.net', [each])).toBe('queued');
      expect(await send('ann@example.net')).toBe('throttled');
    });

    test('count each recipient of a message over all recipients', async () => {
      const b = await bench();
      const recipients = ['a@example.net', 'b@example.net', 'c@example.net', 'd@example.net'];
      const { id } = await b.accept({ recipients, throttles: [all] });
      const view = await b.store.history.message(id);
      expect(view?.deliveries.map(({ state }) => state)).toEqual(['queued', 'queued', 'queued', 'throttled']);
    });

    test('of one scope with two spans share what they count', async () => {
      const b = await bench();
      const long = { ...each, count: 3, perMs: 60_000 };
      const send = async (): Promise<string | undefined> =>
        stateOf(b, (await b.accept({ throttles: [each, long] })).id);
      expect([await send(), await send(), await send()]).toEqual(['queued', 'queued', 'throttled']);
      await b.clock.advance(1000);
      expect([await send(), await send()]).toEqual(['queued', 'throttled']);
      await b.store.upkeep.dropHistory(0, 100);
      await b.clock.advance(1000);
      expect(await send()).toBe('throttled');
    });
  });

  describe(`${name}: throttle`, () => {
    const throttle = { scope: 'tag:password-reset', per: 'recipient', count: 2, perMs: 1000 } as const;

    test('lets through as many as it allows in its time, to each recipient and in each scope', async () => {
      const b = await bench();
      const states: (string | undefined)[] = [];
      const send = async (wishes: MessageWishes = {}): Promise<void> => {
        states.push(await stateOf(b, (await b.accept({ throttles: [throttle], ...wishes })).id));
      };
      await send();
      await b.clock.advance(500);
      await send({ recipients: ['ANN@example.net'] });
      await send();
      await send({ recipients: ['bob@example.net'] });
      await send({ throttles: [{ ...throttle, scope: 'other' }] });
      await b.clock.advance(500);
      await send();
      await send();
      expect(states).toEqual(['queued', 'queued', 'throttled', 'queued', 'queued', 'queued', 'throttled']);
    });

    test('tells why, gives no lease, and replaces nothing', async () => {
      const b = await bench();
      const wishes = { throttles: [{ ...throttle, count: 1 }], collapseScope: 'reset' };
      const first = await b.accept(wishes);
      const second = newMessage(b.ids, START_MS, { ...wishes, leaseMs: 1000 });
      expect(await b.store.intake.accept(second)).toEqual({ kind: 'accepted', lease: null, interrupt: [] });
      expect(await stateOf(b, first.id)).toBe('queued');
      expect((await lastEvent(b, second.record.id))?.data).toMatchObject({
        delivery: { state: 'throttled' },
        reason: 'the recipient has had 1 messages of tag:password-reset in 1 s, as many as the throttle allows',
      });
      expect(await b.store.history.message(second.record.id)).toMatchObject({ contentKept: false });
    });

    test('does not count what was suppressed', async () => {
      const b = await bench();
      await b.store.suppressions.put(entry({ expiresAt: START_MS + 1 }));
      for (let i = 0; i < 3; i++) await b.accept({ throttles: [throttle] });
      await b.clock.advance(1);
      expect(await stateOf(b, (await b.accept({ throttles: [throttle] })).id)).toBe('queued');
    });
  });

  describe(`${name}: delays`, () => {
    test('tells once of what was not delivered in its time, whatever it waits for', async () => {
      const b = await bench();
      const { id } = await b.accept({ delayedAfterMs: 30_000 });
      await b.accept({ delayedAfterMs: 40_000, record: { priority: 'critical' } });
      const sending = await b.claimOne();
      expect(await b.store.queue.nextDue(new Map())).toMatchObject({ nextDelay: START_MS + 30_000 });
      expect(await b.store.queue.markDelayed(START_MS + 29_999, 9)).toBe(0);
      expect(await b.store.queue.markDelayed(START_MS + 40_000, 1)).toBe(1);
      expect(await b.store.queue.markDelayed(START_MS + 40_000, 1)).toBe(1);
      expect(await b.store.queue.markDelayed(START_MS + 40_000, 1)).toBe(0);
      expect((await lastEvent(b, id))?.data).toMatchObject({
        delivery: { state: 'queued', attempts: 0 },
        reason: 'not delivered 30 s after its acceptance',
      });
      expect((await lastEvent(b, sending.messageId))?.data.delivery?.state).toBe('sending');
      expect(await b.store.queue.nextDue(new Map())).toMatchObject({ nextDelay: null });
    });

    test('tells nothing of what has ended, was quarantined, or is past its deadline', async () => {
      const b = await bench();
      await b.accept({ delayedAfterMs: 1000 });
      await b.deliver(await b.claimOne());
      await b.accept({ delayedAfterMs: 1000 });
      await b.settle(await b.claimOne(), DEFERRED, { state: 'quarantined', reason: 'x' });
      await b.accept({ delayedAfterMs: DAY_MS });
      await b.accept({ delayedAfterMs: 1000, record: { deadline: START_MS + 2000 } });
      expect(await b.store.queue.markDelayed(START_MS + 2000, 9)).toBe(0);
      expect(await b.store.queue.nextDue(new Map())).toMatchObject({ nextDelay: null });
    });
  });

  describe(`${name}: reports that are owed`, () => {
    const asks = (...notify: ('NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY')[]): MessageWishes => ({
      wantsReports: true,
      delivery: { dsn: { notify, orcpt: null } },
    });
    const owed = async (b: Bench): Promise<string[]> =>
      (await b.store.reports.pending(99)).map((report) => report.action);
    const bounce = async (b: Bench): Promise<void> => void (await b.settle(await b.claimOne(), REJECTED, BOUNCED));

    test('are those of failures, unless the sender wants none', async () => {
      const b = await bench();
      for (const wishes of [{ wantsReports: true }, asks('FAILURE'), asks('NEVER'), asks('SUCCESS', 'DELAY'), {}]) {
        await b.accept(wishes);
        await bounce(b);
      }
      await b.accept({ wantsReports: true, record: { mailFrom: '' } });
      await bounce(b);
      expect(await owed(b)).toEqual(['failed', 'failed']);
    });

    test('tell all that a report needs', async () => {
      const b = await bench();
      const message = newMessage(b.ids, START_MS, {
        ...asks('FAILURE'),
        record: { dsn: { ret: 'HDRS', envid: 'e' } },
      });
      await b.store.intake.accept(message);
      await b.clock.advance(5);
      await bounce(b);
      expect(await b.store.reports.pending(9)).toEqual([
        {
          number: 1,
          action: 'failed',
          at: START_MS + 5,
          record: message.record,
          deliveryId: message.deliveries[0]?.id,
          recipient: ANN,
          recipientDsn: { notify: ['FAILURE'], orcpt: null },
          state: 'bounced',
          attempt: (await lastEvent(b, message.record.id))?.data.attempt,
          bounce: BOUNCE,
          reason: null,
        },
      ]);
    });

    test('come of a deadline too, with the reason and the last attempt before it', async () => {
      const b = await bench();
      await b.accept({ wantsReports: true });
      await b.settle(await b.claimOne(), DEFERRED, until(START_MS + 1));
      await b.store.queue.expireDue(START_MS + DAY_MS, 9);
      expect(await b.store.reports.pending(9)).toMatchObject(
        [
          {
            action: 'failed',
            state: 'expired',
            attempt: { number: 1, response: 'try later' },
            bounce: null,
            reason: /by its deadline/,
          },
        ].map((report) => ({ ...report, reason: expect.stringMatching(report.reason) })),
      );
    });

    test('come of a delay when it was asked for', async () => {
      const b = await bench();
      await b.accept({ ...asks('DELAY'), delayedAfterMs: 1000 });
      await b.accept({ wantsReports: true, delayedAfterMs: 1000 });
      await b.store.queue.markDelayed(START_MS + 1000, 9);
      expect(await owed(b)).toEqual(['delayed']);
    });

    test('come of success when it was asked for and the next hop does not report it itself', async () => {
      const b = await bench();
      await b.accept(asks('SUCCESS'));
      await b.deliver(await b.claimOne());
      await b.accept(asks('SUCCESS'));
      await b.settle(await b.claimOne(), { ...DELIVERED, dsnPassedOn: true }, { state: 'delivered', captured: false });
      await b.accept(asks('SUCCESS'));
      await b.deliver(await b.claimOne(), true);
      await b.accept(asks('FAILURE'));
      await b.deliver(await b.claimOne());
      expect(await owed(b)).toEqual(['relayed', 'delivered']);
    });

    test('are none for a suppressed or throttled recipient', async () => {
      const b = await bench();
      await b.store.suppressions.put(entry());
      await b.accept({ wantsReports: true });
      await b.accept({
        wantsReports: true,
        suppression: 'bypass',
        throttles: [{ scope: 's', per: 'recipient', count: 0, perMs: 9 }],
      });
      expect(await owed(b)).toEqual([]);
    });

    test('keep the content of their message until the last is paid or dropped', async () => {
      const b = await bench();
      const { id } = await b.accept({ wantsReports: true, recipients: ['ann@example.net', 'bob@example.net'] });
      for (const lease of await b.claim()) await b.settle(lease, REJECTED, BOUNCED);
      const [first, second] = await b.store.reports.pending(9);
      await b.store.upkeep.dropContent(START_MS + DAY_MS, START_MS + DAY_MS, 9);
      expect(await b.store.history.content(id)).not.toBeNull();
      await b.store.reports.drop(first?.number ?? 0);
      expect(await b.store.history.content(id)).not.toBeNull();
      await b.accept({ paysReport: second?.number ?? 0 });
      expect(await b.store.history.content(id)).toBeNull();
      expect(await owed(b)).toEqual([]);
    });

    test('are paid once: the second message that would pay is not accepted', async () => {
      const b = await bench();
      await b.accept({ wantsReports: true });
      await bounce(b);
      const [report] = await b.store.reports.pending(9);
      await b.accept({ paysReport: report?.number ?? 0 });
      const second = newMessage(b.ids, START_MS, { paysReport: report?.number ?? 0 });
      expect(await b.store.intake.accept(second)).toMatchObject({ kind: 'duplicate' });
      expect(await b.store.history.message(second.record.id)).toBeNull();
      expect(await typesOf(b, second.record.id)).toEqual([]);
    });
  });

  describe(`${name}: feedback`, () => {
    const report = { kind: 'dsn', reporter: 'mx.example', status: '5.1.1', diagnostic: 'no such user' } as const;
    const delivered = async (
      b: Bench,
      wishes: MessageWishes = {},
    ): Promise<{ id: MessageId; delivery: DeliveryId }> => {
      const accepted = await b.accept(wishes);
      await b.deliver(await b.claimOne());
      return accepted;
    };
    const bounced = (deliveryId: DeliveryId, suppressUntil: number | null = null): Feedback => ({
      deliveryId,
      at: START_MS + 5,
      report,
      kind: { type: 'bounced', bounce: BOUNCE, suppressUntil },
    });

    test('has a secret of 32 octets that stays the same and is another in every database', async () => {
      const b = await bench();
      const secret = await b.store.feedback.secret();
      expect(secret).toHaveLength(32);
      expect(Buffer.from(await b.store.feedback.secret()).equals(secret)).toBe(true);
      expect(Buffer.from(await (await bench()).store.feedback.secret()).equals(secret)).toBe(false);
    });

    test('knows deliveries by their id, and by the Message-ID, newest message first', async () => {
      const b = await bench();
      const record = { headerMessageId: '<x@example.com>' };
      const first = await b.accept({ record });
      const second = await b.accept({ record, recipients: ['Bob@example.net'] });
      expect(await b.store.feedback.knows(first.delivery)).toBe(true);
      expect(await b.store.feedback.knows(b.ids.delivery())).toBe(false);
      expect(await b.store.feedback.byMessageId('<x@example.com>')).toEqual([
        { id: second.delivery, recipient: 'Bob@example.net' },
        { id: first.delivery, recipient: 'ann@example.net' },
      ]);
      expect(await b.store.feedback.byMessageId('x@example.com')).toEqual([]);
    });

    test('lands a later bounce on its delivery as event and suppression, and leaves its state', async () => {
      const b = await bench();
      const { id, delivery } = await delivered(b);
      expect(await b.store.feedback.record(bounced(delivery, START_MS + DAY_MS))).toBe('recorded');
      const event = await lastEvent(b, id);
      expect(event).toMatchObject({
        type: 'message.bounced',
        data: { delivery: { id: delivery, state: 'delivered' }, report, bounce: { class: 'recipient' } },
      });
      expect(event?.data.attempt).toBeUndefined();
      expect(await stateOf(b, id)).toBe('delivered');
      expect(await b.store.suppressions.get(ANN, START_MS)).toMatchObject({ reason: 'bounce', messageId: id });
      const filtered = await b.store.history.events({ state: 'delivered', limit: 9 });
      expect(filtered.map((one) => one.type)).toEqual(['message.delivered', 'message.bounced']);
    });

    test('lands complaints and delays too', async () => {
      const b = await bench();
      const { id, delivery } = await delivered(b);
      const arf = { ...report, kind: 'arf', diagnostic: 'abuse' } as const;
      const base = { deliveryId: delivery, at: START_MS };
      await b.store.feedback.record({ ...base, report, kind: { type: 'delayed' } });
      await b.store.feedback.record({
        ...base,
        report: arf,
        kind: { type: 'complained', suppressUntil: START_MS + 9 },
      });
      expect((await typesOf(b, id)).slice(2)).toEqual(['message.delayed', 'message.complained']);
      expect(await b.store.suppressions.get(ANN, START_MS)).toMatchObject({ reason: 'complaint', detail: 'abuse' });
    });

    test('takes the same report once, and different ones up to a bound', async () => {
      const b = await bench();
      const { id, delivery } = await delivered(b);
      expect(await b.store.feedback.record(bounced(delivery))).toBe('recorded');
      expect(await b.store.feedback.record({ ...bounced(delivery), at: START_MS + 99 })).toBe('duplicate');
      for (let i = 0; i < 50; i++) {
        await b.store.feedback.record({ ...bounced(delivery), report: { ...report, diagnostic: `${i}` } });
      }
      expect(await typesOf(b, id)).toHaveLength(2 + 16);
      expect(await b.store.feedback.record(bounced(b.ids.delivery()))).toBe('unknown');
    });

    test('owes the sender a report of the later bounce', async () => {
      const b = await bench();
      const { delivery } = await delivered(b, { wantsReports: true });
      await b.store.feedback.record(bounced(delivery));
      expect(await b.store.reports.pending(9)).toMatchObject([
        { action: 'failed', state: 'delivered', bounce: BOUNCE, reason: 'no such user', attempt: { number: 1 } },
      ]);
    });

    test('goes with its delivery', async () => {
      const b = await bench();
      const { delivery } = await delivered(b, { wantsReports: true });
      await b.store.feedback.record(bounced(delivery));
      await b.clock.advance(DAY_MS);
      await b.store.upkeep.dropHistory(b.clock.now(), 9);
      expect(await b.store.feedback.record(bounced(delivery))).toBe('unknown');
      expect(await b.store.reports.pending(9)).toEqual([]);
    });
  });

  describe(`${name}: domains`, () => {
    test('keeps a policy until it is replaced, removed, or cleaned up after its time', async () => {
      const { store, clock } = await bench();
      const policy = {
        domain: 'example.net',
        id: '1',
        mode: 'enforce',
        mx: ['mx.example.net', '*.example.net'],
        fetchedAt: START_MS,
        expiresAt: START_MS + 5,
      } as const;
      expect(await store.domains.policy('example.net')).toBeNull();
      await store.domains.putPolicy({ ...policy, id: '0' });
      await store.domains.putPolicy(policy);
      expect(await store.domains.policy('example.net')).toEqual(policy);
      await store.domains.removePolicy('example.net');
      expect(await store.domains.policy('example.net')).toBeNull();
      await store.domains.putPolicy(policy);
      await clock.advance(5);
      await store.upkeep.dropHistory(START_MS, 9);
      expect(await store.domains.policy('example.net')).toBeNull();
    });

    test('remembers the best TLS that was seen since a time, and a lower one takes nothing away', async () => {
      const { domains } = (await bench()).store;
      expect(await domains.tlsLevel('example.net', 0)).toBeNull();
      await domains.noteTlsLevel('example.net', 'encrypted', 10);
      expect(await domains.tlsLevel('example.net', 10)).toBe('encrypted');
      await domains.noteTlsLevel('example.net', 'verified', 20);
      await domains.noteTlsLevel('example.net', 'encrypted', 30);
      await domains.noteTlsLevel('example.net', 'verified', 15);
      expect(await domains.tlsLevel('example.net', 20)).toBe('verified');
      expect(await domains.tlsLevel('example.net', 21)).toBe('encrypted');
      expect(await domains.tlsLevel('example.net', 31)).toBeNull();
    });
  });
}
