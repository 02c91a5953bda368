/** A clock that moves only when the test says so. */
import type { Clock } from '../../src/core/time.ts';

export interface ManualClock extends Clock {
  /** Moves time on by `ms`, firing due timers in order; lets promises and pending I/O callbacks run after each. */
  advance(ms: number): Promise<void>;
  /** Timers that wait. */
  pending(): number;
}

interface Timer {
  readonly at: number;
  readonly order: number;
  readonly fire: () => void;
}

/** Makes a clock that stands at `startMs`. */
export function createManualClock(startMs: number): ManualClock {
  let time = startMs;
  let order = 0;
  const timers = new Set<Timer>();
  const settle = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return {
    now: () => time,
    monotonicMs: () => time - startMs,
    after(delayMs, fire) {
      const timer: Timer = { at: time + Math.max(delayMs, 0), order: order++, fire };
      timers.add(timer);
      return () => void timers.delete(timer);
    },
    async advance(ms) {
      const end = time + ms;
      await settle();
      for (;;) {
        const due = [...timers].filter((t) => t.at <= end).sort((a, b) => a.at - b.at || a.order - b.order)[0];
        if (due === undefined) break;
        timers.delete(due);
        time = due.at;
        due.fire();
        await settle();
      }
      time = end;
    },
    pending: () => timers.size,
  };
}
