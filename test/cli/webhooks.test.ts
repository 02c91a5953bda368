/** `webhooks`, over a real database, with a receiver for the test event. */
import { expect, onTestFinished, test } from 'vitest';
import { EVENT_TYPES } from '../../src/core/event.ts';
import type { OutboxTry } from '../../src/store/outbox.ts';
import { secretText, startReceiver, TEST_SECRET } from '../support/webhook-receiver.ts';
import { type Seed, seed } from './seed.ts';
import { NOW, type Ran, run, tempFolder, type TestIoOptions, writeConfig } from './support.ts';

interface Stage extends Seed {
  readonly folder: string;
  /** Tries to send the next event, and records what came of it. */
  tried(over: Partial<OutboxTry>): Promise<string>;
  webhooks(argv: readonly string[], options?: TestIoOptions): Promise<Ran>;
}

async function stage(): Promise<Stage> {
  const folder = tempFolder();
  const seeded = await seed(folder);
  const { outbox } = seeded.store;
  await outbox.sync([{ name: 'auth', types: EVENT_TYPES, tags: null, fingerprint: 'a' }], NOW);
  return {
    ...seeded,
    folder,
    async tried(over) {
      await seeded.accept();
      const [item] = (await outbox.work('auth', NOW, 1, [])).items;
      const made = { seq: item?.seq ?? 0, at: NOW, ms: 12, status: 200, text: 'ok', disable: null };
      await outbox.record('auth', { ...made, verdict: { kind: 'delivered' }, ...over });
      return item?.eventId ?? '';
    },
    webhooks: (argv, options = {}) => run(['webhooks', ...argv, '--data', folder], { now: NOW + 1000, ...options }),
  };
}

test('lists the endpoints and how they fare, beside a relay that runs', async () => {
  const s = await stage();
  await s.tried({});
  await s.tried({ status: 503, text: 'busy', verdict: { kind: 'again', dueAt: NOW + 5000 } });
  for (const argv of [[], ['list']]) {
    const { code, json } = await s.webhooks(argv);
    expect(code).toBe(0);
    expect(json).toMatchObject([{ name: 'auth', url: null, state: 'active', pending: 1, dead: 0 }]);
  }
  expect((await s.webhooks([], { tty: true })).out).toMatch(
    /auth +failing since 2026-01-05 10:00:00Z +1 +1 s +0 +2026-01-05 10:00:00Z +in 4 s +-/,
  );
});

test('shows why an endpoint is disabled, and enables it', async () => {
  const s = await stage();
  await s.tried({ status: 410, verdict: { kind: 'again', dueAt: NOW }, disable: 'it answered 410: \u001b[31mgone' });
  const { out } = await s.webhooks([], { tty: true });
  expect(out).toContain('auth is disabled: it answered 410: gone');
  expect((await s.webhooks(['enable', 'auth'], { tty: true })).out).toBe(
    'auth is sent to again, from where it stopped\n',
  );
  expect((await s.webhooks([])).json).toMatchObject([{ state: 'active', disabled_reason: null, pending: 1 }]);
});

test('shows every try with status, time and answer', async () => {
  const s = await stage();
  const ids = [await s.tried({}), await s.tried({ status: null, text: 'no answer', verdict: { kind: 'dead' } })];
  expect((await s.webhooks(['deliveries', 'auth'])).json).toMatchObject([
    { event_id: ids[1], state: 'dead', attempts: [{ status: null, latency_ms: 12, response: 'no answer' }] },
    { event_id: ids[0], state: 'delivered', attempts: [{ status: 200, response: 'ok' }] },
  ]);
  expect((await s.webhooks(['deliveries', 'auth', '--state', 'dead'])).json).toHaveLength(1);
  expect((await s.webhooks(['deliveries', 'auth', '--limit', '1'], { tty: true })).out).toMatch(
    new RegExp(`${ids[1]} +message\\.accepted +dead +1 +2026-01-05 10:00:00Z +- +12 +no answer\n$`),
  );
});

