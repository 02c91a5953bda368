/** The contract over SQLite, in memory and in a file. */
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll } from 'vitest';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import { describeStore } from './contract.ts';

const folder = mkdtempSync(path.join(os.tmpdir(), 'relay-store-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
let databases = 0;

describeStore('SQLite in memory', (clock, { dropContentWhenSettled = true }) =>
  openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled, exclusive: false }),
);

describeStore('SQLite in a file', (clock, { dropContentWhenSettled = true }) =>
  openSqliteStore({
    file: path.join(folder, `${++databases}`, 'relay.db'),
    clock,
    dropContentWhenSettled,
    exclusive: true,
  }),
);
