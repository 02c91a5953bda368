/**
 * Storage trouble: what SQLite says when the disk, the file system or another process is the reason, and not the call.
 *
 * Trouble hits every call of a batch and turns the store's health; anything else that is thrown is the fault of one call.
 */
import { errorCode, errorText } from '../../core/errors.ts';

export interface Trouble {
  readonly kind: 'full' | 'io';
  /** No later probe can heal it: the file itself is damaged. */
  readonly lasting: boolean;
  readonly reason: string;
}

/** -shm cannot grow: on a full disk this comes before SQLITE_FULL. */
const FULL = /^SQLITE_(?:FULL|IOERR_SHMSIZE)$/;
const DAMAGED = /^SQLITE_(?:CORRUPT|NOTADB)/;
const BUSY = /^SQLITE_(?:BUSY|LOCKED|PROTOCOL)/;
const OTHER = /^SQLITE_(?:IOERR|READONLY|CANTOPEN|NOMEM|PERM|NOLFS)/;

/** What `thrown` means for the store as a whole, or null when it is the fault of the call that threw. */
export function troubleOf(thrown: unknown): Trouble | null {
  const code = errorCode(thrown) ?? '';
  const says = `${errorText(thrown)}, ${code}`;
  if (FULL.test(code)) return { kind: 'full', lasting: false, reason: `the disk is full (${says})` };
  if (DAMAGED.test(code)) return { kind: 'io', lasting: true, reason: `the database is damaged (${says})` };
  if (BUSY.test(code)) return { kind: 'io', lasting: false, reason: `another process holds the database (${says})` };
  if (OTHER.test(code)) return { kind: 'io', lasting: false, reason: `the database cannot be written (${says})` };
  return null;
}
