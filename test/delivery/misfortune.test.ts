/** Next hops that fail before the final dot: the attempt is deferred, the connection dropped, and no copy exists. */
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../../src/core/time.ts';
import { deaf, drip, flood, hangUp, raw, rawAndHangUp, reply, reset, stall } from '../support/next-hop.ts';
import { bench, benchFor, manualBench, routeTo } from './fixture.ts';

// ------------------------------------------------------------- connecting

test("a refused connection is the connection's fault", async () => {
  const { hop, deliver } = await bench();
  await hop.close();
  const outcome = await deliver();
  expect(outcome).toMatchObject({
    kind: 'deferred',
    cause: 'connect',
    stage: 'connect',
    nextHop: `127.0.0.1:${hop.port}`,
    code: null,
  });
  expect(outcome.response).toMatch(/ECONNREFUSED/);
});

test('a name that does not exist is the fault of DNS', async () => {
  const { deliver } = benchFor(routeTo(25, { host: 'no-such-host.invalid' }));
  expect(await deliver()).toMatchObject({
    kind: 'deferred',
    cause: 'dns',
    stage: 'dns',
    nextHop: 'no-such-host.invalid:25',
  });
});

/** A clock on which all waiting is over before the network can do anything. */
const hasty: Clock = {
  ...systemClock,
  after(_delayMs, fire) {
    let canceled = false;
    queueMicrotask(() => {
      if (!canceled) fire();
    });
    return () => {
      canceled = true;
    };
  },
};

test('a host that does not answer is given up after the connect timeout', async () => {
  const { hop } = await bench();
  const { deliver } = benchFor(
    routeTo(hop.port, { connectTimeoutMs: { critical: 1_000, normal: 3_000, bulk: 9_000 } }),
    hasty,
  );
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'connect', stage: 'connect' });
  expect(outcome.response).toMatch(/within 3000 ms/);
});

test('a name that is not resolved within the connect timeout is the fault of DNS', async () => {
  const { deliver } = benchFor(routeTo(25, { host: 'localhost' }), hasty);
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'dns', stage: 'dns' });
});

test('a connection that is reset at once defers', async () => {
  const { hop, deliver } = await bench({ on: { connect: reset } });
  const outcome = await deliver();
  // The reset may be there before the connection is known to stand.
  expect(outcome).toMatchObject({ kind: 'deferred', code: null });
  expect(['connect', 'greeting']).toContain(outcome.stage);
  expect(hop.messages).toHaveLength(0);
});

// ------------------------------------------------------------- silence, by phase

test.each([
  ['connect', 'greeting', 30_000],
  ['EHLO', 'ehlo', 30_000],
  ['MAIL', 'mail', 60_000],
  ['RCPT', 'rcpt', 60_000],
  ['DATA', 'data', 60_000],
] as const)('silence at %s ends the attempt at stage %s after %i ms, and not earlier', async (step, stage, limitMs) => {
  const { hop, clock, deliver } = await manualBench({ on: { [step]: stall } });
  let over = false;
  const outcome = deliver().finally(() => {
    over = true;
  });
  await hop.until(() => hop.reached(step) === 1);
  await clock.advance(limitMs - 1);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage, code: null });
  await hop.until(() => hop.openConnections() === 0);
});

test('a reply that drips in without an end is cut off by the wall clock', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { MAIL: drip('250-still here\r\n') } });
  const outcome = deliver();
  await hop.until(() => hop.reached('MAIL') === 1);
  await clock.advance(60_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', code: null });
  await hop.until(() => hop.openConnections() === 0);
});

test('a greeting that drips in without an end is cut off by the wall clock', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { connect: drip('220-welcome\r\n') } });
  const outcome = deliver();
  await hop.until(() => hop.reached('connect') === 1);
  await clock.advance(30_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'greeting' });
});

