/**
 * Content keys from another process: which there are and what uses them, and the change to a new one, beside a running relay
 * or without one. `content.key` is only ever changed under the database's write lock, so two of these agree.
 *
 *   1  one transaction   a new key goes into the file, before the old one; then the database names it: from this commit on
 *                        every process wraps under the new key, because it looks the name up in the transaction that writes,
 *                        and reads the file again when it does not know it
 *   2  many small ones   the keys of messages are wrapped anew, in place; content is not touched
 *   3  under the lock    nothing is under another key any more: the others leave the file, which is overwritten
 *
 * After a crash in 1 the file may have a key that nothing uses yet; in 2, some messages are under either key; in 3, the file may
 * have one too many. All content is readable meanwhile. The next call makes a key of its own and moves everything to that, from
 * under however many keys: whoever rotates wants one that nobody has seen, and the file of a broken-off rotation may have lain
 * there for days.
 */
import type { MessageId } from '../../core/ids.ts';
import { sleep, type Clock } from '../../core/time.ts';
import { countKeyUse } from './adopt-key.ts';
import { RelayError } from '../../core/errors.ts';
import { BUSY_MS, connect } from './connect.ts';
import { type ContentKey, rewrap } from './content-cipher.ts';
import { type DatedKey, newKey, readKeyFile, replaceKeyFile, wipeDrafts } from './key-file.ts';
import { type ContentKeySource, createKeyRing, keyName, placeOf } from './key-ring.ts';
import { requireSchema } from './migrations.ts';
import { checkpoint } from './writer.ts';

/** Messages that one transaction looks at. */
const PIECE = 200;
/** Between two of them, so that a running relay commits meanwhile. */
const PAUSE_MS = 20;

export interface KeyState {
  readonly id: string;
  /** Epoch milliseconds; null: from the config, or missing. */
  readonly madeAt: number | null;
  readonly messages: number;
  /** New content is encrypted under it. */
  readonly current: boolean;
  /** It is not where keys come from: the messages that need it cannot be read. */
  readonly missing: boolean;
}

export interface Rotation {
  /** The key that all content is under now. */
  readonly to: string;
  /** An earlier rotation had not come to its end: its key, too, was replaced. */
  readonly resumed: boolean;
  /** Messages whose key was wrapped anew. */
  readonly messages: number;
  /** Keys that nothing uses any more; out of a file they have gone. */
  readonly retired: readonly string[];
}

export interface SqliteKeys {
  list(): readonly KeyState[];
  /** A new key in the file, and everything moved to it. Rejects with a `RelayError` (`key`). */
  rotate(clock: Clock, signal: AbortSignal): Promise<Rotation>;
  /** Moves everything to the first key of the config; rejects (`key`) when a relay has not been started with it yet. */
  moveToFirst(clock: Clock, signal: AbortSignal): Promise<Rotation>;
  stop(): void;
}

interface WrappedRow {
  readonly mid: number;
  readonly id: MessageId;
  readonly slot: number;
  readonly key_id: Buffer;
  readonly wrapped: Uint8Array;
}

