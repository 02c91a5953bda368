/**
 * How many deliveries a route may start now, by lane: its connections at a time and its rate, less what is kept free for
 * more urgent mail (`core/lane-room.ts`).
 *
 * The rate holds for every window: never more than `count` starts within any `perMs` milliseconds, measured on the monotonic
 * clock. After a restart the window begins empty.
 */
import type { Clock } from '../core/time.ts';
import { type LaneRoom, lanesOf } from '../core/lane-room.ts';

export interface Slots {
  /** Deliveries of each lane that may start now. */
  room(): LaneRoom;
  /**
   * Milliseconds until the room of lane number `lane` can grow by the passing of time alone; null when there is room, or only
   * a `give` can make some.
   */
  waitMs(lane: number): number | null;
  /** Takes one slot, whether there is room or not. */
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
  const places = lanesOf(capacity);
  const starts = rate === null ? null : createStarts(rate.count, rate.perMs, clock);
  let busy = 0;
  const placeRoom = (lane: number): number => (places[lane] ?? 0) - busy;

  return {
    room() {
      const inWindow = starts?.inWindow() ?? 0;
      const room = (lane: number): number => {
        const rateRoom = starts === null ? Number.POSITIVE_INFINITY : (starts.lanes[lane] ?? 0) - inWindow;
        return Math.max(0, Math.min(placeRoom(lane), rateRoom));
      };
      return [room(0), room(1), room(2)];
    },
    waitMs(lane) {
      if (starts === null || placeRoom(lane) <= 0) return null;
      return starts.waitMs(lane);
    },
    take() {
      busy++;
      starts?.add();
    },
    give() {
      busy--;
    },
    busy: () => busy,
  };
}

interface Starts {
  /** What may have started within a window, while one more of each lane may start. */
  readonly lanes: LaneRoom;
  add(): void;
  /** Starts in the window that ends now. */
  inWindow(): number;
  waitMs(lane: number): number | null;
}

/** Remembers the last `count` starts, oldest first from `head`: a ring, so that a start costs the same at any rate. */
function createStarts(count: number, perMs: number, clock: Clock): Starts {
  const lanes = lanesOf(count);
  const times: number[] = [];
  let head = 0;
  const at = (index: number): number => times[(head + index) % times.length] ?? Number.NEGATIVE_INFINITY;
  /** How many of the remembered starts are out of the window: they come first. */
  const past = (): number => {
    const windowStart = clock.monotonicMs() - perMs;
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at(middle) > windowStart) high = middle;
      else low = middle + 1;
    }
    return low;
  };
  return {
    lanes,
    add() {
      if (times.length < count) {
        times.push(clock.monotonicMs());
        return;
      }
      times[head] = clock.monotonicMs();
      head = (head + 1) % count;
    },
    inWindow: () => times.length - past(),
    waitMs(lane) {
      const gone = past();
      const tooMany = times.length - gone - (lanes[lane] ?? 0) + 1;
      if (tooMany <= 0) return null;
      return Math.max(0, at(gone + tooMany - 1) + perMs - clock.monotonicMs());
    },
  };
}
