/**
 * The way of commands to the relay's database: reading beside a running relay, and an operator's few writes.
 *
 * The folder comes from the config, or from `--data` where the config cannot be read just now (an environment variable
 * that only the service has, a half-edited file): looking up what happened to a mail must not depend on that.
 */
import { existsSync } from 'node:fs';
import path from 'node:path';
import type { Command } from 'commander';
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import { sleep } from '../core/time.ts';
import { openSqliteOperator, type SqliteOperator } from '../store/sqlite/open-operator.ts';
import { openSqliteReader } from '../store/sqlite/open-reader.ts';
import type { HistoryStore } from '../store/store.ts';
import type { CliIo, GlobalOptions } from './io.ts';
import { loadSettings } from './settings.ts';

export interface DatabaseOptions extends GlobalOptions {
  readonly data?: string;
}

export interface History {
  readonly history: HistoryStore;
  close(): Promise<void>;
}

export interface Database extends History {
  readonly folder: string;
  /** null when the folder was named by `--data`. */
  readonly config: Config | null;
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

/** The data folder in use, and the config that names it. */
export function databaseFolder(io: CliIo, options: DatabaseOptions): Pick<Database, 'folder' | 'config'> {
  if (options.data !== undefined) return { folder: path.resolve(options.data), config: null };
  const config = loadSettings(io, options);
  return { folder: config.dataDir, config };
}

/** Opens the database for reading; rejects with a `RelayError` (`store-open`) when there is none or it cannot be read. */
export async function openDatabase(io: CliIo, options: DatabaseOptions): Promise<Database> {
  const place = databaseFolder(io, options);
  return { ...place, ...(await openHistory(place.folder)) };
}

/** Opens the database in `folder` for reading. */
export async function openHistory(folder: string): Promise<History> {
  const history = await openSqliteReader(existing(folder));
  return { history, close: () => history.stop() };
}

/** Opens the database for an operator's writes. */
export async function openOperator(io: CliIo, options: DatabaseOptions): Promise<SqliteOperator> {
  const { folder, config } = databaseFolder(io, options);
  return openSqliteOperator({
    file: existing(folder),
    // Without the config the relay's own clean-up decides when content goes.
    dropContentWhenSettled: config?.retention.contentMs === 0,
  });
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

/** Names of the routes that capture; without a config the one that is called so. */
export function sandboxRoutes({ config }: Pick<Database, 'config'>): ReadonlySet<string> {
  if (config === null) return new Set(['sandbox']);
  return new Set([...config.routes.values()].flatMap((route) => (route.type === 'sandbox' ? [route.name] : [])));
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
