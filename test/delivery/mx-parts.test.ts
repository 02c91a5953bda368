/** The parts of direct delivery that decide without a network. */
import { expect, test } from 'vitest';
import { PRIORITIES } from '../../src/core/message.ts';
import type { AttemptFacts, Cause, Outcome } from '../../src/core/outcome.ts';
import { createHostGate } from '../../src/delivery/mx/host-gate.ts';
import { createHosts } from '../../src/delivery/mx/hosts.ts';
import { networkOf } from '../../src/delivery/mx/network-of.ts';
import { createSlowLookups } from '../../src/delivery/mx/slow-lookups.ts';
import { orderHosts, targetsOf } from '../../src/delivery/mx/targets.ts';
import { createTlsMemory } from '../../src/delivery/mx/tls-memory.ts';
import { sumUp } from '../../src/delivery/mx/tries.ts';
import { SMTP_TIMEOUTS } from '../../src/delivery/smtp/timeouts.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';
import { domainsOf, NOW } from './mx-fixture.ts';

const never = (): AbortSignal => new AbortController().signal;

// ------------------------------------------------------------- order

const no = (): boolean => false;

test('the order holds every host once, by preference, whatever chance says', () => {
  const host = fc.record({ name: fc.stringMatching(/^[a-z]{1,8}$/), preference: fc.nat({ max: 3 }) });
  fc.assert(
    fc.property(fc.array(host, { maxLength: 8 }), fc.double({ min: 0, max: 0.999, noNaN: true }), (hosts, chance) => {
      const order = orderHosts(hosts, { ownNames: new Set(), random: () => chance, isBusy: no, isDown: no });
      if (order.kind !== 'hosts') throw new Error('a loop without an own name');
      const preferences = order.hosts.map(({ preference }) => preference);
      expect(preferences).toEqual([...preferences].sort((a, b) => a - b));
      expect(order.hosts.map((each) => JSON.stringify(each)).sort()).toEqual(
        hosts.map((each) => JSON.stringify(each)).sort(),
      );
    }),
    { numRuns: 100 },
  );
});

test('of this relay and all that are not preferred to it nothing is left', () => {
  const hosts = [
    { name: 'a', preference: 5 },
    { name: 'me', preference: 10 },
    { name: 'b', preference: 10 },
    { name: 'c', preference: 20 },
    { name: 'me', preference: 30 },
  ];
  const order = orderHosts(hosts, { ownNames: new Set(['me']), random: () => 0, isBusy: no, isDown: no });
  expect(order).toEqual({ kind: 'hosts', hosts: [{ name: 'a', preference: 5 }] });
});

test('an address of each family is left from the source address of its own', () => {
  const rules = { allowPrivate: false, isPrivate: () => false, sourceIps: ['192.0.2.1', '2001:db8::1'] };
  expect(targetsOf(['2001:db8::9', '203.0.113.9'], rules).targets).toEqual([
    { address: '2001:db8::9', localAddress: '2001:db8::1' },
    { address: '203.0.113.9', localAddress: '192.0.2.1' },
  ]);
});

// ------------------------------------------------------------- gate

test.each([
  [1, [1, 1, 1]],
  [2, [2, 1, 1]],
  [3, [3, 2, 1]],
  [10, [10, 8, 7]],
])('of %i places the lanes can take %j', async (limit, expected) => {
  for (const [lane, priority] of PRIORITIES.entries()) {
    const gate = createHostGate(limit, createManualClock(NOW));
    const entries: Promise<unknown>[] = [];
    for (let i = 0; i <= limit; i++) entries.push(gate.enter(priority, 1_000, never()));
    expect(gate.inUse()).toBe(expected[lane]);
    expect(gate.isOpen(priority)).toBe(false);
  }
});

test('whoever waits is let in by lane, and within a lane in order', async () => {
  const gate = createHostGate(1, createManualClock(NOW));
  await gate.enter('bulk', 1_000, never());
  const entered: string[] = [];
  const wait = (name: string, priority: (typeof PRIORITIES)[number]): Promise<number> =>
    gate.enter(priority, 1_000, never()).then(() => entered.push(name));
  const all = [wait('bulk', 'bulk'), wait('normal', 'normal'), wait('first', 'critical'), wait('second', 'critical')];
  for (const one of [2, 3, 1, 0]) {
    gate.leave();
    await all[one];
  }
  expect(entered).toEqual(['first', 'second', 'normal', 'bulk']);
});

