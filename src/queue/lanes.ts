/**
 * The lanes of the scheduler: per route its transport, its slots, and the earliest moment at which something may be due.
 *
 * A change of config replaces the set. A lane whose transport stays keeps its slots and its rate; one that goes out of use is
 * retired, and its transport is handed back when the last attempt on it has ended.
 */
import type { Clock } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import type { AttemptTarget } from './attempt.ts';
import { createSlots, type Slots } from './slots.ts';

export interface Lane extends AttemptTarget {
  readonly slots: Slots;
  /** Nothing on this route is due before this; `Infinity`: nothing waits as far as is known. */
  mayBeDueAt: number;
  /** The store was asked for deliveries to fill the free slots, and has not answered yet. */
  claiming: boolean;
  /** Out of use since a change of config. */
  retired: boolean;
}

export interface Lanes {
  /** By route. */
  all(): ReadonlyMap<string, Lane>;
  get(route: string): Lane | undefined;
  /** Takes `targets` for the lanes from now on. */
  replace(targets: ReadonlyMap<string, AttemptTarget>): void;
  /** An attempt ended, or never began: its slot is free again. */
  giveSlot(lane: Lane): void;
}

/** Lanes for `targets`; `onRetired` is told of each transport that is out of use and quiet. */
export function createLanes(
  targets: ReadonlyMap<string, AttemptTarget>,
  clock: Clock,
  onRetired: (transport: Transport) => void,
): Lanes {
  let lanes = new Map<string, Lane>();
  const retireWhenQuiet = (lane: Lane): void => {
    if (lane.retired && lane.slots.busy() === 0) onRetired(lane.transport);
  };
  const made: Lanes = {
    all: () => lanes,
    get: (route) => lanes.get(route),
    replace(next) {
      const before = lanes;
      lanes = new Map();
      for (const [route, target] of next) {
        const old = before.get(route);
        const slots = createSlots(target.transport.capacity, target.transport.rate, clock);
        const fresh = { ...target, slots, mayBeDueAt: 0, claiming: false, retired: false };
        lanes.set(route, old?.transport === target.transport ? old : fresh);
      }
      const used = new Set(lanes.values());
      for (const lane of before.values()) {
        if (used.has(lane)) continue;
        lane.retired = true;
        retireWhenQuiet(lane);
      }
    },
    giveSlot(lane) {
      lane.slots.give();
      retireWhenQuiet(lane);
    },
  };
  made.replace(targets);
  return made;
}
