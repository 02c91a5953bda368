/** `webhooks` and `check` of a relay elsewhere. */
import { describe, expect, test } from 'vitest';
import type { WebhookConfig } from '../../../src/config/types.ts';
import { EVENT_TYPES } from '../../../src/core/event.ts';
import type { OutboxTry } from '../../../src/store/outbox.ts';
import { TEST_SECRET } from '../../support/webhook-receiver.ts';
import { NOW, run } from '../support.ts';
import { type Elsewhere, READ, startElsewhere, startServer } from './support.ts';

const AUTH: WebhookConfig = {
  name: 'auth',
  url: 'https://auth.example.com/hooks?token=t0ken',
  secrets: [TEST_SECRET],
  events: new Set(EVENT_TYPES),
  tags: null,
  ca: null,
};

type Stage = Elsewhere & { readonly tried: (over: Partial<OutboxTry>) => Promise<string> };

async function stage(): Promise<Stage> {
  const relay = await startElsewhere({ webhooks: () => [AUTH] });
  const { outbox } = relay.store;
  await outbox.sync([{ name: 'auth', types: EVENT_TYPES, tags: null, fingerprint: 'a' }], NOW);
  return {
    ...relay,
    async tried(over) {
      await relay.accept();
      const [item] = (await outbox.work('auth', NOW, 1, [])).items;
      const made = { seq: item?.seq ?? 0, at: NOW, ms: 12, status: 200, text: 'ok', disable: null };
      await outbox.record('auth', { ...made, verdict: { kind: 'delivered' }, ...over });
      return item?.eventId ?? '';
    },
  };
}

describe('webhooks of a relay elsewhere', () => {
  test('are shown with what was sent to them, as from the files', async () => {
    const relay = await stage();
    for (let i = 0; i < 3; i++) await relay.tried({ status: 503, text: 'busy', verdict: { kind: 'dead' } });
    await relay.tried({});
    const list = await relay.remote(['webhooks']);
    const local = await relay.local(['webhooks']);
    expect(list.json).toEqual(local.json.map((one) => ({ ...one, url: 'https://auth.example.com/hooks' })));
    for (const argv of [
      ['webhooks', 'deliveries', 'auth'],
      ['webhooks', 'deliveries', 'auth', '--limit', '2'],
      ['webhooks', 'deliveries', 'auth', '--state', 'dead'],
    ]) {
      for (const tty of [true, false])
        expect(await relay.remote(argv, { tty })).toEqual(await relay.local(argv, { tty }));
    }
    expect(await relay.remote(['webhooks', 'deliveries', 'other'])).toEqual(
      await relay.local(['webhooks', 'deliveries', 'other']),
    );
  });

  test('are sent events again, and enabled', async () => {
    const relay = await stage();
    const id = await relay.tried({ status: 503, verdict: { kind: 'dead' } });
    expect((await relay.remote(['webhooks', 'replay', 'auth'])).json).toEqual([
      { webhook: 'auth', queued: 1, unknown: [] },
    ]);
    const none = 'evt_00000000000000000000000000';
    expect(await relay.remote(['webhooks', 'replay', 'auth', '--event', id, none])).toMatchObject({
      code: 1,
      json: [{ queued: 1, unknown: [none] }],
    });
    expect((await relay.remote(['webhooks', 'replay', 'auth', '--since', '1h'])).json).toMatchObject([{ queued: 1 }]);
    expect((await relay.remote(['webhooks', 'enable', 'auth'])).json).toEqual([{ webhook: 'auth', state: 'active' }]);
    expect((await relay.remote(['webhooks', 'enable', 'other'])).code).toBe(2);
    expect((await relay.remote(['webhooks', 'test', 'auth'])).err).toContain('works with the files of this machine');
  });
});

describe('check --url', () => {
  test('says that all is well', async () => {
    const relay = await stage();
    const { code, out } = await relay.remote(['check'], { tty: true, token: READ });
    expect(code).toBe(0);
    expect(out).toContain('The relay takes mail.');
    expect(out).not.toMatch(/warning|error/);
  });

  test('names routes that are down and webhooks that fail, which keep no mail from being taken', async () => {
    const relay = await startElsewhere({
      webhooks: () => [AUTH],
      routes: () => new Map([['sandbox', { name: 'sandbox', type: 'sandbox' } as const]]),
      routeHealth: () => ({ breaker: 'open', inWork: 0 }),
    });
    await relay.store.outbox.sync([{ name: 'auth', types: EVENT_TYPES, tags: null, fingerprint: 'a' }], NOW);
    await relay.store.queue.routeChanged({ type: 'route.down', route: 'sandbox', reason: 'full', at: NOW });
    await relay.accept();
    const [item] = (await relay.store.outbox.work('auth', NOW, 1, [])).items;
    const verdict = { kind: 'again' as const, dueAt: NOW + 5000 };
    const made = {
      seq: item?.seq ?? 0,
      at: NOW,
      ms: 12,
      status: 410,
      text: 'gone',
      disable: 'it answered 410',
      verdict,
    };
    await relay.store.outbox.record('auth', made);
    const { code, json } = await relay.remote(['check'], { token: READ });
    expect(code).toBe(0);
    expect(json.filter(({ level }) => level !== 'ok').map(({ code: what, message }) => [what, message])).toEqual([
      ['route.down', 'sandbox is down since 2026-01-05T10:00:00.000Z: full'],
      ['webhook.disabled', 'auth is disabled: it answered 410'],
    ]);
  });

  test('ends with 1 when the relay is not ready, and says why', async () => {
    const url = await startServer((request, response) => {
      if (request.url === '/readyz') {
        response.writeHead(503).end('{"status":"not-ready","reasons":["the disk is full\\u001b[31m"]}');
      } else response.writeHead(401).end('{"code":"unauthorized","title":"x","detail":"A token is needed."}');
    });
    const { code, json } = await run(['check', '--url', url]);
    expect(code).toBe(1);
    expect(json[0]).toMatchObject({ level: 'error', code: 'relay.not-ready', message: 'not ready: the disk is full' });
    expect(json.slice(1).map(({ level, code: what }) => [level, what])).toEqual([
      ['warning', 'version.unknown'],
      ['warning', 'route.unknown'],
      ['warning', 'webhook.unknown'],
    ]);
  });

  test('ends with 1 when nothing is there, and says so once', async () => {
    const { code, json } = await run(['check', '--url', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(json).toMatchObject([{ level: 'error', code: 'relay.unreachable' }]);
  });

  test('warns of another version', async () => {
    const url = await startServer((request, response) => {
      const body = { '/readyz': '{"status":"ready","reasons":[]}', '/openapi.json': '{"info":{"version":"99.0.0"}}' };
      response.end(Object.entries(body).find(([path]) => path === request.url)?.[1] ?? '{"data":[]}');
    });
    const { code, json } = await run(['check', '--url', url]);
    expect(code).toBe(0);
    expect(json[1]).toMatchObject({ level: 'warning', code: 'version.other' });
    expect(json[1]?.['message']).toContain('99.0.0');
  });

  test('looks at nothing of this machine', async () => {
    for (const more of [['--dns'], ['--connect']]) {
      expect((await run(['check', '--url', 'http://127.0.0.1:1', ...more])).code).toBe(2);
    }
  });
});
