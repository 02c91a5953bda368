/** Lanes over a real store in memory and real receivers; time moves only by hand. */
import { expect, onTestFinished, test } from 'vitest';
import type { WebhookConfig } from '../../src/config/types.ts';
import { RelayError } from '../../src/core/errors.ts';
import { EVENT_TYPES } from '../../src/core/event.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { OutboxStore } from '../../src/store/outbox.ts';
import type { Log } from '../../src/telemetry/log.ts';
import { createDispatcher, type Dispatcher } from '../../src/webhooks/dispatcher.ts';
import { EXCHANGE_LIMIT_MS } from '../../src/webhooks/exchange.ts';
import { CONCURRENCY, GIVE_UP_AFTER_MS } from '../../src/webhooks/lane.ts';
import { RETRY_LADDER_MS } from '../../src/webhooks/retry.ts';
import { type Bench, openBench, START_MS } from '../store/fixture.ts';
import { startReceiver, TEST_SECRET, type WebhookReceiver } from '../support/webhook-receiver.ts';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;

interface Stage extends Bench {
  readonly dispatcher: Dispatcher;
  /** Every line of the log, as JSON. */
  readonly lines: readonly string[];
  readonly tries: readonly string[];
  /** Lets what is under way go on until `done`, without moving time by more than a fraction of a second. */
  until(done: () => boolean | Promise<boolean>): Promise<void>;
}

function endpoint(name: string, url: string, over: Partial<WebhookConfig> = {}): WebhookConfig {
  return { name, url, secrets: [TEST_SECRET], events: new Set(EVENT_TYPES), tags: null, ca: null, ...over };
}

async function receiver(): Promise<WebhookReceiver> {
  const started = await startReceiver();
  onTestFinished(() => started.close());
  return started;
}

async function stage(
  configs: readonly WebhookConfig[],
  wrap: (outbox: OutboxStore) => OutboxStore = (outbox) => outbox,
): Promise<Stage> {
  const b = await openBench((clock, { dropContentWhenSettled = true }) =>
    openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled, exclusive: false }),
  );
  const lines: string[] = [];
  const tries: string[] = [];
  const write = (fields: unknown): void => void lines.push(JSON.stringify(fields));
  const log: Log = { debug: write, info: write, warn: write, error: write };
  const dispatcher = createDispatcher({
    outbox: wrap(b.store.outbox),
    clock: b.clock,
    random: () => 0,
    log,
    userAgent: 'Leadpush-Relay/test',
    onTry: (name, outcome) => void tries.push(`${name} ${outcome}`),
  });
  await dispatcher.apply(configs);
  b.store.feed.onEvents((events) => dispatcher.notice(events));
  onTestFinished(async () => {
    const stopped = dispatcher.stop();
    await b.clock.advance(MINUTE_MS);
    await stopped;
  });
  return {
    ...b,
    dispatcher,
    lines,
    tries,
    async until(done) {
      for (let turn = 0; turn < 2000; turn++) {
        if (await done()) return;
        await b.clock.advance(0);
      }
      throw new Error('it did not come to that');
    },
  };
}

const seqs = ({ requests }: WebhookReceiver): readonly number[] => requests.map(({ event }) => event.data.seq);

test('each event goes to each endpoint that wants it, signed, as the log has it', async () => {
  const [all, few] = [await receiver(), await receiver()];
  const s = await stage([
    endpoint('all', all.url),
    endpoint('few', few.url, { events: new Set(['message.delivered']), tags: new Set(['otp']) }),
  ]);
  await s.accept({ record: { tag: 'otp' } });
  await s.deliver(await s.claimOne());
  await s.accept({ record: { tag: 'news' } });
  await s.deliver(await s.claimOne());
  await s.until(() => all.requests.length === 4 && few.requests.length === 1);
  const events = await s.store.history.events({ afterSeq: 0, limit: 9 });
  expect(all.requests.map(({ event }) => event).toSorted((a, b) => a.data.seq - b.data.seq)).toEqual(events);
  expect(few.requests.map(({ event }) => event.data.seq)).toEqual([2]);
  for (const request of [...all.requests, ...few.requests]) {
    expect(request).toMatchObject({ isVerified: true, id: request.event.data.event_id });
  }
});

