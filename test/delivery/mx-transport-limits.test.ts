/** Direct delivery: kept sessions, limits of connections, local addresses, and the end. */
import { expect, test } from 'vitest';
import { createManualClock } from '../support/clock.ts';
import { hangUp, stall } from '../support/next-hop.ts';
import { hopsOn, mxBench, NOW, ONE_HOST, TWO_HOSTS, type Zone } from './mx-fixture.ts';

test('the route tells the queue its limits, has no probe, and no next hop of its own', () => {
  const { transport } = mxBench({ zone: ONE_HOST, route: { connections: 7, connectionsPerDomain: 3 } });
  expect(transport).toMatchObject({ capacity: 7, perDestination: 3, probe: null });
});

// ------------------------------------------------------------- kept sessions

test('messages one after another go over one connection, whatever domain of the host they are for', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  await deliver();
  expect((await deliver({ recipient: 'bob@example.org' })).timings).toEqual({
    transaction: expect.any(Number) as number,
  });
  expect(hop?.connections()).toBe(1);
});

test('a kept connection to an address that DNS names no more is not used', async () => {
  const [first, second] = await hopsOn({}, {});
  const addresses: Record<string, readonly string[]> = { 'mx1.example.net': ['127.0.0.2'] };
  const { deliver } = mxBench({ zone: { mx: ONE_HOST.mx, addresses }, port: first?.port ?? 0 });
  await deliver();
  addresses['mx1.example.net'] = ['127.0.0.3'];
  expect((await deliver()).nextHop).toBe(`mx1.example.net[127.0.0.3]:${second?.port}`);
});

test('an unused connection is closed with QUIT after 30 s', async () => {
  const [hop] = await hopsOn({});
  const clock = createManualClock(NOW);
  await mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, clock }).deliver();
  await clock.advance(30_000);
  await hop?.until(() => hop.openConnections() === 0);
  expect(hop?.reached('QUIT')).toBe(1);
});

test('a kept connection that died is replaced within the attempt: one copy', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  await deliver();
  hop?.dropAll('reset');
  expect((await deliver()).kind).toBe('delivered');
  expect(hop?.messages.map(({ connection }) => connection)).toEqual([1, 2]);
});

test('a kept connection that was dead is no try: only what came after it is told', async () => {
  const [hop] = await hopsOn({
    on: {
      connect: ({ connection }) => (connection === 2 ? hangUp : null),
      MAIL: ({ transaction }) => (transaction === 2 ? hangUp : null),
    },
  });
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  await deliver();
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'greeting' });
  expect(outcome.response).not.toContain('tried');
});

test('idle connections to one host make room for a new one to another when the route has no more', async () => {
  const [first, second] = await hopsOn({}, {});
  const zone: Zone = {
    ...TWO_HOSTS,
    mx: [
      [10, 'mx1.example.net'],
      [10, 'mx2.example.net'],
    ],
  };
  let chance = 0;
  const { deliver } = mxBench({ zone, port: first?.port ?? 0, route: { connections: 1 }, random: () => chance });
  await deliver();
  chance = 0.99;
  await deliver();
  expect(second?.messages).toHaveLength(1);
  await first?.until(() => first.openConnections() === 0);
});

// ------------------------------------------------------------- connections per host

test('to one host there are no more connections than its limit, whatever domains they are for', async () => {
  const [hop] = await hopsOn({ on: { dot: stall } });
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { connectionsPerHost: 1 } });
  const first = deliver();
  await hop?.until(() => hop.reached('dot') === 1);
  const second = deliver({ recipient: 'bob@example.org' });
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setImmediate(resolve));
  expect(hop?.connections()).toBe(1);
  hop?.on('dot', null);
  hop?.dropAll('reset');
  expect((await first).kind).toBe('uncertain');
  expect((await second).kind).toBe('delivered');
  expect(hop?.connections()).toBe(2);
});

