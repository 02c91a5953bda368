/**
 * Environment problems: the closed list of them, and the one class that carries them.
 *
 * A mail problem is a value (`Refusal`, `Outcome`), an environment problem is a `RelayError`, a bug is any other
 * exception. `RelayError` is caught at the edges only: SMTP answers 451 or 452, a command prints `hint` and ends with 1.
 */

export type RelayErrorCode =
  /** The config file is unreadable or wrong; `message` holds every finding. */
  | 'config'
  /** A key or certificate file is missing, unreadable, or not what it must be. */
  | 'key'
  /** Signing a message failed although the key loaded. */
  | 'signing'
  /** The database cannot be opened: corrupt, newer than this program, or in use by another relay. */
  | 'store-open'
  /** A commit failed: I/O error, read-only file system, database locked for too long. */
  | 'store-io'
  /** A commit failed, or mail is not taken, because the disk is full or below its floor. */
  | 'store-full'
  /** The store was closed while the call waited. */
  | 'store-closed'
  /** A listener cannot be bound. */
  | 'listen'
  /** A relay elsewhere does not answer a command, or refuses what it asks. */
  | 'remote'
  /** The command line was used wrongly. */
  | 'usage';

export interface RelayErrorInit {
  readonly code: RelayErrorCode;
  /** What was being done, as `room.verb`: `store.accept`. */
  readonly op: string;
  /** What the operator can do about it; one sentence. */
  readonly hint?: string;
  readonly cause?: unknown;
}

export class RelayError extends Error {
  readonly code: RelayErrorCode;
  readonly op: string;
  readonly hint: string;

  constructor(message: string, init: RelayErrorInit) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.name = 'RelayError';
    this.code = init.code;
    this.op = init.op;
    this.hint = init.hint ?? '';
  }
}

/** The text of anything that was thrown, on one line. */
export function errorText(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  return text.replace(/\s+/g, ' ').trim();
}

/** The system's or library's code of a thrown error (`ECONNREFUSED`, `SQLITE_FULL`), or null. */
export function errorCode(thrown: unknown): string | null {
  if (thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string') return thrown.code;
  return null;
}

/** For the end of an exhaustive switch: the types show that no value can arrive here. */
export function unreachable(value: never): never {
  throw new Error(`unexpected value ${JSON.stringify(value)}`);
}