test('a failed try is made again up the ladder under the same id, and the last one makes a dead letter', async () => {
  const to = await receiver();
  to.answer({ status: 500, body: 'broken' });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(() => s.tries.length === 1);
  for (const [index, step] of RETRY_LADDER_MS.entries()) {
    await s.clock.advance(step - 1);
    expect(to.requests).toHaveLength(index + 1);
    await s.clock.advance(1);
    await s.until(() => s.tries.length === index + 2);
  }
  expect(s.tries).toEqual([...RETRY_LADDER_MS.map(() => 'auth failed'), 'auth dead']);
  expect(new Set(to.requests.map(({ id, body }) => `${id} ${body}`)).size).toBe(1);
  await s.until(async () => (await s.store.outbox.figures())[0]?.dead === 1);
  const [delivery] = (await s.store.outbox.deliveries('auth', { limit: 9 })) ?? [];
  expect(delivery).toMatchObject({ state: 'dead', nextAttemptAt: null });
  expect(delivery?.attempts).toHaveLength(10);
  await s.clock.advance(2 * DAY_MS);
  expect(to.requests).toHaveLength(10);
});

test('an endpoint that hangs delays no other', async () => {
  const [hanging, well] = [await receiver(), await receiver()];
  hanging.answer({ how: 'hang' });
  const s = await stage([endpoint('hanging', hanging.url), endpoint('well', well.url)]);
  for (let i = 0; i < 30; i++) await s.accept();
  await s.until(() => well.requests.length === 30);
  expect(hanging.requests).toHaveLength(CONCURRENCY);
  expect(s.clock.now()).toBe(START_MS);
});

test('events of a message arrive in order, though one fails, while other messages go on', async () => {
  const to = await receiver();
  const s = await stage([endpoint('auth', to.url)]);
  to.answer(({ event }) => ({ status: event.data.seq === 1 && to.requests.length < 5 ? 503 : 200 }));
  await s.accept();
  await s.deliver(await s.claimOne());
  for (let i = 0; i < 3; i++) await s.accept();
  await s.until(() => to.requests.length === 4);
  expect(seqs(to).toSorted()).toEqual([1, 3, 4, 5]);
  await s.accept();
  await s.until(() => to.requests.length === 5);
  await s.clock.advance(5000);
  await s.until(() => to.requests.length === 7);
  expect(seqs(to).slice(5)).toEqual([1, 2]);
});

test('after three failures in a row one event at a time is sent, and what had failed is due at the first success', async () => {
  const to = await receiver();
  to.answer({ status: 500 });
  const s = await stage([endpoint('auth', to.url)]);
  for (let i = 0; i < 40; i++) await s.accept();
  // The first two failures made room for two more.
  const atOnce = CONCURRENCY + 2;
  await s.until(() => s.tries.length === atOnce);
  // A pause after each: ten seconds from the sixth on.
  await s.clock.advance(MINUTE_MS);
  await s.until(() => s.tries.length >= atOnce + 5);
  expect(s.tries.length).toBeLessThan(atOnce + 8);
  to.answer({});
  const before = to.requests.length;
  await s.clock.advance(10_000);
  await s.until(async () => (await s.store.outbox.figures())[0]?.backlog === 0);
  expect(to.requests.length - before).toBe(40);
  expect(s.lines.some((line) => line.includes('webhook.recovered'))).toBe(true);
});

test('Retry-After holds up the event and its endpoint', async () => {
  const to = await receiver();
  to.answer({ status: 429, headers: { 'retry-after': '90' } });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(() => s.tries.length === 1);
  to.answer({});
  await s.accept();
  await s.clock.advance(89_999);
  expect(to.requests).toHaveLength(1);
  await s.clock.advance(1);
  await s.until(() => to.requests.length === 3);
});

test('Retry-After of two hours holds up the event for two, its endpoint for one', async () => {
  const to = await receiver();
  to.answer({ status: 503, headers: { 'retry-after': '7200' } });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(() => s.tries.length === 1);
  to.answer({});
  await s.accept();
  await s.clock.advance(60 * MINUTE_MS);
  await s.until(() => to.requests.length === 2);
  const [asked, other] = to.requests.map(({ headers }) => headers['webhook-id']);
  expect(other).not.toBe(asked);
  await s.clock.advance(60 * MINUTE_MS - 1000);
  expect(to.requests).toHaveLength(2);
  await s.clock.advance(1000);
  await s.until(() => to.requests.length === 3);
  expect(to.requests[2]?.headers['webhook-id']).toBe(asked);
});

