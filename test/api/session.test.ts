import { describe, expect, test } from 'vitest';
import { type Answer, startApi, token, type ApiBench } from './support.ts';

const ADMIN = 'an-admin-token';
const READER = 'a-reading-token';
const TOKENS = [token('ops', ADMIN, ['read', 'send', 'admin']), token('wall', READER, ['read'])];
const config = { host: '127.0.0.1', port: 0, tokens: TOKENS };

const signIn = (b: ApiBench, text: string, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
  b.call('/session', {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify({ token: text }),
  });

/** `name=value` of the cookie that `answer` sets. */
function cookieOf(answer: Answer): string {
  return String(answer.headers['set-cookie']).split(';')[0] ?? '';
}

describe('a session', () => {
  test('is begun with a token and lets one read from then on', async () => {
    const b = await startApi({ config });
    expect((await b.call('/v1/messages')).status).toBe(401);
    const answer = await signIn(b, READER);
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ state: 'signed-in', name: 'wall', scopes: ['read'] });
    const cookie = cookieOf(answer);
    expect((await b.call('/v1/messages', { headers: { cookie } })).status).toBe(200);
    expect((await b.call('/session', { headers: { cookie } })).json).toMatchObject({
      state: 'signed-in',
      name: 'wall',
    });
  });

  test('has a cookie that no script reads and no other site sends, and Secure behind TLS', async () => {
    const b = await startApi({ config });
    const [plain, secure] = [await signIn(b, ADMIN), await signIn(b, ADMIN, { 'x-forwarded-proto': 'https' })];
    expect(String(plain.headers['set-cookie'])).toMatch(
      /^leadpush_session=[\w-]{43}; Path=\/; Max-Age=43200; HttpOnly; SameSite=Strict$/,
    );
    expect(String(secure.headers['set-cookie'])).toMatch(/; Secure$/);
  });

  test('has the scopes of its token and no more', async () => {
    const b = await startApi({ config });
    const cookie = cookieOf(await signIn(b, READER));
    expect((await b.call('/v1/messages/msg_01jgthzzzz0000000000000000/preview', { headers: { cookie } })).status).toBe(
      403,
    );
  });

  test('tells a stranger nothing but that he is one', async () => {
    const b = await startApi({ config });
    expect((await b.call('/session')).json).toEqual({
      state: 'signed-out',
      name: null,
      scopes: [],
      expires_at: null,
      version: null,
      hostname: null,
      smtp: [],
    });
  });

  test('ends with a sign-out, and the cookie is of no use afterwards', async () => {
    const b = await startApi({ config });
    const cookie = cookieOf(await signIn(b, ADMIN));
    const answer = await b.call('/session', { method: 'DELETE', headers: { cookie } });
    expect(answer.status).toBe(204);
    expect(String(answer.headers['set-cookie'])).toContain('leadpush_session=; Path=/; Max-Age=0');
    expect((await b.call('/v1/messages', { headers: { cookie } })).status).toBe(401);
  });

  test('ends after twelve hours', async () => {
    const b = await startApi({ config });
    const cookie = cookieOf(await signIn(b, ADMIN));
    await b.clock.advance(12 * 3_600_000 - 1);
    expect((await b.call('/v1/messages', { headers: { cookie } })).status).toBe(200);
    await b.clock.advance(1);
    expect((await b.call('/v1/messages', { headers: { cookie } })).status).toBe(401);
  });

  test('is replaced by the next sign-in of the same browser', async () => {
    const b = await startApi({ config });
    const first = cookieOf(await signIn(b, READER));
    await signIn(b, ADMIN, { cookie: first });
    expect((await b.call('/v1/messages', { headers: { cookie: first } })).status).toBe(401);
  });

  test('goes, oldest first, when there are more than a thousand', async () => {
    const b = await startApi({ config });
    const first = cookieOf(await signIn(b, ADMIN));
    for (let i = 0; i < 1000; i++) await signIn(b, ADMIN);
    expect((await b.call('/v1/messages', { headers: { cookie: first } })).status).toBe(401);
  });

  test('is not begun with a wrong token, and after some of them nobody of that address is listened to', async () => {
    const b = await startApi({ config });
    for (let i = 0; i < 11; i++) expect((await signIn(b, `wrong-${i}`)).status).toBe(401);
    expect((await signIn(b, 'wrong')).status).toBe(429);
    expect((await signIn(b, ADMIN)).status).toBe(429);
  });

  test('is not begun by a page of another site', async () => {
    const b = await startApi({ config });
    expect((await signIn(b, ADMIN, { origin: 'https://evil.example' })).status).toBe(403);
    expect((await signIn(b, ADMIN, { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  });

  test('does not let a page of another site do what its owner may', async () => {
    const b = await startApi({ config });
    const cookie = cookieOf(await signIn(b, ADMIN));
    const headers = { cookie, origin: 'https://evil.example' };
    expect((await b.call('/v1/messages', { headers })).status).toBe(403);
    expect((await b.call('/session', { method: 'DELETE', headers })).status).toBe(403);
  });

  test.each([
    ['a form', 'application/x-www-form-urlencoded', `token=${ADMIN}`],
    ['text', 'text/plain', JSON.stringify({ token: ADMIN })],
    ['JSON with more in it', 'application/json', JSON.stringify({ token: ADMIN, x: 1 })],
    ['no JSON', 'application/json', '{'],
  ])('is not begun with %s', async (_what, type, body) => {
    const b = await startApi({ config });
    const answer = await b.call('/session', { method: 'POST', headers: { 'content-type': type }, body });
    expect(answer.status).toBe(422);
    expect(answer.headers['set-cookie']).toBeUndefined();
    expect(answer.text).not.toContain(ADMIN);
  });

  test('is not needed where no token is configured', async () => {
    const b = await startApi({ smtp: () => [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }] });
    expect((await b.call('/session')).json).toMatchObject({
      state: 'open',
      name: null,
      scopes: ['read', 'send', 'admin'],
      hostname: 'relay.example.com',
      smtp: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
    });
  });
});
