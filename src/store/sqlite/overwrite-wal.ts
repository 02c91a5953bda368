/**
 * Overwrites what is left of earlier rounds in the write-ahead log's file.
 *
 * When the log starts over, SQLite writes from the file's beginning and leaves the rest as it was: pages with wrapped keys
 * and contents that have been destroyed since. Here the log is folded whole, a small commit starts it over, and under
 * the write lock every frame after the ones of the present round is filled with zeros and synced.
 *
 * What is overwritten is never read by SQLite: readers stop at the last frame of the present round, and recovery stops at the
 * first frame with another salt (https://www.sqlite.org/fileformat2.html#walformat). The write lock keeps other
 * processes from adding frames meanwhile. So a crash at any moment, in the middle of the zeros too, loses nothing. POSIX
 * locks are on the database and -shm, not on -wal: opening and closing -wal drops none.
 */
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from 'node:fs';
import type Database from 'better-sqlite3';
import { errorCode } from '../../core/errors.ts';

const HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const PAGE_SIZE_AT = 8;
const SALT_AT = 16;
const SALT_BYTES = 8;
const FRAME_SALT_AT = 8;
const ZEROS = Buffer.alloc(256 * 1024);

/** Starts the log of `db` over with a small commit, and overwrites what earlier rounds left in its file. */
export function overwriteWal(db: Database.Database): void {
  // A change, or SQLite would write nothing.
  db.exec('BEGIN IMMEDIATE; UPDATE relay SET probed_at = probed_at + 1 WHERE only_row = 1; COMMIT');
  db.exec('BEGIN IMMEDIATE');
  try {
    zeroStaleFrames(`${db.name}-wal`);
  } finally {
    db.exec('ROLLBACK');
  }
}

/** Fills everything after the frames of the present round with zeros. Under the write lock only. */
function zeroStaleFrames(file: string): void {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r+');
  } catch (thrown) {
    // Without a log there is nothing to overwrite.
    if (errorCode(thrown) === 'ENOENT') return;
    throw thrown;
  }
  try {
    const { size } = fstatSync(descriptor);
    const end = endOfRound(descriptor, size);
    if (end === null || end >= size) return;
    for (let at = end; at < size; at += ZEROS.length) {
      writeSync(descriptor, ZEROS, 0, Math.min(ZEROS.length, size - at), at);
    }
    fdatasyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Where the frames with the header's salt end; null: the file has no header to go by. */
function endOfRound(descriptor: number, size: number): number | null {
  const header = Buffer.alloc(HEADER_BYTES);
  if (readSync(descriptor, header, 0, HEADER_BYTES, 0) < HEADER_BYTES) return null;
  const pageBytes = header.readUInt32BE(PAGE_SIZE_AT);
  if (pageBytes < 512 || pageBytes > 65_536) return null;
  const salt = header.subarray(SALT_AT, SALT_AT + SALT_BYTES);
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  const frameBytes = FRAME_HEADER_BYTES + pageBytes;
  let at = HEADER_BYTES;
  while (at + frameBytes <= size) {
    if (readSync(descriptor, frame, 0, FRAME_HEADER_BYTES, at) < FRAME_HEADER_BYTES) break;
    if (!frame.subarray(FRAME_SALT_AT, FRAME_SALT_AT + SALT_BYTES).equals(salt)) break;
    at += frameBytes;
  }
  return at;
}
