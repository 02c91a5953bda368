/** Events of a route have no index: how far back they are looked for. */
import path from 'node:path';
import Database from 'better-sqlite3';
import { expect, test } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { type EventFilter, ROUTE_REACH } from '../../src/store/history.ts';
import { openBench, START_MS, tempFolder } from './fixture.ts';

test('events of a route are looked for among the newest, unless it is said from where on', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const { store } = await openBench((clock) =>
    openSqliteStore({ file, clock, dropContentWhenSettled: true, exclusive: false, freeFloorBytes: 0 }),
  );
  const goesDown = (route: string) =>
    store.queue.routeChanged({ type: 'route.down', route, reason: 'refused', at: START_MS });
  const seqs = async (filter: Partial<EventFilter> = {}): Promise<readonly number[]> =>
    (await store.history.events({ route: 'backup', limit: 10, ...filter })).map(({ data }) => data.seq);

  await goesDown('backup');
  const beside = new Database(file);
  beside.prepare(`UPDATE sqlite_sequence SET seq = ${ROUTE_REACH - 1} WHERE name = 'events'`).run();
  beside.close();
  await goesDown('ses');
  expect(await seqs()).toEqual([1]);
  await goesDown('ses');
  for (const filter of [{}, { types: ['route.down'] }, { untilMs: START_MS }] as const) {
    expect(await seqs(filter)).toEqual([]);
  }
  for (const filter of [{ sinceMs: START_MS }, { afterSeq: 0 }, { beforeSeq: ROUTE_REACH + 1 }]) {
    expect(await seqs(filter)).toEqual([1]);
  }
});
