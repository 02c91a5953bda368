/** Events of a recipient, found in two ways: through its deliveries, or, when they are very many, along the log. */
import { expect, test } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { openBench } from './fixture.ts';

const MANY = 5001;

test('the events of a recipient with very many deliveries are found as those of any other', async () => {
  const { store, accept, claimOne, deliver } = await openBench((clock) =>
    openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled: true, exclusive: false }),
  );
  await accept({ recipients: ['ann@example.net'] });
  await accept({ recipients: Array.from({ length: MANY }, () => 'busy@example.net') });
  await accept({ record: { tag: 'news' }, recipients: ['busy@example.net'] });
  await deliver(await claimOne());
  await deliver(await claimOne());

  const list = async (filter: Omit<Parameters<typeof store.history.events>[0], 'limit'>): Promise<number[]> =>
    (await store.history.events({ limit: 2, ...filter })).map((event) => event.data.seq);
  const recipient = 'Busy@example.net';
  expect(await list({ recipient })).toEqual([MANY + 2, MANY + 4]);
  expect(await list({ recipient, afterSeq: 0 })).toEqual([2, 3]);
  expect(await list({ recipient, tag: 'news' })).toEqual([MANY + 2]);
  expect(await list({ recipient, types: ['message.delivered'] })).toEqual([MANY + 4]);
  expect(await list({ recipient: 'ann@example.net' })).toEqual([1, MANY + 3]);
});
