/** Opens connections and puts the engines over them, for a thread, for the calling thread, or in memory. */
import { systemClock } from '../../core/time.ts';
import { adoptKey } from './adopt-key.ts';
import type { Engine } from './calls.ts';
import { BUSY_MS, connect, MEMORY, openError } from './connect.ts';
import { createEngine } from './engine.ts';
import { createEventLog } from './event-log.ts';
import { type ContentKeySource, createKeyRing, keyFileBeside, passingKey } from './key-ring.ts';
import { migrate, requireSchema } from './migrations.ts';
import { besideDatabase } from './process-lock.ts';
import { createReader } from './reader.ts';
import { createReserve } from './reserve.ts';
import { checkpoint, createWalLook, createWriter } from './writer.ts';

export interface WriterSettings {
  readonly role: 'writer';
  readonly file: string;
  readonly dropContentWhenSettled: boolean;
  /** Make the database or bring it up to date; false: it must be there and of this program's version. */
  readonly migrate: boolean;
  /** A relay has kept its queue here before: an empty database is a loss. */
  readonly mustExist: boolean;
  /** `content.key` beside the database unless given. */
  readonly contentKeys?: ContentKeySource | undefined;
}

export interface ReaderSettings {
  readonly role: 'reader';
  readonly file: string;
  readonly contentKeys?: ContentKeySource | undefined;
}

export type EngineSettings = WriterSettings | ReaderSettings;

/** A small database is looked through for damage when it is opened; a large one shows damage where it is touched. */
const CHECK_BELOW_BYTES = 64 * 1024 * 1024;
/** How long the reader's checkpoint waits for another one. */
const CHECKPOINT_BUSY_MS = 100;

/** Opens a writing engine; throws a `RelayError` `store-open`. */
export function openWriter(settings: WriterSettings): Engine {
  const { file } = settings;
  const db = connect({ file, readonly: false, busyMs: BUSY_MS });
  try {
    if (settings.migrate) migrate(db, settings.mustExist);
    else requireSchema(db);
    checkForDamage(db);
    const ring = createKeyRing(settings.contentKeys ?? keyFileBeside(file));
    if (settings.migrate) adoptKey(db, ring, systemClock.now());
    const reserve = createReserve(besideDatabase(file, 'reserve'));
    const events = createEventLog(db);
    return createEngine({
      db,
      events,
      procedures: createWriter(db, events, settings.dropContentWhenSettled, ring),
      clock: systemClock,
      wal: createWalLook(db),
      makeRoom: reserve.spend,
      close() {
        checkpoint(db, 'TRUNCATE');
        db.close();
      },
    });
  } catch (thrown) {
    db.close();
    throw openError(file, thrown);
  }
}

/** Opens a reading engine beside a writing one; throws a `RelayError` `store-open`. */
export function openReader(settings: ReaderSettings): Engine {
  const { file } = settings;
  const db = connect({ file, readonly: true, busyMs: BUSY_MS });
  try {
    requireSchema(db);
    const folder = connect({ file, readonly: false, busyMs: CHECKPOINT_BUSY_MS });
    const reserve = createReserve(besideDatabase(file, 'reserve'));
    const duties = { checkpoint: () => checkpoint(folder, 'PASSIVE'), freeBytes: reserve.restore };
    return createEngine({
      db,
      events: null,
      procedures: createReader(db, duties, createKeyRing(settings.contentKeys ?? keyFileBeside(file))),
      clock: systemClock,
      wal: createWalLook(folder),
      makeRoom() {},
      close() {
        folder.close();
        db.close();
      },
    });
  } catch (thrown) {
    db.close();
    throw openError(file, thrown);
  }
}

/** Opens a reading engine that cannot write at all; throws a `RelayError` `store-open`. */
export function openReadOnly(file: string, contentKeys: ContentKeySource): Engine {
  const db = connect({ file, readonly: true, busyMs: BUSY_MS });
  try {
    requireSchema(db);
    const wal = createWalLook(db);
    return createEngine({
      db,
      events: null,
      procedures: createReader(db, { checkpoint: wal, freeBytes: () => null }, createKeyRing(contentKeys)),
      clock: systemClock,
      wal,
      makeRoom() {},
      close: () => void db.close(),
    });
  } catch (thrown) {
    db.close();
    throw openError(file, thrown);
  }
}

/** A writing and a reading engine over one new database in memory. */
export function openInMemory(dropContentWhenSettled: boolean): { readonly writer: Engine; readonly reader: Engine } {
  const db = connect({ file: MEMORY, readonly: false, busyMs: 0 });
  migrate(db, false);
  const ring = createKeyRing(passingKey());
  adoptKey(db, ring, systemClock.now());
  const wal = createWalLook(db);
  const shared = { db, clock: systemClock, wal, makeRoom() {} };
  const duties = { checkpoint: wal, freeBytes: () => null };
  const events = createEventLog(db);
  const writing = createWriter(db, events, dropContentWhenSettled, ring);
  return {
    writer: createEngine({ ...shared, events, procedures: writing, close: () => void db.close() }),
    reader: createEngine({ ...shared, events: null, procedures: createReader(db, duties, ring), close() {} }),
  };
}

function checkForDamage(db: ReturnType<typeof connect>): void {
  const bytes = Number(
    db.prepare('SELECT page_count * page_size FROM pragma_page_count, pragma_page_size').pluck().get(),
  );
  if (bytes > CHECK_BELOW_BYTES) return;
  const verdict = String(db.pragma('quick_check(1)', { simple: true }));
  if (verdict !== 'ok') throw Object.assign(new Error(verdict), { code: 'SQLITE_CORRUPT' });
}
