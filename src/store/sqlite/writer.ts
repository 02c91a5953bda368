/**
 * Everything that the writing connection can do, assembled; `engine.ts` runs it in transactions.
 *
 * A parameter of a frequent SELECT is written `+?` where it meets a column in a join, a partial index or a LIMIT. SQLite
 * makes a plan for the very value of a bare `?` there, and so compiles the statement anew for each value: 40 microseconds
 * for a settle's SELECT instead of 3. Its plan is fixed by INDEXED BY anyway.
 */
import type Database from 'better-sqlite3';
import { errorCode } from '../../core/errors.ts';
import { BUSY_MS } from './connect.ts';
import { createAccept } from './accept.ts';
import type { CheckpointMode, Procedures, WalState, WriterCalls } from './calls.ts';
import { createClaim } from './claim.ts';
import { createContentRead, createContents } from './contents.ts';
import { createDelay } from './delay.ts';
import { createDomainWrites } from './domains.ts';
import { createNextDue } from './due.ts';
import type { EventLog } from './event-log.ts';
import { createExpire } from './expire.ts';
import { createFeedback } from './feedback.ts';
import type { KeyRing } from './key-ring.ts';
import { createLeases, createTokens } from './lease.ts';
import { createMessageEnd } from './message-end.ts';
import { createMover } from './moves.ts';
import { createOperate } from './operate.ts';
import { createOutboxEndpoints } from './outbox-endpoints.ts';
import { createOutboxWork } from './outbox-work.ts';
import { overwriteWal } from './overwrite-wal.ts';
import { beginEpoch, createReclaim } from './reclaim.ts';
import { createReportWrites } from './reports.ts';
import { createReroute } from './reroute.ts';
import { createSuppressionWrites } from './suppressions.ts';
import { createUpkeep } from './upkeep.ts';

/** How long a checkpoint on the writing connection waits for readers to let go, in milliseconds. */
const READERS_WAIT_MS = 250;

/** Makes the writing procedures of `db`; statements are prepared once, here. */
export function createWriter(
  db: Database.Database,
  events: EventLog,
  dropContentWhenSettled: boolean,
  ring: KeyRing,
): Procedures<WriterCalls> {
  const contents = createContents(db, ring);
  const end = createMessageEnd(db, contents, dropContentWhenSettled);
  const move = createMover(db, events, end);
  const reports = createReportWrites(db, end);
  let epoch = 0;
  const nextToken = createTokens(() => epoch);
  const { accept, reject } = createAccept(db, { contents, events, move, end, reports, nextToken });
  const { renew, settle, release } = createLeases(db, move);
  const { retryNow, cancel } = createOperate(db, move);
  const { dropContent, dropHistory } = createUpkeep(db, contents);
  const { putSuppression, removeSuppression } = createSuppressionWrites(db);
  const { putPolicy, removePolicy, noteTlsLevel } = createDomainWrites(db);
  const { syncOutbox, forgetOutbox, enableOutbox } = createOutboxEndpoints(db);
  const outbox = createOutboxWork(db, events);
  const content = createContentRead(db, ring);
  const probe = db.prepare<[number]>('UPDATE relay SET probed_at = ? WHERE only_row = 1');
  const dataVersion = db.prepare<[], number>('PRAGMA data_version').pluck();

  return {
    begin: {
      access: 'alone',
      run(voidLeases) {
        epoch = beginEpoch(db, voidLeases);
        return null;
      },
    },
    accept: { access: 'intake', run: accept },
    reject: { access: 'intake', run: reject },
    claim: { access: 'write', run: createClaim(db, nextToken) },
    renew: { access: 'write', run: renew },
    settle: { access: 'write', run: settle },
    release: { access: 'write', run: release },
    reclaimExpired: { access: 'write', run: createReclaim(db, move) },
    markDelayed: { access: 'write', run: createDelay(db, events) },
    expireDue: { access: 'write', run: createExpire(db, move) },
    reroute: { access: 'write', run: createReroute(db) },
    routeChanged: {
      access: 'write',
      run({ type, route, reason, at }) {
        events.append(type, at, { route: { name: route, reason } }, null);
        return null;
      },
    },
    nextDue: { access: 'read', run: createNextDue(db) },
    content: { access: 'read', run: content },
    retryNow: { access: 'write', run: retryNow },
    cancel: { access: 'write', run: cancel },
    putSuppression: { access: 'write', run: putSuppression },
    removeSuppression: { access: 'write', run: removeSuppression },
    recordFeedback: { access: 'write', run: createFeedback(db, events) },
    dropReport: {
      access: 'write',
      run(number) {
        reports.settle(number);
        return null;
      },
    },
    putPolicy: { access: 'write', run: putPolicy },
    removePolicy: { access: 'write', run: removePolicy },
    noteTlsLevel: { access: 'write', run: noteTlsLevel },
    syncOutbox: { access: 'write', run: syncOutbox },
    forgetOutbox: { access: 'write', run: forgetOutbox },
    enableOutbox: { access: 'write', run: enableOutbox },
    outboxWork: { access: 'write', run: outbox.outboxWork },
    recordOutbox: { access: 'write', run: outbox.recordOutbox },
    hastenOutbox: { access: 'write', run: outbox.hastenOutbox },
    giveUpOutbox: { access: 'write', run: outbox.giveUpOutbox },
    replayOutbox: { access: 'write', run: outbox.replayOutbox },
    sealPlain: { access: 'write', run: contents.sealPlain },
    dropContent: { access: 'write', run: dropContent },
    dropHistory: { access: 'write', run: dropHistory },
    probe: {
      access: 'intake',
      run(now) {
        probe.run(now);
        return null;
      },
    },
    dataVersion: { access: 'read', run: () => dataVersion.get() ?? 0 },
    checkpoint: { access: 'alone', run: (mode) => checkpoint(db, mode) },
  };
}

