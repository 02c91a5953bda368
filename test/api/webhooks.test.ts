/** The calls about webhooks, over a real store. */
import { expect, test } from 'vitest';
import type { WebhookConfig } from '../../src/config/types.ts';
import { EVENT_TYPES } from '../../src/core/event.ts';
import type { OutboxTry } from '../../src/store/outbox.ts';
import { START_MS } from '../store/fixture.ts';
import { TEST_SECRET } from '../support/webhook-receiver.ts';
import { type ApiBench, startApi, token } from './support.ts';

const AUTH: WebhookConfig = {
  name: 'auth',
  url: 'https://auth.example.com/hooks?token=t0ken',
  secrets: [TEST_SECRET],
  events: new Set(EVENT_TYPES),
  tags: new Set(['password-reset']),
  ca: null,
};
const OTHER: WebhookConfig = { ...AUTH, name: 'other', tags: null, events: new Set(['route.down']) };

interface Stage extends ApiBench {
  readonly wakes: () => number;
  readonly post: (path: string, body?: unknown) => ReturnType<ApiBench['call']>;
  /** Accepts a message, tries to send its event, and records what came of it. */
  readonly tried: (over: Partial<OutboxTry>) => Promise<string>;
}

async function stage(): Promise<Stage> {
  let wakes = 0;
  const bench = await startApi({ calls: { webhooks: () => [OTHER, AUTH], wakeWebhooks: () => void wakes++ } });
  const { outbox } = bench.store;
  await outbox.sync(
    [AUTH, OTHER].map(({ name, events, tags }) => ({
      name,
      types: [...events],
      tags: tags === null ? null : [...tags],
      fingerprint: name,
    })),
    START_MS,
  );
  return {
    ...bench,
    wakes: () => wakes,
    post: (path, body) =>
      bench.call(path, {
        method: 'POST',
        ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      }),
    async tried(over) {
      await bench.accept({ record: { tag: 'password-reset' } });
      const { items } = await outbox.work('auth', bench.clock.now(), 1, []);
      const [item] = items;
      const made = { seq: item?.seq ?? 0, at: bench.clock.now(), ms: 12, status: 200, text: 'ok', disable: null };
      await outbox.record('auth', { ...made, verdict: { kind: 'delivered' }, ...over });
      return item?.eventId ?? '';
    },
  };
}

test('lists the endpoints of the config in its order, without the query of their URL and without secrets', async () => {
  const s = await stage();
  await s.tried({});
  await s.tried({ status: 503, text: 'busy', verdict: { kind: 'again', dueAt: START_MS + 5000 } });
  const answer = await s.call('/v1/webhooks');
  expect(answer.status).toBe(200);
  expect(answer.json).toMatchObject({
    data: [
      { name: 'other', events: ['route.down'], tags: [], pending: 0 },
      {
        name: 'auth',
        url: 'https://auth.example.com/hooks',
        events: EVENT_TYPES,
        tags: ['password-reset'],
        state: 'active',
        disabled_at: null,
        failing_since: '2026-01-05T10:00:00.000Z',
        pending: 1,
        dead: 0,
        last_delivered_at: '2026-01-05T10:00:00.000Z',
        next_attempt_at: '2026-01-05T10:00:05.000Z',
      },
    ],
  });
  expect(answer.text).not.toContain('t0ken');
  expect(answer.text).not.toContain(Buffer.from(TEST_SECRET).toString('base64').slice(0, 12));
});

test('lists deliveries by page and state with status, latency and answer of each attempt', async () => {
  const s = await stage();
  const ids = [
    await s.tried({}),
    await s.tried({ status: null, text: 'no answer within 15 s', verdict: { kind: 'dead' } }),
    await s.tried({}),
  ];
  const first = (await s.call('/v1/webhooks/auth/deliveries?limit=2')).json;
  expect(first).toMatchObject({ data: [{ seq: 3 }, { seq: 2 }], has_more: true, next_cursor: '2' });
  expect((await s.call('/v1/webhooks/auth/deliveries?limit=2&cursor=2')).json).toMatchObject({
    data: [{ seq: 1 }],
    has_more: false,
    next_cursor: null,
  });
  expect((await s.call('/v1/webhooks/auth/deliveries?state=dead')).json).toEqual({
    data: [
      {
        id: 'auth:2',
        webhook: 'auth',
        event_id: ids[1],
        seq: 2,
        type: 'message.accepted',
        message_id: expect.stringMatching(/^msg_/),
        state: 'dead',
        next_attempt_at: null,
        attempts: [
          {
            number: 1,
            started_at: '2026-01-05T10:00:00.000Z',
            status: null,
            latency_ms: 12,
            response: 'no answer within 15 s',
          },
        ],
      },
    ],
    has_more: false,
    next_cursor: null,
  });
});

