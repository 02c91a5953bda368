/**
 * What an attempt's outcome means for its delivery. Pure.
 *
 *   delivered             -> delivered
 *   rejected              -> bounced, and suppressed for a time when the address itself is at fault
 *   deferred, uncertain   -> deferred until the next step of the ladder, or expired when the deadline has passed
 *
 * An uncertain outcome is retried with the same bytes and Message-ID: better one copy too many than a reset that never came.
 */
import type { RetryConfig } from '../config/types.ts';
import { unreachable } from '../core/errors.ts';
import type { Outcome } from '../core/outcome.ts';
import { classifyBounce } from '../feedback/classify.ts';
import type { Lease, Settlement } from '../store/store.ts';
import { nextAttemptAt } from './retry.ts';

export interface SettlementRules {
  readonly retry: RetryConfig;
  /** How long a recipient is suppressed after a bounce that is its own fault. */
  readonly suppressForMs: number;
}

/** The attempt as far as it matters for what follows. */
export interface AttemptEndFacts {
  /** Of the last route that was tried. */
  readonly outcome: Outcome;
  /** The last route is a sandbox. */
  readonly captures: boolean;
  /** Where the delivery is to wait for the next attempt. */
  readonly retryOn: { readonly route: string; readonly byDestination: boolean };
}

/** Decides the state of `lease`'s delivery after an attempt that ended at `now`. */
export function settlementOf(lease: Lease, end: AttemptEndFacts, rules: SettlementRules, now: number): Settlement {
  const { outcome } = end;
  switch (outcome.kind) {
    case 'delivered':
      return { state: 'delivered', captured: end.captures };
    case 'rejected': {
      const bounce = classifyBounce(outcome);
      return {
        state: 'bounced',
        bounce,
        suppressUntil: bounce.class === 'recipient' ? now + rules.suppressForMs : null,
      };
    }
    case 'deferred':
    case 'uncertain': {
      if (now >= lease.deadline) return { state: 'expired', reason: 'the deadline passed during the attempt' };
      // A round over several routes is one step of the ladder, however many attempts it counts as.
      const rounds = lease.rounds + 1;
      const dueAt = nextAttemptAt(rules.retry, lease.priority, rounds, now, lease.deadline);
      return { state: 'deferred', dueAt, rounds, ...end.retryOn };
    }
    default:
      return unreachable(outcome);
  }
}
