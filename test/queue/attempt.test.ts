import { beforeEach, describe, expect, it } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { createIds } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { Transport } from '../../src/delivery/transport.ts';
import { type AttemptDeps, type AttemptEnd, runAttempt } from '../../src/queue/attempt.ts';
import { createJourney, passengerOf } from '../../src/queue/journey.ts';
import type { LaneTarget } from '../../src/queue/lane.ts';
import { createLanes, type Lanes } from '../../src/queue/lanes.ts';
import type { Lease, Settlement, Try } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { testConfig } from '../support/config.ts';
import { createFakeTransport, DELIVERED, REFUSED_CONNECTION, target } from './route.ts';

interface Recorded {
  readonly tries: readonly Try[];
  readonly settlement: Settlement;
}

let clock: ManualClock;
let lease: Lease;
let recorded: Recorded[];
let released: number;
let stopping: AbortController;
let superseded: AbortController;
let lanes: Lanes;

beforeEach(() => {
  clock = createManualClock(1_000_000);
  const ids = createIds(clock);
  recorded = [];
  released = 0;
  stopping = new AbortController();
  superseded = new AbortController();
  lease = {
    deliveryId: ids.delivery(),
    messageId: ids.message(),
    token: 1,
    leaseUntil: 2_000_000,
    route: 'a',
    via: ['a', 'b', 'c'],
    recipient: address('ann@example.net'),
    mailFrom: '',
    dsn: { ret: null, envid: null },
    recipientDsn: null,
    smtpUtf8: false,
    eightBit: false,
    requireTls: false,
    priority: 'critical',
    tag: null,
    deadlineSource: 'header',
    destination: '',
    attempts: 0,
    rounds: 0,
    crashes: 0,
    acceptedAt: 999_000,
    dueAt: 999_900,
    deadline: 9_000_000,
  };
});

/** Runs one attempt of `lease` over `routes`, beginning on the first. */
function run(
  routes: Readonly<Record<string, Transport | LaneTarget>>,
  over: Partial<AttemptDeps['store']> = {},
): Promise<AttemptEnd> {
  const targets = Object.entries(routes).map(
    ([name, given]) => [name, 'transport' in given ? given : target(given)] as const,
  );
  lanes = createLanes(new Map(targets), new Set(), clock, () => {});
  const first = lanes.get(targets[0]?.[0] ?? '');
  if (first === undefined) throw new Error('no route');
  first.take(passengerOf(lease));
  const deps: AttemptDeps = {
    store: {
      settle(_lease, tries, settlement) {
        recorded.push({ tries: [...tries], settlement });
        return Promise.resolve('settled');
      },
      release() {
        released++;
        return Promise.resolve('released');
      },
      content: () => Promise.resolve(Buffer.from('stored')),
      ...over,
    },
    cachedContent: () => null,
    clock,
    log: silentLog,
    rules: () => ({ retry: testConfig().retry, suppressForMs: 86_400_000 }),
    onTried() {},
  };
  const signals = { stopping: stopping.signal, superseded: superseded.signal };
  return runAttempt(deps, lease, createJourney(lanes, first, lease), signals);
}

const always = (outcome: Outcome) => createFakeTransport({ always: outcome });
const never: Transport = {
  ...createFakeTransport(),
  deliver: () => Promise.reject(new Error('must not be called')),
};
const routesTried = (): string[] => recorded.flatMap(({ tries }) => tries.map(({ route }) => route));