test('410 disables the endpoint, tells the others and not itself, and another URL brings what waited', async () => {
  const [gone, other, moved] = [await receiver(), await receiver(), await receiver()];
  gone.answer({ status: 410, body: 'moved away' });
  const s = await stage([endpoint('auth', gone.url), endpoint('other', other.url)]);
  await s.accept();
  await s.until(() => other.requests.length === 2);
  expect(other.requests[1]?.event).toMatchObject({
    type: 'webhook.disabled',
    data: { webhook: { name: 'auth', reason: 'it answered 410: moved away' } },
  });
  await s.accept();
  await s.until(() => other.requests.length === 3);
  await s.clock.advance(10 * MINUTE_MS);
  expect(gone.requests).toHaveLength(1);
  await s.dispatcher.apply([endpoint('auth', moved.url), endpoint('other', other.url)]);
  await s.until(() => moved.requests.length === 2);
  expect(seqs(moved)).toEqual([1, 3]);
});

test('an endpoint that an operator enables goes on where it stopped', async () => {
  const to = await receiver();
  to.answer({ status: 410 });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(async () => (await s.store.outbox.figures())[0]?.disabledAt !== null);
  to.answer({});
  await s.store.outbox.enable('auth', s.clock.now());
  s.dispatcher.wakeAll();
  await s.until(() => to.requests.length === 2);
  expect(seqs(to)).toEqual([1, 1]);
});

test('what waits for days is given up, at an endpoint that is disabled too', async () => {
  const to = await receiver();
  to.answer({ status: 410 });
  const s = await stage([endpoint('auth', to.url)]);
  for (let i = 0; i < 3; i++) await s.accept();
  await s.until(async () => (await s.store.outbox.figures())[0]?.disabledAt !== null);
  await s.clock.advance(GIVE_UP_AFTER_MS + 2 * MINUTE_MS);
  await s.until(async () => (await s.store.outbox.figures())[0]?.dead === 3);
  expect(await s.store.outbox.figures()).toMatchObject([{ backlog: 0 }]);
});

test('a config takes up new endpoints, forgets old ones, and signs with the secrets it has now', async () => {
  const [old, fresh] = [await receiver(), await receiver()];
  const s = await stage([endpoint('old', old.url)]);
  await s.accept();
  await s.until(() => old.requests.length === 1);
  const next = new Uint8Array(24).fill(1);
  await s.dispatcher.apply([endpoint('fresh', fresh.url, { secrets: [next, TEST_SECRET] })]);
  await s.accept();
  await s.until(() => fresh.requests.length === 1);
  expect(old.requests).toHaveLength(1);
  expect(seqs(fresh)).toEqual([2]);
  expect(fresh.requests[0]?.headers['webhook-signature']).toMatch(/^v1,\S+ v1,\S+$/);
  expect(fresh.requests[0]?.isVerified).toBe(true);
  await s.dispatcher.apply([endpoint('fresh', fresh.url, { secrets: [next] })]);
  await s.accept();
  await s.until(() => fresh.requests.length === 2);
  expect(fresh.requests[1]?.isVerified).toBe(false);
});

test('another URL takes over while a request is under way, and that one counts', async () => {
  const [slow, moved] = [await receiver(), await receiver()];
  slow.answer({ how: 'hang' });
  const s = await stage([endpoint('auth', slow.url)]);
  await s.accept();
  await s.until(() => slow.requests.length === 1);
  await s.dispatcher.apply([endpoint('auth', moved.url)]);
  await s.accept();
  await s.until(() => moved.requests.length === 1);
  expect(seqs(moved)).toEqual([2]);
  await s.clock.advance(EXCHANGE_LIMIT_MS + 5000);
  await s.until(() => moved.requests.length === 2);
  expect(seqs(moved)).toEqual([2, 1]);
});

test('a late 410 of the old URL neither disables the new one nor holds it up', async () => {
  const [old, moved] = [await receiver(), await receiver()];
  old.answer({ status: 410, headers: { 'retry-after': '3600' } });
  let hold: Promise<void> | null = null;
  let recorded = 0;
  const s = await stage([endpoint('auth', old.url)], (outbox) => ({
    ...outbox,
    async work(...given) {
      const work = await outbox.work(...given);
      // The config changes while the request is on its way.
      if (work.items.length > 0) hold ??= s.dispatcher.apply([endpoint('auth', moved.url)]);
      return work;
    },
    async record(...given) {
      recorded++;
      return outbox.record(...given);
    },
  }));
  await s.accept();
  await s.until(() => recorded === 2);
  await s.until(async () => (await s.store.outbox.figures())[0]?.backlog === 0);
  expect([seqs(old), seqs(moved), s.tries]).toEqual([[1], [1], ['auth failed', 'auth delivered']]);
  expect(await s.store.outbox.figures()).toMatchObject([{ disabledAt: null, failures: 0 }]);
});

