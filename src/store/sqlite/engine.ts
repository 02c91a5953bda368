/**
 * Runs batches of calls against one connection: one transaction, one fsync a batch.
 *
 *   all calls in one transaction -> commit -> answers
 *     | a call throws by its own fault          roll back, run the batch again with a savepoint a call: only it fails
 *     | trouble (disk, file system, lock)       roll back: every call of the batch fails, nothing of it happened
 *     | the disk is full                        make room from the reserve, refuse new mail, commit everything else
 *
 * Savepoints are paid for only when something went wrong. A commit that failed is never taken for done, whatever the next
 * one says. After a crash a batch is there whole or not at all; its answers were not given before it was durable.
 */
import type Database from 'better-sqlite3';
import { bugText } from '../../core/bug-text.ts';
import { RelayError } from '../../core/errors.ts';
import type { Clock } from '../../core/time.ts';
import type { Access, Call, CallResult, Engine, Procedure, Reply, WalState } from './calls.ts';
import type { EventLog } from './event-log.ts';
import { type Trouble, troubleOf } from './trouble.ts';

export interface EngineDeps {
  readonly db: Database.Database;
  readonly procedures: Readonly<Record<string, Procedure>>;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Where procedures append events; null: they append none. */
  readonly events: Pick<EventLog, 'mark' | 'forgetSince' | 'take'> | null;
  readonly wal: () => WalState;
  /** Frees some space for results when the disk is full. */
  readonly makeRoom: () => void;
  readonly close: () => void;
}

/** Makes an engine. */
export function createEngine(deps: EngineDeps): Engine {
  const { db, procedures, clock, events } = deps;
  const begin = db.prepare('BEGIN IMMEDIATE');
  const commit = db.prepare('COMMIT');
  const rollback = db.prepare('ROLLBACK');
  const save = db.prepare('SAVEPOINT one_call');
  const keep = db.prepare('RELEASE one_call');
  const undo = db.prepare('ROLLBACK TO one_call');

  return {
    run(calls) {
      const startedMs = clock.monotonicMs();
      const writes = calls.filter((call) => accessOf(call) === 'write' || accessOf(call) === 'intake').length;
      const { results, trouble } = writes > 0 ? runWriting(calls) : { results: calls.map(runAlone), trouble: null };
      return {
        results,
        ms: clock.monotonicMs() - startedMs,
        writes,
        trouble,
        wal: deps.wal(),
        events: events?.take() ?? [],
      };
    },
    close: deps.close,
  };

  function procedureOf(call: Call): Procedure {
    const procedure = procedures[call.name];
    if (procedure === undefined) throw new Error(`no procedure ${call.name}`);
    return procedure;
  }

  function accessOf(call: Call): Access {
    return procedureOf(call).access;
  }

  function invoke(call: Call): CallResult {
    return { ok: true, value: procedureOf(call).run(...call.args) };
  }

  function runAlone(call: Call): CallResult {
    try {
      return invoke(call);
    } catch (thrown) {
      return failure(thrown, troubleOf(thrown));
    }
  }

  function runWriting(calls: readonly Call[]): Pick<Reply, 'results' | 'trouble'> {
    try {
      return { results: commitAll(calls), trouble: null };
    } catch (thrown) {
      const trouble = troubleOf(thrown);
      if (trouble?.kind === 'full') return { results: commitWithoutIntake(calls, thrown, trouble), trouble };
      return { results: calls.map(() => failure(thrown, trouble)), trouble };
    }
  }

  /** Throws for trouble only: then nothing of the batch happened. */
  function commitAll(calls: readonly Call[]): readonly CallResult[] {
    try {
      return transact(calls, invoke);
    } catch (thrown) {
      if (troubleOf(thrown) !== null) throw thrown;
      return transact(calls, invokeInSavepoint);
    }
  }

  function commitWithoutIntake(calls: readonly Call[], full: unknown, trouble: Trouble): readonly CallResult[] {
    deps.makeRoom();
    const refusal = failure(full, trouble);
    const others = calls.filter((call) => accessOf(call) !== 'intake');
    try {
      const results = [...commitAll(others)];
      return calls.map((call) => (accessOf(call) === 'intake' ? refusal : (results.shift() ?? refusal)));
    } catch (thrown) {
      return calls.map(() => failure(thrown, troubleOf(thrown)));
    }
  }

  function transact(calls: readonly Call[], run: (call: Call) => CallResult): readonly CallResult[] {
    if (calls.length === 0) return [];
    begin.run();
    let committed = false;
    try {
      const results = calls.map(run);
      commit.run();
      committed = true;
      return results;
    } finally {
      if (!committed) events?.forgetSince(0);
      // SQLite rolls back by itself after some failures.
      if (db.inTransaction) rollback.run();
    }
  }

  function invokeInSavepoint(call: Call): CallResult {
    save.run();
    const mark = events?.mark() ?? 0;
    try {
      const result = invoke(call);
      keep.run();
      return result;
    } catch (thrown) {
      if (troubleOf(thrown) !== null) throw thrown;
      undo.run();
      keep.run();
      events?.forgetSince(mark);
      return failure(thrown, null);
    }
  }
}

function failure(thrown: unknown, trouble: Trouble | null): CallResult {
  if (trouble !== null) {
    return { ok: false, code: trouble.kind === 'full' ? 'store-full' : 'store-io', message: trouble.reason };
  }
  if (thrown instanceof RelayError) return { ok: false, code: thrown.code, message: thrown.message };
  return { ok: false, code: null, message: bugText(thrown) };
}
