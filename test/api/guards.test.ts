import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { isCrossOrigin } from '../../src/api/origin.ts';
import { isGuessable } from '../../src/api/tokens.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { testConfig } from '../support/config.ts';
import { type Answer, type ApiBench, startApi, token } from './support.ts';

const tokens = [token('ops', 'right', ['read']), token('app', 'app-token', ['send'])];
const config = { host: '127.0.0.1', port: 0, tokens };
const bearer = (text: string): Record<string, string> => ({ authorization: `Bearer ${text}` });
const list = (api: ApiBench, headers: Record<string, string> = {}): Promise<Answer> =>
  api.call('/v1/messages', { headers });

describe('a caller', () => {
  test('needs a token as soon as there is one, on this machine too', async () => {
    const api = await startApi({ config });
    const answer = await list(api);
    expect([answer.status, answer.json]).toEqual([401, expect.objectContaining({ code: 'unauthorized' })]);
    expect(answer.headers['www-authenticate']).toMatch(/^Bearer /);
    expect((await list(api, bearer('right'))).status).toBe(200);
  });

  test.each(['Bearer', 'Bearer ', 'Basic right', 'Bearer right x', 'Bearer rightx', `Bearer ${'x'.repeat(5000)}`])(
    'with %s is nobody',
    async (authorization) => {
      expect((await list(await startApi({ config }), { authorization })).status).toBe(401);
    },
  );

  test('without the scope is told which one is missing', async () => {
    const answer = await list(await startApi({ config }), bearer('app-token'));
    expect([answer.status, answer.json]).toEqual([
      403,
      expect.objectContaining({ code: 'forbidden', detail: expect.stringContaining('read') }),
    ]);
  });

  test('who brings wrong tokens has to wait, longer each time, and is let in again after that', async () => {
    const api = await startApi({ config });
    for (let i = 0; i < 11; i++) expect((await list(api, bearer(`guess-${i}`))).status).toBe(401);
    const blocked = await list(api, bearer('guess'));
    expect([blocked.status, blocked.json]).toEqual([429, expect.objectContaining({ code: 'too-many-requests' })]);
    expect(blocked.headers['retry-after']).toBe('1');
    // Not even the right one is looked at: it might be a guess.
    expect((await list(api, bearer('right'))).status).toBe(429);
    await api.clock.advance(1000);
    expect((await list(api, bearer('next guess'))).status).toBe(401);
    await api.clock.advance(1000);
    expect((await list(api, bearer('right'))).status).toBe(429);
    await api.clock.advance(1000);
    expect((await list(api, bearer('right'))).status).toBe(200);
  });

  test('who brings one wrong token again and again shuts out nobody at the same address', async () => {
    const api = await startApi({ config });
    for (let i = 0; i < 30; i++) expect((await list(api, bearer('of last year'))).status).toBe(401);
    expect((await list(api, bearer('right'))).status).toBe(200);
  });

  test('who is refused again and again has one line a minute in the log', async () => {
    const lines: unknown[] = [];
    const api = await startApi({ config, log: { ...silentLog, warn: (fields) => lines.push(fields) } });
    for (let i = 0; i < 20; i++) await list(api);
    for (let i = 0; i < 20; i++) await list(api, bearer('of last year'));
    expect(lines).toHaveLength(2);
    await api.clock.advance(60_000);
    for (let i = 0; i < 20; i++) await list(api);
    expect(lines).toHaveLength(3);
  });

  test('whose token worked before goes on while a neighbour at the same address guesses', async () => {
    const api = await startApi({ config });
    expect((await list(api, bearer('right'))).status).toBe(200);
    for (let i = 0; i < 12; i++) await list(api, bearer(`guess-${i}`));
    expect((await list(api, bearer('guess'))).status).toBe(429);
    expect((await list(api, bearer('right'))).status).toBe(200);
  });

  test('with a random token is let in at any time, whoever guesses at the same address', async () => {
    const random = 'b0f4a9e1c37d5826b0f4a9e1c37d5826';
    const api = await startApi({ config: { ...config, tokens: [token('app', random, ['read'])] } });
    for (let i = 0; i < 12; i++) await list(api, bearer(`guess-${i}`));
    expect((await list(api, bearer('guess'))).status).toBe(429);
    expect((await list(api, bearer(random))).status).toBe(200);
  });

  test.each([
    ['b0f4a9e1c37d5826b0f4a9e1c37d5826', false],
    ['0d9b8f3e-6c1a-4f27-9be5-1a2c3d4e5f60', false],
    ['q2dXx0mJ7tYw-Zr_5LkPbA', false],
    ['app-token', true],
    ['password12345678', true],
    ['a'.repeat(400), true],
    ['abababababababababababababababababababab', true],
  ])('whose token is %j can be guessed: %s', (text, expected) => expect(isGuessable(text)).toBe(expected));

  test('who brings no token at all is refused, and does not wait', async () => {
    const api = await startApi({ config });
    for (let i = 0; i < 30; i++) expect((await list(api)).status).toBe(401);
    expect((await list(api, bearer('right'))).status).toBe(200);
  });

  test('may do everything where there are no tokens, whatever he brings', async () => {
    const api = await startApi();
    expect((await list(api, bearer('whatever'))).status).toBe(200);
    expect((await api.call('/v1/suppressions/ann@example.net', { method: 'PUT' })).status).toBe(200);
  });
});