test('who gave up waiting takes no place', async () => {
  const clock = createManualClock(NOW);
  const gate = createHostGate(1, clock);
  await gate.enter('normal', 1_000, never());
  const abort = new AbortController();
  const late = gate.enter('normal', 1_000, never());
  const aborted = gate.enter('critical', 5_000, abort.signal);
  await clock.advance(1_000);
  abort.abort();
  expect(await late).toBe('late');
  expect(await aborted).toBe('aborted');
  gate.leave();
  expect([gate.inUse(), gate.waiting()]).toEqual([0, 0]);
});

test.each([
  [1, 2],
  [8, 2],
  [20, 5],
])('of each lane a quarter of %i places may wait, %i deliveries, and the next is turned away', async (limit, may) => {
  const gate = createHostGate(limit, createManualClock(NOW));
  const entries: Promise<unknown>[] = [];
  for (let i = 0; i < limit; i++) entries.push(gate.enter('critical', 1_000, never()));
  for (const priority of PRIORITIES) {
    const before = gate.waiting();
    for (let i = 0; i < may; i++) entries.push(gate.enter(priority, 1_000, never()));
    expect(gate.waiting()).toBe(before + may);
    // oxlint-disable-next-line no-await-in-loop -- the lanes come one after another
    expect(await gate.enter(priority, 1_000, never())).toBe('crowded');
  }
  expect(gate.inUse()).toBe(limit);
});

test('a host and a network of which nothing is left are forgotten', async () => {
  const clock = createManualClock(NOW);
  const hosts = createHosts({ clock, timeouts: SMTP_TIMEOUTS, perHost: 1, connections: 4 });
  for (const name of ['a', 'b']) hosts.visit(name, ['192.0.2.1']);
  expect(await hosts.enter('192.0.2.1', 'normal', 1_000, never())).toBe('entered');
  const late = hosts.enter('192.0.2.2', 'normal', 1_000, never());
  expect(hosts.size()).toBe(3);
  for (const name of ['a', 'b']) hosts.leave(name);
  expect(hosts.size()).toBe(1);
  await clock.advance(1_000);
  expect(await late).toBe('late');
  expect(hosts.size()).toBe(1);
  hosts.exit('192.0.2.1');
  expect(hosts.size()).toBe(0);
  expect(await hosts.enter('192.0.2.1', 'normal', 1_000, AbortSignal.abort())).toBe('aborted');
  expect(hosts.size()).toBe(0);
});

test('a host is busy when every network of it is, and what is not known is not', async () => {
  const hosts = createHosts({ clock: createManualClock(NOW), timeouts: SMTP_TIMEOUTS, perHost: 1, connections: 4 });
  hosts.visit('one', ['192.0.2.1', '192.0.2.2']);
  hosts.visit('two', ['192.0.2.3', '198.51.100.1']);
  await hosts.enter('192.0.2.9', 'normal', 1_000, never());
  expect(['one', 'two', 'three'].map((name) => hosts.isBusy(name, 'normal'))).toEqual([true, false, false]);
});