test('critical mail has a connection kept free when others are busy with bulk', async () => {
  const [hop] = await hopsOn({ on: { MAIL: stall } });
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { connectionsPerHost: 2 } });
  const abort = new AbortController();
  const bulk = [1, 2, 3].map(() => deliver({ priority: 'bulk' }, abort.signal));
  await hop?.until(() => hop.reached('MAIL') === 1);
  hop?.on('MAIL', null);
  expect((await deliver({ priority: 'critical' })).kind).toBe('delivered');
  abort.abort();
  expect((await Promise.all(bulk)).every(({ kind }) => kind === 'deferred')).toBe(true);
});

test('a wait for a connection is bounded: the message is deferred, and nobody is to blame', async () => {
  const [hop] = await hopsOn({ on: { MAIL: stall } });
  const clock = createManualClock(NOW);
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { connectionsPerHost: 1 }, clock });
  const abort = new AbortController();
  const first = deliver({}, abort.signal);
  await hop?.until(() => hop.reached('MAIL') === 1);
  const second = deliver();
  await clock.advance(30_000);
  const outcome = await second;
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'connect', nextHop: null });
  expect(outcome.response).toMatch(/connections to mx1\.example\.net .* were busy for as long as an attempt waits/);
  abort.abort();
  await first;
});

test('the wait for a connection does not count against the time to find a host', async () => {
  const [hop] = await hopsOn({ on: { MAIL: stall } });
  const clock = createManualClock(NOW);
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { connectionsPerHost: 1 }, clock });
  const abort = new AbortController();
  const first = deliver({ priority: 'critical' }, abort.signal);
  await hop?.until(() => hop.reached('MAIL') === 1);
  const second = deliver({ priority: 'critical' });
  await clock.advance(29_000);
  hop?.on('MAIL', null);
  abort.abort();
  await first;
  expect((await second).kind).toBe('delivered');
});

test('an abort ends the wait for a connection', async () => {
  const [hop] = await hopsOn({ on: { MAIL: stall } });
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { connectionsPerHost: 1 } });
  const abort = new AbortController();
  const first = deliver({}, abort.signal);
  await hop?.until(() => hop.reached('MAIL') === 1);
  const second = deliver({}, abort.signal);
  await new Promise((resolve) => setImmediate(resolve));
  abort.abort();
  expect(await first).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(await second).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop?.connections()).toBe(1);
});

test('among hosts of equal preference one with a free connection is asked before a busy one', async () => {
  const [first, second] = await hopsOn({ on: { MAIL: stall } }, { host: '127.0.1.2' });
  const zone: Zone = {
    addresses: { 'mx1.example.net': ['127.0.0.2'], 'mx2.example.net': ['127.0.1.2'] },
    mx: [
      [10, 'mx1.example.net'],
      [10, 'mx2.example.net'],
    ],
  };
  const { deliver } = mxBench({ zone, port: first?.port ?? 0, route: { connectionsPerHost: 1 } });
  const abort = new AbortController();
  const busy = deliver({}, abort.signal);
  await first?.until(() => first.reached('MAIL') === 1);
  expect((await deliver()).nextHop).toBe(`mx2.example.net[127.0.1.2]:${second?.port}`);
  abort.abort();
  await busy;
});

// ------------------------------------------------------------- local addresses

test('connections come from the route’s own address', async () => {
  const [hop] = await hopsOn({});
  const from: (string | undefined)[] = [];
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { sourceIps: ['127.0.0.9'] } });
  hop?.on('connect', (context) => {
    from.push(context.remoteAddress);
    return null;
  });
  expect((await deliver()).kind).toBe('delivered');
  expect(from).toEqual(['127.0.0.9']);
});

test('a family that has no source address is not used', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { sourceIps: ['::1'] } });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'dns' });
  expect(outcome.response).toMatch(/source_ip/);
  expect(hop?.connections()).toBe(0);
});

// ------------------------------------------------------------- the end

test('stop closes kept connections with QUIT, and nothing begins after it', async () => {
  const [hop] = await hopsOn({});
  const { transport, deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  await deliver();
  await transport.stop();
  await hop?.until(() => hop.openConnections() === 0);
  expect(hop?.reached('QUIT')).toBe(1);
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop?.connections()).toBe(1);
});
