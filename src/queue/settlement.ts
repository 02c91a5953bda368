/**
 * What an attempt's outcome means for its delivery. Pure.
 *
 *   delivered             -> delivered
 *   rejected              -> bounced
 *   deferred, uncertain   -> deferred until the next step of the ladder, or expired when the deadline has passed
 *
 * An uncertain outcome is retried with the same bytes and Message-ID: better one copy too many than a reset that never came.
 */
import type { RetryConfig } from '../config/types.ts';
import { unreachable } from '../core/errors.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Lease, Settlement } from '../store/store.ts';
import { nextAttemptAt } from './retry.ts';

/** Decides the state of `lease`'s delivery after `outcome`; `captures`: the route is a sandbox. */
export function settlementOf(
  lease: Lease,
  outcome: Outcome,
  retry: RetryConfig,
  captures: boolean,
  now: number,
): Settlement {
  switch (outcome.kind) {
    case 'delivered':
      return { state: 'delivered', captured: captures };
    case 'rejected':
      return { state: 'bounced' };
    case 'deferred':
    case 'uncertain':
      if (now >= lease.deadline) return { state: 'expired', reason: 'the deadline passed during the attempt' };
      return {
        state: 'deferred',
        dueAt: nextAttemptAt(retry, lease.priority, lease.attempts + 1, now, lease.deadline),
        route: lease.route,
      };
    default:
      return unreachable(outcome);
  }
}
