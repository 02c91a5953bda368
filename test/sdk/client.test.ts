/** Each call of the client: what it asks of the relay, and what it gives back. */
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeadpushRelay } from '../../src/sdk/client.ts';
import { webhooks } from '../../src/sdk/index.ts';
import { verifyWebhook } from '../../src/sdk/verify.ts';
import { ROOT } from './packed.ts';
import {
  type Answer,
  createTestRuntime,
  driving,
  type FakeRelay,
  hangUp,
  json,
  problem,
  startFakeRelay,
} from './server.ts';

const PAGE = { data: [{ id: 1 }], has_more: false, next_cursor: null };
const nothing: Answer = (response) => void response.writeHead(204).end();
const bytes: Answer = (response) => void response.writeHead(200, { 'content-type': 'message/rfc822' }).end('From: a');

let relay: FakeRelay;
let client: LeadpushRelay;
const runtime = createTestRuntime();

beforeEach(async () => {
  relay = await startFakeRelay();
  client = new LeadpushRelay({ baseUrl: relay.baseUrl }, runtime);
});
afterEach(() => relay.close());

const MESSAGE = { from: 'a@example.com', to: ['b@example.net'], subject: 'x', text: 'y' };
const CALLS: readonly (readonly [asks: string, answer: Answer, gives: unknown, call: () => Promise<unknown>])[] = [
  ['POST /v1/messages', json({ id: 'm' }, 202), { id: 'm' }, () => client.messages.send(MESSAGE)],
  [
    'POST /v1/messages/mime?from=&to=b%40example.net%2Cc%40example.net',
    json({ id: 'm' }, 202),
    { id: 'm' },
    () => client.messages.sendMime('From: a\r\n\r\n', { from: '', to: ['b@example.net', 'c@example.net'] }),
  ],
  ['GET /v1/messages/m%2F1', json({ id: 'm/1' }), { id: 'm/1' }, () => client.messages.get('m/1')],
  [
    'GET /v1/messages?state=bounced&since=2026-01-01T00%3A00%3A00.000Z&cursor=c',
    json(PAGE),
    PAGE,
    () => client.messages.list({ state: 'bounced', since: new Date(Date.UTC(2026, 0, 1)) }).page('c'),
  ],
  ['POST /v1/messages/m/cancel', json({ changed: [] }), { changed: [] }, () => client.messages.cancel('m')],
  ['POST /v1/messages/m/retry', json({ changed: [] }), { changed: [] }, () => client.messages.retry('m')],
  ['GET /v1/messages/m/trace', json({ id: 'm' }), { id: 'm' }, () => client.messages.trace('m')],
  ['GET /v1/messages/m/preview', json({ id: 'm' }), { id: 'm' }, () => client.messages.preview('m')],
  [
    'GET /v1/messages/m/content',
    bytes,
    'From: a',
    async () => new TextDecoder().decode(await client.messages.content('m')),
  ],
  [
    'GET /v1/events?type=message.*%2Croute.up&after_seq=0',
    json(PAGE),
    PAGE,
    () => client.events.list({ type: ['message.*', 'route.up'], after_seq: 0 }).page(),
  ],
  ['GET /v1/suppressions?limit=5', json(PAGE), PAGE, () => client.suppressions.list({ limit: 5 }).page()],
  ['GET /v1/suppressions/b%40example.net', json({}), {}, () => client.suppressions.get('b@example.net')],
  ['PUT /v1/suppressions/b%40example.net', json({}), {}, () => client.suppressions.put('b@example.net', {})],
  ['DELETE /v1/suppressions/b%40example.net', nothing, undefined, () => client.suppressions.delete('b@example.net')],
  ['GET /v1/flows/reset%2F7', json({ flow: 'reset/7' }), { flow: 'reset/7' }, () => client.flows.get('reset/7')],
  ['GET /v1/routes', json({ data: [1] }), [1], () => client.routes.list()],
  ['GET /v1/senders', json({ data: [1] }), [1], () => client.senders.list()],
  ['GET /v1/stats?since=24h', json({ tags: [] }), { tags: [] }, () => client.stats.get({ since: '24h' })],
  ['GET /v1/queue?limit=1', json({ data: [] }), { data: [] }, () => client.queue.list({ limit: 1 })],
  ['POST /v1/rules/explain', json({ verdict: 'accept' }), { verdict: 'accept' }, () => client.rules.explain(MESSAGE)],
  ['GET /v1/webhooks', json({ data: [1] }), [1], () => client.webhooks.list()],
  ['GET /v1/webhooks/a%20b/deliveries', json(PAGE), PAGE, () => client.webhooks.deliveries('a b').page()],
  ['POST /v1/webhooks/w/enable', json({}), {}, () => client.webhooks.enable('w')],
  ['POST /v1/webhooks/w/replay', json({}, 202), {}, () => client.webhooks.replay('w', { event_id: 'evt_1' })],
];

