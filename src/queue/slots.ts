/**
 * How many deliveries a route may start now: its connections at a time and its rate.
 *
 * The rate holds for every window: never more than `count` starts within any `perMs` milliseconds, measured on the monotonic
 * clock. After a restart the window begins empty.
 */
import type { Clock } from '../core/time.ts';

export interface Slots {
  /** Deliveries that may start now. */
  free(): number;
  /** Milliseconds until `free()` can grow by the passing of time alone; null when only a `give` can make room. */
  waitMs(): number | null;
  /** Takes one slot; only when `free()` is above 0. */
  take(): void;
  /** Gives back a slot whose delivery ended. */
  give(): void;
  /** Deliveries under way. */
  busy(): number;
}

/** Slots for `capacity` deliveries at a time and at most `rate.count` starts in any `rate.perMs`. */
export function createSlots(
  capacity: number,
  rate: { readonly count: number; readonly perMs: number } | null,
  clock: Clock,
): Slots {
  let busy = 0;
  // The last `count` starts, oldest first from `head`: a ring, so that a start costs the same at any rate.
  const starts: number[] = [];
  let head = 0;

  const oldestStart = (): number | null => {
    if (rate === null || starts.length < rate.count) return null;
    return starts[head] ?? null;
  };
  const rateRoom = (): number => {
    if (rate === null) return Number.POSITIVE_INFINITY;
    const windowStart = clock.monotonicMs() - rate.perMs;
    let room = rate.count - starts.length;
    for (let i = 0; i < starts.length; i++) {
      if ((starts[(head + i) % starts.length] ?? 0) > windowStart) break;
      room++;
    }
    return room;
  };

  return {
    free: () => Math.max(0, Math.min(capacity - busy, rateRoom())),
    waitMs() {
      if (rate === null || busy >= capacity || rateRoom() > 0) return null;
      const oldest = oldestStart();
      return oldest === null ? null : Math.max(0, oldest + rate.perMs - clock.monotonicMs());
    },
    take() {
      busy++;
      if (rate === null) return;
      if (starts.length < rate.count) {
        starts.push(clock.monotonicMs());
        return;
      }
      starts[head] = clock.monotonicMs();
      head = (head + 1) % rate.count;
    },
    give() {
      busy--;
    },
    busy: () => busy,
  };
}
