/**
 * `content.key`: the keys that the keys of messages are wrapped under, one a line, the newest first; mode 0600.
 *
 *   2026-01-05T10:00:00.000Z <base64 of 32 octets>
 *
 * It has one key, but for the time of a rotation. It is made whole under another name (`content.key.<12 hex digits>.new`) and
 * then linked into its place, or replaced by a rename, each with the folder synced: whoever reads it, after a crash too, finds
 * the old or the new one whole. What a killed process left under such a name is wiped by the next one that starts or rotates.
 *
 * A replaced file is overwritten before its blocks are given back. Known limits: a kill right between the rename and that leaves
 * the blocks as they are, and a copy that the file system or the disk itself made (snapshots, wear levelling) is out of reach.
 */
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  fstatSync,
  linkSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { errorCode, errorText, RelayError } from '../../core/errors.ts';
import { isoTime } from '../../core/time.ts';
import { type ContentKey, contentKey, parseContentKey } from './content-cipher.ts';

const MODE = 0o600;
const OTHERS = 0o077;
const MAX_BYTES = 64 * 1024;
const DRAFT_ENDING = /^[0-9a-f]{12}\.new$/;
const LINE = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) ([A-Za-z0-9+/]{43}=)$/;

export interface DatedKey extends ContentKey {
  /** When it was made, epoch milliseconds. */
  readonly madeAt: number;
}

/** A new key. */
export function newKey(now: number): DatedKey {
  return { ...contentKey(randomBytes(32)), madeAt: now };
}

/** The keys in `file`, newest first; null: it is not there. Throws a `RelayError` (`key`) when it is not what it must be. */
export function readKeyFile(file: string): readonly DatedKey[] | null {
  let descriptor: number;
  try {
    descriptor = openSync(file, 'r');
  } catch (thrown) {
    if (errorCode(thrown) === 'ENOENT') return null;
    throw refuse(`cannot read the content key ${file}: ${errorText(thrown)}`, BELONGS, thrown);
  }
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile() || stat.size > MAX_BYTES) throw malformed(file, 'it is not a small file');
    if ((stat.mode & OTHERS) !== 0) {
      const mode = (stat.mode & 0o777).toString(8);
      throw refuse(
        `others may read the content key ${file} (its mode is ${mode})`,
        `Run chmod 600 ${file}; if somebody may have read it, run \`leadpush-relay keys rotate\` then.`,
      );
    }
    return parse(file, readFileSync(descriptor, 'latin1'));
  } finally {
    closeSync(descriptor);
  }
}

/** Makes `file` with `key`, unless it is there: then it stays as it is. Durable when this returns. */
export function makeKeyFile(file: string, key: DatedKey): void {
  const draft = writeDraft(file, [key]);
  try {
    linkSync(draft, file);
  } catch (thrown) {
    // Another opener was faster.
    if (errorCode(thrown) !== 'EEXIST') throw cannotWrite(file, thrown);
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(file);
}

/** Puts `keys` in the place of what `file` holds. Durable when this returns. */
export function replaceKeyFile(file: string, keys: readonly DatedKey[]): void {
  const draft = writeDraft(file, keys);
  const before = openSync(file, 'r+');
  try {
    renameSync(draft, file);
    syncFolder(file);
    overwrite(before);
  } catch (thrown) {
    throw cannotWrite(file, thrown);
  } finally {
    closeSync(before);
  }
}

/**
 * Takes away the drafts that killed processes left beside `file`, their keys overwritten. To be called under the database's write
 * lock, where nobody else is at work on the file. Throws a `RelayError` (`key`) when one cannot be taken away.
 */
export function wipeDrafts(file: string): void {
  const folder = dirname(file);
  const prefix = `${basename(file)}.`;
  const drafts = readdirSync(folder).filter(
    (name) => name.startsWith(prefix) && DRAFT_ENDING.test(name.slice(prefix.length)),
  );
  if (drafts.length === 0) return;
  const inode = statSync(file, { throwIfNoEntry: false })?.ino;
  for (const draft of drafts.map((name) => join(folder, name))) {
    try {
      const descriptor = openSync(draft, 'r+');
      try {
        // One that was linked into its place is the file itself: only its second name goes.
        if (fstatSync(descriptor).ino !== inode) overwrite(descriptor);
      } finally {
        closeSync(descriptor);
      }
      rmSync(draft);
    } catch (thrown) {
      throw refuse(
        `cannot remove ${draft}, a draft of the content key that a killed process left: ${errorText(thrown)}`,
        'Remove it by hand: it holds a key.',
        thrown,
      );
    }
  }
  syncFolder(file);
}

function overwrite(descriptor: number): void {
  writeSync(descriptor, Buffer.alloc(fstatSync(descriptor).size), 0, undefined, 0);
  fsyncSync(descriptor);
}

function parse(file: string, text: string): readonly DatedKey[] {
  const lines = text.split('\n');
  if (lines.pop() !== '') throw malformed(file, 'its last line has no end');
  if (lines.length === 0) throw malformed(file, 'it is empty');
  return lines.map((line, index) => {
    const [, date = '', base64 = ''] = LINE.exec(line) ?? [];
    const key = parseContentKey(base64);
    // The line itself is a secret.
    if (key === null) throw malformed(file, `line ${index + 1} is not a time and the base64 of 32 octets`);
    return { ...key, madeAt: Date.parse(date) };
  });
}

function writeDraft(file: string, keys: readonly DatedKey[]): string {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`;
  try {
    const descriptor = openSync(draft, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, MODE);
    try {
      writeSync(descriptor, keys.map(({ key, madeAt }) => `${isoTime(madeAt)} ${key.toString('base64')}\n`).join(''));
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return draft;
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw cannotWrite(file, thrown);
  }
}

function syncFolder(file: string): void {
  const folder = openSync(dirname(file), 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const BELONGS = 'See that it belongs to the user that runs the relay.';

function malformed(file: string, why: string): RelayError {
  return refuse(
    `the content key ${file} is damaged: ${why}`,
    'Restore it from a backup. Without it, content that waits in the database cannot be read.',
  );
}

function cannotWrite(file: string, thrown: unknown): RelayError {
  return refuse(
    `cannot write the content key ${file}: ${errorText(thrown)}`,
    'See that its folder can be written to.',
    thrown,
  );
}

function refuse(message: string, hint: string, cause?: unknown): RelayError {
  return new RelayError(message, { code: 'key', op: 'store.content-key', hint, cause });
}
