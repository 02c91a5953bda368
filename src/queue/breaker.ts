/**
 * The circuit breaker of a route: after repeated faults of the route itself no mail is tried there, until a probe or one
 * message at a time has shown that it works again. Pure but for the monotonic time that it is given.
 *
 *              faults in a row                    probe fails
 *   closed  ----------------------->  open  <---------------------+
 *     ^                                |  \                       |
 *     |     probe succeeds             |   \  probe succeeds,     |
 *     +--------------------------------+    > half-open  ---------+ a message meets a fault
 *     ^                                        |
 *     +----------------------------------------+ a message gets through
 *
 * The wait for a probe doubles with each failure, up to a minute; while critical mail waits for the route it is a second.
 *
 * A probe goes as far as AUTH. So it is the last word on a route that could not be reached or logged in to; a provider that
 * refuses after that (421, quota) has to take a message first: half-open lets one through at a time.
 * Faults count from the last success on; those of attempts that began before the breaker closed do not count against it.
 */
import type { Stage } from '../core/outcome.ts';

/** Faults in a row that open it. */
export const FAULTS_TO_OPEN = 3;
/** The first wait for a probe; it doubles with each failure. */
export const FIRST_PROBE_MS = 5_000;
export const LONGEST_PROBE_MS = 60_000;
/** While critical mail waits for the route, a probe may follow this long after the one before. */
export const HURRIED_PROBE_MS = 1_000;

export type BreakerState = 'closed' | 'open' | 'half-open';
/** What a result changed: `down`: it opened, `up`: it closed. */
export type BreakerChange = 'down' | 'up' | null;

export interface Breaker {
  state(): BreakerState;
  /** When the next probe is to be made, monotonic milliseconds; null: none is wanted (also while one is under way). */
  probeAt(): number | null;
  /** An attempt that began at `startedMs` met the route's own fault at `stage`. */
  fault(stage: Stage, startedMs: number, nowMs: number): BreakerChange;
  /** An attempt was answered: the route works, whatever became of the message. */
  success(nowMs: number): BreakerChange;
  /** Critical mail waits for the route: the next probe comes soon. */
  hurry(nowMs: number): void;
  /** A probe begins. */
  probing(nowMs: number): void;
  /** It ended. */
  probed(works: boolean, nowMs: number): BreakerChange;
}

const REACHED_BY_A_PROBE: ReadonlySet<Stage> = new Set(['dns', 'connect', 'greeting', 'ehlo', 'starttls', 'auth']);

/** A breaker; `open`: it was open when the relay stopped, and is probed at once. */
export function createBreaker(open: boolean, nowMs: number): Breaker {
  let state: BreakerState = open ? 'open' : 'closed';
  let faults = 0;
  let closedMs = Number.NEGATIVE_INFINITY;
  let waitMs = FIRST_PROBE_MS;
  let probeAt: number | null = open ? nowMs : null;
  let probeDecides = true;
  let lastProbeMs = Number.NEGATIVE_INFINITY;

  const close = (now: number): BreakerChange => {
    state = 'closed';
    faults = 0;
    waitMs = FIRST_PROBE_MS;
    probeAt = null;
    probeDecides = true;
    closedMs = now;
    return 'up';
  };
  const reopen = (now: number): void => {
    state = 'open';
    probeAt = now + waitMs;
    lastProbeMs = Math.max(lastProbeMs, now);
    waitMs = Math.min(2 * waitMs, LONGEST_PROBE_MS);
  };

  return {
    state: () => state,
    probeAt: () => probeAt,
    fault(stage, startedMs, now) {
      if (state === 'open' || startedMs < closedMs) return null;
      const conclusive = REACHED_BY_A_PROBE.has(stage);
      if (state === 'half-open') {
        probeDecides = conclusive;
        reopen(now);
        return null;
      }
      faults++;
      if (!conclusive) probeDecides = false;
      if (faults < FAULTS_TO_OPEN) return null;
      reopen(now);
      return 'down';
    },
    success(now) {
      if (state === 'closed') {
        faults = 0;
        probeDecides = true;
        return null;
      }
      return close(now);
    },
    hurry(now) {
      if (probeAt !== null) probeAt = Math.min(probeAt, Math.max(now, lastProbeMs + HURRIED_PROBE_MS));
    },
    probing(now) {
      probeAt = null;
      lastProbeMs = now;
    },
    probed(works, now) {
      if (state !== 'open') return null;
      if (!works) {
        reopen(now);
        return null;
      }
      if (probeDecides) return close(now);
      state = 'half-open';
      return null;
    },
  };
}
