/** The parts of direct delivery that decide without a network. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { PRIORITIES } from '../../src/core/message.ts';
import type { AttemptFacts, Cause, Outcome } from '../../src/core/outcome.ts';
import { createHostGate } from '../../src/delivery/mx/host-gate.ts';
import { createHosts } from '../../src/delivery/mx/hosts.ts';
import { orderHosts, targetsOf } from '../../src/delivery/mx/targets.ts';
import { createTlsMemory } from '../../src/delivery/mx/tls-memory.ts';
import { sumUp } from '../../src/delivery/mx/tries.ts';
import { SMTP_TIMEOUTS } from '../../src/delivery/smtp/timeouts.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createManualClock } from '../support/clock.ts';
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

test('a host of which nothing is left is forgotten', async () => {
  const clock = createManualClock(NOW);
  const hosts = createHosts({ clock, timeouts: SMTP_TIMEOUTS, perHost: 2, connections: 4 });
  const host = hosts.get('mx1.example.net');
  await host.gate.enter('normal', 1_000, never());
  hosts.left('mx1.example.net');
  expect(hosts.size()).toBe(1);
  host.gate.leave();
  hosts.left('mx1.example.net');
  expect(hosts.size()).toBe(0);
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
