/**
 * The only door to clocks and timers.
 *
 * Everything that waits or asks for the time receives a `Clock`, so that tests drive time by hand and nothing sleeps.
 * `now()` is wall-clock time and may jump; spans are measured with `monotonicMs()`, which never goes back.
 */

/** Cancels a timer; calling it twice, or after the timer fired, does nothing. */
export type CancelTimer = () => void;

export interface Clock {
  /** Wall-clock time in milliseconds since the epoch. It may jump in either direction. */
  now(): number;
  /** Milliseconds since some fixed moment; never goes back. Fractions are kept. */
  monotonicMs(): number;
  /** Runs `fire` once after `delayMs` (values below 0 count as 0). A timer alone does not keep the process alive. */
  after(delayMs: number, fire: () => void): CancelTimer;
}

/** setTimeout overflows at 2^31 ms and would then fire at once; longer waits are cut into pieces. */
const LONGEST_TIMER_MS = 2_147_000_000;

/** The real clock of this machine. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, fire) {
    let timer: NodeJS.Timeout;
    const arm = (leftMs: number): void => {
      const pieceMs = Math.min(Math.max(leftMs, 0), LONGEST_TIMER_MS);
      timer = setTimeout(() => (leftMs > pieceMs ? arm(leftMs - pieceMs) : fire()), pieceMs);
      timer.unref();
    };
    arm(delayMs);
    return () => clearTimeout(timer);
  },
};

/** Resolves after `delayMs`, or rejects with the signal's reason when `signal` aborts first. */
export async function sleep(clock: Clock, delayMs: number, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const aborted = await new Promise<boolean>((resolve) => {
    const onAbort = (): void => {
      cancel();
      resolve(true);
    };
    const cancel = clock.after(delayMs, () => {
      signal.removeEventListener('abort', onAbort);
      resolve(false);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
  if (aborted) signal.throwIfAborted();
}

/** `epochMs` as RFC 3339 in UTC with milliseconds: `2026-01-05T10:00:00.123Z`. */
export function isoTime(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
