import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import type { DeliveryState } from '../../src/core/delivery.ts';
import { createIds, type MessageId } from '../../src/core/ids.ts';
import type { Priority } from '../../src/core/message.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { DeliveryRequest, Transport } from '../../src/delivery/transport.ts';
import { createContentCache } from '../../src/queue/content-cache.ts';
import type { AttemptTarget } from '../../src/queue/attempt.ts';
import { createScheduler, type Scheduler } from '../../src/queue/scheduler.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { HeadStart, QueueStore, Store } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { testConfig } from '../support/config.ts';
import { until } from '../support/relay.ts';

const DELIVERED: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  nextHop: 'hop:25',
  tls: null,
  code: 250,
  enhanced: '2.0.0',
  response: 'ok',
  timings: {},
};
const DEFERRED: Outcome & { readonly kind: 'deferred' } = {
  ...DELIVERED,
  kind: 'deferred',
  cause: 'route',
  stage: 'connect',
  code: null,
};

/** A transport that the test answers for; it notes what runs at the same time. */
function createFakeTransport(capacity: number): Transport & {
  readonly calls: { readonly request: DeliveryRequest; readonly answer: (outcome: Outcome) => void }[];
  highWater: number;
} {
  let running = 0;
  const fake = {
    capacity,
    rate: null,
    calls: [] as { request: DeliveryRequest; answer: (outcome: Outcome) => void }[],
    highWater: 0,
    async deliver(request: DeliveryRequest, signal: AbortSignal): Promise<Outcome> {
      fake.highWater = Math.max(fake.highWater, ++running);
      try {
        return await new Promise<Outcome>((resolve) => {
          fake.calls.push({ request, answer: resolve });
          signal.addEventListener('abort', () => resolve({ ...DEFERRED, cause: 'local', response: 'given up' }));
        });
      } finally {
        running--;
      }
    },
    stop: () => Promise.resolve(),
  };
  return fake;
}

const target = (transport: Transport): AttemptTarget => ({ transport, captures: false, isProtected: true });

/** A failure of the store that passes. */
const trouble = (): Promise<never> => Promise.reject(new RelayError('locked', { code: 'store-io', op: 'store.test' }));

describe('the scheduler', () => {
  let clock: ManualClock;
  let store: Store;
  let scheduler: Scheduler;
  let transport: ReturnType<typeof createFakeTransport>;
  let retired: Transport[];
  const ids = createIds({ now: () => 1, monotonicMs: () => 1, after: () => () => {} });

  beforeEach(async () => {
    clock = createManualClock(1_000_000);
    store = await openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled: true, exclusive: false });
    transport = createFakeTransport(1);
    retired = [];
  });

  afterEach(async () => {
    await scheduler.stop();
    await store.stop();
  });

  const begin = async (
    lanes: ReadonlyMap<string, AttemptTarget> = new Map([['hop', target(transport)]]),
    queueStore: QueueStore = store.queue,
  ): Promise<void> => {
    const cache = createContentCache(1000);
    scheduler = createScheduler(
      {
        store: queueStore,
        clock,
        log: silentLog,
        retry: () => testConfig().retry,
        cachedContent: (id) => cache.get(id),
        onSettled() {},
        onRetired: (quiet) => void retired.push(quiet),
      },
      lanes,
    );
    await scheduler.start();
  };

  const queue = async (
    recipient: string,
    priority: Priority = 'normal',
    deadline = 2_000_000_000,
  ): Promise<MessageId> => {
    const id = ids.message();
    await store.intake.accept({
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
        client: { address: '127.0.0.1', helo: 'app', tls: null },
      },
      deliveries: [
        {
          id: ids.delivery(),
          recipient: address(recipient),
          dsn: null,
          rule: 'default',
          ruleReason: 'matches everything',
          via: ['hop', 'other'],
          route: 'hop',
        },
      ],
      content: Buffer.from('hello'),
      idempotency: null,
      leaseMs: null,
    });
    scheduler?.wake('hop', clock.now(), deadline);
    return id;
  };

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
    await until(() => scheduler.headStart('hop') !== null, 'a head start', 5000);
    expect(scheduler.headStart('hop')).toBeNull();
  });

  it('gives no head start past mail that is due', async () => {
    transport = createFakeTransport(2);
    await begin();
    await until(() => scheduler.hasRoom('hop') && scheduler.busy() === 0, 'an idle route', 5000);
    scheduler.wake('hop', clock.now(), 2_000_000_000);
    expect(scheduler.headStart('hop')).toBeNull();
  });

  it('has the slot of a head start back when nothing was accepted', async () => {
    await begin();
    let held = null as HeadStart | null;
    await until(() => (held ??= scheduler.headStart('hop')) !== null, 'a head start', 5000);
    held?.cancel();
    expect(scheduler.hasRoom('hop')).toBe(true);
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
    transport = createFakeTransport(3);
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
    expect(await store.history.attempts(id)).toMatchObject([{ number: 1, outcome: 'deferred', cause: 'route' }]);
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
    const broken: Transport = {
      capacity: 1,
      rate: null,
      deliver: () => Promise.reject(new Error('bug')),
      stop: async () => {},
    };
    await begin(
      new Map([
        ['hop', { transport: broken, captures: false, isProtected: true }],
        ['other', { transport, captures: false, isProtected: true }],
      ]),
    );
    const id = await queue('ann@example.net');
    await until(async () => (await stateOf(id)) === 'sending' && scheduler.busy() === 0, 'the attempt to fail', 5000);
    expect(scheduler.hasRoom('hop')).toBe(true);
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
    const other = createFakeTransport(1);
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
    const other = createFakeTransport(1);
    await begin(new Map([['other', target(other)]]));
    await queue('ann@example.net');
    await until(() => other.calls.length === 1, 'an attempt on the other route', 5000);
  });

  it('goes on by itself after the store failed once to say what is due', async () => {
    let failures = 0;
    await begin(undefined, { ...store.queue, nextDue: () => (failures-- > 0 ? trouble() : store.queue.nextDue()) });
    await until(() => scheduler.headStart('hop') !== null, 'a quiet start', 5000);
    await scheduler.stop();

    failures = 1;
    const id = await queue('ann@example.net');
    await begin(undefined, { ...store.queue, nextDue: () => (failures-- > 0 ? trouble() : store.queue.nextDue()) });
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
    await until(() => scheduler.hasRoom('hop'), 'the start', 5000);
    const atStart = reclaims;
    const id = await queue('ann@example.net');
    await untilCalls(1);
    for (let i = 0; i < 5; i++) await clock.advance(100_000);
    expect(reclaims).toBe(atStart);
    transport.calls[0]?.answer(DELIVERED);
    await untilState(id, 'delivered');
    expect(await store.history.attempts(id)).toHaveLength(1);
  });
});
