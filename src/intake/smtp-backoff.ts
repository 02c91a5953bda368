/**
 * A memory of failures per key that makes each next try wait longer, and forgets.
 *
 * Bounded: when it is full, the key that was touched longest ago goes. It lives in memory alone; a restart forgives.
 */
import type { Clock } from '../core/time.ts';

export interface BackoffOptions {
  /** Failures without a consequence. */
  readonly free: number;
  /** Wait after the first failure beyond the free ones; each further one doubles it. */
  readonly baseMs: number;
  readonly maxMs: number;
  /** A key without a failure for so long is forgotten. */
  readonly forgetMs: number;
  readonly maxKeys: number;
}

export interface Backoff {
  /** Whether `key` has to wait now. */
  blocked(key: string): boolean;
  /** How long `key` has to wait from now; 0: not at all. */
  waitMs(key: string): number;
  /** Records a failure; returns how many there are now, and how long the key has to wait. */
  fail(key: string): { readonly failures: number; readonly waitMs: number };
  /** Forgets `key`. */
  succeed(key: string): void;
}

interface Entry {
  failures: number;
  lastMs: number;
  untilMs: number;
}

/** Makes an empty memory. */
export function createBackoff(clock: Clock, options: BackoffOptions): Backoff {
  // Insertion order is order of the last failure: the first entry is the one to let go.
  const entries = new Map<string, Entry>();
  const find = (key: string): Entry | null => {
    const entry = entries.get(key);
    if (entry === undefined) return null;
    if (clock.monotonicMs() - entry.lastMs < options.forgetMs) return entry;
    entries.delete(key);
    return null;
  };
  const waitMs = (key: string): number => Math.max(0, (find(key)?.untilMs ?? 0) - clock.monotonicMs());
  return {
    blocked: (key) => waitMs(key) > 0,
    waitMs,
    fail(key) {
      const now = clock.monotonicMs();
      const failures = (find(key)?.failures ?? 0) + 1;
      const beyond = failures - options.free;
      const waitMs = beyond <= 0 ? 0 : Math.min(options.baseMs * 2 ** Math.min(beyond - 1, 30), options.maxMs);
      entries.delete(key);
      entries.set(key, { failures, lastMs: now, untilMs: now + waitMs });
      if (entries.size > options.maxKeys) {
        const oldest = entries.keys().next();
        if (oldest.done !== true) entries.delete(oldest.value);
      }
      return { failures, waitMs };
    },
    succeed(key) {
      entries.delete(key);
    },
  };
}
