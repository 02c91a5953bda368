import { once } from 'node:events';
import { connect } from 'node:net';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import type { CallDeps } from '../../src/api/calls.ts';
import { createHttpServer, type HttpServer, type HttpServerDeps } from '../../src/api/server.ts';
import { systemClock } from '../../src/core/time.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { createManualClock } from '../support/clock.ts';
import { call, SERVER_DEPS, token } from './support.ts';

const running: HttpServer[] = [];
afterEach(async () => {
  for (const server of running.splice(0)) await server.stop();
});

const TOKEN = 'a-long-random-token';

/** Calls that nobody calls. */
const calls: CallDeps = Object.create(null);

async function start(overrides: Partial<HttpServerDeps> = {}): Promise<number> {
  const server = createHttpServer({ ...SERVER_DEPS, calls, clock: systemClock, ...overrides });
  running.push(server);
  return (await server.start()).port;
}

describe('health and readiness', () => {
  test('/healthz answers 200 while the process serves, whatever the store does', async () => {
    const port = await start({ ready: () => Promise.reject(new Error('store')) });
    const answer = await call(port, '/healthz');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ status: 'ok' });
  });

  test('/readyz answers 200 when mail is taken', async () => {
    const answer = await call(await start(), '/readyz');
    expect(answer.status).toBe(200);
    expect(JSON.parse(answer.text)).toEqual({ status: 'ready', reasons: [] });
  });

  test('/readyz answers 503 with the reasons when mail is not taken', async () => {
    const port = await start({ ready: async () => ({ ready: false, reasons: ['disk below its floor'] }) });
    const answer = await call(port, '/readyz');
    expect(answer.status).toBe(503);
    expect(JSON.parse(answer.text)).toEqual({ status: 'not-ready', reasons: ['disk below its floor'] });
  });

  test('/readyz answers 503 when the store does not answer in time', async () => {
    const clock = createManualClock(0);
    const port = await start({ clock, ready: () => new Promise(() => {}) });
    const pending = call(port, '/readyz');
    await vi.waitFor(() => expect(clock.pending()).toBe(1), { interval: 1 });
    await clock.advance(3_000);
    expect((await pending).status).toBe(503);
  });
});

