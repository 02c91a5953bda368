/** One call: what is asked, when it is asked again, and what a failure is called. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import {
  LeadpushAnswerError,
  LeadpushConnectionError,
  LeadpushError,
  LeadpushProblem,
  LeadpushTimeoutError,
} from '../../src/sdk/errors.ts';
import { type Call, createTransport, type LeadpushOptions, type Transport } from '../../src/sdk/transport.ts';
import {
  type Answer,
  createTestRuntime,
  driving,
  type FakeRelay,
  hangUp,
  json,
  problem,
  silence,
  startFakeRelay,
  type TestRuntime,
} from './server.ts';

const READ: Call = { op: 'routes.list', method: 'GET', path: '/v1/routes', repeat: 'safe' };
const CANCEL: Call = { op: 'messages.cancel', method: 'POST', path: '/v1/messages/msg_1/cancel', repeat: 'refused' };
const TOKEN = 'a-token-of-the-test';

let relay: FakeRelay;
let runtime: TestRuntime;

beforeEach(async () => {
  relay = await startFakeRelay();
  runtime = createTestRuntime();
});
afterEach(() => relay.close());

function open(over: Partial<LeadpushOptions> = {}): Transport {
  return createTransport({ baseUrl: relay.baseUrl, token: TOKEN, ...over }, runtime);
}

/** What `call` throws, with the clock driven on. */
async function failureOf(call: Call, over: Partial<LeadpushOptions> = {}): Promise<LeadpushError> {
  const thrown = await driving(runtime.clock, open(over).json(call)).then(
    () => null,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(LeadpushError);
  return thrown as LeadpushError;
}

describe('the options', () => {
  it.each([
    ['relay.example.com', 'http or https'],
    ['ftp://relay.example.com', 'http or https'],
    ['http://user:secret@relay.example.com', 'no login'],
    ['http://relay.example.com?token=secret', 'no login, query'],
  ])('refuse the address %s without repeating it', (baseUrl, says) => {
    const refused = (): unknown => open({ baseUrl });
    expect(refused).toThrow(TypeError);
    expect(refused).toThrow(says);
    expect(refused).not.toThrow(/secret/);
  });

  it.each(['two words', 'line\nend', '', 'schlüssel'])('refuse the token %j without repeating it', (token) => {
    expect(() => open({ token })).toThrow(/^token must be one word of printable ASCII characters$/);
  });

  it.each([{ timeoutMs: 0 }, { timeoutMs: Number.NaN }, { maxRetries: -1 }])('refuse %j', (over) => {
    expect(() => open(over)).toThrow(TypeError);
  });
});

describe('a call', () => {
  it('brings token, query and JSON, and keeps the path of the address', async () => {
    relay.answer(json({ ok: true }));
    const transport = open({ baseUrl: `${relay.baseUrl}/mail/` });
    const query = { tag: 'a b&c', state: ['queued', 'deferred'], since: new Date(0), limit: 5, flow: undefined };
    expect(
      await transport.json({
        op: 'x',
        method: 'POST',
        path: '/v1/messages',
        query,
        json: { to: ['ü'] },
        repeat: 'safe',
      }),
    ).toEqual({ ok: true });
    expect(relay.asked).toHaveLength(1);
    expect(relay.asked[0]).toMatchObject({
      method: 'POST',
      url: '/mail/v1/messages?tag=a+b%26c&state=queued%2Cdeferred&since=1970-01-01T00%3A00%3A00.000Z&limit=5',
      headers: { authorization: `Bearer ${TOKEN}`, 'content-type': 'application/json' },
    });
    expect(relay.asked[0]?.body.toString()).toBe('{"to":["ü"]}');
  });

  it('has no authorization without a token', async () => {
    relay.answer(json({}));
    await open({ token: undefined }).json(READ);
    expect(relay.asked[0]?.headers.authorization).toBeUndefined();
  });

  it('gives bytes as they are', async () => {
    const bytes = Buffer.from([0, 255, 13, 10, 128]);
    relay.answer((response) => void response.writeHead(200, { 'content-type': 'message/rfc822' }).end(bytes));
    expect(Buffer.from(await open().bytes(READ))).toEqual(bytes);
  });

  it('takes 204 for an answer that says nothing', async () => {
    relay.answer((response) => void response.writeHead(204).end());
    expect(await open().done({ op: 'x', method: 'DELETE', path: '/v1/x', repeat: 'safe' })).toBeUndefined();
  });

  it('goes through the fetch that it is given', async () => {
    const asked: string[] = [];
    const transport = open({
      fetch: async (input) => {
        asked.push(new Request(input).url);
        return new Response('{"a":1}');
      },
    });
    expect(await transport.json(READ)).toEqual({ a: 1 });
    expect(asked).toEqual([`${relay.baseUrl}/v1/routes`]);
  });

  it('is not sent on when the answer is a redirect, so that the token stays here', async () => {
    const other = await startFakeRelay();
    relay.answer((response) => void response.writeHead(302, { location: `${other.baseUrl}/v1/routes` }).end());
    const error = await failureOf(READ);
    expect(error).toBeInstanceOf(LeadpushAnswerError);
    expect(error.message).toMatch(/redirect: set baseUrl/);
    expect(other.asked).toEqual([]);
    expect(relay.asked).toHaveLength(1);
    await other.close();
  });
});

describe('a call that may be made again', () => {
  it.each<readonly [string, Answer]>([
    ['a broken connection', hangUp],
    ['503', problem(503, 'unavailable')],
    ['429', problem(429, 'too-many-requests')],
    ['the error page of a proxy', json('bad gateway', 502)],
    [
      'a body that breaks off',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': '100' });
        response.write('{"a":', () => response.destroy());
      },
    ],
  ])('is, after %s', async (_what, answer) => {
    relay.answer(answer, answer, json({ done: true }));
    expect(await driving(runtime.clock, open().json(READ))).toEqual({ done: true });
    expect(relay.asked).toHaveLength(3);
  });

  it('waits longer each time, and ends after maxRetries', async () => {
    relay.answer(problem(503, 'unavailable'));
    const began = runtime.now();
    const error = await failureOf(READ, { maxRetries: 4 });
    expect(error.code).toBe('unavailable');
    expect(relay.asked).toHaveLength(5);
    // Three quarters of 0.5, 1, 2 and 4 s; the test moves time in steps of 50 ms.
    expect(runtime.now() - began).toBeGreaterThanOrEqual(375 + 750 + 1500 + 3000);
    expect(runtime.now() - began).toBeLessThan(6500);
  });

  it.each([
    ['seconds', '7', 7000],
    ['a date', 'Mon, 05 Jan 2026 10:00:09 GMT', 9000],
  ])('waits as long as the relay asks, in %s', async (_what, value, ms) => {
    relay.answer(problem(429, 'too-many-requests', { 'retry-after': value }), json({}));
    const began = runtime.now();
    await driving(runtime.clock, open().json(READ));
    expect(runtime.now() - began).toBeGreaterThanOrEqual(ms);
    expect(runtime.now() - began).toBeLessThan(ms + 1500);
  });

  it('does not wait for minutes: it throws, and tells how long the relay asked for', async () => {
    relay.answer(problem(503, 'unavailable', { 'retry-after': '120' }));
    expect((await failureOf(READ)).retryAfterMs).toBe(120_000);
    expect(relay.asked).toHaveLength(1);
  });

  it('is made again after its time is over, with the time anew', async () => {
    relay.answer(silence, json({ late: true }));
    expect(await driving(runtime.clock, open({ timeoutMs: 1000 }).json(READ))).toEqual({ late: true });
  });

  it('is not when the answer will not change', async () => {
    relay.answer(problem(400, 'bad-request'));
    await failureOf(READ);
    expect(relay.asked).toHaveLength(1);
  });
});

