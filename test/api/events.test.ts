import { describe, expect, test } from 'vitest';
import { startApi, type ApiBench } from './support.ts';

interface Listed {
  readonly data: readonly { readonly type: string; readonly data: { readonly seq: number } }[];
  readonly has_more: boolean;
  readonly next_cursor: string | null;
}

async function list(api: ApiBench, query: string): Promise<Listed> {
  const answer = await api.call(`/v1/events${query}`);
  expect(answer.status, answer.text).toBe(200);
  return answer.json as Listed;
}

const seqs = (listed: Listed): readonly number[] => listed.data.map(({ data }) => data.seq);

describe('the event log', () => {
  test('gives the bodies as they are stored, in order of seq', async () => {
    const api = await startApi();
    await api.accept();
    await api.deliver(await api.claimOne());
    const { data } = await list(api, '?after_seq=0');
    expect(data).toEqual(await api.store.history.events({ afterSeq: 0, limit: 10 }));
    expect(data.map(({ type }) => type)).toEqual(['message.accepted', 'message.delivered']);
  });

  test('is read to its end by its cursor, which then stands for what will come', async () => {
    const api = await startApi();
    for (let i = 0; i < 3; i++) await api.accept();
    const first = await list(api, '?after_seq=0&limit=2');
    expect(first).toMatchObject({ has_more: true, next_cursor: '2' });
    const second = await list(api, `?cursor=${first.next_cursor}&limit=2`);
    expect([seqs(second), second.has_more, second.next_cursor]).toEqual([[3], false, '3']);
    await api.accept();
    expect(seqs(await list(api, '?cursor=3'))).toEqual([4]);
  });

  test('without a place to begin gives the newest, in order of seq', async () => {
    const api = await startApi();
    for (let i = 0; i < 4; i++) await api.accept();
    expect(seqs(await list(api, '?limit=2'))).toEqual([3, 4]);
  });

  test.each([
    ['?after_seq=0&type=message.delivered', [3]],
    ['?after_seq=0&type=message.*', [1, 2, 3]],
    ['?after_seq=0&type=route.*,message.delivered', [3, 4]],
    ['?after_seq=0&type=*', [1, 2, 3, 4]],
    ['?after_seq=0&tag=otp', [2]],
    ['?before_seq=3', [1, 2]],
    ['?before_seq=3&limit=1', [2]],
    ['?state=delivered', [3]],
    ['?recipient=ANN%40example.net', [1, 2, 3]],
    ['?flow=f-2', [2]],
    ['?route=ses', [3, 4]],
    ['?until=2026-01-05T09:59:59Z', []],
  ])('is narrowed by %s', async (query, expected) => {
    const api = await startApi();
    await api.accept();
    await api.accept({ record: { tag: 'otp', flow: 'f-2' } });
    await api.deliver(await api.claimOne());
    await api.store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'x', at: api.clock.now() });
    expect(seqs(await list(api, query))).toEqual(expected);
  });

  test('tells of one message, accepted or refused, page by page', async () => {
    const api = await startApi();
    await api.accept();
    const { id } = await api.accept();
    await api.accept();
    await api.deliver(await api.claimOne());
    await api.deliver(await api.claimOne());
    const first = await list(api, `?message=${id}&limit=1`);
    expect([seqs(first), first.has_more, first.next_cursor]).toEqual([[2], true, '2']);
    const second = await list(api, `?message=${id}&limit=1&cursor=2`);
    expect([seqs(second), second.has_more]).toEqual([[5], false]);
  });

  test.each([
    '?type=message.lost',
    '?message=msg_x',
    '?state=lost',
    '?before_seq=0',
    '?type=message',
    '?type=',
    '?type=*.*',
    '?after_seq=-1',
    '?after_seq=1.5',
    '?cursor=x',
  ])('refuses %s', async (query) => {
    const api = await startApi();
    const answer = await api.call(`/v1/events${query}`);
    expect(answer.status).toBe(422);
    expect(answer.json).toMatchObject({ code: 'validation' });
  });
});
