/**
 * Whether the database file still stands where it was opened. A file that was removed or replaced under a running relay
 * takes commits as before, into a place that nobody finds again.
 */
import { stat } from 'node:fs/promises';
import { errorCode } from '../../core/errors.ts';

/** Remembers the file now; the function returned tells later whether the same one is there. */
export async function rememberPlace(file: string): Promise<() => Promise<boolean>> {
  const opened = await stat(file);
  return async () => {
    try {
      const found = await stat(file);
      return found.ino === opened.ino && found.dev === opened.dev;
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return false;
      throw error;
    }
  };
}
