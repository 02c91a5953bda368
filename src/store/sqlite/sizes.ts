/** How large the files of the database are, and how much room its disk has. */
import { stat, statfs } from 'node:fs/promises';
import path from 'node:path';
import { errorCode, RelayError } from '../../core/errors.ts';
import type { StoreSizes } from '../../core/figures.ts';
import { fileTrouble } from '../../core/file-trouble.ts';

/** Of a database in memory. */
export const NO_SIZES: StoreSizes = { databaseBytes: null, walBytes: null, freeBytes: null };

/** Looks now; a write-ahead log that is not there has no octets. Rejects with a `RelayError` `store-io`. */
export async function sizesOf(file: string): Promise<StoreSizes> {
  try {
    const [database, wal, { bavail, bsize }] = await Promise.all([
      stat(file),
      sizeOf(`${file}-wal`),
      statfs(path.dirname(file)),
    ]);
    return { databaseBytes: database.size, walBytes: wal, freeBytes: bavail * bsize };
  } catch (error) {
    if (errorCode(error) === null) throw error;
    const hint = 'See to the disk and the data folder.';
    throw new RelayError(`the files of the database cannot be looked at: ${fileTrouble(error)}`, {
      code: 'store-io',
      op: 'store.sizes',
      hint,
      cause: error,
    });
  }
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return 0;
    throw error;
  }
}
