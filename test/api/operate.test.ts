import { describe, expect, test } from 'vitest';
import { parseEnvelopeAddress } from '../../src/core/address.ts';
import { testConfig, testCredential, testTag } from '../support/config.ts';
import { BOUNCED, REJECTED } from '../store/fixture.ts';
import { silentLog as SILENT } from '../../src/telemetry/log.ts';
import { type Answer, type ApiBench, startApi, token } from './support.ts';

const post = (api: ApiBench, path: string, body?: unknown): Promise<Answer> =>
  api.call(path, {
    method: 'POST',
    ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
  });

describe('the content of a message', () => {
  test('is given octet by octet while it is kept', async () => {
    const api = await startApi();
    const content = Buffer.from('From: a@example.com\r\n\r\n\xe4\xff\r\n', 'latin1');
    const { id } = await api.accept({ content });
    const answer = await api.call(`/v1/messages/${id}/content`);
    expect(answer.status).toBe(200);
    expect(answer.headers).toMatchObject({
      'content-type': 'message/rfc822',
      'content-disposition': `attachment; filename="${id}.eml"`,
      'content-length': String(content.length),
      'cache-control': 'no-store',
    });
    expect(answer.octets.equals(content)).toBe(true);
  });

  test('is gone with the last delivery', async () => {
    const api = await startApi();
    const { id } = await api.accept();
    await api.deliver(await api.claimOne());
    const answer = await api.call(`/v1/messages/${id}/content`);
    expect([answer.status, answer.json]).toEqual([410, expect.objectContaining({ code: 'content-gone' })]);
  });

  test('needs the scope admin, and leaves a line in the log', async () => {
    const logged: object[] = [];
    const log = { info: (fields: object) => void logged.push(fields) };
    const tokens = [token('reader', 'r', ['read', 'send']), token('root', 'a', ['admin'])];
    const config = { host: '127.0.0.1', port: 0, tokens };
    const api = await startApi({ config, calls: { log: { ...SILENT, ...log } } });
    const { id } = await api.accept();
    const ask = (text: string): Promise<Answer> =>
      api.call(`/v1/messages/${id}/content`, { headers: { authorization: `Bearer ${text}` } });
    expect((await ask('r')).status).toBe(403);
    expect(logged).toEqual([]);
    expect((await ask('a')).status).toBe(200);
    expect(logged).toEqual([expect.objectContaining({ event: 'content.read', message: id, caller: 'root' })]);
  });

  test('of nothing is not found', async () => {
    const api = await startApi();
    expect((await api.call(`/v1/messages/${api.ids.message()}/content`)).status).toBe(404);
  });
});

describe('cancel and retry', () => {
  test('cancel takes off what waits, and says what it left', async () => {
    const api = await startApi();
    const { id, deliveries } = await api.accept({ recipients: ['ann@example.net', 'bob@example.net'] });
    await api.claimOne();
    const answer = await post(api, `/v1/messages/${id}/cancel`);
    const [sending, waiting] = deliveries;
    expect(answer.json).toEqual({
      target: id,
      changed: [waiting],
      unchanged: [{ id: sending, state: 'sending', reason: expect.stringMatching(/./) }],
    });
    expect(await api.eventTypes()).toContain('message.canceled');
  });

  test('retry puts a canceled delivery back to work while its content is kept', async () => {
    const api = await startApi({ store: { dropContentWhenSettled: false } });
    const { id, delivery } = await api.accept();
    await api.settle(await api.claimOne(), REJECTED, BOUNCED);
    expect((await post(api, `/v1/messages/${id}/retry`, {})).json).toMatchObject({ changed: [delivery] });
    expect((await api.claimOne()).deliveryId).toBe(delivery);
  });

  test.each(['cancel', 'retry'])('%s of nothing is not found', async (verb) => {
    const api = await startApi();
    expect((await post(api, `/v1/messages/${api.ids.message()}/${verb}`)).status).toBe(404);
    expect((await post(api, `/v1/messages/x/${verb}`)).status).toBe(404);
  });
});

