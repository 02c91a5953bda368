/**
 * Which content key a database works with, settled when a relay opens it: after this, its keys are at hand and
 * `relay.content_key` names the one that encrypts. A relay whose keys do not fit the database does not start.
 */
import type Database from 'better-sqlite3';
import { RelayError } from '../../core/errors.ts';
import { makeKeyFile, newKey, wipeDrafts } from './key-file.ts';
import { keyName, type KeyRing, placeOf } from './key-ring.ts';

export interface KeyUse {
  readonly id: Buffer;
  readonly messages: number;
}

/** How many messages are encrypted under each key. */
export function countKeyUse(db: Database.Database): readonly KeyUse[] {
  return db
    .prepare<[], KeyUse>('SELECT key_id AS id, count(*) AS messages FROM content_keys WHERE used = 1 GROUP BY key_id')
    .all();
}

/**
 * Names the key that encrypts; makes the file at a first start, and clears away what a killed process left beside it. Throws a
 * `RelayError` (`key`) when keys are missing. Under the write lock, so that a rotation is not met halfway.
 */
export function adoptKey(db: Database.Database, ring: KeyRing, now: number): void {
  db.transaction(adopt).immediate(db, ring, now);
}

function adopt(db: Database.Database, ring: KeyRing, now: number): void {
  const { source } = ring;
  const uses = countKeyUse(db);
  if (source.kind === 'file') wipeDrafts(source.file);
  if (source.kind === 'file' && ring.all() === null) {
    const waiting = uses.reduce((sum, use) => sum + use.messages, 0);
    if (waiting > 0) {
      throw new RelayError(
        `the content key ${source.file} is gone, and ${waiting} messages in the database are encrypted under it`,
        {
          code: 'key',
          op: 'store.open',
          hint: 'Put it back from a backup, or set `content_key` in the config if it was moved there. Without it these messages cannot be delivered.',
        },
      );
    }
    makeKeyFile(source.file, newKey(now));
  }
  const [first] = ring.all() ?? [];
  if (first === undefined) throw new Error('there is no content key');
  const missing = uses.filter(({ id }) => !ring.has(id));
  if (missing.length > 0) {
    const names = missing.map(({ id, messages }) => `${keyName(id)} (${messages} messages)`).join(', ');
    throw new RelayError(`the database holds content under keys that are not in ${placeOf(source)}: ${names}`, {
      code: 'key',
      op: 'store.open',
      hint: 'Add the missing key, after the one that encrypts; `leadpush-relay keys list` shows which messages need it.',
    });
  }
  const named = db.prepare<[], Buffer | null>('SELECT content_key FROM relay WHERE only_row = 1').pluck();
  const name = db.prepare<[Buffer]>('UPDATE relay SET content_key = ? WHERE only_row = 1');
  const before = named.get() ?? null;
  // The config says which key encrypts. In a file, only a rotation changes that, and it names its key itself.
  const keep = before !== null && (source.kind === 'file' ? ring.has(before) : before.equals(first.id));
  if (!keep) name.run(first.id);
}