test('stopping waits for what is under way and sends nothing new', async () => {
  const to = await receiver();
  const s = await stage([endpoint('auth', to.url)]);
  for (let i = 0; i < 20; i++) await s.accept();
  await s.until(() => to.requests.length > 0);
  await s.dispatcher.stop();
  const { length } = to.requests;
  const delivered = (await s.store.outbox.deliveries('auth', { state: 'delivered', limit: 100 }))?.length;
  expect(delivered).toBe(length);
  await s.accept();
  await s.clock.advance(MINUTE_MS);
  expect(to.requests).toHaveLength(length);
});

test('stopping breaks off what hangs after a few seconds, and that is no failure', async () => {
  const to = await receiver();
  to.answer({ how: 'hang' });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(() => to.requests.length === 1);
  const stopped = s.dispatcher.stop();
  await s.clock.advance(5000);
  await stopped;
  expect(s.tries).toEqual([]);
  expect(await s.store.outbox.figures()).toMatchObject([{ backlog: 1, failures: 0 }]);
});

test('trouble of the store loses nothing: it is tried again, with the same id', async () => {
  const to = await receiver();
  let isBroken = true;
  const s = await stage([endpoint('auth', to.url)], (outbox) => ({
    ...outbox,
    record(name, made) {
      if (!isBroken) return outbox.record(name, made);
      return Promise.reject(new RelayError('disk', { code: 'store-io', op: 'store.record' }));
    },
  }));
  await s.accept();
  await s.until(() => s.lines.some((line) => line.includes('webhook.store')));
  expect(to.requests).toHaveLength(1);
  isBroken = false;
  await s.clock.advance(5000);
  await s.until(async () => (await s.store.outbox.figures())[0]?.backlog === 0);
  expect(to.requests.map(({ id }) => id)).toEqual([to.requests[0]?.id, to.requests[0]?.id]);
});

test('no secret and no signature is in the log or the store', async () => {
  const to = await receiver();
  to.answer(({ headers }) => ({
    status: 500,
    body: `${Buffer.from(TEST_SECRET).toString('base64')} ${String(headers['webhook-signature'])}`,
  }));
  const s = await stage([endpoint('auth', `${to.url}?token=t0ken`)]);
  await s.accept();
  await s.until(() => s.tries.length === 1);
  await s.until(async () => (await s.store.outbox.deliveries('auth', { limit: 9 }))?.[0]?.attempts.length === 1);
  const kept = JSON.stringify([await s.store.outbox.deliveries('auth', { limit: 9 }), s.lines]);
  expect(to.requests[0]?.path).toBe('/hook?token=t0ken');
  expect(kept).not.toContain('t0ken');
  expect(kept).not.toContain(Buffer.from(TEST_SECRET).toString('base64').slice(0, 16));
  expect(kept).not.toContain(String(to.requests[0]?.headers['webhook-signature']).slice(3, 20));
});

test('an endpoint that wants none of the events keeps none of them from being deleted', async () => {
  const to = await receiver();
  const s = await stage([endpoint('auth', to.url, { events: new Set(['route.down']) })]);
  for (let i = 0; i < 3; i++) await s.accept();
  await s.clock.advance(MINUTE_MS);
  await s.until(async () => (await s.store.upkeep.dropHistory(s.clock.now(), 100)) > 0);
  expect(await s.store.history.events({ afterSeq: 0, limit: 9 })).toEqual([]);
});

test('a disabled endpoint is one line of the log, from the event itself', async () => {
  const to = await receiver();
  to.answer({ status: 410 });
  const s = await stage([endpoint('auth', to.url)]);
  await s.accept();
  await s.until(async () => (await s.store.outbox.figures())[0]?.disabledAt !== null);
  expect(s.lines.map((line) => JSON.parse(line).event)).toEqual(['webhook.failed']);
  expect(await s.eventTypes()).toEqual(['message.accepted', 'webhook.disabled']);
});
