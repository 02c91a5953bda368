/**
 * When to try again. Pure.
 *
 * Each lane has its own ladder of waits; the last step repeats. A retry that would fall on or after the deadline is set to
 * the deadline, where the delivery expires: nothing is tried that would arrive too late.
 */
import type { RetryConfig } from '../config/types.ts';
import type { Priority } from '../core/message.ts';

/** Epoch milliseconds of the next attempt after the `attempts`-th (from 1) ended at `now`. */
export function nextAttemptAt(
  retry: RetryConfig,
  priority: Priority,
  attempts: number,
  now: number,
  deadline: number,
): number {
  const ladder = retry.ladders[priority];
  const waitMs = ladder[Math.min(attempts, ladder.length) - 1] ?? 60_000;
  return Math.min(now + waitMs, deadline);
}