/** Opens the keys of the database `file`, which must be there; throws a `RelayError` (`store-open`). */
export function openSqliteKeys(file: string, source: ContentKeySource): SqliteKeys {
  const db = connect({ file, readonly: false, busyMs: BUSY_MS });
  const ring = createKeyRing(source);
  try {
    requireSchema(db);
  } catch (thrown) {
    db.close();
    throw thrown;
  }
  const named = db.prepare<[], Buffer | null>('SELECT content_key FROM relay WHERE only_row = 1').pluck();
  const name = db.prepare<[Buffer]>('UPDATE relay SET content_key = ? WHERE only_row = 1');
  const next = db.prepare<[number, number], WrappedRow>(`
    SELECT s.mid, m.id, s.slot, k.key_id, k.wrapped
    FROM sealed s CROSS JOIN messages m ON m.mid = s.mid CROSS JOIN content_keys k ON k.slot = s.slot
    WHERE s.mid > +? ORDER BY s.mid LIMIT +?`);
  const put = db.prepare<[Buffer, Buffer, number]>('UPDATE content_keys SET key_id = ?, wrapped = ? WHERE slot = ?');

  function begin(
    keyFile: string,
    now: number,
  ): { readonly to: DatedKey; readonly resumed: boolean; readonly dropped: readonly DatedKey[] } {
    const keys = readKeyFile(keyFile);
    if (keys === null) throw gone(keyFile);
    wipeDrafts(keyFile);
    const to = newKey(now);
    const current = named.get();
    const used = countKeyUse(db).map(({ id }) => id);
    // Without what broken-off rotations have made and nothing uses, however often they were.
    const kept = keys.filter(({ id }) => current?.equals(id) === true || used.some((one) => one.equals(id)));
    replaceKeyFile(keyFile, [to, ...kept]);
    name.run(to.id);
    return { to, resumed: keys.length > 1, dropped: keys.filter((key) => !kept.includes(key)) };
  }

  function movePiece(after: number, to: ContentKey): { readonly last: number | null; readonly moved: number } {
    const rows = next.all(after, PIECE);
    let moved = 0;
    for (const { id, slot, key_id, wrapped } of rows) {
      if (key_id.equals(to.id)) continue;
      put.run(to.id, rewrap(wrapped, id, ring.get(key_id), to), slot);
      moved++;
    }
    return { last: rows.at(-1)?.mid ?? null, moved };
  }

  async function moveAll(to: ContentKey, clock: Clock, signal: AbortSignal): Promise<number> {
    const step = db.transaction(movePiece);
    let messages = 0;
    let after: number | null = -1;
    for (;;) {
      const piece: { readonly last: number | null; readonly moved: number } = step.immediate(after, to);
      messages += piece.moved;
      if (piece.last === null) return messages;
      after = piece.last;
      await sleep(clock, PAUSE_MS, signal);
    }
  }

  /** Keys in use but `to`; under the write lock nobody adds to them. */
  const others = (to: ContentKey): readonly Buffer[] =>
    countKeyUse(db)
      .map(({ id }) => id)
      .filter((id) => !id.equals(to.id));

  function finish(keyFile: string, to: DatedKey): readonly string[] {
    if (named.get()?.equals(to.id) !== true) return [];
    const used = others(to);
    const keys = readKeyFile(keyFile) ?? [];
    const kept = keys.filter(({ id }) => id.equals(to.id) || used.some((one) => one.equals(id)));
    if (kept.length < keys.length) replaceKeyFile(keyFile, kept);
    return keys.filter((key) => !kept.includes(key)).map(({ id }) => keyName(id));
  }

  return {
    list() {
      const current = named.get() ?? null;
      const uses = new Map(countKeyUse(db).map(({ id, messages }) => [keyName(id), messages]));
      const dated = source.kind === 'file' ? readKeyFile(source.file) : null;
      const known = dated ?? ring.all() ?? [];
      const states = known.map((key): KeyState => {
        const id = keyName(key.id);
        const messages = uses.get(id) ?? 0;
        uses.delete(id);
        const madeAt = dated?.find((one) => one.id.equals(key.id))?.madeAt ?? null;
        return { id, madeAt, messages, current: current?.equals(key.id) === true, missing: false };
      });
      const missing = [...uses].map(([id, messages]) => ({
        id,
        madeAt: null,
        messages,
        current: current !== null && keyName(current) === id,
        missing: true,
      }));
      return [...states, ...missing];
    },

    async rotate(clock, signal) {
      if (source.kind !== 'file') throw new Error('the keys are from the config');
      const { file: keyFile } = source;
      const { to, resumed, dropped } = db.transaction(begin).immediate(keyFile, clock.now());
      const messages = await moveAll(to, clock, signal);
      const retired = [...db.transaction(finish).immediate(keyFile, to), ...dropped.map(({ id }) => keyName(id))];
      return { to: keyName(to.id), resumed, messages, retired };
    },

    async moveToFirst(clock, signal) {
      const keys = ring.all() ?? [];
      const [first] = keys;
      if (first === undefined) throw new Error('there is no content key');
      const current = named.get() ?? null;
      if (current?.equals(first.id) !== true) {
        throw new RelayError(
          `the first key in ${placeOf(source)} is ${keyName(first.id)}, and the relay still encrypts under ${current === null ? 'none' : keyName(current)}`,
          { code: 'key', op: 'store.keys', hint: 'Restart the relay with this config, then run the command again.' },
        );
      }
      const messages = await moveAll(first, clock, signal);
      const used = others(first);
      const retired = keys
        .slice(1)
        .filter(({ id }) => !used.some((one) => one.equals(id)))
        .map(({ id }) => keyName(id));
      return { to: keyName(first.id), resumed: false, messages, retired };
    },

    stop() {
      checkpoint(db, 'TRUNCATE');
      db.close();
    },
  };
}

function gone(keyFile: string): RelayError {
  return new RelayError(`the content key ${keyFile} is gone`, {
    code: 'key',
    op: 'store.keys',
    hint: 'Put it back from a backup. A relay that starts with an empty database makes a new one.',
  });
}
