/**
 * Opens the store over SQLite: a thread that writes, a thread that reads, and what holds them together.
 *
 *   accept, claim, settle ... -> group commit -> writing thread    one transaction, one fsync a batch
 *   history, figures          -> reading thread                    a connection of its own: never waits for a commit
 *
 * `:memory:` runs both on one connection in the calling thread, without timers: the store for tests of other rooms.
 *
 * After a crash everything that was answered is there: the database is opened with its write-ahead log, and with
 * `exclusive` the leases of the dead process count as run out. Beside `relay.db` stand `relay.lock` (who works on it) and
 * `relay.reserve` (space for results when the disk is full).
 *
 * Known limits: the file does not shrink, deleted space is used again; a folder on a network file system that does not
 * lock is not noticed.
 */
import type { Clock } from '../../core/time.ts';
import type { Store } from '../store.ts';
import { composeStore } from './compose.ts';
import { MEMORY } from './connect.ts';
import { openFileHosts, openMemoryHosts } from './hosts.ts';
import type { ContentKeySource } from './key-ring.ts';

/** Below so many free octets on the disk no mail is taken. */
export const FREE_FLOOR_BYTES: number = 64 * 1024 * 1024;

export interface SqliteStoreOptions {
  /** Path of the database, or `:memory:`. Its folder is made when it is not there. */
  readonly file: string;
  readonly clock: Clock;
  /** Content goes with the last final state, unless a sandbox captured it; false: `upkeep.dropContent` deletes it. */
  readonly dropContentWhenSettled: boolean;
  /** Take the lock that lets one relay work on the database, and take over the leases of a dead one. */
  readonly exclusive: boolean;
  /** Below this many free octets on the disk no mail is taken; 64 MB unless given. */
  readonly freeFloorBytes?: number;
  /** What content is encrypted under: `content.key` beside the database unless given, made at the first start. */
  readonly contentKeys?: ContentKeySource;
}

/** Opens the store; rejects with a `RelayError` `store-open` that says what is wrong and what to do. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { file, clock, dropContentWhenSettled, exclusive } = options;
  const floorBytes = options.freeFloorBytes ?? FREE_FLOOR_BYTES;
  const inMemory = file === MEMORY;
  const hosts = inMemory
    ? openMemoryHosts(dropContentWhenSettled)
    : await openFileHosts(file, dropContentWhenSettled, exclusive, options.contentKeys);
  return composeStore(hosts, { file, clock, floorBytes, onDisk: !inMemory, voidLeases: exclusive && !inMemory });
}
