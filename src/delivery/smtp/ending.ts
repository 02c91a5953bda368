/**
 * How a conversation, or a part of it, ended.
 *
 * The stage carries the answer to the question that decides everything: it is `dot` exactly from the moment on at which the
 * final dot may have left this machine. Before that no next hop can have taken the message.
 */
import type { Stage } from '../../core/outcome.ts';

/**
 * Why it ended without a reply that decides. `aborted`: the relay gave it up. `lost`: the connection broke.
 * `protocol`: the server said what it must not say at this point, or too much.
 */
export type FailureReason = 'aborted' | 'dns' | 'connect' | 'tls' | 'auth' | 'timeout' | 'lost' | 'protocol';

export interface Failure {
  readonly kind: 'failure';
  readonly stage: Stage;
  readonly reason: FailureReason;
  /** One sentence, partly from elsewhere (system, TLS library); not cleaned yet. */
  readonly text: string;
}

/** The server answered, and that answer is the end: a refusal, or the answer to the final dot. */
export interface Answer {
  readonly kind: 'answer';
  readonly stage: Stage;
  /** The whole reply as it came, lines joined with LF, with its codes. */
  readonly reply: string;
}

/** The message cannot go over this server at all; nothing of it was sent. */
export interface Unsendable {
  readonly kind: 'unsendable';
  readonly stage: Stage;
  readonly enhanced: string;
  readonly text: string;
}

export type Ending = Answer | Failure | Unsendable;

/** Builds a failure. */
export function failure(stage: Stage, reason: FailureReason, text: string): Failure {
  return { kind: 'failure', stage, reason, text };
}

/** The server's reply that the SMTP library attached to `error`, or null when there was none. */
export function replyOf(error: unknown): string | null {
  return error instanceof Error && 'response' in error && typeof error.response === 'string' ? error.response : null;
}