describe('a call that must not be made twice', () => {
  it.each([
    ['a broken connection', hangUp, 'connection-failed'],
    ['503', problem(503, 'unavailable'), 'unavailable'],
    ['silence', silence, 'timed-out'],
  ] as const)('is not, after %s', async (_what, answer, code) => {
    relay.answer(answer);
    expect((await failureOf(CANCEL)).code).toBe(code);
    expect(relay.asked).toHaveLength(1);
  });

  it('is made again when the relay says that it did not begin', async () => {
    relay.answer(problem(429, 'too-many-requests', { 'retry-after': '1' }), json({ done: true }));
    expect(await driving(runtime.clock, open().json(CANCEL))).toEqual({ done: true });
  });
});

describe('a failure', () => {
  it('at the relay is a LeadpushProblem with what the relay said', async () => {
    const body = {
      type: 'about:blank',
      title: 'Bad request',
      status: 400,
      detail: 'Two fields are wrong.',
      code: 'bad-request',
      request_id: 'req-9',
      errors: [{ pointer: '/to/0', in: 'body', detail: 'no address' }],
    };
    relay.answer(json(body, 400));
    const error = await failureOf(READ);
    expect(error).toBeInstanceOf(LeadpushProblem);
    expect(error).toMatchObject({
      name: 'LeadpushProblem',
      code: 'bad-request',
      status: 400,
      detail: 'Two fields are wrong.',
      errors: body.errors,
      requestId: 'req-9',
      problem: body,
    });
    expect(error.message).toBe('routes.list: 400 Bad request: Two fields are wrong. body /to/0: no address.');
  });

  it('with a code of a newer relay is unknown, and keeps the code', async () => {
    relay.answer(problem(418, 'tea-only'));
    expect(await failureOf(READ)).toMatchObject({ code: 'unknown', status: 418, problem: { code: 'tea-only' } });
  });

  it('on the way is a LeadpushConnectionError', async () => {
    await relay.close();
    const error = await failureOf(READ, { maxRetries: 1 });
    expect(error).toBeInstanceOf(LeadpushConnectionError);
    expect(error).toMatchObject({ code: 'connection-failed', status: null, requestId: null });
    expect(error.message).toContain('ECONNREFUSED');
    relay = await startFakeRelay();
  });

  it.each<readonly [string, Answer]>([
    ['before the answer', silence],
    [
      'within the answer',
      (response) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        response.write('{"a":');
      },
    ],
  ])('in time is a LeadpushTimeoutError: %s', async (_what, answer) => {
    relay.answer(answer);
    const error = await failureOf(READ, { timeoutMs: 2500, maxRetries: 0 });
    expect(error).toBeInstanceOf(LeadpushTimeoutError);
    expect(error.message).toBe('routes.list: no whole answer within 2500 ms');
  });

  it.each([
    ['a page', '<html>secret</html>'],
    ['broken JSON', '{"secret":'],
    ['a list', '["secret"]'],
    ['nothing', ''],
  ])('with an answer that nobody expects is a LeadpushAnswerError without its text: %s', async (_what, body) => {
    relay.answer((response) => void response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(body));
    const error = await failureOf(READ);
    expect(error).toBeInstanceOf(LeadpushAnswerError);
    expect(error).toMatchObject({ code: 'unexpected-answer', status: 200 });
    expect(error.message).toMatch(/^status 200, but no JSON object: its type is text\/html$/);
  });

  it('never tells the token', async () => {
    relay.answer(problem(401, 'unauthorized'));
    const error = await failureOf(READ);
    expect(JSON.stringify({ ...error, message: error.message, stack: error.stack })).not.toContain(TOKEN);
  });
});

describe('a signal', () => {
  it('that is aborted before the call keeps it from being made', async () => {
    await expect(open().json({ ...READ, signal: AbortSignal.abort(new Error('no need')) })).rejects.toThrow('no need');
    expect(relay.asked).toEqual([]);
  });

  it('ends a call that waits for its answer', async () => {
    const controller = new AbortController();
    relay.answer((_response) => controller.abort(new Error('gone home')));
    await expect(open().json({ ...READ, signal: controller.signal })).rejects.toThrow('gone home');
    expect(relay.asked).toHaveLength(1);
  });

  it('ends the wait for the next try, and leaves no timer behind', async () => {
    const controller = new AbortController();
    relay.answer(problem(503, 'unavailable', { 'retry-after': '20' }));
    void runtime.timerSet(20_000).then(() => controller.abort(new Error('gone home')));
    await expect(open().json({ ...READ, signal: controller.signal })).rejects.toThrow('gone home');
    expect(runtime.clock.pending()).toBe(0);
  });
});
