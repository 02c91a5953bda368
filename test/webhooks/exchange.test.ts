/** One request, against a receiver that misbehaves on demand. Time moves only by hand. */
import { type AddressInfo, createServer } from 'node:net';
import { once } from 'node:events';
import { expect, onTestFinished, test, vi } from 'vitest';
import {
  type Answer,
  createExchange,
  type Exchange,
  EXCHANGE_LIMIT_MS,
  type Target,
} from '../../src/webhooks/exchange.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { flood, HTTP_FLOODS } from '../support/flood.ts';
import { makeTestCertificate } from '../support/next-hop-certificate.ts';
import { secretText, startReceiver, TEST_SECRET, type WebhookReceiver } from '../support/webhook-receiver.ts';

const START_MS = Date.UTC(2026, 0, 5, 10);
const BODY = '{"type":"message.delivered","data":{"name":"Ann \u00fc"}}';

interface Bench {
  readonly receiver: WebhookReceiver;
  readonly exchange: Exchange;
  readonly clock: ManualClock;
  post(): Promise<Answer>;
}

async function bench(over: Partial<Target> = {}, receiver?: WebhookReceiver): Promise<Bench> {
  const to = receiver ?? (await startReceiver());
  const clock = createManualClock(START_MS);
  const exchange = createExchange(
    { url: to.url, secrets: [TEST_SECRET], ca: null, ...over },
    { clock, userAgent: 'Leadpush-Relay/test', connections: 2 },
  );
  onTestFinished(async () => {
    exchange.close();
    await to.close();
  });
  const post = (): Promise<Answer> => exchange.post('evt_1', BODY, new AbortController().signal);
  return { receiver: to, exchange, clock, post };
}

