/**
 * Everything that the writing connection can do, assembled; `engine.ts` runs it in transactions.
 *
 * A parameter of a frequent SELECT is written `+?` where it meets a column in a join, a partial index or a LIMIT. SQLite
 * makes a plan for the very value of a bare `?` there, and so compiles the statement anew for each value: 40 microseconds
 * for a settle's SELECT instead of 3. Its plan is fixed by INDEXED BY anyway.
 */
import type Database from 'better-sqlite3';
import type { MessageId } from '../../core/ids.ts';
import { BUSY_MS } from './connect.ts';
import { createAccept } from './accept.ts';
import type { CheckpointMode, Procedures, WalState, WriterCalls } from './calls.ts';
import { createClaim } from './claim.ts';
import { createDelay } from './delay.ts';
import { createDomainWrites } from './domains.ts';
import { createNextDue } from './due.ts';
import type { EventLog } from './event-log.ts';
import { createExpire } from './expire.ts';
import { createFeedback } from './feedback.ts';
import { createLeases, createTokens } from './lease.ts';
import { createMessageEnd } from './message-end.ts';
import { createMover } from './moves.ts';
import { createOperate } from './operate.ts';
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
): Procedures<WriterCalls> {
  const end = createMessageEnd(db, dropContentWhenSettled);
  const move = createMover(db, events, end);
  const reports = createReportWrites(db, end);
  let epoch = 0;
  const nextToken = createTokens(() => epoch);
  const { accept, reject } = createAccept(db, { events, move, end, reports, nextToken });
  const { renew, settle, release } = createLeases(db, move);
  const { retryNow, cancel } = createOperate(db, move);
  const { dropContent, dropHistory } = createUpkeep(db);
  const { putSuppression, removeSuppression } = createSuppressionWrites(db);
  const { putPolicy, removePolicy, noteTlsLevel } = createDomainWrites(db);
  const content = createContentRead(db);
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

/** Reads the bytes of a message, or null when they are gone. */
export function createContentRead(db: Database.Database): (id: MessageId) => Uint8Array | null {
  const read = db
    .prepare<[MessageId], Uint8Array>(
      'SELECT bytes FROM messages m CROSS JOIN contents c ON c.mid = m.mid WHERE m.id = +?',
    )
    .pluck();
  return (id) => read.get(id) ?? null;
}

/**
 * Moves frames of the write-ahead log into the database file, as far as `mode` asks and readers let it. PASSIVE waits for
 * nobody; the others wait for readers, and here never for long, since commits wait meanwhile.
 */
export function checkpoint(db: Database.Database, mode: CheckpointMode): WalState {
  if (mode === 'PASSIVE') return readWal(db.prepare('PRAGMA wal_checkpoint(PASSIVE)').raw().get());
  db.pragma(`busy_timeout = ${READERS_WAIT_MS}`);
  try {
    return readWal(db.prepare(`PRAGMA wal_checkpoint(${mode})`).raw().get());
  } finally {
    db.pragma(`busy_timeout = ${BUSY_MS}`);
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
