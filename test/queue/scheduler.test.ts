import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import type { DeliveryState } from '../../src/core/delivery.ts';
import { createIds, type MessageId } from '../../src/core/ids.ts';
import type { Priority } from '../../src/core/message.ts';
import type { Transport } from '../../src/delivery/transport.ts';
import { createContentCache } from '../../src/queue/content-cache.ts';
import type { LaneTarget } from '../../src/queue/lane.ts';
import { createScheduler, type Scheduler } from '../../src/queue/scheduler.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { HeadStart, NewMessage, QueueStore, Store } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { testConfig } from '../support/config.ts';
import { until } from '../support/relay.ts';
import { createFakeTransport, DELIVERED, type FakeTransport, REFUSED_CONNECTION, target } from './route.ts';

/** Not now, and no fault of the route: the delivery waits for the next step of its ladder. */
const DEFERRED = { ...REFUSED_CONNECTION, cause: 'recipient', stage: 'rcpt', code: 450 } as const;

/** A failure of the store that passes. */
const trouble = (): Promise<never> => Promise.reject(new RelayError('locked', { code: 'store-io', op: 'store.test' }));

describe('the scheduler', () => {
  let clock: ManualClock;
  let store: Store;
  let scheduler: Scheduler;
  let transport: FakeTransport;
  let retired: Transport[];
  const ids = createIds({ now: () => 1, monotonicMs: () => 1, after: () => () => {} });

  beforeEach(async () => {
    clock = createManualClock(1_000_000);
    store = await openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled: true, exclusive: false });
    transport = createFakeTransport();
    retired = [];
  });

  afterEach(async () => {
    await scheduler.stop();
    await store.stop();
  });

  const begin = async (
    lanes: ReadonlyMap<string, LaneTarget> = new Map([['hop', target(transport)]]),
    queueStore: QueueStore = store.queue,
    down: ReadonlySet<string> = new Set(),
  ): Promise<void> => {
    const cache = createContentCache(1000);
    scheduler = createScheduler(
      {
        store: queueStore,
        clock,
        log: silentLog,
        rules: () => ({ retry: testConfig().retry, suppressForMs: 86_400_000 }),
        cachedContent: (id) => cache.get(id),
        onRetired: (quiet) => void retired.push(quiet),
      },
      lanes,
      down,
    );
    await scheduler.start();
  };

  const queue = async (
    recipient: string,
    priority: Priority = 'normal',
    deadline = 2_000_000_000,
    over: { readonly route?: string; readonly via?: readonly string[]; readonly byDestination?: boolean } & Partial<
      Pick<NewMessage, 'collapseScope' | 'delayedAfterMs'>
    > = {},
  ): Promise<MessageId> => {
    const route = over.route ?? 'hop';
    const delayedAfterMs = over.delayedAfterMs ?? null;
    const id = ids.message();
    const accepted = await store.intake.accept({
      record: {
        id,
        headerMessageId: `<${id}@example.com>`,
        mailFrom: address('app@example.com'),
        headerFrom: 'app@example.com',
        dsn: { ret: null, envid: null },
        smtpUtf8: false,
        tag: null,
        tagSource: 'none',
        flow: null,
        metadata: {},
        priority,
        collapseKey: null,
        requireTls: false,
        credential: null,
        rule: 'default',
        acceptedAt: clock.now(),
        deadline,
        deadlineSource: 'give-up',
        size: 5,
        eightBit: false,
        signatures: [],
        warnings: [],
        links: null,
        client: { address: '127.0.0.1', helo: 'app', tls: null },
      },
      deliveries: [
        {
          id: ids.delivery(),
          recipient: address(recipient),
          dsn: null,
          rule: 'default',
          ruleReason: 'matches everything',
          via: over.via ?? ['hop', 'other'],
          route,
          byDestination: over.byDestination ?? false,
          returnPath: null,
        },
      ],
      content: Buffer.from('hello'),
      idempotency: null,
      leaseMs: null,
      collapseScope: over.collapseScope ?? null,
      suppression: 'apply',
      throttles: [],
      delayedAfterMs,
      wantsReports: false,
      paysReport: null,
    });
    if (accepted.kind === 'accepted') scheduler?.interrupt(accepted.interrupt);
    scheduler?.watch({ deadline, delayAt: delayedAfterMs === null ? null : clock.now() + delayedAfterMs });
    scheduler?.wake({ route, priority });
    return id;
  };

  const ann = { route: 'hop', priority: 'normal', recipient: address('ann@example.net') } as const;
  const hasRoom = (): boolean => (scheduler.room('hop')[0] ?? 0) > 0;
  const stateOf = async (id: MessageId): Promise<DeliveryState | undefined> =>
    (await store.history.message(id))?.deliveries[0]?.state;
  const untilState = (id: MessageId, state: DeliveryState): Promise<void> =>
    until(async () => (await stateOf(id)) === state, `${id} ${state}`, 5000);
  const untilCalls = (count: number): Promise<void> =>
    until(() => transport.calls.length >= count, `${count} attempts`, 5000);
  const recipients = (): string[] => transport.calls.map((call) => call.request.recipient);

  it('starts an accepted delivery without any time passing', async () => {
    await begin();
    const id = await queue('ann@example.net');
    await untilCalls(1);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
  });

  it('gives a head start to an idle route, and none while its only slot is held', async () => {
    await begin();
    await until(() => scheduler.headStart(ann) !== null, 'a head start', 5000);
    expect(scheduler.headStart(ann)).toBeNull();
  });

  it('gives no head start past mail that is due', async () => {
    transport = createFakeTransport({ capacity: 2 });
    await begin();
    await until(() => hasRoom() && scheduler.busy() === 0, 'an idle route', 5000);
    scheduler.wake(ann);
    expect(scheduler.headStart(ann)).toBeNull();
  });

  it('has the slot of a head start back when nothing was accepted', async () => {
    await begin();
    let held = null as HeadStart | null;
    await until(() => (held ??= scheduler.headStart(ann)) !== null, 'a head start', 5000);
    held?.cancel();
    expect(hasRoom()).toBe(true);
  });

  it('hands the stored bytes to the transport', async () => {
    await begin();
    await queue('ann@example.net');
    await untilCalls(1);
    expect(Buffer.from(transport.calls[0]?.request.content ?? []).toString()).toBe('hello');
  });

  it('starts critical before normal before bulk', async () => {
    // Before the scheduler runs: all three wait when it begins.
    await queue('bulk@example.net', 'bulk');
    await queue('normal@example.net', 'normal');
    await queue('critical@example.net', 'critical');
    await begin();
    for (let i = 1; i <= 3; i++) {
      await untilCalls(i);
      transport.calls[i - 1]?.answer(DELIVERED);
    }
    expect(recipients()).toEqual(['critical@example.net', 'normal@example.net', 'bulk@example.net']);
  });

  it('lets a critical message pass everything that waits when a slot frees up', async () => {
    await begin();
    for (const name of ['a', 'b', 'c']) await queue(`${name}@example.net`, 'bulk');
    await untilCalls(1);
    await queue('critical@example.net', 'critical');
    transport.calls[0]?.answer(DELIVERED);
    await untilCalls(2);
    expect(recipients()[1]).toBe('critical@example.net');
  });

  it('never has more attempts under way than the transport takes', async () => {
    transport = createFakeTransport({ capacity: 3 });
    await begin();
    for (let i = 0; i < 9; i++) await queue(`r${i}@example.net`);
    for (let i = 0; i < 9; i++) {
      await untilCalls(i + 1);
      transport.calls[i]?.answer(DELIVERED);
    }
    expect(transport.highWater).toBeLessThanOrEqual(3);
  });

  it('tries a deferred delivery again when the ladder says so', async () => {
    await begin();
    const id = await queue('ann@example.net', 'critical');
    await untilCalls(1);
    transport.calls[0]?.answer(DEFERRED);
    await untilState(id, 'deferred');
    await clock.advance(4_900);
    expect(transport.calls).toHaveLength(1);
    await clock.advance(200);
    await untilCalls(2);
  });

  it('records the attempt that was deferred', async () => {
    await begin();
    const id = await queue('ann@example.net', 'critical');
    await untilCalls(1);
    transport.calls[0]?.answer(DEFERRED);
    await untilState(id, 'deferred');
    expect(await store.history.attempts(id)).toMatchObject([{ number: 1, outcome: 'deferred', cause: 'recipient' }]);
  });

  it('expires at its deadline what waits for a retry, without another attempt', async () => {
    await begin();
    const id = await queue('ann@example.net', 'bulk', clock.now() + 60_000);
    await untilCalls(1);
    transport.calls[0]?.answer(DEFERRED);
    await untilState(id, 'deferred');
    await clock.advance(60_100);
    await untilState(id, 'expired');
    expect(transport.calls).toHaveLength(1);
  });

  it('breaks an attempt off at the deadline', async () => {
    await begin();
    const id = await queue('ann@example.net', 'critical', clock.now() + 10_000);
    await untilCalls(1);
    await clock.advance(10_000);
    await untilState(id, 'expired');
  });

  it('gives back at the stop what has not passed its final dot', async () => {
    await begin();
    const id = await queue('ann@example.net');
    await untilCalls(1);
    await scheduler.stop();
    expect(await stateOf(id)).toBe('queued');
    expect(await store.history.attempts(id)).toEqual([]);
  });

  it('bounces what was refused for good', async () => {
    await begin();
    const id = await queue('ann@example.net');
    await untilCalls(1);
    transport.calls[0]?.answer({ ...DEFERRED, kind: 'rejected', cause: 'recipient', stage: 'rcpt', code: 550 });
    await untilState(id, 'bounced');
  });

  it('tries an uncertain delivery again', async () => {
    await begin();
    const id = await queue('ann@example.net', 'critical');
    await untilCalls(1);
    transport.calls[0]?.answer({ ...DEFERRED, kind: 'uncertain', stage: 'dot' });
    await untilState(id, 'deferred');
    await clock.advance(5_100);
    await untilCalls(2);
  });

  it('goes on with other mail when a transport breaks its promise and throws', async () => {
    const broken: Transport = { ...createFakeTransport(), deliver: () => Promise.reject(new Error('bug')) };
    await begin(
      new Map([
        ['hop', target(broken)],
        ['other', target(transport)],
      ]),
    );
    const id = await queue('ann@example.net');
    await until(async () => (await stateOf(id)) === 'sending' && scheduler.busy() === 0, 'the attempt to fail', 5000);
    expect(hasRoom()).toBe(true);
  });

  it('does not take back the lease of an attempt that merely takes long', async () => {
    await begin();
    const id = await queue('ann@example.net');
    await untilCalls(1);
    for (let i = 0; i < 8; i++) {
      await clock.advance(100_000);
      await until(() => true, 'a turn', 1000);
    }
    expect(transport.calls).toHaveLength(1);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
    expect(await store.history.attempts(id)).toHaveLength(1);
  });

  it('does not take leases back when the clock jumps far ahead', async () => {
    await begin();
    const id = await queue('ann@example.net');
    await untilCalls(1);
    await clock.advance(7_200_000);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
    expect(transport.calls).toHaveLength(1);
  });

  it('moves mail whose attempt ended on a route that a reload took away', async () => {
    await begin();
    const other = createFakeTransport();
    await queue('ann@example.net', 'critical');
    await untilCalls(1);
    scheduler.setLanes(new Map([['other', target(other)]]));
    transport.calls[0]?.answer(DEFERRED);
    await until(() => scheduler.busy() === 0, 'the attempt to end', 5000);
    await clock.advance(5_100);
    await until(() => other.calls.length === 1, 'an attempt on the other route', 5000);
  });

  it('hands a transport back only when its last attempt has ended', async () => {
    await begin();
    await queue('ann@example.net');
    await untilCalls(1);
    scheduler.setLanes(new Map());
    expect(retired).toEqual([]);
    transport.calls[0]?.answer(DELIVERED);
    await until(() => retired.length === 1, 'the transport to be handed back', 5000);
  });

  it('starts mail that was accepted for a route which a reload took away meanwhile', async () => {
    const other = createFakeTransport();
    await begin(new Map([['other', target(other)]]));
    await queue('ann@example.net');
    await until(() => other.calls.length === 1, 'an attempt on the other route', 5000);
  });

  it('goes on by itself after the store failed once to say what is due', async () => {
    let failures = 0;
    await begin(undefined, {
      ...store.queue,
      nextDue: (full) => (failures-- > 0 ? trouble() : store.queue.nextDue(full)),
    });
    await until(() => scheduler.headStart(ann) !== null, 'a quiet start', 5000);
    await scheduler.stop();

    failures = 1;
    const id = await queue('ann@example.net');
    await begin(undefined, {
      ...store.queue,
      nextDue: (full) => (failures-- > 0 ? trouble() : store.queue.nextDue(full)),
    });
    await clock.advance(1_100);
    await untilCalls(1);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
  });

  it('takes no lease back while it cannot renew those that stand', async () => {
    let reclaims = 0;
    await begin(undefined, {
      ...store.queue,
      renew: trouble,
      reclaimExpired: (...given) => {
        reclaims++;
        return store.queue.reclaimExpired(...given);
      },
    });
    await until(() => hasRoom(), 'the start', 5000);
    const atStart = reclaims;
    const id = await queue('ann@example.net');
    await untilCalls(1);
    for (let i = 0; i < 5; i++) await clock.advance(100_000);
    expect(reclaims).toBe(atStart);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
    expect(await store.history.attempts(id)).toHaveLength(1);
  });

  const events = async (): Promise<string[]> => (await store.history.events({ limit: 1000 })).map(({ type }) => type);
  const untilEvent = (type: string): Promise<void> =>
    until(async () => (await events()).includes(type), `the event ${type}`, 5000);

  describe('with lanes', () => {
    it('keeps a slot free for critical mail while bulk takes all that it may', async () => {
      transport = createFakeTransport({ capacity: 3 });
      await begin();
      for (let i = 0; i < 5; i++) await queue(`bulk${i}@example.net`, 'bulk');
      await untilCalls(1);
      await queue('ann@example.net', 'critical');
      await untilCalls(2);
      expect(recipients()).toEqual(['bulk0@example.net', 'ann@example.net']);
    });

    it('lets no destination have more than its share, and others pass', async () => {
      transport = createFakeTransport({ capacity: 100, perDestination: 2 });
      await begin();
      for (let i = 0; i < 4; i++) await queue(`r${i}@slow.example`, 'bulk', 2_000_000_000, { byDestination: true });
      await queue('ann@fast.example', 'bulk', 2_000_000_000, { byDestination: true });
      await untilCalls(2);
      expect(recipients().toSorted()).toEqual(['ann@fast.example', 'r0@slow.example']);
    });

    it('keeps a place at a busy destination free for critical mail', async () => {
      transport = createFakeTransport({ capacity: 100, perDestination: 2 });
      await begin();
      for (let i = 0; i < 4; i++) await queue(`r${i}@slow.example`, 'bulk', 2_000_000_000, { byDestination: true });
      await untilCalls(1);
      await queue('ann@slow.example', 'critical', 2_000_000_000, { byDestination: true });
      await untilCalls(2);
      expect(recipients()[1]).toBe('ann@slow.example');
    });

    it('goes on at a destination that was full when one of its deliveries has ended', async () => {
      transport = createFakeTransport({ capacity: 100, perDestination: 1 });
      await begin();
      for (let i = 0; i < 3; i++) await queue(`r${i}@slow.example`, 'bulk', 2_000_000_000, { byDestination: true });
      for (let i = 0; i < 3; i++) {
        await untilCalls(i + 1);
        transport.calls[i]?.answer(DELIVERED);
      }
      expect(recipients()).toEqual(['r0@slow.example', 'r1@slow.example', 'r2@slow.example']);
    });

    it('does not ask the store again and again while a destination is full', async () => {
      transport = createFakeTransport({ capacity: 100, perDestination: 1 });
      let asked = 0;
      await begin(undefined, {
        ...store.queue,
        nextDue: (full) => {
          asked++;
          return store.queue.nextDue(full);
        },
      });
      for (let i = 0; i < 3; i++) await queue(`r${i}@slow.example`, 'bulk', 2_000_000_000, { byDestination: true });
      await untilCalls(1);
      await clock.advance(1000);
      const before = asked;
      await clock.advance(60_000);
      expect(asked - before).toBeLessThan(3);
    });
  });

  describe('with several routes', () => {
    let other: FakeTransport;
    const both = (): ReadonlyMap<string, LaneTarget> =>
      new Map([
        ['hop', target(transport)],
        ['other', target(other)],
      ]);
    /** Three messages whose attempts fail on `hop`, one after the other. */
    const breakHop = async (answer = REFUSED_CONNECTION): Promise<void> => {
      for (let i = 0; i < 3; i++) {
        await queue(`down${i}@example.net`, 'critical', 2_000_000_000, { via: ['hop'] });
        await untilCalls(i + 1);
        transport.calls[i]?.answer(answer);
        await until(() => scheduler.busy() === 0, 'the attempt to end', 5000);
      }
    };

    beforeEach(() => {
      other = createFakeTransport();
    });

    it('delivers over the second when the first cannot be reached', async () => {
      await begin(both());
      const id = await queue('ann@example.net', 'critical');
      await untilCalls(1);
      transport.calls[0]?.answer(REFUSED_CONNECTION);
      await until(() => other.calls.length === 1, 'an attempt on the other route', 5000);
      other.calls[0]?.answer(DELIVERED);
      await untilState(id, 'delivered');
      expect(await store.history.attempts(id)).toMatchObject([
        { number: 1, route: 'hop', outcome: 'deferred' },
        { number: 2, route: 'other', outcome: 'delivered' },
      ]);
    });

    it('takes a route out of use after three faults, and says so', async () => {
      await begin(both());
      await breakHop();
      await untilEvent('route.down');
      expect(scheduler.chooseRoute(['hop', 'other'])).toBe('other');
    });

    it('moves what waits on a route that went down to another of its own', async () => {
      await begin(both());
      const id = await queue('ann@example.net', 'bulk');
      await untilCalls(1);
      transport.calls[0]?.answer({ ...REFUSED_CONNECTION, kind: 'uncertain', stage: 'dot', cause: 'route' });
      await untilState(id, 'deferred');
      for (let i = 0; i < 2; i++) {
        await queue(`down${i}@example.net`, 'critical', 2_000_000_000, { via: ['hop'] });
        await untilCalls(i + 2);
        transport.calls[i + 1]?.answer(REFUSED_CONNECTION);
        await until(() => scheduler.busy() === 0, 'the attempt to end', 5000);
      }
      await until(
        async () => (await store.history.message(id))?.deliveries[0]?.route === 'other',
        'the delivery to move',
        5000,
      );
    });

    it('tries no mail on a route that is down', async () => {
      await begin(both());
      await breakHop();
      await queue('ann@example.net', 'critical', 2_000_000_000, { via: ['hop'] });
      await clock.advance(4_000);
      expect(transport.calls).toHaveLength(3);
    });

    it('sends what was held back at once when a probe comes through', async () => {
      await begin(both());
      await breakHop();
      const id = await queue('ann@example.net', 'critical', 2_000_000_000, { via: ['hop'] });
      await clock.advance(5_000);
      await until(() => transport.probes.length === 1, 'a probe', 5000);
      transport.probes[0]?.answer(DELIVERED);
      await untilCalls(4);
      await untilEvent('route.up');
      for (let i = 3; transport.calls[i] !== undefined || (await stateOf(id)) !== 'delivered'; i++) {
        await untilCalls(i + 1);
        transport.calls[i]?.answer(DELIVERED);
        await until(() => scheduler.busy() === 0 || transport.calls.length > i + 1, 'the attempt to end', 5000);
      }
    });

    it('probes a route that was down when a reload changed it, before mail goes there', async () => {
      await begin(both());
      await breakHop();
      const changed = createFakeTransport();
      scheduler.setLanes(
        new Map([
          ['hop', target(changed)],
          ['other', target(other)],
        ]),
      );
      await until(() => changed.probes.length === 1, 'a probe', 5000);
      expect(changed.calls).toHaveLength(0);
      changed.probes[0]?.answer(DELIVERED);
      await untilEvent('route.up');
    });

    it('says that a route is no longer down when a reload takes it away', async () => {
      await begin(both());
      await breakHop();
      await untilEvent('route.down');
      scheduler.setLanes(new Map([['other', target(other)]]));
      await untilEvent('route.up');
    });

    it('lets one message through to see when a probe says too little', async () => {
      transport = createFakeTransport({ capacity: 5 });
      await begin(both());
      await breakHop({ ...REFUSED_CONNECTION, stage: 'mail', cause: 'route', code: 421 });
      for (let i = 0; i < 3; i++) await queue(`r${i}@example.net`, 'critical', 2_000_000_000, { via: ['hop'] });
      await clock.advance(5_000);
      await until(() => transport.probes.length === 1, 'a probe', 5000);
      transport.probes[0]?.answer(DELIVERED);
      await untilCalls(4);
      await clock.advance(100);
      expect(transport.calls).toHaveLength(4);
      transport.calls[3]?.answer(DELIVERED);
      await untilCalls(6);
    });

    it('probes a route that was down when the relay stopped before it sends mail there', async () => {
      const id = await queue('ann@example.net', 'critical', 2_000_000_000, { via: ['hop'] });
      await begin(both(), store.queue, new Set(['hop']));
      await until(() => transport.probes.length === 1, 'a probe', 5000);
      expect(transport.calls).toHaveLength(0);
      transport.probes[0]?.answer(DELIVERED);
      await untilCalls(1);
      transport.calls[0]?.answer(DELIVERED);
      await untilState(id, 'delivered');
    });
  });

  it('breaks off an attempt whose message was replaced by a newer one', async () => {
    await begin();
    const old = await queue('ann@example.net', 'critical', 2_000_000_000, { collapseScope: 'reset' });
    await untilCalls(1);
    const young = await queue('ann@example.net', 'critical', 2_000_000_000, { collapseScope: 'reset' });
    await untilState(old, 'superseded');
    await untilCalls(2);
    transport.calls[1]?.answer(DELIVERED);
    await untilState(young, 'delivered');
  });

  it('says once that a message is delayed', async () => {
    await begin();
    await queue('ann@example.net', 'critical', 2_000_000_000, { delayedAfterMs: 30_000 });
    await untilCalls(1);
    await clock.advance(29_900);
    expect(await events()).not.toContain('message.delayed');
    await clock.advance(200);
    await untilEvent('message.delayed');
    await clock.advance(60_000);
    expect((await events()).filter((type) => type === 'message.delayed')).toHaveLength(1);
  });
});