test('replays one event, several, a range of time, or what was given up, and says how many', async () => {
  const s = await stage();
  const [first, second] = [await s.tried({}), await s.tried({ verdict: { kind: 'dead' } })];
  const absent = `evt_${'0'.repeat(26)}`;
  for (const [body, expected] of [
    [{ event_id: first }, { queued: 1, unknown: [] }],
    [{ event_ids: [first, absent, second] }, { queued: 2, unknown: [absent] }],
    [{ since: '1h' }, { queued: 2, unknown: [] }],
    [
      { since: '2026-01-05T09:00:00Z', until: '2026-01-05T10:00:00Z' },
      { queued: 0, unknown: [] },
    ],
  ] as const) {
    const answer = await s.post('/v1/webhooks/auth/replay', body);
    expect([answer.status, answer.json]).toEqual([202, expected]);
  }
  expect(s.wakes()).toBe(4);
  expect((await s.store.outbox.work('auth', START_MS, 9, [])).items.map(({ eventId }) => eventId)).toEqual([
    first,
    second,
  ]);
  await s.store.outbox.record('auth', {
    seq: 2,
    at: START_MS,
    ms: 1,
    status: 500,
    text: '',
    verdict: { kind: 'dead' },
    disable: null,
  });
  expect((await s.post('/v1/webhooks/auth/replay', { dead: true })).json).toEqual({ queued: 1, unknown: [] });
});

test.each([
  [{}, ''],
  [{ dead: true, since: '1h' }, ''],
  [{ until: '1h' }, ''],
  [{ event_id: 'evt_1' }, '/event_id'],
  [{ event_ids: [] }, '/event_ids'],
  [{ since: 'yesterday' }, '/since'],
  [{ dead: false }, '/dead'],
  [{ url: 'https://evil.example/', dead: true }, ''],
])('a replay of %j is refused', async (body, pointer) => {
  const s = await stage();
  const answer = await s.post('/v1/webhooks/auth/replay', body);
  expect(answer.json).toMatchObject({ code: 'validation', status: 422 });
  expect(answer.text).toContain(`"pointer":"${pointer}`);
  expect(answer.text).not.toContain('evil');
});

test('an event that the endpoint does not want, and an endpoint that is not there, are not found', async () => {
  const s = await stage();
  const event = await s.tried({});
  for (const [method, path, body] of [
    ['POST', '/v1/webhooks/other/replay', { event_id: event }],
    ['POST', '/v1/webhooks/nobody/replay', { dead: true }],
    ['POST', '/v1/webhooks/nobody/enable', undefined],
    ['GET', '/v1/webhooks/nobody/deliveries', undefined],
  ] as const) {
    const answer = method === 'GET' ? await s.call(path) : await s.post(path, body);
    expect([path, answer.status]).toEqual([path, 404]);
  }
  expect(s.wakes()).toBe(0);
});

test('enables an endpoint that was disabled', async () => {
  const s = await stage();
  await s.tried({ status: 410, verdict: { kind: 'again', dueAt: START_MS }, disable: 'it answered 410: gone' });
  expect((await s.call('/v1/webhooks')).json).toMatchObject({
    data: [{}, { state: 'disabled', disabled_reason: 'it answered 410: gone', next_attempt_at: null }],
  });
  const answer = await s.post('/v1/webhooks/auth/enable');
  expect([answer.status, answer.json]).toMatchObject([
    200,
    { name: 'auth', state: 'active', disabled_reason: null, pending: 1 },
  ]);
  expect(s.wakes()).toBe(1);
});

test('an event about a disabled endpoint is in the log with its name and reason', async () => {
  const s = await stage();
  await s.tried({ status: 410, verdict: { kind: 'again', dueAt: START_MS }, disable: 'it answered 410: gone' });
  expect((await s.call('/v1/events?type=webhook.*')).json).toMatchObject({
    data: [{ type: 'webhook.disabled', data: { webhook: { name: 'auth', reason: 'it answered 410: gone' } } }],
  });
});

test('looking needs the scope read, replaying and enabling admin', async () => {
  const tokens = [token('reader', 'r', ['read']), token('sender', 's', ['send'])];
  const { call } = await startApi({ config: { host: '127.0.0.1', port: 0, tokens } });
  const as = async (bearer: string, method: string, path: string): Promise<number> => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    return (await call(path, { method, headers, ...(method === 'POST' ? { body: '{"dead":true}' } : {}) })).status;
  };
  expect(await as('r', 'GET', '/v1/webhooks')).toBe(200);
  expect(await as('s', 'GET', '/v1/webhooks')).toBe(403);
  expect(await as('r', 'POST', '/v1/webhooks/auth/replay')).toBe(403);
  expect(await as('r', 'POST', '/v1/webhooks/auth/enable')).toBe(403);
});