describe('metrics', () => {
  test('are Prometheus text', async () => {
    const answer = await call(await start(), '/metrics');
    expect(answer.status).toBe(200);
    expect(answer.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(answer.text).toBe('leadpush_x 1\n');
  });

  const tokens = [token('ops', TOKEN, ['read']), token('app', 'app-token', ['send'])];
  const config = { host: '127.0.0.1', port: 0, tokens };
  const remote = { 'x-forwarded-for': '203.0.113.9' };

  test('need no token from this machine', async () => {
    expect((await call(await start({ config }), '/metrics')).status).toBe(200);
  });

  test('need a token from elsewhere', async () => {
    const answer = await call(await start({ config }), '/metrics', { headers: remote });
    expect(answer.status).toBe(401);
    expect(answer.headers['www-authenticate']).toContain('Bearer');
    expect(JSON.parse(answer.text)).toMatchObject({ status: 401, code: 'unauthorized' });
    expect(answer.text).not.toContain('leadpush_x');
  });

  test('are given for a token with the scope read', async () => {
    const answer = await call(await start({ config }), '/metrics', {
      headers: { ...remote, authorization: `Bearer ${TOKEN}` },
    });
    expect(answer.status).toBe(200);
  });

  test.each([`Bearer ${TOKEN}x`, `Basic ${TOKEN}`, 'Bearer', TOKEN, `Bearer ${'x'.repeat(10_000)}`])(
    'are refused for %s',
    async (authorization) => {
      const answer = await call(await start({ config }), '/metrics', { headers: { ...remote, authorization } });
      expect(answer.status).toBe(401);
    },
  );

  test('are refused for a token without the scope read', async () => {
    const answer = await call(await start({ config }), '/metrics', {
      headers: { ...remote, authorization: 'Bearer app-token' },
    });
    expect(answer.status).toBe(403);
    expect(JSON.parse(answer.text).code).toBe('forbidden');
  });

  test('on an open listener, a name that is not this machine does not count as this machine', async () => {
    const port = await start({ config: { host: '0.0.0.0', port: 0, tokens } });
    expect((await call(port, '/metrics', { headers: { host: 'rebound.attacker.example' } })).status).toBe(401);
    expect((await call(port, '/metrics', { headers: { host: 'localhost' } })).status).toBe(200);
  });
});

describe('the Host check', () => {
  test.each([
    'localhost',
    'localhost:8025',
    '127.0.0.1',
    '127.0.0.1:1',
    '[::1]',
    '[::1]:8025',
    'relay.example.com',
    'RELAY.example.com:80',
  ])('lets %s pass', async (host) => {
    expect((await call(await start(), '/healthz', { headers: { host } })).status).toBe(200);
  });

  test.each([
    'attacker.example',
    'attacker.example:8025',
    'localhost.attacker.example',
    '192.0.2.1',
    '127.0.0.1.attacker.example',
    '[::1',
    'localhost:x',
    'relay.example.com@attacker.example',
  ])('refuses %s with 421', async (host) => {
    const answer = await call(await start(), '/metrics', { headers: { host } });
    expect([400, 421]).toContain(answer.status);
    expect(answer.text).not.toContain('leadpush_x');
  });

  test.each([
    ['a second Host', 'GET /healthz HTTP/1.1', ['Host: localhost', 'Host: attacker.example'], 400],
    ['the same Host twice', 'GET /healthz HTTP/1.1', ['Host: localhost', 'Host: localhost'], 400],
    [
      'two tokens',
      'GET /healthz HTTP/1.1',
      ['Host: localhost', 'Authorization: Bearer a', 'Authorization: Bearer b'],
      400,
    ],
    ['an address of another host', 'GET http://attacker.example/healthz HTTP/1.1', ['Host: localhost'], 421],
    ['an address of its own', 'GET http://localhost:80/healthz HTTP/1.1', ['Host: localhost'], 200],
  ])('answers %s as it should', async (_what, line, headers, status) => {
    const socket = connect(await start(), '127.0.0.1');
    socket.write(`${[line, ...headers].join('\r\n')}\r\n\r\n`);
    const [answer] = await once(socket, 'data');
    socket.destroy();
    expect(String(answer)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
  });

  test('is not made on a listener that others reach', async () => {
    const port = await start({ config: { host: '0.0.0.0', port: 0, tokens: [token('ops', TOKEN, ['read'])] } });
    expect((await call(port, '/healthz', { headers: { host: 'relay.internal' } })).status).toBe(200);
  });
});

describe('everything else', () => {
  test.each([
    ['GET', '/v1/nothing'],
    ['PATCH', '/v1/messages'],
    ['GET', '/../../etc/passwd'],
    ['GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ['POST', '/healthz'],
    ['DELETE', '/metrics'],
    ['OPTIONS', '/metrics'],
  ])('%s %s answers 404 as a problem', async (method, path) => {
    const answer = await call(await start(), path, { method });
    expect(answer.status).toBe(404);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    const body = JSON.parse(answer.text);
    expect(body).toEqual({
      type: '/docs#problem-not-found',
      title: 'Not found',
      status: 404,
      detail: expect.any(String),
      code: 'not-found',
      request_id: answer.headers['x-request-id'],
    });
  });

  test('a malformed address answers 400 as a problem', async () => {
    const answer = await call(await start(), '/%zz');
    expect(answer.status).toBe(400);
    expect(JSON.parse(answer.text).code).toBe('bad-request');
  });

  test('a body over the limit answers 413, one at the limit 404', async () => {
    const port = await start();
    const at = await call(port, '/v1/x', { method: 'POST', body: Buffer.alloc(16 * 1024, 'x') });
    const over = await call(port, '/v1/x', { method: 'POST', body: Buffer.alloc(16 * 1024 + 1, 'x') });
    expect([at.status, over.status]).toEqual([404, 413]);
    expect(JSON.parse(over.text).code).toBe('too-large');
  });

  test('a bug answers 500 without its text', async () => {
    const logged: unknown[] = [];
    const port = await start({
      metrics: { httpRequest() {}, scrape: () => Promise.reject(new Error('secret path /srv/x')) },
      log: { ...silentLog, error: (fields) => void logged.push(fields) },
    });
    const answer = await call(port, '/metrics');
    expect(answer.status).toBe(500);
    expect(answer.text).not.toContain('/srv/x');
    expect(logged).toEqual([expect.objectContaining({ request_id: JSON.parse(answer.text).request_id })]);
  });

  test('every answer forbids framing, scripts, sniffing and caching', async () => {
    const port = await start();
    for (const path of ['/', '/healthz', '/nowhere', '/%zz']) {
      const { headers } = await call(port, path);
      expect(headers).toMatchObject({
        'content-security-policy': expect.stringContaining("default-src 'none'"),
        'x-content-type-options': 'nosniff',
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
      });
    }
  });

  test('what is not HTTP is answered once and closed', async () => {
    const port = await start();
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(port, '127.0.0.1', () => socket.write('EHLO me\r\n\r\n'));
      let seen = '';
      socket.on('data', (part) => (seen += part.toString()));
      socket.on('close', () => resolve(seen));
      socket.on('error', reject);
    });
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('start and stop', () => {
  test('a port in use is a listen error with a hint', async () => {
    const port = await start();
    const second = createHttpServer({
      ...SERVER_DEPS,
      config: { host: '127.0.0.1', port, tokens: [] },
      calls,
      clock: systemClock,
    });
    await expect(second.start()).rejects.toMatchObject({ code: 'listen', hint: expect.stringContaining('http.port') });
  });

  test('answers others while one address holds all connections that it may have', async () => {
    const port = await start();
    const silent = Array.from({ length: 300 }, () => connect({ host: '127.0.0.1', port, localAddress: '127.0.0.2' }));
    let closed = 0;
    for (const socket of silent) {
      socket.on('error', () => {});
      socket.on('close', () => closed++);
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ');
    }
    await vi.waitFor(() => expect(closed).toBe(300 - 256), { timeout: 5_000, interval: 5 });
    expect((await call(port, '/healthz')).status).toBe(200);
    for (const socket of silent) socket.destroy();
  });

  test('keeps no idle connections when one address has many', async () => {
    const port = await start();
    let closed = 0;
    for (let i = 0; i < 200; i++) {
      const socket = connect(port, '127.0.0.1');
      onTestFinished(() => void socket.destroy());
      socket.on('error', () => {});
      socket.on('close', () => closed++);
      socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n');
      await new Promise((resolve) => socket.once('data', resolve).once('close', resolve));
    }
    expect((await call(port, '/healthz')).status).toBe(200);
    await vi.waitFor(() => expect(closed).toBeGreaterThan(150), { timeout: 5_000, interval: 5 });
  });

  test('stop cuts a request that never ends after 5 s', async () => {
    const clock = createManualClock(0);
    const server = createHttpServer({ ...SERVER_DEPS, calls, clock });
    const { port } = await server.start();
    const socket = connect(port, '127.0.0.1');
    socket.on('error', () => {});
    let closed = false;
    socket.on('close', () => (closed = true));
    await new Promise<void>((resolve) =>
      socket.write('POST /x HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nab', () => resolve()),
    );
    await call(port, '/healthz');
    const stopped = server.stop();
    await vi.waitFor(() => expect(clock.pending()).toBe(1), { interval: 1 });
    await clock.advance(5_000);
    // Well before the server's own timeouts for a slow request.
    await vi.waitFor(() => expect(closed).toBe(true), { timeout: 5_000, interval: 5 });
    await stopped;
  });
});
