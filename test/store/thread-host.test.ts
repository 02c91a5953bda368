/** A database thread that ends on its own. */
import path from 'node:path';
import { expect, test } from 'vitest';
import { startThread } from '../../src/store/sqlite/thread-host.ts';
import { tempFolder } from './fixture.ts';

test('fails calls under way and later ones when the thread breaks, and stops all the same', async () => {
  const file = path.join(await tempFolder(), 'relay.db');
  const settings = { dropContentWhenSettled: true, migrate: true, mustExist: false } as const;
  const host = await startThread({ role: 'writer', file, ...settings });
  // No such procedure: a bug that the engine does not catch ends the thread.
  const broken = {
    code: 'store-io',
    message: expect.stringMatching(/^the database thread failed: Error: its message is withheld, .*engine\.ts:\d+/),
  };
  await expect(host.send([{ name: 'nonsense', args: [] }])).rejects.toMatchObject(broken);
  await expect(host.send([{ name: 'dataVersion', args: [] }])).rejects.toMatchObject(broken);
  await host.stop();
});
