/**
 * The wall-clock limits of a session, and the one timer that keeps them.
 *
 * A limit counts from the start of what it bounds and no octet of the client moves it: a client that drips is cut off like one
 * that is silent. The time in which the client waits for us counts against nobody.
 */
import type { CancelTimer, Clock } from '../core/time.ts';

/** Milliseconds that a client has for each step. */
export const SESSION_TIMES = {
  /** From our last reply to the end of the next command line. */
  commandMs: 60_000,
  /** From the TLS connection, or the reply to STARTTLS, to the end of the handshake. */
  handshakeMs: 30_000,
  /** From AUTH to its last line. */
  authMs: 30_000,
  /** From the reply to DATA to the final dot. */
  dataMs: 300_000,
  /** In each such stretch of DATA at least `dataWindowBytes` octets must arrive (500 a second). */
  dataWindowMs: 30_000,
  dataWindowBytes: 15_000,
  /** From the start, or the last accepted message, to the next MAIL or other command. */
  sessionMs: 600_000,
} as const;

export interface Watchdog {
  /** Gives the client `ms` from now; `due` runs when they are over, unless `start` or `pause` comes first. */
  start(ms: number): void;
  /** The client waits for us: no limit runs. */
  pause(): void;
  stop(): void;
}

/** Makes a watchdog. It is restarted with every command, so a timer that is early looks again instead of being replaced. */
export function createWatchdog(clock: Clock, due: () => void): Watchdog {
  let endMs = Number.POSITIVE_INFINITY;
  let timerMs = Number.POSITIVE_INFINITY;
  let cancel: CancelTimer | null = null;
  let stopped = false;

  const arm = (now: number): void => {
    cancel?.();
    timerMs = endMs;
    cancel = clock.after(endMs - now, look);
  };
  const look = (): void => {
    cancel = null;
    timerMs = Number.POSITIVE_INFINITY;
    if (stopped || endMs === Number.POSITIVE_INFINITY) return;
    const now = clock.monotonicMs();
    if (now < endMs) arm(now);
    else {
      endMs = Number.POSITIVE_INFINITY;
      due();
    }
  };
  return {
    start(ms) {
      if (stopped) return;
      const now = clock.monotonicMs();
      endMs = now + ms;
      if (timerMs > endMs) arm(now);
    },
    pause() {
      endMs = Number.POSITIVE_INFINITY;
    },
    stop() {
      stopped = true;
      cancel?.();
      cancel = null;
    },
  };
}
