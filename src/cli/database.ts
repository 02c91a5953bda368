/**
 * The way of commands to the relay's database: reading beside a running relay, and an operator's few writes.
 *
 * The folder is the one that the config names, or that of `--data`. The rest of the config does not matter (an environment
 * variable that only the service has, a half-edited line): looking up what happened to a mail must not depend on that.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import { contentKeysOf } from '../app/content-keys.ts';
import { loadConfig } from '../config/load.ts';
import { RelayError } from '../core/errors.ts';
import { sleep } from '../core/time.ts';
import { openSqliteOperator, type SqliteOperator } from '../store/sqlite/open-operator.ts';
import { openSqliteReader } from '../store/sqlite/open-reader.ts';
import { type ContentKeySource, keyFileBeside } from '../store/sqlite/key-ring.ts';
import { openSqliteKeys, type SqliteKeys } from '../store/sqlite/open-keys.ts';
import type { OutboxStore } from '../store/outbox.ts';
import type { HistoryStore } from '../store/history.ts';
import type { SuppressionStore } from '../store/store.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { configFile, dataFolder } from './settings.ts';

export interface DatabaseOptions extends GlobalOptions {
  readonly data?: string;
}

export interface History {
  readonly history: HistoryStore;
  readonly suppressions: Pick<SuppressionStore, 'get' | 'list'>;
  readonly outbox: Pick<OutboxStore, 'figures' | 'deliveries'>;
  close(): Promise<void>;
}

export interface Database extends History {
  readonly folder: string;
}

const FILE_NAME = 'relay.db';
const POLL_MS = 200;

/** Adds the options of commands that read the database. */
export function databaseOptions(command: Command): Command {
  return command.option('--data <folder>', "data folder to read instead of the config's; no config is needed then");
}

/** The database file in `folder`, or null when there is none. */
export function databaseFile(folder: string): string | null {
  const file = path.join(folder, FILE_NAME);
  return existsSync(file) ? file : null;
}

/** The data folder in use. */
export function databaseFolder(io: CliIo, options: DatabaseOptions): string {
  return options.data === undefined ? dataFolder(io, options) : path.resolve(options.data);
}

/** Opens the database for reading; rejects with a `RelayError` (`store-open`) when there is none or it cannot be read. */
export async function openDatabase(io: CliIo, options: DatabaseOptions): Promise<Database> {
  const folder = databaseFolder(io, options);
  const reader = await openSqliteReader(existing(folder), contentKeys(io, options, folder));
  return {
    folder,
    history: reader,
    suppressions: reader.suppressions,
    outbox: reader.outbox,
    close: () => reader.stop(),
  };
}

/** Opens the database in `folder` for reading. */
export async function openHistory(folder: string): Promise<History> {
  const reader = await openSqliteReader(existing(folder));
  return { history: reader, suppressions: reader.suppressions, outbox: reader.outbox, close: () => reader.stop() };
}

/** Opens the database for an operator's writes. */
export async function openOperator(io: CliIo, options: DatabaseOptions): Promise<SqliteOperator> {
  return openSqliteOperator({
    file: existing(databaseFolder(io, options)),
    dropContentWhenSettled: dropsContentWhenSettled(io, options),
  });
}

/** The content keys of the database, and whether they come from the config. */
export function openKeys(
  io: CliIo,
  options: DatabaseOptions,
): { readonly keys: SqliteKeys; readonly source: ContentKeySource } {
  const folder = databaseFolder(io, options);
  const source = contentKeys(io, options, folder);
  return { keys: openSqliteKeys(existing(folder), source), source };
}

/** As the config says; where it cannot be known, the file in the data folder. */
function contentKeys(io: CliIo, options: DatabaseOptions, folder: string): ContentKeySource {
  if (options.data === undefined) {
    const loaded = loadConfig(configFile(io, options), io.env);
    if (loaded.kind === 'config') return contentKeysOf(loaded.config);
  }
  return keyFileBeside(path.join(folder, FILE_NAME));
}

/** Waits until `folder` has a database; false when the user wants an end first. */
export async function whenDatabaseIsThere(io: CliIo, folder: string): Promise<boolean> {
  if (databaseFile(folder) !== null) return true;
  await io.stderr.write(`There is no database in ${folder} yet: waiting for the relay's first start.\n`);
  while (databaseFile(folder) === null) {
    if (!(await pause(io, POLL_MS))) return false;
  }
  return true;
}

/** Waits `ms`; false when the user wants an end. */
export async function pause(io: CliIo, ms: number): Promise<boolean> {
  if (io.signal.aborted) return false;
  try {
    await sleep(io.clock, ms, io.signal);
    return true;
  } catch (error) {
    if (io.signal.aborted) return false;
    throw error;
  }
}

/** As the config says. Where it cannot be known, the relay's own clean-up decides when content goes. */
function dropsContentWhenSettled(io: CliIo, options: DatabaseOptions): boolean {
  if (options.data !== undefined) return false;
  const loaded = loadConfig(configFile(io, options), io.env);
  return loaded.kind === 'config' && loaded.config.retention.contentMs === 0;
}

function existing(folder: string): string {
  const file = databaseFile(folder);
  if (file !== null) return file;
  throw new RelayError(`there is no database in ${folder}`, {
    code: 'store-open',
    op: 'cli.open',
    hint: 'The relay makes it at its first start. Does --config (or --data) name the one that runs?',
  });
}
