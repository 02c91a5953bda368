/**
 * Webhooks of the real process: they keep flowing, in order per message, while one endpoint hangs and the relay is killed
 * with -9 three times; SIGTERM drains; SIGHUP takes up another address.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import Database from 'better-sqlite3';
import type { RelayEvent } from '../../src/core/event.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { submit } from '../support/submit.ts';
import {
  type Received,
  secretText,
  startReceiver,
  TEST_SECRET,
  type WebhookReceiver,
} from '../support/webhook-receiver.ts';

const KILLS = 3;

let well: WebhookReceiver;
let hanging: WebhookReceiver;
let home: RelayHome;
let relay: RelayProcess | null = null;

const endpoint = (name: string, url: string): Record<string, unknown> => ({ name, url, secret: '${HOOK_SECRET}' });
const config = (...webhooks: readonly Record<string, unknown>[]): Record<string, unknown> =>
  sandboxConfig({ webhooks });
const start = (): Promise<RelayProcess> => home.start({ env: { HOOK_SECRET: secretText() } });

beforeEach(async () => {
  [well, hanging] = [await startReceiver(), await startReceiver()];
  hanging.answer({ how: 'hang' });
  home = await createRelayHome(config(endpoint('well', well.url), endpoint('hanging', hanging.url)));
});

afterEach(async () => {
  await relay?.kill9();
  relay = null;
  await well.close();
  await hanging.close();
  await home.remove();
});

/** Submits until the process ends or `isOver`; a message that was under way then is nobody's. */
async function load(port: number, isOver: () => boolean): Promise<void> {
  const sender = async (number: number): Promise<void> => {
    for (let i = 0; !isOver(); i++) {
      try {
        await submit(port, { to: `ann-${number}-${i}@example.net`, tag: 'password-reset' });
      } catch {
        return;
      }
    }
  };
  await Promise.all([1, 2, 3].map(sender));
}

/** The whole log: id, number and message of each event. */
function readLog(): readonly { readonly id: string; readonly seq: number; readonly message: string }[] {
  const db = new Database(home.database, { readonly: true });
  try {
    return db
      .prepare<[], { id: string; seq: number; message: string }>(
        'SELECT event_id AS id, seq, message_id AS message FROM events ORDER BY seq',
      )
      .all();
  } finally {
    db.close();
  }
}

function ofMessage(requests: readonly Received[]): ReadonlyMap<string, readonly RelayEvent[]> {
  return Map.groupBy(
    requests.map(({ event }) => event),
    ({ data }) => data.message?.id ?? '',
  );
}

describe('kill -9', () => {
  it(`${KILLS} times, with webhooks under way and an endpoint that hangs: every event arrives, in order per message`, async () => {
    for (let kill = 0; kill < KILLS; kill++) {
      relay = await start();
      let isOver = false;
      const { smtpPort } = relay;
      const before = well.requests.length;
      const loading = load(smtpPort, () => isOver);
      await well.received(before + 60);
      // In the middle of it: requests are under way, and submissions too.
      await relay.kill9();
      isOver = true;
      await loading;
    }
    relay = await start();
    const { id } = await submit(relay.smtpPort, { to: 'last@example.net', tag: 'password-reset' });
    await until(
      () => {
        const arrived = new Set(well.requests.map((request) => request.id));
        return readLog().every((event) => arrived.has(event.id));
      },
      'every event of the log at the endpoint that is well',
      60_000,
    );
    expect(await relay.stop()).toBe(0);
    relay = null;

    const log = readLog();
    // Of the 60 requests of each round some were second copies.
    expect(log.length).toBeGreaterThan(KILLS * 40);
    expect(log.some(({ message }) => message === id)).toBe(true);
    const known = new Map(log.map((event) => [event.id, event.seq]));
    const bodies = new Map<string, string>();
    for (const request of well.requests) {
      expect(request).toMatchObject({ isVerified: true, status: 200 });
      expect(known.get(request.id)).toBe(request.event.data.seq);
      // A second copy of an event is the same, octet by octet.
      expect(bodies.get(request.id) ?? request.body).toBe(request.body);
      bodies.set(request.id, request.body);
    }
    for (const events of ofMessage(well.requests).values()) {
      const seqs = events.map(({ data }) => data.seq);
      expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
    }
    // At most what was under way at each kill comes twice.
    expect(well.requests.length - bodies.size).toBeLessThanOrEqual(KILLS * 8);
    // The endpoint that hangs was asked, and has its backlog.
    expect(hanging.requests.length).toBeGreaterThan(0);
  }, 180_000);
});

