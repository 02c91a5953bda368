/**
 * Content in the database: encrypted when it is written, decrypted when it is read, its key destroyed when it is dropped.
 *
 * The key that new content is wrapped under is named in the database (`relay.content_key`) and looked up in the transaction
 * that writes: after a rotation has named another one, no process can wrap under the old.
 *
 * Promised: while a message waits, no file holds its plaintext. When its content is dropped, its key is overwritten in the same
 * transaction; from the next time that the log is folded and overwritten on (2 s after the last commit, else every 10 s, and
 * at a stop; `wal-keeper.ts`, `overwrite-wal.ts`), neither database nor -wal holds the key in any form, and nobody opens
 * remnants of the ciphertext, the content key in hand or not. -shm holds page numbers only.
 *
 * Not promised: a reader that holds an old view for long (a stopped command) puts that off; a log that grew over 16 MB is cut by
 * SQLite itself, without being overwritten; copies that the file system or the disk makes (snapshots, wear levelling), swap and core
 * dumps are out of reach; after a crash the log waits for the next start.
 *
 * What an older version left in plain is read as it is, and encrypted a bounded piece at a time after the start. Known limit:
 * pieces of such content may stay in unused parts of pages that the older version left, up to a VACUUM.
 */
import type Database from 'better-sqlite3';
import type { MessageId } from '../../core/ids.ts';
import { type ContentKey, createSeal, openSealed } from './content-cipher.ts';
import type { KeyRing } from './key-ring.ts';

/** Content is moved in pieces of this size, at least one message. */
const PIECE_BYTES = 4 * 1024 * 1024;

export interface Contents {
  put(mid: number, id: MessageId, content: Uint8Array): void;
  drop(mid: number): void;
  /** Encrypts up to `limit` messages that lie in plain, less when they are long; returns how many. */
  sealPlain(limit: number): number;
}

interface PlainRow {
  readonly mid: number;
  readonly id: MessageId;
  readonly size: number;
}

/** What new content is wrapped under, and a slot to put that in, if one is free. */
interface Place {
  readonly key_id: Uint8Array | null;
  readonly free_slot: number | null;
}

const NOWHERE: Place = { key_id: null, free_slot: null };

/** Makes the writing side over `db`. */
export function createContents(db: Database.Database, ring: KeyRing): Contents {
  const place = db.prepare<[], Place>(`
    SELECT content_key AS key_id,
      (SELECT slot FROM content_keys INDEXED BY content_keys_free WHERE used = 0 LIMIT 1) AS free_slot
    FROM relay WHERE only_row = 1`);
  const useSlot = db.prepare<[Uint8Array, Uint8Array, number]>(
    'UPDATE content_keys SET used = 1, key_id = ?, wrapped = ? WHERE slot = ?',
  );
  const addSlot = db.prepare<[Uint8Array, Uint8Array]>(
    'INSERT INTO content_keys (used, key_id, wrapped) VALUES (1, ?, ?)',
  );
  const insert = db.prepare<[number, number, Uint8Array]>('INSERT INTO sealed (mid, slot, bytes) VALUES (?, ?, ?)');
  const dropSealed = db.prepare<[number]>('DELETE FROM sealed WHERE mid = ?');
  const dropPlain = db.prepare<[number]>('DELETE FROM contents WHERE mid = ?');
  const plain = db.prepare<[number], PlainRow>(
    'SELECT c.mid, m.id, length(c.bytes) AS size FROM contents c CROSS JOIN messages m ON m.mid = c.mid ORDER BY c.mid LIMIT ?',
  );
  const plainBytes = db.prepare<[number], Uint8Array>('SELECT bytes FROM contents WHERE mid = ?').pluck();
  const seal = createSeal();
  let under: ContentKey | null = null;

  function fill(slot: number | null, keyId: Uint8Array, wrapped: Uint8Array): number {
    if (slot === null) return Number(addSlot.run(keyId, wrapped).lastInsertRowid);
    useSlot.run(keyId, wrapped, slot);
    return slot;
  }

  function put(mid: number, id: MessageId, content: Uint8Array): void {
    const { key_id: keyId, free_slot: freeSlot } = place.get() ?? NOWHERE;
    if (keyId === null) throw new Error('the database names no content key');
    if (under === null || !under.id.equals(keyId)) under = ring.get(keyId);
    const { wrapped, bytes } = seal(content, id, under);
    insert.run(mid, fill(freeSlot, under.id, wrapped), bytes);
  }

  return {
    put,
    drop(mid) {
      if (dropSealed.run(mid).changes === 0) dropPlain.run(mid);
    },
    sealPlain(limit) {
      let moved = 0;
      let bytes = 0;
      for (const { mid, id, size } of plain.all(limit)) {
        bytes += size;
        if (moved > 0 && bytes > PIECE_BYTES) break;
        const content = plainBytes.get(mid);
        if (content !== undefined) put(mid, id, content);
        dropPlain.run(mid);
        moved++;
      }
      return moved;
    },
  };
}

interface SealedRow {
  readonly bytes: Uint8Array;
  readonly key_id: Uint8Array;
  readonly wrapped: Uint8Array;
}

/** Reads the content of a message, or null when it is gone. Throws a `RelayError` (`key`) when no key opens it. */
export function createContentRead(db: Database.Database, ring: KeyRing): (id: MessageId) => Uint8Array | null {
  const read = db.prepare<[MessageId], SealedRow>(`
    SELECT s.bytes, k.key_id, k.wrapped
    FROM messages m CROSS JOIN sealed s ON s.mid = m.mid CROSS JOIN content_keys k ON k.slot = s.slot
    WHERE m.id = +?`);
  const readPlain = db
    .prepare<[MessageId], Uint8Array>(
      'SELECT c.bytes FROM messages m CROSS JOIN contents c ON c.mid = m.mid WHERE m.id = +?',
    )
    .pluck();
  return (id) => {
    const row = read.get(id);
    if (row !== undefined) return openSealed(row, id, ring.get(row.key_id));
    return readPlain.get(id) ?? null;
  };
}
