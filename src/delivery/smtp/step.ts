/**
 * One step of a network conversation: it settles exactly once, by its own events, by its wall-clock limit, or by the abort
 * of the attempt, and takes its timer and its listener away with it.
 */
import type { Clock } from '../../core/time.ts';

export interface Step<T> {
  /** The first call decides; later ones do nothing. */
  settle(value: T): void;
  /** Replaces the limit: `late` runs `ms` milliseconds from now. It settles the step or sets a new limit. */
  limit(ms: number, late: () => void): void;
  /** From now on the attempt's abort is ignored. */
  shield(): void;
}

/** Runs `begin` and resolves with what it settles on, or with what `aborted` returns when `signal` aborts first. */
export function runStep<T>(
  clock: Clock,
  signal: AbortSignal,
  aborted: () => T,
  begin: (step: Step<T>) => void,
): Promise<T> {
  return new Promise((resolve) => {
    let settled = false;
    let cancelLimit: () => void = () => {};
    const onAbort = (): void => step.settle(aborted());
    const step: Step<T> = {
      settle(value) {
        if (settled) return;
        settled = true;
        cancelLimit();
        signal.removeEventListener('abort', onAbort);
        resolve(value);
      },
      limit(ms, late) {
        cancelLimit();
        if (!settled) cancelLimit = clock.after(ms, late);
      },
      shield: () => signal.removeEventListener('abort', onAbort),
    };
    if (signal.aborted) {
      step.settle(aborted());
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    begin(step);
  });
}
