/** Direct delivery when somebody else's servers and DNS take their time: how much of the route they can hold. */
import { expect, test } from 'vitest';
import type { Priority } from '../../src/core/message.ts';
import { createManualClock } from '../support/clock.ts';
import { stall } from '../support/next-hop.ts';
import { hopsOn, mxBench, NOW, type Zone } from './mx-fixture.ts';

const turns = async (): Promise<void> => {
  // oxlint-disable-next-line no-await-in-loop -- turns come one after another
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
};

/** Every domain has a mail host of its own name; all are on `addresses`. */
const zoneOn = (...addresses: readonly string[]): Zone => ({
  mx: (domain) => [[10, `mx.${domain}`]],
  addresses: new Proxy({}, { get: () => addresses }),
});

const to = (domain: string, priority: Priority = 'critical') => ({ recipient: `ann@${domain}`, priority });

// ------------------------------------------------------------- connections per network

test('hosts of many names on one address share one limit', async () => {
  const [hop] = await hopsOn({ on: { MAIL: stall } });
  const clock = createManualClock(NOW);
  const route = { connectionsPerHost: 1 };
  const { deliver } = mxBench({ zone: zoneOn('127.0.0.2'), port: hop?.port ?? 0, route, clock });
  const abort = new AbortController();
  const first = deliver(to('a.example', 'normal'), abort.signal);
  await hop?.until(() => hop.reached('MAIL') === 1);
  const second = deliver(to('b.example', 'normal'));
  await turns();
  expect(hop?.connections()).toBe(1);
  await clock.advance(30_000);
  const outcome = await second;
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'connect' });
  expect(outcome.response).toContain('127.0.0.0/24');
  abort.abort();
  await first;
});

test('addresses of one network share one limit, those of another have their own', async () => {
  const [first, , third] = await hopsOn({ on: { MAIL: stall } }, {}, { host: '127.0.1.2' });
  const zone: Zone = {
    mx: (domain) => [[10, `mx.${domain}`]],
    addresses: { 'mx.a.example': ['127.0.0.2'], 'mx.b.example': ['127.0.0.3', '127.0.1.2'] },
  };
  const { deliver } = mxBench({ zone, port: first?.port ?? 0, route: { connectionsPerHost: 1 } });
  const abort = new AbortController();
  const busy = deliver(to('a.example'), abort.signal);
  await first?.until(() => first.reached('MAIL') === 1);
  expect((await deliver(to('b.example'))).nextHop).toBe(`mx.b.example[127.0.1.2]:${third?.port}`);
  abort.abort();
  await busy;
});

test('idle connections of other hosts in the network make room for a new one', async () => {
  const [hop] = await hopsOn({});
  const route = { connectionsPerHost: 1 };
  const { deliver } = mxBench({ zone: zoneOn('127.0.0.2'), port: hop?.port ?? 0, route });
  await deliver(to('a.example'));
  expect((await deliver(to('b.example'))).kind).toBe('delivered');
  await hop?.until(() => hop.openConnections() === 1);
  expect(hop?.reached('QUIT')).toBe(1);
});

test('a try at an address leaves the place there before it goes on to the next network', async () => {
  const [, second] = await hopsOn({}, { host: '127.0.1.2' });
  const zone = zoneOn('127.0.0.9', '127.0.1.2');
  const { deliver } = mxBench({ zone, port: second?.port ?? 0, route: { connectionsPerHost: 1 } });
  for (const domain of ['a.example', 'b.example', 'c.example']) {
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    expect((await deliver(to(domain))).kind).toBe('delivered');
  }
});

// ------------------------------------------------------------- waiting at one gate

test('a waiter too many is deferred at once, and the text says why', async () => {
  const [hop] = await hopsOn({ on: { RCPT: stall } });
  const route = { connectionsPerHost: 1 };
  const { deliver } = mxBench({
    zone: zoneOn('127.0.0.2'),
    port: hop?.port ?? 0,
    route,
    clock: createManualClock(NOW),
  });
  const abort = new AbortController();
  const held = [deliver(to('a.example'), abort.signal)];
  await hop?.until(() => hop.reached('RCPT') === 1);
  held.push(deliver(to('b.example'), abort.signal), deliver(to('c.example'), abort.signal));
  const outcome = await deliver(to('d.example'));
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'connect', nextHop: null });
  expect(outcome.response).toMatch(/mx\.d\.example.*127\.0\.0\.0\/24.*connections_per_host/);
  abort.abort();
  await Promise.all(held);
  expect(hop?.connections()).toBe(1);
});

// ------------------------------------------------------------- slow look-ups

const SLOW_DNS: Zone = { ...zoneOn('127.0.0.2'), silent: (question) => question.includes('slow') };

test('silent DNS of many domains holds half of the route, and cached domains go on', async () => {
  const [hop] = await hopsOn({});
  const { deliver, lookup } = mxBench({ zone: SLOW_DNS, port: hop?.port ?? 0, route: { connections: 4 } });
  const abort = new AbortController();
  const held = ['slow1.example', 'slow2.example'].map((domain) => deliver(to(domain), abort.signal));
  await turns();
  const outcomes = await Promise.all(['slow3.example', 'slow4.example'].map((domain) => deliver(to(domain))));
  for (const outcome of outcomes) {
    expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'dns', nextHop: null });
  }
  expect(outcomes[0]?.response).toMatch(/slow3\.example.*connections of the route/);
  expect((await deliver(to('cached.example'))).kind).toBe('delivered');
  expect(lookup.asked).toContain('mx slow4.example');
  abort.abort();
  expect((await Promise.all(held)).every(({ kind }) => kind === 'deferred')).toBe(true);
  const free = new AbortController();
  const later = deliver(to('slow5.example'), free.signal);
  await turns();
  free.abort();
  expect((await later).response).not.toContain('connections of the route');
});

test('silent DNS for addresses and TLSA records holds half of the route too', async () => {
  const zone: Zone = {
    ...zoneOn('127.0.0.2'),
    authentic: true,
    silent: (question) => /^addresses mx\.a|^tlsa/.test(question),
  };
  const { deliver } = mxBench({ zone, route: { connections: 4, dane: true } });
  const abort = new AbortController();
  const held = ['a1.example', 'b1.example'].map((domain) => deliver(to(domain), abort.signal));
  await turns();
  for (const domain of ['a2.example', 'b2.example']) {
    // oxlint-disable-next-line no-await-in-loop -- one after another is the point
    expect(await deliver(to(domain))).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'dns' });
  }
  abort.abort();
  await Promise.all(held);
});

test('a host that could not be looked up for want of room does not hide what another host said', async () => {
  const [hop] = await hopsOn({
    on: { RCPT: () => ({ kind: 'say', octets: '450 4.3.0 later\r\n', thenHangUp: false }) },
  });
  const zone: Zone = {
    mx: (domain) =>
      domain === 'example.net'
        ? [
            [10, 'mx1'],
            [20, 'slow'],
          ]
        : [[10, 'slow']],
    addresses: { mx1: ['127.0.0.2'] },
    silent: (question) => question.includes('slow'),
  };
  const { deliver } = mxBench({ zone, port: hop?.port ?? 0, route: { connections: 2 } });
  const abort = new AbortController();
  const held = deliver(to('other.example'), abort.signal);
  await turns();
  expect(await deliver(to('example.net'))).toMatchObject({ kind: 'deferred', code: 450, stage: 'rcpt' });
  abort.abort();
  await held;
});
