/**
 * Opens one connection to the relay's database and makes sure of what durability rests on.
 *
 * WAL, then synchronous=FULL (in this order: switching to WAL sets it back to NORMAL), both read back and refused when they
 * did not take. secure_delete overwrites what is deleted, so that a dropped message leaves none in the file (its key, and the log: `contents.ts`);
 * temp_store keeps sorting off the disk. Checkpoints are never automatic: they would fall into a commit (`checkpoint.ts`).
 *
 * Never open or close the database file by other means in the process that has it open: closing any descriptor of a file
 * drops the process's POSIX locks on it, SQLite's among them.
 */
import { closeSync, existsSync, mkdirSync, openSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode, errorText, RelayError } from '../../core/errors.ts';

export const MEMORY = ':memory:';

/** How long a connection waits for another process before it gives up, in milliseconds. */
export const BUSY_MS = 5000;
const PAGE_BYTES = 4096;
const CACHE_KIB = 32_768;
/** After a checkpoint the log's file is cut to this when it starts over. */
const WAL_KEPT_BYTES = 16 * 1024 * 1024;

export interface ConnectOptions {
  readonly file: string;
  readonly readonly: boolean;
  readonly busyMs: number;
}

/** Opens `file`; throws a `RelayError` `store-open` that says what is wrong with it. */
export function connect(options: ConnectOptions): Database.Database {
  const { file } = options;
  let db: Database.Database | null = null;
  try {
    if (!options.readonly) prepareFile(file);
    db = new Database(file, { readonly: options.readonly, timeout: options.busyMs });
    setUp(db, options);
    return db;
  } catch (thrown) {
    db?.close();
    throw openError(file, thrown);
  }
}

/** `thrown` while `file` was opened, as the error that the operator sees. */
export function openError(file: string, thrown: unknown): RelayError {
  if (thrown instanceof RelayError) return thrown;
  const code = errorCode(thrown) ?? '';
  return new RelayError(`cannot open the database ${file}: ${errorText(thrown)}${code === '' ? '' : ` (${code})`}`, {
    code: 'store-open',
    op: 'store.open',
    hint: hintFor(file, code),
    cause: thrown,
  });
}

function hintFor(file: string, code: string): string {
  if (/^SQLITE_(?:NOTADB|CORRUPT)/.test(code)) {
    return `Restore ${file} from a backup, or move it (with its -wal and -shm files) away to begin with an empty queue.`;
  }
  if (/^SQLITE_(?:BUSY|LOCKED)/.test(code)) return 'Another process holds it; end that one, then start again.';
  if (code === 'SQLITE_FULL') return 'Free space on its disk, then start again.';
  return 'See that it is a file, and that the file and its folder belong to the user that runs the relay.';
}

/** Makes the folder and an empty file that only its owner can read: SQLite gives -wal and -shm the same mode. */
function prepareFile(file: string): void {
  if (file === MEMORY) return;
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  if (!existsSync(file)) {
    try {
      closeSync(openSync(file, 'wx', 0o600));
    } catch (thrown) {
      // Another opener was faster: then it is there, which is all that is wanted.
      if (errorCode(thrown) !== 'EEXIST') throw thrown;
    }
  }
  if (!statSync(file).isFile()) {
    throw new RelayError(`cannot open the database ${file}: it is not a file`, {
      code: 'store-open',
      op: 'store.open',
      hint: 'Give the path of a file, or move away what is there.',
    });
  }
}

function setUp(db: Database.Database, options: ConnectOptions): void {
  if (!options.readonly) {
    db.pragma(`page_size = ${PAGE_BYTES}`);
    const mode = walMode(db, options.busyMs);
    if (mode !== (options.file === MEMORY ? 'memory' : 'wal')) {
      throw new Error(`its file system has no write-ahead log (journal mode is ${String(mode)})`);
    }
  }
  db.pragma('synchronous = FULL');
  const synchronous = db.pragma('synchronous', { simple: true });
  if (synchronous !== 2) throw new Error(`synchronous=FULL did not take (it is ${String(synchronous)})`);
  db.pragma('foreign_keys = ON');
  db.pragma('secure_delete = ON');
  db.pragma('trusted_schema = OFF');
  db.pragma('temp_store = MEMORY');
  db.pragma('wal_autocheckpoint = 0');
  db.pragma(`journal_size_limit = ${WAL_KEPT_BYTES}`);
  db.pragma(`cache_size = -${CACHE_KIB}`);
}

/** Two processes that switch a new file at the same moment meet SQLITE_BUSY without SQLite waiting: so we wait. */
function walMode(db: Database.Database, busyMs: number): unknown {
  const pauseMs = 20;
  const pause = new Int32Array(new SharedArrayBuffer(4));
  for (let waitedMs = 0; ; waitedMs += pauseMs) {
    try {
      return db.pragma('journal_mode = WAL', { simple: true });
    } catch (thrown) {
      if (errorCode(thrown) !== 'SQLITE_BUSY' || waitedMs >= busyMs) throw thrown;
      Atomics.wait(pause, 0, 0, pauseMs);
    }
  }
}