test.each([
  ['192.0.2.77', '192.0.2.0/24'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:DB8:0:0:1:2:3:4', '2001:db8:0:0::/64'],
  ['2001:db8:0:1::1', '2001:db8:0:1::/64'],
  ['::ffff:192.0.2.77', '192.0.2.0/24'],
  ['64:ff9b::c000:24d', '192.0.2.0/24'],
  ['64:ff9b::c633:6401', '198.51.100.0/24'],
])('%s counts as %s', (address, network) => {
  expect(networkOf(address)).toBe(network);
});

// ------------------------------------------------------------- slow look-ups

/** Asks that are answered when the test says so. */
function slowAsk(): { ask: (signal: AbortSignal) => Promise<{ at: number }>; answer(): void; aborted(): boolean } {
  let answer: () => void = () => {};
  let signal: AbortSignal | null = null;
  return {
    ask: (given) =>
      new Promise((resolve, reject) => {
        signal = given;
        answer = () => resolve({ at: 1 });
        given.addEventListener('abort', () => reject(given.reason), { once: true });
      }),
    answer: () => answer(),
    aborted: () => signal?.aborted === true,
  };
}

test('of the half of the route that waits for look-ups, less urgent lanes may take less', () => {
  const slow = createSlowLookups(40, createManualClock(NOW));
  expect(PRIORITIES.map((priority) => slow.places(priority))).toEqual([20, 16, 14]);
});

test('what is answered at once needs no place, and an answer or an abort gives the place back', async () => {
  const slow = createSlowLookups(2, createManualClock(NOW));
  for (const end of ['answer', 'abort'] as const) {
    const [held, abort] = [slowAsk(), new AbortController()];
    const first = slow.run('critical', abort.signal, held.ask);
    /* oxlint-disable no-await-in-loop -- one after another is the point */
    expect(await slow.run('bulk', never(), slowAsk().ask)).toBeNull();
    expect(await slow.run('bulk', never(), () => Promise.resolve({ at: 2 }))).toEqual({ at: 2 });
    if (end === 'answer') {
      held.answer();
      expect(await first).toEqual({ at: 1 });
    } else {
      abort.abort();
      await expect(first).rejects.toThrow(/abort/);
    }
    /* oxlint-enable no-await-in-loop */
  }
  const next = slowAsk();
  const last = slow.run('critical', never(), next.ask);
  await new Promise((resolve) => setImmediate(resolve));
  next.answer();
  expect(await last).toEqual({ at: 1 });
});

test('a look-up without a place goes on by itself for a moment, as many as there are places', async () => {
  const clock = createManualClock(NOW);
  const slow = createSlowLookups(2, clock);
  const [held, alone, tooMany, stopped] = [slowAsk(), slowAsk(), slowAsk(), slowAsk()];
  const first = slow.run('critical', never(), held.ask);
  expect(await slow.run('critical', never(), alone.ask)).toBeNull();
  expect(await slow.run('critical', never(), tooMany.ask)).toBeNull();
  expect([alone.aborted(), tooMany.aborted()]).toEqual([false, true]);
  await clock.advance(2_000);
  expect(alone.aborted()).toBe(true);
  expect(await slow.run('critical', never(), stopped.ask)).toBeNull();
  slow.stop();
  expect([stopped.aborted(), held.aborted()]).toEqual([true, false]);
  held.answer();
  await first;
});

// ------------------------------------------------------------- memory

test('a higher level is noted at once, a lower one never', async () => {
  const domains = domainsOf();
  const memory = createTlsMemory({ domains, clock: createManualClock(NOW), log: silentLog, route: 'direct' });
  for (const level of ['encrypted', 'verified', 'encrypted', 'none'] as const) {
    memory.note('example.net', level);
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    await memory.settled();
  }
  expect(domains.notes).toEqual(['example.net encrypted', 'example.net verified']);
  expect(await memory.floor('example.net')).toBe('verified');
});

// ------------------------------------------------------------- several faults

const fault = (over: Partial<AttemptFacts> & { readonly cause?: Cause }): Outcome => ({
  kind: 'deferred',
  cause: 'connect',
  stage: 'connect',
  nextHop: null,
  tls: null,
  code: null,
  enhanced: null,
  response: '',
  timings: {},
  ...over,
});

test('what is told of many faults fits into one record', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ maxLength: 600 }), { minLength: 1, maxLength: 8 }), (texts) => {
      const tries = texts.map((response, i) => ({ where: `mx${i}`, outcome: fault({ response }), hopeless: false }));
      expect((sumUp(tries)?.response ?? '').length).toBeLessThanOrEqual(500);
    }),
    { numRuns: 100 },
  );
});

test('a reply tells more than a refused TLS, that more than a broken talk, that more than no connection', () => {
  const all = [
    fault({ response: 'reply', stage: 'greeting', code: 554 }),
    fault({ response: 'tls', stage: 'starttls', cause: 'tls' }),
    fault({ response: 'broken', stage: 'ehlo' }),
    fault({ response: 'refused' }),
    fault({ response: 'dns', stage: 'dns' }),
  ];
  for (let from = 0; from < all.length; from++) {
    const tries = all.slice(from).map((outcome, i) => ({ where: `mx${i}`, outcome, hopeless: false }));
    expect(sumUp(tries)?.response.startsWith(all[from]?.response ?? '?')).toBe(true);
  }
});
