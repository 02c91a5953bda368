/**
 * The files that a config names: where they are, what is in them, and who may read them.
 *
 * Relative paths start at the config file's folder, not at the working directory: a service and a shell must not find
 * different files. Only regular files of a bounded size are read: a FIFO or a device would stop the relay.
 */
import { closeSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { errorCode } from '../core/errors.ts';

export type FileText =
  | { readonly kind: 'text'; readonly text: string }
  /** `reason` completes "cannot be read: ...". */
  | { readonly kind: 'unreadable'; readonly reason: string };

export interface ConfigFiles {
  /** `path` made absolute. */
  resolve(path: string): string;
  /** The whole text of `path` (UTF-8, a byte order mark taken off), when it has at most `maxBytes` octets. */
  read(path: string, maxBytes: number): FileText;
  /** Whether others than the owner may read or write `path`; false when it does not exist. */
  isOpenToOthers(path: string): boolean;
}

const REASONS: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a folder'],
  ['ENOTDIR', 'a part of the path is not a folder'],
  ['ELOOP', 'too many symbolic links'],
  ['ENAMETOOLONG', 'the name is too long'],
]);

/** The files as seen from `configFile`. */
export function createConfigFiles(configFile: string): ConfigFiles {
  const folder = dirname(resolve(configFile));
  const absolute = (path: string): string => resolve(folder, path);
  return {
    resolve: absolute,
    read: (path, maxBytes) => readText(absolute(path), maxBytes),
    isOpenToOthers(path) {
      // Windows has no such mode bits; it reports 0o666 for everything.
      if (process.platform === 'win32') return false;
      try {
        return (statSync(absolute(path)).mode & 0o077) !== 0;
      } catch {
        // It is not there, or its folder is closed to us: whoever uses the file will say so.
        return false;
      }
    },
  };
}

function readText(path: string, maxBytes: number): FileText {
  try {
    // Asked before opening: opening a FIFO waits for its other end.
    if (!statSync(path).isFile()) return { kind: 'unreadable', reason: 'it is not a regular file' };
    const octets = readOctets(path, maxBytes);
    if (octets === null) return { kind: 'unreadable', reason: `it has more than ${maxBytes / 1024} KB` };
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(octets) };
  } catch (thrown) {
    const code = errorCode(thrown) ?? '';
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') return { kind: 'unreadable', reason: 'it is not UTF-8 text' };
    return { kind: 'unreadable', reason: REASONS.get(code) ?? `the system says ${code === '' ? 'no' : code}` };
  }
}

function readOctets(path: string, maxBytes: number): Uint8Array | null {
  const descriptor = openSync(path, 'r');
  try {
    if (fstatSync(descriptor).size > maxBytes) return null;
    const buffer = Buffer.alloc(maxBytes + 1);
    let length = 0;
    for (;;) {
      const count = readSync(descriptor, buffer, length, buffer.length - length, null);
      if (count === 0) return buffer.subarray(0, length);
      length += count;
      if (length > maxBytes) return null;
    }
  } finally {
    closeSync(descriptor);
  }
}