describe('a page of another site', () => {
  const body = JSON.stringify({ from: 'a@example.com', to: 'ann@example.net', subject: 'x', text: 'x' });

  test.each([
    ['its origin', { origin: 'https://evil.example', 'content-type': 'application/json' }],
    ['no origin', { origin: 'null', 'content-type': 'application/json' }],
    ['a simple content type', { origin: 'https://evil.example', 'content-type': 'text/plain' }],
    ['another port', { origin: 'http://localhost:1', 'content-type': 'application/json' }],
    ['fetch metadata alone', { 'sec-fetch-site': 'cross-site', 'content-type': 'application/json' }],
    ['a sister site', { 'sec-fetch-site': 'same-site', 'content-type': 'application/json' }],
  ])('with %s changes and reads nothing', async (_name, headers) => {
    const api = await startApi();
    for (const options of [{ method: 'POST', headers, body }, { headers }]) {
      const answer = await api.call('/v1/messages', options);
      expect([answer.status, answer.json]).toEqual([403, expect.objectContaining({ code: 'cross-origin' })]);
    }
    expect(await api.eventTypes()).toEqual([]);
  });

  test('gets no answer to its preflight', async () => {
    const api = await startApi();
    const headers = { origin: 'https://evil.example', 'access-control-request-method': 'POST' };
    const answer = await api.call('/v1/messages', { method: 'OPTIONS', headers });
    expect(answer.status).toBe(404);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });

  test.each([
    [{ host: 'localhost:8025', origin: 'http://localhost:8025' }, false],
    [{ host: 'relay.example.com', origin: 'https://relay.example.com' }, false],
    [{ host: 'relay.example.com:443', origin: 'https://RELAY.example.com' }, false],
    [{ host: 'localhost:8025', 'sec-fetch-site': 'same-origin' }, false],
    [{ host: 'localhost:8025', 'sec-fetch-site': 'none' }, false],
    [{ host: 'localhost:8025' }, false],
    [{ host: 'relay.example.com', origin: 'https://relay.example.com.evil.example' }, true],
    [{ host: 'relay.example.com', origin: 'https://relay.example.com/@evil.example' }, true],
    [{ host: 'relay.example.com', origin: '' }, true],
    [{ origin: 'http://localhost' }, true],
    [{ host: 'localhost', origin: 'file://localhost' }, true],
    [{ host: 'localhost', origin: 'http://localhost', 'sec-fetch-site': 'cross-site' }, true],
  ])('%j: %s', (headers, expected) => {
    expect(isCrossOrigin(headers)).toBe(expected);
  });
});

