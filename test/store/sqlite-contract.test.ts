/**
 * The contract over SQLite, in memory and in a file.
 *
 * The file's engines run in this thread: what the contract asks of them is the same as in threads, which the other tests of
 * this room and every scenario go through.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { composeStore } from '../../src/store/sqlite/compose.ts';
import { openReader, openWriter } from '../../src/store/sqlite/engines.ts';
import { createInlineHost } from '../../src/store/sqlite/inline-host.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { Store } from '../../src/store/store.ts';
import type { ManualClock } from '../support/clock.ts';
import { describeInTime } from './contract-in-time.ts';
import { describeOutbox } from './contract-outbox.ts';
import { describeStore } from './contract.ts';
import type { OpenSettings } from './fixture.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'relay-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let databases = 0;

const inMemory = (clock: ManualClock, { dropContentWhenSettled = true }: OpenSettings): Promise<Store> =>
  openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled, exclusive: false });

const inFile = (clock: ManualClock, { dropContentWhenSettled = true }: OpenSettings): Promise<Store> => {
  const file = path.join(folder, `${++databases}`, 'relay.db');
  mkdirSync(path.dirname(file));
  const writer = createInlineHost(
    openWriter({ role: 'writer', file, dropContentWhenSettled, migrate: true, mustExist: false }),
  );
  const reader = createInlineHost(openReader({ role: 'reader', file }));
  const stop = async (): Promise<void> => {
    await reader.stop();
    await writer.stop();
  };
  const options = { file, clock, floorBytes: 0, onDisk: true, voidLeases: false };
  return composeStore({ writer, reader, stop }, options);
};

describeStore('SQLite in memory', inMemory);
describeInTime('SQLite in memory', inMemory);
describeStore('SQLite in a file', inFile);
describeInTime('SQLite in a file', inFile);
describeOutbox('SQLite in memory', inMemory);
describeOutbox('SQLite in a file', inFile);