describe('an attempt', () => {
  it('records the time that the delivery waited in the queue', async () => {
    await run({ a: always({ ...DELIVERED, timings: { transaction: 5 } }) });
    expect(recorded[0]?.tries[0]?.outcome.timings).toEqual({ queue: 100, transaction: 5 });
  });

  it('marks what a sandbox took as captured', async () => {
    await run({ a: target(always(DELIVERED), { captures: true }) });
    expect(recorded[0]?.settlement).toEqual({ state: 'delivered', captured: true });
  });

  it('quarantines a delivery whose content is missing and sends nothing', async () => {
    await run({ a: never }, { content: () => Promise.resolve(null) });
    expect(recorded[0]?.settlement).toMatchObject({ state: 'quarantined' });
  });

  it('asks the store again until the result is recorded', async () => {
    let failures = 2;
    let settled = 0;
    const done = run(
      { a: always(DELIVERED) },
      {
        settle: () => {
          if (failures-- > 0) return Promise.reject(new RelayError('full', { code: 'store-full', op: 'store.settle' }));
          settled++;
          return Promise.resolve('settled');
        },
      },
    );
    await clock.advance(1000);
    await clock.advance(1000);
    await done;
    expect(settled).toBe(1);
  });

  it('does not send at all what requires TLS over a route without it', async () => {
    lease = { ...lease, requireTls: true };
    await run({ a: target(never, { isProtected: false }) });
    expect(recorded[0]).toMatchObject({
      tries: [{ outcome: { kind: 'deferred', cause: 'tls' } }],
      settlement: { state: 'deferred' },
    });
  });

  it('does not send at all what is past its deadline', async () => {
    lease = { ...lease, deadline: clock.now() };
    await run({ a: never, b: never });
    expect(recorded[0]?.settlement).toMatchObject({ state: 'expired' });
  });

  it('asks the store again for content that it could not read', async () => {
    let failures = 1;
    const done = run(
      { a: always(DELIVERED) },
      {
        content: () =>
          failures-- > 0
            ? Promise.reject(new RelayError('locked', { code: 'store-io', op: 'store.content' }))
            : Promise.resolve(Buffer.from('stored')),
      },
    );
    await clock.advance(1000);
    await done;
    expect(recorded[0]?.settlement).toMatchObject({ state: 'delivered' });
  });

  it('says when and where a deferred delivery is due again', async () => {
    const end = await run({ a: always({ ...REFUSED_CONNECTION, cause: 'recipient', stage: 'rcpt', code: 450 }) });
    expect(end).toMatchObject({ dueAt: clock.now() + 5000, route: 'a' });
  });

  it('records nothing and goes on when its lease was lost', async () => {
    expect(await run({ a: always(DELIVERED) }, { settle: () => Promise.resolve('lost') })).toBeNull();
  });

  it('is not due again when a newer message took its place meanwhile', async () => {
    const end = await run({ a: always(REFUSED_CONNECTION) }, { settle: () => Promise.resolve('superseded') });
    expect(end).toBeNull();
  });

  it('tells the transport how long the message is worth something when somebody asked for that', async () => {
    const a = always(DELIVERED);
    await run({ a });
    expect(a.calls[0]?.request.deliverBy).toBe(lease.deadline);
  });

  it('tells the transport of no deadline that nobody asked for', async () => {
    lease = { ...lease, deadlineSource: 'give-up' };
    const a = always(DELIVERED);
    await run({ a });
    expect(a.calls[0]?.request.deliverBy).toBeNull();
  });

  it('is broken off when a newer message takes its place', async () => {
    const a = createFakeTransport();
    const done = run({ a, b: never });
    await clock.advance(10);
    superseded.abort();
    await done;
    expect(recorded[0]).toMatchObject({ tries: [{ outcome: { kind: 'deferred', cause: 'local' } }] });
  });
});