/** What comes of a request to a server that floods, as `floods` says. */
async function postTo(floods: (typeof HTTP_FLOODS)['chunks'], clock: ManualClock): Promise<Answer> {
  const server = createServer((socket) => socket.once('data', () => flood(socket, floods)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const exchange = createExchange(
    { url: `http://127.0.0.1:${port}/`, secrets: [TEST_SECRET], ca: null },
    { clock, userAgent: 'Leadpush-Relay/test', connections: 1 },
  );
  onTestFinished(() => {
    exchange.close();
    server.close();
  });
  return exchange.post('evt_1', BODY, new AbortController().signal);
}

test('posts the body as JSON with the signature, under its own name', async () => {
  const { receiver, post } = await bench();
  receiver.answer({ body: 'thanks' });
  expect(await post()).toEqual({ kind: 'ok', status: 200, text: 'thanks', retryAfterMs: null, ms: 0 });
  const [request] = receiver.requests;
  expect(request).toMatchObject({ method: 'POST', path: '/hook', id: 'evt_1', body: BODY, isVerified: true });
  expect(request?.headers).toMatchObject({
    'content-type': 'application/json',
    'user-agent': 'Leadpush-Relay/test',
    'webhook-timestamp': String(START_MS / 1000),
  });
});

test.each([200, 201, 202, 204, 299])('status %i is success', async (status) => {
  const { receiver, post } = await bench();
  receiver.answer({ status });
  expect(await post()).toMatchObject({ kind: 'ok', status });
});

test.each([400, 401, 404, 410, 429, 500, 503])('status %i is failure, with what it says', async (status) => {
  const { receiver, post } = await bench();
  receiver.answer({ status, body: 'no\nway', headers: { 'retry-after': '7' } });
  expect(await post()).toMatchObject({ kind: 'failed', status, text: 'no way', retryAfterMs: 7000 });
});

test.each([301, 302, 303, 307, 308])(
  'a redirect (%i) is not followed, and is a failure that says so',
  async (status) => {
    const { receiver, post } = await bench();
    receiver.answer({ status, headers: { location: `http://127.0.0.1:${receiver.port}/other?token=abc` } });
    const answer = await post();
    expect(answer).toMatchObject({ kind: 'failed', status });
    expect(answer.text).toMatch(/^redirects are not followed: http:\/\/127\.0\.0\.1:\d+\/…$/);
    expect(receiver.requests).toHaveLength(1);
  },
);

test('no answer within the limit is a failure, and the connection is closed', async () => {
  const { receiver, post, clock } = await bench();
  receiver.answer({ how: 'hang' });
  const answer = post();
  await receiver.received(1);
  await clock.advance(EXCHANGE_LIMIT_MS);
  expect(await answer).toEqual({
    kind: 'failed',
    status: null,
    text: 'no answer within 15 s',
    retryAfterMs: null,
    ms: EXCHANGE_LIMIT_MS,
  });
  receiver.answer({});
  await post();
  expect(receiver.connections()).toBe(2);
});

test.each(['reset', 'garbage'] as const)('a connection that ends in %s is a failure without a status', async (how) => {
  const { receiver, post } = await bench();
  receiver.answer({ how });
  const answer = await post();
  expect(answer).toMatchObject({ kind: 'failed', status: null });
  expect(answer.text).not.toBe('');
});

test('a success counts though the rest of its answer never comes', async () => {
  const { receiver, post, clock } = await bench();
  receiver.answer({ how: 'stall', body: 'half' });
  const answer = post();
  await receiver.received(1);
  // The headers and the half cross the loopback: each step lets pending I/O come in.
  for (let step = 0; step < 100; step++) await clock.advance(1);
  await clock.advance(EXCHANGE_LIMIT_MS);
  expect(await answer).toMatchObject({ kind: 'ok', status: 200, text: 'half' });
});

test('of an endless answer a little is read', async () => {
  const { receiver, post } = await bench();
  receiver.answer({ how: 'endless', status: 500 });
  const answer = await post();
  expect(answer).toMatchObject({ kind: 'failed', status: 500 });
  expect(answer.text).toHaveLength(512);
});

test('an answer in chunks of one octet without an end costs no more than another', async () => {
  const clock = createManualClock(START_MS);
  const begun = performance.now();
  expect(await postTo(HTTP_FLOODS.chunks, clock)).toMatchObject({ kind: 'ok', status: 200 });
  // Half a minute of nothing else, when each octet was looked at with all before it.
  expect(performance.now() - begun).toBeLessThan(3000);
});

test('interim answers without an end are a failure', async () => {
  expect(await postTo(HTTP_FLOODS.interim, createManualClock(START_MS))).toMatchObject({
    kind: 'failed',
    status: null,
    text: 'more than 16 interim answers (1xx)',
  });
});

test('what a receiver echoes of secrets, signatures, links and control characters is not kept', async () => {
  const { receiver, post } = await bench();
  receiver.answer(({ headers }) => ({
    status: 400,
    body: `\u001b[31mexpected ${secretText()} or ${Buffer.from(TEST_SECRET).toString('base64')}, not ${String(headers['webhook-signature'])}; see https://example.com/reset?token=abc`,
  }));
  const { text } = await post();
  expect(text).not.toContain(Buffer.from(TEST_SECRET).toString('base64').slice(0, 12));
  expect(text).toMatch(/^expected whsec_.* not v1,…; see https:\/\/example\.com\/…$/);
});

test('a connection is used again, and a request on one that the receiver closed meanwhile is sent once more', async () => {
  const { receiver, post } = await bench();
  await post();
  await post();
  expect(receiver.connections()).toBe(1);
  receiver.dropConnections();
  expect(await post()).toMatchObject({ kind: 'ok' });
  expect(receiver.requests).toHaveLength(3);
});

test('proxies in the environment are not used', async () => {
  const { receiver, post } = await bench();
  for (const name of ['HTTP_PROXY', 'http_proxy', 'ALL_PROXY', 'HTTPS_PROXY']) vi.stubEnv(name, 'http://127.0.0.1:1');
  vi.stubEnv('NODE_USE_ENV_PROXY', '1');
  onTestFinished(() => void vi.unstubAllEnvs());
  expect(await post()).toMatchObject({ kind: 'ok' });
  expect(receiver.requests).toHaveLength(1);
});

test('nobody listening is a failure with the reason', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  const port = typeof address === 'object' ? address?.port : 0;
  const { post } = await bench({ url: `http://127.0.0.1:${port}/` });
  expect(await post()).toMatchObject({ kind: 'failed', status: null, text: expect.stringContaining('ECONNREFUSED') });
});

test('an abort ends a request at once, and nothing is known', async () => {
  const { receiver, exchange } = await bench();
  receiver.answer({ how: 'hang' });
  const abort = new AbortController();
  const answer = exchange.post('evt_1', BODY, abort.signal);
  await receiver.received(1);
  abort.abort();
  expect(await answer).toMatchObject({ kind: 'aborted' });
  expect(await exchange.post('evt_1', BODY, abort.signal)).toMatchObject({ kind: 'aborted' });
});

test('closing waits for the request under way', async () => {
  const { receiver, exchange, post } = await bench();
  const answer = post();
  exchange.close();
  expect(await answer).toMatchObject({ kind: 'ok' });
  expect(receiver.requests).toHaveLength(1);
});

test('TLS is verified, against the authority of the endpoint where it has one', async () => {
  const certificate = await makeTestCertificate();
  const trusting = await bench({ ca: certificate.ca }, await startReceiver({ tls: certificate }));
  expect(await trusting.post()).toMatchObject({ kind: 'ok' });
  vi.stubEnv('NODE_TLS_REJECT_UNAUTHORIZED', '0');
  onTestFinished(() => void vi.unstubAllEnvs());
  const wary = await bench({}, await startReceiver({ tls: certificate }));
  expect(await wary.post()).toMatchObject({
    kind: 'failed',
    status: null,
    text: expect.stringMatching(/certificate/i),
  });
});
