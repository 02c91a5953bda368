import { describe, expect, it } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { createIds } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { Transport } from '../../src/delivery/transport.ts';
import { type AttemptDeps, runAttempt } from '../../src/queue/attempt.ts';
import type { Lease, Settlement } from '../../src/store/store.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { createManualClock } from '../support/clock.ts';
import { testConfig } from '../support/config.ts';

const clock = createManualClock(1_000_000);
const ids = createIds(clock);
const lease: Lease = {
  deliveryId: ids.delivery(),
  messageId: ids.message(),
  token: 1,
  leaseUntil: 2_000_000,
  route: 'hop',
  via: ['hop'],
  recipient: address('ann@example.net'),
  mailFrom: '',
  dsn: { ret: null, envid: null },
  recipientDsn: null,
  smtpUtf8: false,
  eightBit: false,
  requireTls: false,
  priority: 'critical',
  tag: null,
  attempts: 0,
  crashes: 0,
  acceptedAt: 999_000,
  dueAt: 999_900,
  deadline: 9_000_000,
};
const delivered: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  nextHop: 'hop:25',
  tls: null,
  code: 250,
  enhanced: null,
  response: 'ok',
  timings: { transaction: 5 },
};

interface Recorded {
  readonly outcome: Outcome;
  readonly settlement: Settlement;
}

function setUp(over: Partial<AttemptDeps['store']> = {}): { deps: AttemptDeps; recorded: Recorded[] } {
  const recorded: Recorded[] = [];
  const deps: AttemptDeps = {
    store: {
      settle(_lease, outcome, settlement) {
        recorded.push({ outcome, settlement });
        return Promise.resolve('settled');
      },
      release: () => Promise.resolve('released'),
      content: () => Promise.resolve(Buffer.from('stored')),
      ...over,
    },
    cachedContent: () => null,
    clock,
    log: silentLog,
    retry: () => testConfig().retry,
    onSettled() {},
  };
  return { deps, recorded };
}

const answering = (outcome: Outcome): Transport => ({
  capacity: 1,
  rate: null,
  deliver: () => Promise.resolve(outcome),
  stop: () => Promise.resolve(),
});
const running = new AbortController().signal;

describe('an attempt', () => {
  it('records the time that the delivery waited in the queue', async () => {
    const { deps, recorded } = setUp();
    await runAttempt(deps, lease, { transport: answering(delivered), captures: false, isProtected: true }, running);
    expect(recorded[0]?.outcome.timings).toEqual({ queue: 100, transaction: 5 });
  });

  it('marks what a sandbox took as captured', async () => {
    const { deps, recorded } = setUp();
    await runAttempt(deps, lease, { transport: answering(delivered), captures: true, isProtected: true }, running);
    expect(recorded[0]?.settlement).toEqual({ state: 'delivered', captured: true });
  });

  it('quarantines a delivery whose content is missing and sends nothing', async () => {
    const { deps, recorded } = setUp({ content: () => Promise.resolve(null) });
    const transport = { ...answering(delivered), deliver: () => Promise.reject(new Error('must not be called')) };
    await runAttempt(deps, lease, { transport, captures: false, isProtected: true }, running);
    expect(recorded[0]?.settlement).toMatchObject({ state: 'quarantined' });
  });

  it('asks the store again until the result is recorded', async () => {
    let failures = 2;
    const { deps, recorded } = setUp();
    const settle = deps.store.settle;
    const flaky: AttemptDeps = {
      ...deps,
      store: {
        ...deps.store,
        settle: (...given) =>
          failures-- > 0
            ? Promise.reject(new RelayError('disk full', { code: 'store-full', op: 'store.settle' }))
            : settle(...given),
      },
    };
    const done = runAttempt(
      flaky,
      lease,
      { transport: answering(delivered), captures: false, isProtected: true },
      running,
    );
    await clock.advance(1000);
    await clock.advance(1000);
    await done;
    expect(recorded).toHaveLength(1);
  });

  it('does not send at all what requires TLS over a route without it', async () => {
    const { deps, recorded } = setUp();
    const transport = { ...answering(delivered), deliver: () => Promise.reject(new Error('must not be called')) };
    const target = { transport, captures: false, isProtected: false };
    await runAttempt(deps, { ...lease, requireTls: true }, target, running);
    expect(recorded[0]).toMatchObject({
      outcome: { kind: 'deferred', cause: 'tls' },
      settlement: { state: 'deferred' },
    });
  });

  it('does not send at all what is past its deadline', async () => {
    const { deps, recorded } = setUp();
    const transport = { ...answering(delivered), deliver: () => Promise.reject(new Error('must not be called')) };
    const target = { transport, captures: false, isProtected: true };
    await runAttempt(deps, { ...lease, deadline: clock.now() }, target, running);
    expect(recorded[0]?.settlement).toMatchObject({ state: 'expired' });
  });

  it('asks the store again for content that it could not read', async () => {
    let failures = 1;
    const { deps, recorded } = setUp({
      content: () =>
        failures-- > 0
          ? Promise.reject(new RelayError('locked', { code: 'store-io', op: 'store.content' }))
          : Promise.resolve(Buffer.from('stored')),
    });
    const target = { transport: answering(delivered), captures: false, isProtected: true };
    const done = runAttempt(deps, lease, target, running);
    await clock.advance(1000);
    await done;
    expect(recorded[0]?.settlement).toMatchObject({ state: 'delivered' });
  });

  it('says when a deferred delivery is due again', async () => {
    const { deps } = setUp();
    const outcome: Outcome = { ...delivered, kind: 'deferred', cause: 'route' };
    const end = await runAttempt(
      deps,
      lease,
      { transport: answering(outcome), captures: false, isProtected: true },
      running,
    );
    expect(end.dueAt).toBe(clock.now() + 5000);
  });

  it('records nothing and goes on when its lease was lost', async () => {
    const { deps } = setUp({ settle: () => Promise.resolve('lost') });
    const end = await runAttempt(
      deps,
      lease,
      { transport: answering(delivered), captures: false, isProtected: true },
      running,
    );
    expect(end.dueAt).toBeNull();
  });
});
