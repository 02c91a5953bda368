/**
 * When a call is made again, and how long it waits before that.
 *
 * `safe`: doing it twice does no more than doing it once (reading, PUT, DELETE, a send with its idempotency key): made again after
 * anything that may pass. `refused`: made again only when the relay said that it did not begin (429).
 */
import { LeadpushError } from './errors.ts';
import type { Runtime } from './runtime.ts';

export type Repeat = 'safe' | 'refused';

const FIRST_DELAY_MS = 500;
const MAX_DELAY_MS = 8000;
/** A call does not wait longer than this for a relay that says when to come back: its caller decides. */
const MAX_RETRY_AFTER_MS = 30_000;
/** Statuses that may be others a moment later. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/** Milliseconds until the call that failed with `error` is made again, for the `attempt`-th time (from 1); null: never. */
export function retryDelayMs(error: unknown, repeat: Repeat, attempt: number, runtime: Runtime): number | null {
  if (!(error instanceof LeadpushError) || !mayPass(error, repeat)) return null;
  if (error.retryAfterMs === null) return backOffMs(attempt, runtime);
  return error.retryAfterMs <= MAX_RETRY_AFTER_MS ? error.retryAfterMs : null;
}

/** 0.5 s, doubled with each attempt up to `maxMs`; of that, between half and all. */
export function backOffMs(attempt: number, runtime: Runtime, maxMs: number = MAX_DELAY_MS): number {
  const longest = Math.min(FIRST_DELAY_MS * 2 ** (attempt - 1), maxMs);
  return Math.round(longest * (0.5 + runtime.random() / 2));
}

/** True when the same call may succeed later. */
export function mayPass(error: LeadpushError, repeat: Repeat): boolean {
  if (repeat === 'refused') return error.status === 429;
  return error.status === null || PASSING.has(error.status);
}

/** `Retry-After` in milliseconds from `now` (RFC 9110, section 10.2.3: seconds or a date); null when absent or neither. */
export function readRetryAfter(value: string | null, now: number): number | null {
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value.trim())) return Number(value) * 1000;
  const at = Date.parse(value);
  return Number.isNaN(at) ? null : Math.max(at - now, 0);
}
