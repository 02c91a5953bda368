/** What the system says about a file, in words for people: no error codes, no names of system calls. */
import type { Stats } from 'node:fs';
import { errorCode, errorText } from '../core/errors.ts';

const WORDS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a folder'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['EROFS', 'the file system can only be read'],
  ['ENOSPC', 'the disk is full'],
]);

/** Why a file could not be used; the error's own text where there are no better words. */
export function fileTrouble(error: unknown): string {
  return WORDS.get(errorCode(error) ?? '') ?? errorText(error);
}

/** What stands at a path where a file should: `a folder`, `a FIFO` ...; null: a file. */
export function oddKind(stats: Stats): string | null {
  if (stats.isFile()) return null;
  if (stats.isDirectory()) return 'a folder';
  if (stats.isFIFO()) return 'a FIFO';
  if (stats.isSocket()) return 'a socket';
  return 'a device';
}