describe('SIGTERM', () => {
  it('waits for the request under way, ends with 0, and the next start goes on', async () => {
    relay = await start();
    for (let i = 0; i < 20; i++) await submit(relay.smtpPort, { to: `ann-${i}@example.net` });
    await well.received(1);
    await hanging.received(1);
    expect(await relay.stop()).toBe(0);
    const sent = new Set(well.requests.map(({ id }) => id));
    expect(sent.size).toBe(well.requests.length);
    relay = await start();
    await until(() => new Set(well.requests.map(({ id }) => id)).size === readLog().length, 'all events');
    expect(well.requests.length).toBe(readLog().length);
  });
});

describe('SIGHUP', () => {
  it('gives what waits to another address, and signs with the secret of now', async () => {
    relay = await start();
    await submit(relay.smtpPort, { to: 'ann@example.net' });
    await hanging.received(1);
    const moved = await startReceiver();
    try {
      await home.configure(config(endpoint('well', well.url), endpoint('hanging', moved.url)));
      relay.signal('SIGHUP');
      await relay.line((line) => line['event'] === 'config.reloaded');
      await submit(relay.smtpPort, { to: 'bob@example.net' });
      await moved.received(2);
      expect(moved.requests.every(({ isVerified }) => isVerified)).toBe(true);
      await until(() => well.requests.length === 4, 'both messages at the other endpoint');
    } finally {
      await moved.close();
    }
  });

  it('with a broken secret is refused, and no secret is in the log, the database or an error', async () => {
    relay = await start();
    const secret = Buffer.from(TEST_SECRET).toString('base64');
    await home.configure(config({ name: 'well', url: well.url, secret: `whsec_${secret}!` }));
    relay.signal('SIGHUP');
    await relay.line((line) => line['event'] === 'config.refused');
    await submit(relay.smtpPort, { to: 'ann@example.net' });
    await well.received(1);
    const told = JSON.stringify(relay.log) + relay.stderr() + (await home.cli(['check'])).stdout;
    expect(told).toContain('webhooks[0].secret');
    expect(told).not.toContain(secret.slice(0, 16));
  });
});

describe('410', () => {
  it('disables the endpoint through a restart, and an operator beside the relay enables it', async () => {
    const gone = await startReceiver();
    try {
      gone.answer({ status: 410, body: 'moved' });
      await home.configure(config(endpoint('gone', gone.url), endpoint('well', well.url)));
      relay = await start();
      await submit(relay.smtpPort, { to: 'ann@example.net' });
      await relay.line((line) => line['event'] === 'webhook.disabled' && line['webhook'] === 'gone');
      await relay.kill9();
      gone.answer({});
      relay = await start();
      await submit(relay.smtpPort, { to: 'bob@example.net' });
      // One may come twice, under the same id: the relay was killed.
      const told = (): Set<string> => new Set(well.requests.map(({ id }) => id));
      await until(() => told().size === 5, 'two messages and the event about the other endpoint');
      expect(well.requests.map(({ event }) => event.type)).toContain('webhook.disabled');
      expect(gone.requests).toHaveLength(1);
      expect(await home.cli(['webhooks', 'enable', 'gone'])).toMatchObject({ code: 0 });
      await gone.received(5);
      expect(new Set(gone.requests.map(({ id }) => id)).size).toBe(4);
      expect(gone.requests.map(({ event }) => event.type)).not.toContain('webhook.disabled');
    } finally {
      await gone.close();
    }
  });
});

describe('a replay', () => {
  it('is asked for over HTTP of the running relay, and says what came of each event', async () => {
    await home.configure(config(endpoint('well', well.url)));
    relay = await start();
    await submit(relay.smtpPort, { to: 'ann@example.net' });
    await well.received(2);
    const base = `http://127.0.0.1:${relay.httpPort}/v1/webhooks`;
    const [first] = well.requests;
    const body = JSON.stringify({ event_id: first?.id });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${base}/well/replay`, { method: 'POST', headers, body });
    expect([answer.status, await answer.json()]).toEqual([202, { queued: 1, unknown: [] }]);
    await well.received(3);
    expect(well.requests[2]).toMatchObject({ id: first?.id, body: first?.body, isVerified: true });
    await until(async () => {
      const listed = await (await fetch(`${base}/well/deliveries`)).text();
      return listed.includes('"number":2') && !listed.includes('"state":"pending"');
    }, 'both tries in the list');
    expect(await (await fetch(base)).json()).toMatchObject({ data: [{ name: 'well', pending: 0, state: 'active' }] });
    const metrics = await (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text();
    expect(metrics).toContain('leadpush_webhook_attempts_total{endpoint="well",outcome="delivered"} 3');
  });
});
