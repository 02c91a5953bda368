/** A content key for databases that tests put together by hand. */
import type Database from 'better-sqlite3';
import { adoptKey } from '../../src/store/sqlite/adopt-key.ts';
import { createKeyRing, type KeyRing, passingKey } from '../../src/store/sqlite/key-ring.ts';

/** A ring with one key, which `db` is told to encrypt under. */
export function adoptedRing(db: Database.Database): KeyRing {
  const ring = createKeyRing(passingKey());
  adoptKey(db, ring, 0);
  return ring;
}