describe('suppressions', () => {
  const put = (api: ApiBench, address: string, body?: unknown): Promise<Answer> =>
    api.call(`/v1/suppressions/${encodeURIComponent(address)}`, {
      method: 'PUT',
      ...(body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
    });

  test('are put, shown, listed page by page and taken away', async () => {
    const api = await startApi();
    const now = '2026-01-05T10:00:00.000Z';
    const bob = { recipient: 'bob@example.net', reason: 'manual', message_id: null, created_at: now };
    expect((await put(api, 'bob@example.net', { reason: 'asked to', for: '30d' })).json).toEqual({
      ...bob,
      detail: 'asked to',
      expires_at: '2026-02-04T10:00:00.000Z',
    });
    expect((await put(api, 'ann@example.net')).json).toMatchObject({
      expires_at: null,
      detail: 'added over the API by local',
    });
    expect((await put(api, 'eve@example.net', { expires_at: '2026-01-06T10:00:00+02:00' })).status).toBe(200);
    expect((await api.call('/v1/suppressions/BOB@example.net')).json).toMatchObject({ recipient: 'bob@example.net' });

    const first = (await api.call('/v1/suppressions?limit=2')).json as { data: object[]; next_cursor: string };
    expect(first).toMatchObject({ has_more: true, next_cursor: 'bob@example.net' });
    const second = await api.call(`/v1/suppressions?limit=2&cursor=${first.next_cursor}`);
    expect(second.json).toMatchObject({ has_more: false, next_cursor: null, data: [{ recipient: 'eve@example.net' }] });

    const remove = (): Promise<Answer> => api.call('/v1/suppressions/bob@example.net', { method: 'DELETE' });
    expect((await remove()).status).toBe(204);
    expect((await remove()).status).toBe(404);
    expect((await api.call('/v1/suppressions/bob@example.net')).status).toBe(404);
  });

  test.each([
    ['no address', 'bob', {}, '/address'],
    ['a time that has passed', 'bob@example.net', { expires_at: '2026-01-05T09:00:00Z' }, '/expires_at'],
    ['no time', 'bob@example.net', { expires_at: 'soon' }, '/expires_at'],
    ['two times', 'bob@example.net', { expires_at: '2027-01-05T09:00:00Z', for: '1d' }, '/for'],
    ['a span too long', 'bob@example.net', { for: '4000d' }, '/for'],
    ['a reason of two lines', 'bob@example.net', { reason: 'a\nb' }, '/reason'],
  ])('refuse %s', async (_name, address, body, pointer) => {
    const answer = await put(await startApi(), address, body);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ code: 'validation', errors: [{ pointer }] });
  });

  test('count for mail that comes after', async () => {
    const api = await startApi();
    await put(api, 'ann@example.net');
    const sent = await post(api, '/v1/messages', {
      from: 'a@example.com',
      to: 'ann@example.net',
      subject: 'x',
      text: 'x',
    });
    const { id } = sent.json as { id: string };
    expect((await api.call(`/v1/messages/${id}`)).json).toMatchObject({ deliveries: [{ state: 'suppressed' }] });
  });
});

describe('a dry run', () => {
  const ask = async (api: ApiBench, body: unknown): Promise<unknown> =>
    (await post(api, '/v1/rules/explain', body)).json;

  test('tells tag, rule, route and sender, and keeps nothing', async () => {
    const api = await startApi();
    expect(await ask(api, { from: 'a@example.com', to: ['ann@example.net'], tag: 'password-reset' })).toMatchObject({
      verdict: 'accept',
      tag: 'password-reset',
      tag_source: 'header',
      priority: 'critical',
      from: 'a@example.com',
      recipients: [{ recipient: 'ann@example.net', rule: 'default', route: 'sandbox' }],
    });
    expect(await api.eventTypes()).toEqual([]);
  });

  test('tells a refusal with its reply', async () => {
    expect(await ask(await startApi(), { from: 'a@other.example' })).toMatchObject({
      verdict: 'refuse',
      reply: expect.stringMatching(/^550 5\.7\.1 /),
    });
  });

  test('is made for the credential that it names', async () => {
    const credentials = [testCredential({ username: 'shop', tag: 'receipt', from: ['shop@example.com'] })];
    const tags = new Map([['receipt', testTag({ name: 'receipt', priority: 'bulk' })]]);
    const api = await startApi({ relay: testConfig({ credentials, tags }) });
    const body = { from: 'shop@example.com', subject: 'x', credential: 'shop' };
    expect(await ask(api, body)).toMatchObject({ tag: 'receipt', tag_source: 'credential', priority: 'bulk' });
    expect(await ask(api, { ...body, from: 'a@example.com' })).toMatchObject({ verdict: 'refuse' });
    expect(await ask(api, { ...body, credential: 'nobody' })).toMatchObject({
      code: 'validation',
      errors: [{ pointer: '/credential' }],
    });
  });
});

test('an address in a path stands for itself, however it is written', async () => {
  const parsed = parseEnvelopeAddress('a+b=c@example.net', { smtpUtf8: true });
  if (parsed.kind !== 'address') throw new Error('not an address');
  const api = await startApi();
  const entry = { recipient: parsed.address, reason: 'manual' as const, detail: 'x', messageId: null };
  await api.store.suppressions.put({ ...entry, createdAt: 0, expiresAt: null });
  for (const path of ['a+b=c@example.net', 'a%2Bb%3Dc%40example.net']) {
    expect((await api.call(`/v1/suppressions/${path}`)).json).toMatchObject({ recipient: 'a+b=c@example.net' });
  }
});
