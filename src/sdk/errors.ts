/**
 * Everything that a call can fail with. One class to catch (`LeadpushError`), one field to switch on (`code`).
 *
 * No message holds a token, an address, a body or a link: what the relay says in `detail` never repeats what it was sent, and
 * of an answer that is not the relay's only status and type are told.
 */
import type { Problem, ProblemCode } from './types.ts';

/** `connection-failed`, `timed-out`, `unexpected-answer` are the client's own; `unknown`: a code of a newer relay. */
export type LeadpushErrorCode = ProblemCode | 'unknown' | 'connection-failed' | 'timed-out' | 'unexpected-answer';

export interface LeadpushErrorInit {
  readonly status?: number | null;
  readonly detail?: string;
  readonly errors?: Problem['errors'];
  readonly requestId?: string | null;
  readonly retryAfterMs?: number | null;
  readonly cause?: unknown;
}

/** A call that failed. Its subclasses say where: at the relay, on the way, in time, or with an answer that nobody expects. */
export class LeadpushError extends Error {
  override readonly name: string = 'LeadpushError';
  readonly code: LeadpushErrorCode;
  /** HTTP status of the answer; null when there was none. */
  readonly status: number | null;
  /** What went wrong, for people. */
  readonly detail: string;
  /** What is wrong with which part of the request, by JSON pointer; empty when nothing is said. */
  readonly errors: NonNullable<Problem['errors']>;
  /** What to ask the relay's operator with; null when no answer came. */
  readonly requestId: string | null;
  /** How long the relay asks to wait, in milliseconds; null when it does not say. */
  readonly retryAfterMs: number | null;

  constructor(code: LeadpushErrorCode, message: string, init: LeadpushErrorInit = {}) {
    super(message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = code;
    this.status = init.status ?? null;
    this.detail = init.detail ?? message;
    this.errors = init.errors ?? [];
    this.requestId = init.requestId ?? null;
    this.retryAfterMs = init.retryAfterMs ?? null;
  }
}

/** The relay refused the call, or could not do it: `application/problem+json`. */
export class LeadpushProblem extends LeadpushError {
  override readonly name: string = 'LeadpushProblem';
  /** The whole answer. */
  readonly problem: Problem;

  constructor(op: string, code: ProblemCode | 'unknown', problem: Problem, retryAfterMs: number | null) {
    const { status, title, detail, errors, request_id: requestId } = problem;
    const where = errors?.map((entry) => ` ${entry.in} ${entry.pointer}: ${entry.detail}.`).join('') ?? '';
    super(code, `${op}: ${status} ${title}: ${detail}${where}`, { status, detail, errors, requestId, retryAfterMs });
    this.problem = problem;
  }
}

/** No answer: the relay cannot be reached, or the connection broke. Whether it got the request is not known. */
export class LeadpushConnectionError extends LeadpushError {
  override readonly name: string = 'LeadpushConnectionError';

  constructor(message: string, cause: unknown) {
    super('connection-failed', message, { cause });
  }
}

/** No whole answer within `timeoutMs`. Whether the relay did what was asked is not known. */
export class LeadpushTimeoutError extends LeadpushError {
  override readonly name: string = 'LeadpushTimeoutError';

  constructor(message: string) {
    super('timed-out', message);
  }
}

/** An answer that the relay would not give: a proxy's page, a redirect, broken JSON. Look at `baseUrl` first. */
export class LeadpushAnswerError extends LeadpushError {
  override readonly name: string = 'LeadpushAnswerError';

  constructor(message: string, status: number, init: Pick<LeadpushErrorInit, 'retryAfterMs' | 'cause'> = {}) {
    super('unexpected-answer', message, { status, ...init });
  }
}
