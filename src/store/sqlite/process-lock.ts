/**
 * The lock that lets one relay at a time work on a database. It dies with its process, however that ends.
 *
 * A second, empty SQLite file beside the database (`relay.lock` beside `relay.db`) is kept locked; SQLite's own locks hold
 * between threads of one process as well as between processes. The file stays when the relay ends: it is also the sign
 * that a queue was made here, by which a database that has vanished is told from a first start.
 */
import { existsSync } from 'node:fs';
import { format, parse } from 'node:path';
import Database from 'better-sqlite3';
import { errorCode, RelayError } from '../../core/errors.ts';
import { openError } from './connect.ts';

export interface ProcessLock {
  release(): void;
}

/** What to do about a database that is not there any more: the files beside it belong to the lost one, and would damage another. */
export const RESTORE_HINT =
  'Remove the -wal and -shm files beside it, then restore it from a backup; to begin with an empty queue, remove the .lock file too.';

/** `relay.db` -> `relay.<extension>`, in the same folder. */
export function besideDatabase(file: string, extension: string): string {
  const { dir, name } = parse(file);
  return format({ dir, name, ext: `.${extension}` });
}

/** True when a relay has kept a queue in `file` before. Throws when there was one and the file is gone. */
export function wasUsedBefore(file: string): boolean {
  const used = existsSync(besideDatabase(file, 'lock'));
  if (used && !existsSync(file)) {
    throw new RelayError(`the database ${file} is gone, although a relay has kept its queue there before`, {
      code: 'store-open',
      op: 'store.open',
      hint: RESTORE_HINT,
    });
  }
  return used;
}

/** Takes the lock of the database `file`, or throws a `RelayError` `store-open` when another relay has it. */
export function takeProcessLock(file: string): ProcessLock {
  const lockFile = besideDatabase(file, 'lock');
  let db: Database.Database | null = null;
  try {
    db = new Database(lockFile, { timeout: 0 });
    db.pragma('locking_mode = EXCLUSIVE');
    db.exec('BEGIN EXCLUSIVE');
  } catch (thrown) {
    db?.close();
    if (errorCode(thrown) !== 'SQLITE_BUSY') throw openError(lockFile, thrown);
    throw new RelayError(`another relay is working on ${file}`, {
      code: 'store-open',
      op: 'store.open',
      hint: `Stop it first, or give this one a data folder of its own (\`fuser ${lockFile}\` names the process).`,
      cause: thrown,
    });
  }
  const held = db;
  return { release: () => void held.close() };
}
