/** A probe looks whether the smarthost would take mail, and leaves. */
import { expect, test } from 'vitest';
import { reply, stall } from '../support/next-hop.ts';
import { bench, benchFor, hopWith, manualBench, routeTo } from './fixture.ts';

const auth = { username: 'relay', password: 'secret' };
const signal = (): AbortSignal => new AbortController().signal;

test('a probe connects, greets, and leaves with QUIT; nothing is sent', async () => {
  const { hop, transport } = await bench();
  expect(await transport.probe?.(signal())).toMatchObject({
    kind: 'delivered',
    stage: 'ehlo',
    nextHop: `127.0.0.1:${hop.port}`,
    code: null,
  });
  await hop.until(() => hop.openConnections() === 0);
  expect(hop.lines.map(({ line }) => line.split(' ')[0])).toEqual(['EHLO', 'QUIT']);
});

test('a probe goes through TLS and the login', async () => {
  const hop = await hopWith({ tls: 'starttls', auth });
  const { transport } = benchFor(routeTo(hop.port, { tls: 'required', ca: hop.ca, auth }));
  expect(await transport.probe?.(signal())).toMatchObject({
    kind: 'delivered',
    stage: 'auth',
    tls: { version: 'TLSv1.3' },
  });
});

test('a probe that is not let in says what a delivery would have said', async () => {
  const { transport, deliver } = await bench({ auth, on: { AUTH: reply('535 5.7.8 wrong') } }, { auth });
  const probed = await transport.probe?.(signal());
  const delivered = await deliver();
  expect(probed).toMatchObject({ kind: 'deferred', cause: 'auth', stage: 'auth', code: 535, enhanced: '5.7.8' });
  expect({ ...probed, timings: {} }).toEqual({ ...delivered, timings: {} });
});

test('a probe of a server that is not there says so', async () => {
  const { hop, transport } = await bench();
  await hop.close();
  expect(await transport.probe?.(signal())).toMatchObject({ kind: 'deferred', cause: 'connect', stage: 'connect' });
});

test('an abort ends a probe as local', async () => {
  const { hop, transport } = await bench({ on: { connect: stall } });
  const abort = new AbortController();
  const outcome = transport.probe?.(abort.signal);
  await hop.until(() => hop.reached('connect') === 1);
  abort.abort();
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'local' });
  await hop.until(() => hop.openConnections() === 0);
});

test('a probe uses no kept connection, and leaves it to the next message', async () => {
  const { hop, transport, deliver } = await bench();
  await deliver();
  await transport.probe?.(signal());
  await deliver();
  expect(hop.connections()).toBe(2);
  expect(hop.messages.map(({ connection }) => connection)).toEqual([1, 1]);
});

test('after the end a probe does not begin', async () => {
  const { hop, transport } = await bench();
  await transport.stop();
  expect(await transport.probe?.(signal())).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop.connections()).toBe(0);
});

// ------------------------------------------------------------- limits by lane

test.each([
  ['connect', 'greeting', 'none'],
  ['STARTTLS', 'starttls', 'required'],
  ['AUTH', 'auth', 'none'],
] as const)('critical mail waits 10 s for an answer at %s (stage %s)', async (step, stage, tls) => {
  const { hop, clock, deliver } = await manualBench(
    { auth, ...(tls === 'required' ? { extensions: ['STARTTLS'] } : {}), on: { [step]: stall } },
    { auth, tls },
  );
  let over = false;
  const outcome = deliver({ priority: 'critical' }).finally(() => {
    over = true;
  });
  await hop.until(() => hop.reached(step) === 1);
  await clock.advance(9_999);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(await outcome).toMatchObject({ kind: 'deferred', stage });
});
