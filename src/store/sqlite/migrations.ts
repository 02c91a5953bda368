/**
 * Brings the database's schema to this program's version.
 *
 * Migrations are numbered by their place in the list and never edited. Each runs in a transaction of its own that first
 * looks again at the version, so two processes may start at the same moment. After a crash a migration is there whole or
 * not at all. A newer schema, or a database that is not the relay's, is refused and left as it is.
 */
import type Database from 'better-sqlite3';
import { RelayError } from '../../core/errors.ts';
import { sql as first } from './migrations/0001.ts';
import { sql as second } from './migrations/0002.ts';
import { sql as third } from './migrations/0003.ts';
import { sql as fourth } from './migrations/0004.ts';
import { sql as fifth } from './migrations/0005.ts';
import { sql as sixth } from './migrations/0006.ts';
import { RESTORE_HINT } from './process-lock.ts';

export const MIGRATIONS: readonly string[] = [first, second, third, fourth, fifth, sixth];

/** Set by the first migration: `LPR1`. */
const APPLICATION_ID = 0x4c505231;

/** Applies what is missing; `mustExist`: an empty database is a loss, not a beginning. */
export function migrate(db: Database.Database, mustExist: boolean): void {
  const found = checkVersion(db);
  if (found === 0 && mustExist) {
    throw refuse(`${db.name} is empty, although a relay has kept its queue there before`, RESTORE_HINT);
  }
  if (found === MIGRATIONS.length) return;
  const step = db.transaction((): boolean => {
    const version = checkVersion(db);
    const sql = MIGRATIONS[version];
    if (sql === undefined) return false;
    db.exec(sql);
    db.pragma(`user_version = ${version + 1}`);
    return true;
  });
  let more = true;
  while (more) more = step.immediate();
}

/** For connections that must not migrate: throws unless the schema is exactly this program's. */
export function requireSchema(db: Database.Database): void {
  const version = checkVersion(db);
  if (version === MIGRATIONS.length) return;
  throw refuse(
    version === 0 ? `${db.name} holds no queue yet` : `${db.name} has schema ${version}, of an older version`,
    'Start the relay once with this version and this config.',
  );
}

/** Throws unless the database is the relay's and its schema is not newer than this program; returns the version. */
function checkVersion(db: Database.Database): number {
  const version = readNumber(db, 'user_version');
  const tables = Number(db.prepare('SELECT count(*) FROM sqlite_master').pluck().get());
  if (version === 0 ? tables > 0 : readNumber(db, 'application_id') !== APPLICATION_ID) {
    throw refuse(
      `${db.name} is a database of another program`,
      'Set `data` in the config to a folder of its own for the relay.',
    );
  }
  if (version > MIGRATIONS.length) {
    throw refuse(
      `${db.name} has schema ${version}, and this program knows schemas up to ${MIGRATIONS.length}`,
      'It was written by a newer version of the relay: start that version, or restore a backup from before the update.',
    );
  }
  return version;
}

function readNumber(db: Database.Database, pragma: string): number {
  return Number(db.pragma(pragma, { simple: true }));
}

function refuse(message: string, hint: string): RelayError {
  return new RelayError(message, { code: 'store-open', op: 'store.open', hint });
}
