import { describe, expect, test } from 'vitest';
import type { EnvelopeAddress } from '../../../src/core/address.ts';
import { BUSY, CAPTURED, DELIVERED } from '../seed.ts';
import { NOW } from '../support.ts';
import { READ, SEND, startElsewhere } from './support.ts';

describe('an operator of a relay elsewhere', () => {
  test.each(['message', 'delivery'] as const)('puts a %s back to work, and takes it off', async (kind) => {
    const relay = await startElsewhere();
    const { id, delivery } = await relay.accept();
    await relay.attempt(BUSY, { state: 'deferred', dueAt: NOW + 90_000, route: 'ses', byDestination: false });
    const target = kind === 'message' ? id : delivery;
    const dueAt = async (): Promise<number | null> => (await relay.store.history.queue(1))[0]?.dueAt ?? null;
    expect(await dueAt()).toBe(NOW + 90_000);
    expect(await relay.remote(['queue', 'retry', target])).toMatchObject({
      code: 0,
      err: '',
      json: [{ target, changed: [delivery], unchanged: [] }],
    });
    expect(await dueAt()).toBe(NOW);
    const canceled = await relay.remote(['queue', 'cancel', target], { tty: true });
    expect(canceled).toMatchObject({ code: 0, out: `${delivery} is canceled\n` });
    expect((await relay.store.history.message(id))?.deliveries[0]?.state).toBe('canceled');
    const events = await relay.store.history.eventsOf(id);
    expect(events.at(-1)?.data.reason).toBe('canceled over the API by ops');
  });

  test('is told what is left as it is, and what is not there', async () => {
    const relay = await startElsewhere();
    const { id } = await relay.accept();
    await relay.attempt(DELIVERED, { state: 'delivered', captured: false });
    const none = 'msg_00000000000000000000000000';
    for (const target of [id, none, none.replace('msg', 'dlv')]) {
      for (const verb of ['retry', 'cancel']) {
        const argv = ['queue', verb, target];
        const [file, url] = [await relay.local(argv, { tty: true }), await relay.remote(argv, { tty: true })];
        expect(url).toEqual(file);
        expect(url.code).toBe(1);
      }
    }
  });

  test('adds to the suppression list and takes off it', async () => {
    const relay = await startElsewhere();
    const add = (more: readonly string[], tty = false) =>
      relay.remote(['suppressions', 'add', 'Ann+x@example.net', ...more], { tty });
    expect((await add(['--for', '12h', '--reason', 'asked on the phone'])).json).toEqual([
      {
        recipient: 'Ann+x@example.net',
        reason: 'manual',
        detail: 'asked on the phone',
        message_id: null,
        created_at: '2026-01-05T10:00:00.000Z',
        expires_at: '2026-01-05T22:00:00.000Z',
      },
    ]);
    const entry = await relay.store.suppressions.get('ann+x@example.net' as EnvelopeAddress, NOW);
    expect(entry).toMatchObject({ detail: 'asked on the phone', expiresAt: NOW + 43_200_000 });
    expect((await add([])).json).toMatchObject([{ detail: 'added over the API by ops', expires_at: null }]);
    expect((await add([], true)).out).toContain('gets no mail until it is removed');
    const removed = await relay.remote(['suppressions', 'remove', 'ann+x@example.net', 'bob@example.net']);
    expect(removed).toMatchObject({
      code: 1,
      json: [
        { recipient: 'ann+x@example.net', removed: true },
        { recipient: 'bob@example.net', removed: false },
      ],
    });
  });

  test('needs the scope for it, and changes nothing without', async () => {
    const relay = await startElsewhere();
    const { id } = await relay.accept();
    for (const argv of [
      ['queue', 'retry', id],
      ['queue', 'cancel', id],
      ['suppressions', 'add', 'ann@example.net'],
      ['suppressions', 'remove', 'ann@example.net'],
      ['show', id],
      ['webhooks', 'replay', 'auth'],
      ['webhooks', 'enable', 'auth'],
    ]) {
      const { code, out, err } = await relay.remote(argv, { token: argv[0] === 'show' ? SEND : READ });
      expect([code, out]).toEqual([1, '']);
      expect(err).toMatch(/refused: .*(admin|read)/);
    }
    expect((await relay.store.history.message(id))?.deliveries[0]?.state).toBe('queued');
  });

  test('sees a captured message octet by octet, and no other', async () => {
    const relay = await startElsewhere();
    const content = Buffer.from('Subject: x\r\n\r\nhi \u00e9\u0000\r\n', 'latin1');
    const { id } = await relay.accept({ route: 'sandbox', content });
    expect((await relay.remote(['show', id])).err).toContain('is not shown (queued)');
    await relay.attempt(CAPTURED, { state: 'delivered', captured: true }, 'sandbox');
    const { json } = await relay.remote(['show', id, '--json']);
    expect(Buffer.from(String(json[0]?.['content']), 'base64')).toEqual(content);
    const missing = await relay.remote(['show', 'msg_00000000000000000000000000']);
    expect(missing).toMatchObject({ code: 1, out: '' });
    expect(missing.err).toContain(`in the relay at ${relay.url}.`);
  });

  test('sends a mail as over SMTP, with every header that it has', async () => {
    const relay = await startElsewhere();
    const argv = ['send', '--to', 'ann@example.net', '--to', 'bob@example.net', '--ttl', '5m'];
    const { code, json, err } = await relay.remote([...argv, '--header', 'X-Leadpush-Flow: f-7'], { token: SEND });
    expect([code, err]).toEqual([0, '']);
    const [id] = await relay.store.history.find('f-7', 'flow', 1);
    expect(json).toMatchObject([{ id, response: `queued as ${id}`, rejected: [] }]);
    const message = id === undefined ? null : await relay.store.history.message(id);
    expect(message).toMatchObject({ tag: 'password-reset', flow: 'f-7', deadline: NOW + 300_000 });
    expect(message?.deliveries.map(({ recipient }) => recipient)).toEqual(['ann@example.net', 'bob@example.net']);
    expect((await relay.remote(['send'], { tty: true })).out).toMatch(
      new RegExp(
        `answered: queued as msg_\\S+\nSee what became of it: leadpush-relay trace msg_\\S+ --url ${relay.url}\n`,
      ),
    );
  });

  test('is told why a mail is refused', async () => {
    const relay = await startElsewhere();
    const { code, out, err } = await relay.remote(['send', '--header', 'X-Leadpush-TTL: never']);
    expect([code, out]).toEqual([1, '']);
    expect(err).toContain('X-Leadpush-TTL');
    expect(await relay.remote(['send', '--host', '127.0.0.1'])).toMatchObject({ code: 2, out: '' });
  });

  test('asks what would become of a mail, with the config there', async () => {
    const relay = await startElsewhere();
    const { code, json } = await relay.remote([
      'explain',
      '--from',
      'a@example.com',
      '--to',
      'ann@example.net',
      '--tag',
      'password-reset',
      '--header',
      'X-Leadpush-TTL: 5m',
      '--header',
      'Subject: Reset',
      '--header',
      'X-Leadpush-Metadata-User: 7',
      '--header',
      'X-Mailer: test',
    ]);
    expect(code).toBe(0);
    expect(json).toMatchObject([
      { verdict: 'accept', tag: 'password-reset', tag_source: 'header', deadline: '2026-01-05T10:05:00.000Z' },
    ]);
    const human = await relay.remote(['explain', '--from', 'a@example.com'], { tty: true });
    expect(human.out).toMatch(/^accepted\n {2}tag +none\n/);
    const refused = await relay.remote(['explain', '--from', 'a@example.com', '--credential', 'nobody']);
    expect(refused.err).toContain('body credential: is not a credential of the config');
    for (const more of [['x.eml'], ['--sender', 'a@example.com'], ['--header', 'x']]) {
      expect((await relay.remote(['explain', ...more])).code).toBe(2);
    }
  });
});
