import { describe, expect, test } from 'vitest';
import { DEFERRED, START_MS, until } from '../store/fixture.ts';
import { type ApiBench, startApi } from './support.ts';

interface Listed {
  readonly data: readonly { readonly id: string }[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

async function list(api: ApiBench, query = ''): Promise<Listed> {
  const answer = await api.call(`/v1/messages${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json as Listed;
}

const idsOf = (listed: Listed): readonly string[] => listed.data.map(({ id }) => id);

describe('the list of messages', () => {
  test('shows a message with its deliveries, and nothing of what it says', async () => {
    const api = await startApi();
    const { id, delivery } = await api.accept({ record: { flow: 'f-1', metadata: { user: '7' } } });
    const { data } = await list(api);
    expect(data).toEqual([
      expect.objectContaining({
        id,
        message_id: `<${id}@accounts.example.com>`,
        tag: 'password-reset',
        tag_source: 'header',
        flow: 'f-1',
        metadata: { user: '7' },
        priority: 'normal',
        credential: 'keycloak',
        from: 'security@example.com',
        rule: 'recovery',
        accepted_at: '2026-01-05T10:00:00.000Z',
        deadline: '2026-01-05T10:15:00.000Z',
        warnings: [],
        links: [],
        deliveries: [
          expect.objectContaining({
            id: delivery,
            recipient: 'ann@example.net',
            state: 'queued',
            attempts: 0,
            attempt_count: 0,
            route: 'ses',
            last_response: null,
            delivered_at: null,
          }),
        ],
      }),
    ]);
    expect(JSON.stringify(data)).not.toMatch(/subject|body|hello/i);
  });

  test.each([
    ['tag', { record: { tag: 'otp' } }, '?tag=otp'],
    ['recipient, in any letter case', { recipients: ['bob@example.net'] }, '?recipient=BOB%40example.net'],
    ['the beginning of a recipient', { recipients: ['bob.s@example.net'] }, '?recipient=Bob.%2A'],
    ['a recipient but for the end of its domain', { recipients: ['bob@example.net'] }, '?recipient=bob%40ex%2A'],
    ['flow', { record: { flow: 'f-9' } }, '?flow=f-9'],
    ['Message-ID with brackets', { record: { headerMessageId: '<x@y>' } }, '?message_id=%3Cx%40y%3E'],
    ['Message-ID without brackets', { record: { headerMessageId: '<x@y>' } }, '?message_id=x%40y'],
    ['a moment from which on', { record: { acceptedAt: START_MS + 5000 } }, '?since=2026-01-05T10:00:05Z'],
  ])('is narrowed by %s', async (_name, wishes, query) => {
    const api = await startApi();
    await api.accept();
    await api.clock.advance(5_000);
    const { id } = await api.accept(wishes);
    expect(idsOf(await list(api, query))).toEqual([id]);
  });

  test('is not looked through for a beginning that too many addresses have', async () => {
    const api = await startApi();
    await api.accept();
    const asked: number[] = [];
    const { deliveriesTo } = api.store.history;
    api.store.history.deliveriesTo = (prefix, limit) => {
      asked.push(limit);
      return prefix === 'a' ? Promise.resolve(limit) : deliveriesTo(prefix, limit);
    };
    expect((await api.call('/v1/messages?recipient=an%2A')).status).toBe(200);
    const { status, json } = await api.call('/v1/messages?recipient=a%2A');
    expect(status).toBe(422);
    expect(json).toMatchObject({
      code: 'validation',
      detail: 'More than 2000 deliveries are to addresses that begin so: give more of the address.',
      errors: [{ pointer: '/recipient', in: 'query' }],
    });
    expect(asked).toEqual([2001, 2001]);
  });

  test('is narrowed by state, and by a moment up to which', async () => {
    const api = await startApi();
    const first = await api.accept();
    await api.deliver(await api.claimOne());
    await api.clock.advance(5_000);
    const second = await api.accept();
    expect(idsOf(await list(api, '?state=delivered'))).toEqual([first.id]);
    expect(idsOf(await list(api, '?state=queued'))).toEqual([second.id]);
    expect(idsOf(await list(api, '?until=2026-01-05T10:00:05Z'))).toEqual([first.id]);
  });

  test('turns pages without a gap or a double while messages arrive', async () => {
    const api = await startApi();
    const accepted: string[] = [];
    for (let i = 0; i < 5; i++) accepted.unshift((await api.accept()).id);
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const query: string = cursor === null ? '?limit=2' : `?limit=2&cursor=${cursor}`;
      const page = await list(api, query);
      expect(page.has_more).toBe(page.next_cursor !== null);
      seen.push(...idsOf(page));
      cursor = page.next_cursor;
      await api.accept();
    } while (cursor !== null);
    expect(seen).toEqual(accepted);
  });

  test.each([
    ['?limit=0', '/limit'],
    ['?limit=101', '/limit'],
    ['?limit=1e1', '/limit'],
    ['?limit=', '/limit'],
    ['?state=lost', '/state'],
    ['?stat=queued', '/stat'],
    ['?tag=A', '/tag'],
    ['?since=yesterday', '/since'],
    ['?since=2026-01-05', '/since'],
    ['?since=2026-02-30T10:00:00Z', '/since'],
    ['?cursor=msg_1', '/cursor'],
    ['?tag=a&tag=b', '/tag'],
  ])('refuses %s and names the parameter', async (query, pointer) => {
    const api = await startApi();
    const answer = await api.call(`/v1/messages${query}`);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({
      code: 'validation',
      errors: [{ pointer, in: 'query', detail: expect.stringMatching(/./) }],
    });
  });
});

describe('one message', () => {
  test('has its attempts with each delivery, and their number', async () => {
    const api = await startApi();
    const { id, delivery } = await api.accept();
    await api.settle(await api.claimOne(), DEFERRED, until(START_MS + 1000));
    await api.clock.advance(1000);
    await api.deliver(await api.claimOne());
    const answer = await api.call(`/v1/messages/${id}`);
    expect(answer.json).toMatchObject({
      id,
      deliveries: [
        {
          id: delivery,
          state: 'delivered',
          attempt_count: 2,
          attempts: [
            { number: 1, delivery_id: delivery, outcome: 'deferred', code: 450, route: 'ses' },
            { number: 2, delivery_id: delivery, outcome: 'delivered', code: 250, tls: 'TLSv1.3' },
          ],
        },
      ],
    });
  });

  test.each(['msg_00000000000000000000000000', 'nothing', '..%2f..%2fetc', 'x'.repeat(300)])(
    'that is not there (%s) answers 404',
    async (id) => {
      const api = await startApi();
      const answer = await api.call(`/v1/messages/${id}`);
      expect(answer.status).toBe(404);
      expect(answer.json).toMatchObject({ code: 'not-found' });
    },
  );

  test('that was refused at submission answers 404 and points to the trace', async () => {
    const api = await startApi();
    const id = api.ids.message();
    const refusal = { kind: 'refused' as const, code: 550, enhanced: '5.7.1', text: 'no', reason: 'no' };
    const facts = { headerMessageId: null, tag: null, credential: null, rule: null, recipients: [] };
    await api.store.intake.reject({ id, at: api.clock.now(), refusal, ...facts });
    expect((await api.call(`/v1/messages/${id}`)).json).toMatchObject({ detail: expect.stringContaining('trace') });
  });
});