test('replays what was given up, one event, or a range of time', async () => {
  const s = await stage();
  const [first] = [await s.tried({}), await s.tried({ verdict: { kind: 'dead' } })];
  expect((await s.webhooks(['replay', 'auth'])).json).toEqual([{ webhook: 'auth', queued: 1, unknown: [] }]);
  expect((await s.webhooks(['replay', 'auth', '--event', first], { tty: true })).out).toBe(
    '1 event waits to be sent to auth\n',
  );
  expect((await s.webhooks(['replay', 'auth', '--since', '1h'])).json).toMatchObject([{ queued: 2 }]);
  expect((await s.webhooks(['replay', 'auth', '--since', '2h', '--until', '1h'])).json).toMatchObject([{ queued: 0 }]);
  expect((await s.store.outbox.work('auth', NOW + 2000, 9, [])).items).toHaveLength(2);
  const missed = await s.webhooks(['replay', 'auth', '--event', 'evt_x', first]);
  expect(missed).toMatchObject({ code: 1, json: [{ queued: 1, unknown: ['evt_x'] }] });
});

test.each([
  [['replay', 'auth', '--dead', '--since', '1h'], 'exclude each other'],
  [['replay', 'auth', '--until', '1h'], '--until goes with --since'],
  [['replay', 'nobody'], 'there is no webhook "nobody"'],
  [['enable', 'nobody'], 'there is no webhook "nobody"'],
  [['deliveries', 'nobody'], 'there is no webhook "nobody"'],
  [['deliveries', 'auth', '--state', 'gone'], 'pending, delivered, dead'],
  [['replya', 'auth'], 'did you mean `replay`?'],
])('%j is refused with what to do', async (argv, text) => {
  const s = await stage();
  const { code, err } = await s.webhooks(argv);
  expect(code).toBe(2);
  expect(err).toContain(text);
});

test('shows addresses from the config without their query, and goes without where it cannot be read', async () => {
  const s = await stage();
  await s.stop();
  const at = `${s.folder}/conf`;
  const { mkdirSync } = await import('node:fs');
  mkdirSync(at);
  const webhooks = [{ name: 'auth', url: 'https://auth.example.com/h?token=t0ken', secret: '${HOOK_SECRET}' }];
  const file = writeConfig(at, { data: s.folder, webhooks });
  const list = (env: Record<string, string>): Promise<Ran> => run(['webhooks', '--config', file], { env });
  expect((await list({ HOOK_SECRET: secretText() })).json).toMatchObject([{ url: 'https://auth.example.com/h' }]);
  expect((await list({})).json).toMatchObject([{ name: 'auth', url: null }]);
});

test('sends a signed test event and tells the answer', async () => {
  const folder = tempFolder();
  const receiver = await startReceiver();
  onTestFinished(() => receiver.close());
  const file = writeConfig(folder, { webhooks: [{ name: 'auth', url: receiver.url, secret: secretText() }] });
  const send = (name: string, options: TestIoOptions = {}): Promise<Ran> =>
    run(['webhooks', 'test', name, '--config', file], options);
  expect(await send('auth')).toMatchObject({
    code: 0,
    json: [{ webhook: 'auth', outcome: 'delivered', status: 200, event_id: receiver.requests[0]?.id }],
  });
  expect(receiver.requests[0]).toMatchObject({ isVerified: true, event: { type: 'webhook.test' } });
  receiver.answer({ status: 401, body: `who are you? ${Buffer.from(TEST_SECRET).toString('base64')}` });
  const refused = await send('auth', { tty: true });
  expect(refused).toMatchObject({ code: 1, out: expect.stringContaining('auth did not take the test event') });
  expect(refused.out).toContain('401 who are you? ');
  expect(refused.out).not.toContain(Buffer.from(TEST_SECRET).toString('base64').slice(0, 12));
  expect(await send('atuh')).toMatchObject({ code: 2, err: expect.stringContaining('did you mean `auth`?') });
});