describe('the client', () => {
  it('has every call of the API', async () => {
    const { paths } = JSON.parse(await readFile(path.join(ROOT, 'src/api/openapi.json'), 'utf8')) as {
      paths: Record<string, Record<string, unknown>>;
    };
    const offered = Object.entries(paths).flatMap(([name, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${name}`),
    );
    const asked = [...CALLS.map(([asks]) => asks.split('?')[0] ?? ''), 'GET /v1/events/stream'];
    const missing = offered.filter((call) => {
      const pattern = new RegExp(`^${call.replaceAll(/[{][^}]+[}]/g, '[^/]+')}$`);
      return !asked.some((one) => pattern.test(one));
    });
    expect(offered.length).toBeGreaterThan(20);
    expect(missing).toEqual([]);
  });
});

describe('a call', () => {
  it.each(CALLS)('asks %s', async (asks, answer, gives, call) => {
    relay.answer(answer);
    expect(await call()).toEqual(gives);
    expect(relay.asked.map(({ method, url }) => `${method} ${url}`)).toEqual([asks]);
  });

  it.each(CALLS)(
    'is made again after a lost answer only where that does no harm: %s',
    async (asks, answer, _gives, call) => {
      relay.answer(hangUp, answer);
      const made = driving(runtime.clock, call());
      if (/cancel|retry|replay/.test(asks)) await expect(made).rejects.toMatchObject({ code: 'connection-failed' });
      else await made;
      expect(relay.asked).toHaveLength(/cancel|retry|replay/.test(asks) ? 1 : 2);
    },
  );

  it('to delete is done when an earlier try, whose answer was lost, did it', async () => {
    relay.answer(hangUp, problem(404, 'not-found'));
    expect(await driving(runtime.clock, client.suppressions.delete('b@example.net'))).toBeUndefined();
    relay.answer(problem(404, 'not-found'));
    await expect(client.suppressions.delete('b@example.net')).rejects.toMatchObject({ code: 'not-found' });
  });

  it('without an id, or with one that leads elsewhere, is not made', async () => {
    for (const id of ['', '.', '..']) expect(() => client.messages.cancel(id)).toThrow(TypeError);
    expect(relay.asked).toEqual([]);
  });
});

describe('sending', () => {
  it('has one key for all tries of a call, another for the next call, or the one that is given', async () => {
    const sent = json({ id: 'm' }, 202);
    relay.answer(hangUp, hangUp, sent);
    await driving(runtime.clock, client.messages.send(MESSAGE));
    await client.messages.send(MESSAGE);
    await client.messages.send(MESSAGE, { idempotencyKey: 'mine' });
    const keys = relay.asked.map(({ headers }) => headers['idempotency-key']);
    expect(keys.slice(0, 3)).toEqual([keys[0], keys[0], keys[0]]);
    expect(keys[3]).not.toBe(keys[0]);
    expect(keys[4]).toBe('mine');
  });

  it('turns the bytes of attachments into base64, and leaves base64 as it is', async () => {
    relay.answer(json({ id: 'm' }, 202));
    const content = Uint8Array.from({ length: 20_000 }, (_, at) => at % 256);
    await client.messages.send({
      ...MESSAGE,
      attachments: [
        { filename: 'a.bin', content },
        { filename: 'b.txt', content: 'aGk=' },
      ],
    });
    expect(JSON.parse(String(relay.asked[0]?.body))).toEqual({
      ...MESSAGE,
      attachments: [
        { filename: 'a.bin', content: Buffer.from(content).toString('base64') },
        { filename: 'b.txt', content: 'aGk=' },
      ],
    });
  });

  it('sends the bytes of a message as they are', async () => {
    relay.answer(json({ id: 'm' }, 202));
    const mime = Uint8Array.from([70, 58, 32, 255, 0, 13, 10]);
    await client.messages.sendMime(mime, { from: 'a@example.com', to: ['b@example.net'] });
    expect(relay.asked[0]?.body).toEqual(Buffer.from(mime));
  });
});

describe('the check of webhooks', () => {
  it('is the same with a client, without one, and as a function', () => {
    expect(client.webhooks.verify).toBe(verifyWebhook);
    expect(LeadpushRelay.webhooks.verify).toBe(verifyWebhook);
    expect(webhooks.verify).toBe(verifyWebhook);
  });
});
