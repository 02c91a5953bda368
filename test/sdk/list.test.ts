/** Lists: every page is asked for when it is needed, and a relay that answers nonsense ends the walk. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LeadpushAnswerError } from '../../src/sdk/errors.ts';
import { createList, type List } from '../../src/sdk/list.ts';
import { createTransport } from '../../src/sdk/transport.ts';
import { createTestRuntime, type FakeRelay, json, startFakeRelay } from './server.ts';

let relay: FakeRelay;

beforeEach(async () => {
  relay = await startFakeRelay();
});
afterEach(() => relay.close());

const open = (): List<number> =>
  createList(
    createTransport({ baseUrl: relay.baseUrl }, createTestRuntime()),
    'things.list',
    '/v1/things',
    { tag: 'otp' },
    {},
  );

async function all(list: List<number>): Promise<number[]> {
  const found: number[] = [];
  for await (const one of list) found.push(one);
  return found;
}

const page = (data: readonly number[], next: string | null): unknown => ({
  data,
  has_more: next !== null,
  next_cursor: next,
});

describe('a list', () => {
  it('gives what is on all its pages, in order', async () => {
    relay.answer(json(page([1, 2], 'a')), json(page([], 'b')), json(page([3], null)));
    expect(await all(open())).toEqual([1, 2, 3]);
    expect(relay.asked.map(({ url }) => url)).toEqual([
      '/v1/things?tag=otp',
      '/v1/things?tag=otp&cursor=a',
      '/v1/things?tag=otp&cursor=b',
    ]);
  });

  it('asks for nothing before it is walked, and for no page that is not needed', async () => {
    relay.answer(json(page([1, 2], 'a')));
    const list = open();
    expect(relay.asked).toHaveLength(0);
    for await (const one of list) if (one === 2) break;
    expect(relay.asked).toHaveLength(1);
  });

  it('begins anew with each walk', async () => {
    relay.answer(json(page([1], null)));
    const list = open();
    expect([await all(list), await all(list)]).toEqual([[1], [1]]);
  });

  it('gives one page, as the relay says it', async () => {
    relay.answer(json(page([1], 'a')));
    expect(await open().page()).toEqual(page([1], 'a'));
    await open().page('a');
    expect(relay.asked[1]?.url).toBe('/v1/things?tag=otp&cursor=a');
  });

  it('ends when the last page has a cursor for later', async () => {
    relay.answer(json({ data: [1], has_more: false, next_cursor: 'later' }));
    expect(await all(open())).toEqual([1]);
  });

  it.each([
    ['that stands still', page([1], 'a')],
    ['that is none', { data: 'none' }],
  ])('%s is given up', async (_what, answer) => {
    relay.answer(json(answer));
    await expect(all(open())).rejects.toThrow(LeadpushAnswerError);
    expect(relay.asked.length).toBeLessThan(3);
  });
});