describe('limits', () => {
  test('headers of more than 16 KiB close the connection', async () => {
    const api = await startApi();
    const text = await new Promise<string>((resolve) => {
      const socket = connect(api.port, '127.0.0.1');
      let seen = '';
      socket.on('data', (part) => (seen += part.toString()));
      socket.on('close', () => resolve(seen));
      socket.on('error', () => resolve(seen));
      socket.write(`GET /v1/messages HTTP/1.1\r\nHost: localhost\r\nX-A: ${'x'.repeat(20_000)}\r\n\r\n`);
    });
    expect(text).not.toContain('HTTP/1.1 200');
  });

  test('a query of thousands of parameters is answered as wrong', async () => {
    const api = await startApi();
    const query = Array.from({ length: 1500 }, (_, i) => `a${i}=1`).join('&');
    const answer = await api.call(`/v1/messages?${query}`);
    expect(answer.status).toBe(422);
    expect((answer.json as { errors: unknown[] }).errors).toHaveLength(50);
  });

  test('bodies that fill the room for all of them make the next one wait', async () => {
    const api = await startApi({ relay: withMessageSize(256 * 1024 ** 2) });
    const held = connect(api.port, '127.0.0.1');
    held.on('error', () => {});
    const size = 200 * 1024 ** 2;
    held.write(
      `POST /v1/messages/mime?from=&to=ann@example.net HTTP/1.1\r\nHost: localhost\r\nContent-Type: message/rfc822\r\nContent-Length: ${size}\r\n\r\n`,
    );
    const piece = Buffer.alloc(1024 ** 2, 'x');
    const answer = await new Promise<string>((resolve) => {
      held.on('data', (part) => resolve(part.toString()));
      const push = (): void => {
        while (held.writable && held.write(piece));
        held.once('drain', push);
      };
      push();
    });
    held.destroy();
    expect(answer).toMatch(/^HTTP\/1\.1 503 [^]*retry-after: 5/i);
    // What it held is free again.
    const body = JSON.stringify({ from: 'a@example.com', to: 'ann@example.net', subject: 'x', text: 'x' });
    const next = await api.call('/v1/messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body,
    });
    expect(next.status).toBe(202);
  });
});

test('a client that goes away in the middle of its body is no bug in the log', async () => {
  const errors: unknown[] = [];
  const api = await startApi({ log: { ...silentLog, error: (fields) => void errors.push(fields) } });
  const client = connect(api.port, '127.0.0.1');
  client.write(
    'POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  );
  await api.call('/healthz');
  await api.call('/healthz');
  client.resetAndDestroy();
  for (let i = 0; i < 5; i++) await api.call('/healthz');
  expect(errors).toEqual([]);
});

describe('a client that still sends a body that was refused', () => {
  const size = 40 * 1024 ** 2;
  const piece = Buffer.alloc(1024 ** 2, ' ');

  function post(api: ApiBench, type: string): Socket {
    const client = connect(api.port, '127.0.0.1').pause();
    client.write(
      `POST /v1/messages/mime?from=&to=ann@example.net HTTP/1.1\r\nHost: localhost\r\nContent-Type: ${type}\r\nContent-Length: ${size}\r\n\r\n`,
    );
    return client;
  }

  test.each([
    ['a message over the limit', 'message/rfc822', 413],
    ['a body that no call takes', 'text/plain', 415],
    ['JSON where a message belongs', 'application/json', 415],
  ])('has its answer after all of it: %s', async (_what, type, status) => {
    const client = post(await startApi(), type);
    for (let sent = 0; sent < size; sent += piece.length) {
      if (!client.write(piece)) await once(client, 'drain');
    }
    const answer = once(client, 'data');
    client.resume();
    expect(String(await answer)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `));
    client.destroy();
  });

  test('is listened to for ten seconds and no longer', async () => {
    const api = await startApi();
    const client = post(api, 'message/rfc822').resume();
    client.on('error', () => {});
    await once(client, 'data');
    let open = true;
    const closed = once(client, 'close').then(() => (open = false));
    await api.clock.advance(9_999);
    client.write(piece);
    expect(open).toBe(true);
    await api.clock.advance(1);
    await closed;
    expect(open).toBe(false);
  });
});

function withMessageSize(maxMessageBytes: number): ReturnType<typeof testConfig> {
  const base = testConfig();
  return testConfig({ smtp: { ...base.smtp, maxMessageBytes } });
}
