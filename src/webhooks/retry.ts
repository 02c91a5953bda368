/**
 * When an event is tried again, and how an endpoint that fails is spared (pure).
 *
 * Each event has its ladder, as Standard Webhooks advises: 5s 5m 30m 2h 5h 10h 14h 20h 24h after the first try and those that
 * follow, each up to a fifth longer, so that what failed together does not come again together. Then it is a dead letter.
 * An endpoint that failed a few times in a row gets one event at a time, with a pause after each.
 */

const [SECOND_MS, MINUTE_MS, HOUR_MS] = [1000, 60_000, 3_600_000];
export const RETRY_LADDER_MS: readonly number[] = [
  5 * SECOND_MS,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];
const JITTER = 0.2;
const MAX_RETRY_AFTER_MS = 24 * HOUR_MS;
/** A receiver that is busy holds up all its events, yet not for long by one answer. */
const MAX_PAUSE_MS = HOUR_MS;
/** Failures in a row after which an endpoint counts as failing. */
export const FAILING_AFTER = 3;
const PAUSES_MS: readonly number[] = [1000, 2000, 5000, 10_000];

/**
 * The wait after a failed try, in milliseconds; null: that was the last one. `tries` before it, `random` from 0 to 1,
 * `retryAfterMs` as the receiver asked.
 */
export function retryDelayMs(tries: number, random: number, retryAfterMs: number | null): number | null {
  const step = RETRY_LADDER_MS[tries];
  if (step === undefined) return null;
  return Math.max(Math.round(step * (1 + JITTER * random)), Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS));
}

/** How long nothing is sent to an endpoint after `failures` in a row, in milliseconds. */
export function endpointPauseMs(failures: number, random: number, retryAfterMs: number | null): number {
  const asked = Math.min(retryAfterMs ?? 0, MAX_PAUSE_MS);
  if (failures < FAILING_AFTER) return asked;
  const pause = PAUSES_MS[Math.min(failures - FAILING_AFTER, PAUSES_MS.length - 1)] ?? 0;
  return Math.max(Math.round(pause * (1 + JITTER * random)), asked);
}

/** `Retry-After` (RFC 9110, section 10.2.3) in milliseconds from `nowMs`, never negative; null when it is no such value. */
export function parseRetryAfter(value: string | undefined, nowMs: number): number | null {
  const text = value?.trim() ?? '';
  if (/^\d{1,10}$/.test(text)) return Number(text) * SECOND_MS;
  // A date of HTTP begins with the name of a day; `Date.parse` takes far more than that.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? [\w :-]{8,40}$/.test(text)) return null;
  const date = Date.parse(text);
  return Number.isNaN(date) ? null : Math.max(0, date - nowMs);
}