/**
 * Moves frames of the write-ahead log into the database file, as far as `mode` asks and readers let it. PASSIVE waits for
 * nobody; the others wait for readers, and here never for long, since commits wait meanwhile.
 */
export function checkpoint(db: Database.Database, mode: CheckpointMode): WalState {
  switch (mode) {
    case 'PASSIVE':
      return fold(db, mode);
    case 'RESTART':
      return foldWithReaders(db, mode);
    case 'OVERWRITE':
      foldWithReaders(db, 'RESTART');
      overwrite(db);
      return createWalLook(db)();
    case 'TRUNCATE':
      foldWithReaders(db, 'RESTART');
      overwrite(db);
      return foldWithReaders(db, mode);
  }
}

function fold(db: Database.Database, mode: 'PASSIVE' | 'RESTART' | 'TRUNCATE'): WalState {
  return readWal(db.prepare(`PRAGMA wal_checkpoint(${mode})`).raw().get());
}

function foldWithReaders(db: Database.Database, mode: 'RESTART' | 'TRUNCATE'): WalState {
  db.pragma(`busy_timeout = ${READERS_WAIT_MS}`);
  try {
    return fold(db, mode);
  } finally {
    db.pragma(`busy_timeout = ${BUSY_MS}`);
  }
}

/** What a full or failing disk leaves as it is, the next time overwrites; whatever else is thrown is a bug. */
function overwrite(db: Database.Database): void {
  if (db.memory) return;
  try {
    overwriteWal(db);
  } catch (thrown) {
    if (errorCode(thrown) === null) throw thrown;
    if (db.inTransaction) db.exec('ROLLBACK');
  }
}

/** Looks at the write-ahead log without moving anything; an in-memory database has none. */
export function createWalLook(db: Database.Database): () => WalState {
  const look = db.prepare('PRAGMA wal_checkpoint(NOOP)').raw();
  return () => readWal(look.get());
}

function readWal(row: unknown): WalState {
  const [, frames, folded]: readonly unknown[] = Array.isArray(row) ? row : [];
  return { frames: Math.max(Number(frames ?? 0), 0), folded: Math.max(Number(folded ?? 0), 0) };
}
