/** What the system says about a file, in words for people: no error codes, no names of system calls. */
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