test('a server that takes no content is given up after the content limit, which grows with the size', async () => {
  const { hop, clock, deliver } = await manualBench({
    on: {
      content: deaf,
    },
  });
  let over = false;
  const content = `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(300_000)}`;
  const outcome = deliver({ content }).finally(() => {
    over = true;
  });
  await hop.until(() => hop.reached('content') === 1);
  const limitMs = 180_000 + Math.ceil(content.length / 1_000_000) * 10_000;
  await clock.advance(limitMs - 1);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

// ------------------------------------------------------------- too much, or nonsense

test.each([
  ['an endless line', flood('x')],
  ['an endless reply of many lines', flood('250-more\r\n')],
  ['blank lines without an end', flood('\r\n')],
] as const)('%s ends the attempt, with bounded memory', async (_what, behaviour) => {
  for (const step of ['connect', 'EHLO', 'MAIL'] as const) {
    const { hop, deliver } = await bench({ on: { [step]: behaviour } });
    expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', code: null });
    await hop.until(() => hop.openConnections() === 0);
  }
});

test.each(['connect', 'MAIL', 'RCPT', 'DATA'] as const)('garbage at %s defers', async (step) => {
  const { hop, deliver } = await bench({ on: { [step]: raw('\u0000\u00ff what?\r\n') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', code: null });
  expect(hop.messages).toHaveLength(0);
});

test('a server that closes its side and takes no more of the content is given up at once', async () => {
  const { deliver } = await bench({
    on: {
      content: ({ hop }) => {
        hop.dropAll('hang-up');
        return deaf;
      },
    },
  });
  const content = `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(150_000)}`;
  expect(await deliver({ content })).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
});

test('DATA answered with 250 instead of 354 defers, and no content is sent', async () => {
  const { hop, deliver } = await bench({ on: { DATA: reply('250 ok') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

test('a 250 that comes with the 354 is not taken for the answer to the message', async () => {
  const { hop, deliver } = await bench({ on: { DATA: raw('354 go on\r\n250 2.0.0 Ok: queued\r\n') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

test.each([
  ['one', '250 2.0.0 Ok: queued\r\n'],
  ['the beginning of one', '250 2.0.0 Ok'],
])('nor is %s that comes in the middle of the content', async (_what, octets) => {
  const { hop, deliver } = await bench({ on: { content: raw(octets) } });
  const content = `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(300_000)}`;
  expect(await deliver({ content })).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

test('nor are replies that come ahead of their commands', async () => {
  const { hop, deliver } = await bench({ on: { MAIL: raw('250 ok\r\n'.repeat(4)) } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route' });
  expect(hop.messages).toHaveLength(0);
});

test('a refusal in the middle of the content is taken, and the connection is not used again', async () => {
  const { hop, deliver } = await bench({ on: { content: raw('552 5.3.4 too big\r\n') } });
  const content = `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(300_000)}`;
  expect(await deliver({ content })).toMatchObject({ kind: 'rejected', cause: 'content', code: 552 });
  hop.on('content', null);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(2);
});

// ------------------------------------------------------------- broken connections

test.each([
  ['connect', 'greeting'],
  ['EHLO', 'ehlo'],
  ['MAIL', 'mail'],
] as const)('a refusal that is cut off at %s is no answer', async (step, stage) => {
  const { deliver } = await bench({ on: { [step]: rawAndHangUp('554 5.7.1 you are') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage, code: null });
});

test.each([
  ['connect', 'greeting'],
  ['EHLO', 'ehlo'],
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
] as const)('a connection that is closed at %s defers, at stage %s', async (step, stage) => {
  const { hop, deliver } = await bench({ on: { [step]: hangUp } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage, code: null });
  hop.on(step, null);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages).toHaveLength(1);
});

test.each(['EHLO', 'MAIL', 'RCPT', 'DATA'] as const)('a connection that is reset at %s defers', async (step) => {
  // Replies that were on their way are lost with the connection, so the stage may be an earlier one.
  const { hop, deliver } = await bench({ on: { [step]: reset } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', code: null });
  hop.on(step, null);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages).toHaveLength(1);
});

test.each([
  ['closed', hangUp],
  ['reset', reset],
] as const)('a connection that is %s in the middle of the content leaves no copy', async (_how, behaviour) => {
  const { hop, deliver } = await bench({ on: { content: behaviour } });
  const content = `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(300_000)}`;
  expect(await deliver({ content })).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

// ------------------------------------------------------------- abort

test.each(['connect', 'EHLO', 'MAIL', 'DATA'] as const)('an abort at %s ends the attempt as local', async (step) => {
  const { hop, deliver } = await bench({ on: { [step]: stall } });
  const abort = new AbortController();
  const outcome = deliver({}, abort.signal);
  await hop.until(() => hop.reached(step) === 1);
  abort.abort();
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'local' });
  await hop.until(() => hop.openConnections() === 0);
});

test('an abort in the middle of the content ends the attempt, and leaves no copy', async () => {
  const { hop, deliver } = await bench({
    on: {
      content: deaf,
    },
  });
  const abort = new AbortController();
  const outcome = deliver({ content: `A: b\r\n\r\n${`${'x'.repeat(70)}\r\n`.repeat(300_000)}` }, abort.signal);
  await hop.until(() => hop.reached('content') === 1);
  abort.abort();
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'local', stage: 'data' });
  expect(hop.messages).toHaveLength(0);
});

test('a delivery that is aborted before it begins connects nowhere and costs no kept connection', async () => {
  const { hop, deliver } = await bench();
  expect(await deliver({}, AbortSignal.abort())).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop.connections()).toBe(0);
  await deliver();
  await deliver({}, AbortSignal.abort());
  await deliver();
  expect(hop.connections()).toBe(1);
});