describe('fail-over', () => {
  for (const cause of ['dns', 'connect', 'tls', 'auth', 'route'] as const) {
    it(`goes on over the next route at once when the first fails with cause ${cause}`, async () => {
      await run({ a: always({ ...REFUSED_CONNECTION, cause, stage: 'ehlo' }), b: always(DELIVERED) });
      expect(routesTried()).toEqual(['a', 'b']);
      expect(recorded[0]?.settlement).toMatchObject({ state: 'delivered' });
    });
  }

  it('goes on when a provider throttles at MAIL', async () => {
    await run({ a: always({ ...REFUSED_CONNECTION, cause: 'route', stage: 'mail', code: 421 }), b: always(DELIVERED) });
    expect(routesTried()).toEqual(['a', 'b']);
  });

  it('does not go on for a recipient’s 4xx', async () => {
    await run({ a: always({ ...REFUSED_CONNECTION, cause: 'recipient', stage: 'rcpt', code: 450 }), b: never });
    expect(routesTried()).toEqual(['a']);
  });

  it('does not go on for a bounce', async () => {
    await run({
      a: always({ ...REFUSED_CONNECTION, kind: 'rejected', cause: 'recipient', stage: 'rcpt', code: 550 }),
      b: never,
    });
    expect(recorded[0]?.settlement).toMatchObject({ state: 'bounced' });
  });

  it('does not go on once the final dot may have been written', async () => {
    await run({ a: always({ ...REFUSED_CONNECTION, kind: 'uncertain', cause: 'route', stage: 'dot' }), b: never });
    expect(routesTried()).toEqual(['a']);
  });

  it('does not go on when the dot was answered with 421', async () => {
    await run({ a: always({ ...REFUSED_CONNECTION, cause: 'route', stage: 'dot', code: 421 }), b: never });
    expect(routesTried()).toEqual(['a']);
  });

  it('waits for the retry on the same route after the final dot', async () => {
    const end = await run({
      a: always({ ...REFUSED_CONNECTION, kind: 'uncertain', cause: 'route', stage: 'dot' }),
      b: never,
    });
    expect(end?.route).toBe('a');
  });

  it('tries each route once, in the order of the rule', async () => {
    await run({ a: always(REFUSED_CONNECTION), c: always(REFUSED_CONNECTION), b: always(REFUSED_CONNECTION) });
    expect(routesTried()).toEqual(['a', 'b', 'c']);
    expect(recorded[0]?.settlement).toMatchObject({ state: 'deferred', route: 'a', dueAt: clock.now() + 5000 });
  });

  it('takes one step of the ladder for a round, however many routes were tried in it and before', async () => {
    lease = { ...lease, attempts: 5, rounds: 1 };
    const end = await run({ a: always(REFUSED_CONNECTION) });
    expect(end?.dueAt).toBe(clock.now() + 15_000);
    expect(recorded[0]?.settlement).toMatchObject({ rounds: 2 });
  });

  it('takes no step of the ladder for a wait in line', async () => {
    const a = createFakeTransport();
    const done = run({ a, b: never });
    lanes.get('b')?.take(passengerOf(lease));
    await clock.advance(0);
    a.calls[0]?.answer(REFUSED_CONNECTION);
    await done;
    expect(recorded[0]?.settlement).not.toHaveProperty('rounds');
  });

  it('never uses a route that is not the rule’s', async () => {
    lease = { ...lease, via: ['a', 'c'] };
    await run({ a: always(REFUSED_CONNECTION), b: never, c: always(DELIVERED) });
    expect(routesTried()).toEqual(['a', 'c']);
  });

  it('passes over a route without TLS when the message requires it', async () => {
    lease = { ...lease, requireTls: true };
    await run({ a: always(REFUSED_CONNECTION), b: target(never, { isProtected: false }), c: always(DELIVERED) });
    expect(routesTried()).toEqual(['a', 'c']);
  });

  it('stands in line for the next route, due at once, when that has no slot', async () => {
    const a = createFakeTransport();
    const done = run({ a, b: never });
    lanes.get('b')?.take(passengerOf(lease));
    a.calls[0]?.answer(REFUSED_CONNECTION);
    await clock.advance(0);
    a.calls[0]?.answer(REFUSED_CONNECTION);
    expect(await done).toMatchObject({ dueAt: clock.now(), route: 'b' });
  });

  it('gives the slot of the failed route back before it goes on', async () => {
    const b = createFakeTransport();
    const done = run({ a: always(REFUSED_CONNECTION), b });
    await clock.advance(0);
    expect([lanes.get('a')?.busy(), lanes.get('b')?.busy()]).toEqual([0, 1]);
    b.calls[0]?.answer(DELIVERED);
    await done;
  });

  it('leaves a route that is silent when its share of the time is used up', async () => {
    lease = { ...lease, deadline: clock.now() + 9000 };
    const done = run({ a: createFakeTransport(), b: always(DELIVERED), c: never });
    await clock.advance(3000);
    await done;
    expect(recorded[0]?.tries[0]?.outcome).toMatchObject({ kind: 'deferred', cause: 'route' });
    expect(routesTried()).toEqual(['a', 'b']);
  });

  it('gives the last route all the time that is left', async () => {
    lease = { ...lease, deadline: clock.now() + 9000 };
    const a = createFakeTransport();
    const done = run({ a });
    await clock.advance(8999);
    a.calls[0]?.answer(DELIVERED);
    await done;
    expect(recorded[0]?.settlement).toMatchObject({ state: 'delivered' });
  });

  it('records what was tried when the relay stops between two routes', async () => {
    const b = createFakeTransport();
    const done = run({ a: always(REFUSED_CONNECTION), b });
    await clock.advance(0);
    stopping.abort();
    await done;
    expect(recorded[0]).toMatchObject({ settlement: { state: 'deferred', dueAt: clock.now() } });
    expect(routesTried()).toEqual(['a']);
  });

  it('gives a delivery back unrecorded when the relay stops during its first try', async () => {
    const done = run({ a: createFakeTransport() });
    await clock.advance(0);
    stopping.abort();
    await done;
    expect([released, recorded.length]).toEqual([1, 0]);
  });
});
