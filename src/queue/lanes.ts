/**
 * The routes of the scheduler by name.
 *
 * A change of config replaces the set. A lane whose transport stays keeps its slots, its rate and its breaker; one that goes
 * out of use is retired, and its transport is handed back when the last attempt on it has ended.
 */
import type { Clock } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import type { DestinationRoom, UsableRoute } from '../store/store.ts';
import { Lane, type LaneTarget, type Passenger } from './lane.ts';

export interface Lanes {
  /** By route. */
  all(): ReadonlyMap<string, Lane>;
  get(route: string): Lane | undefined;
  /** Takes `targets` for the lanes from now on. */
  replace(targets: ReadonlyMap<string, LaneTarget>): void;
  /** An attempt ended, or never began: its slot is free again. */
  giveSlot(lane: Lane, passenger: Passenger): void;
  /** Where mail may be tried now: all but those whose breaker is open. */
  usable(): readonly UsableRoute[];
  /** The state of destinations by route, where they are limited. */
  destinations(): ReadonlyMap<string, DestinationRoom>;
}

/**
 * Lanes for `targets`; `down`: routes whose breaker begins open; `onRemoved` is told of each lane whose route is gone,
 * `onRetired` of each transport that is out of use and quiet.
 */
export function createLanes(
  targets: ReadonlyMap<string, LaneTarget>,
  down: ReadonlySet<string>,
  clock: Clock,
  onRetired: (transport: Transport) => void,
  onRemoved: (lane: Lane) => void = () => {},
): Lanes {
  let lanes = new Map<string, Lane>();
  const retireWhenQuiet = (lane: Lane): void => {
    if (lane.retired && lane.busy() === 0) onRetired(lane.target.transport);
  };
  const isDown = (route: string): boolean => (lanes.get(route)?.breaker?.state() ?? 'closed') !== 'closed';
  /** A route whose config changed begins as it was: one that was down is probed before mail goes there. */
  const fill = (next: ReadonlyMap<string, LaneTarget>, down: ReadonlySet<string>): void => {
    const before = lanes;
    lanes = new Map();
    for (const [route, target] of next) {
      const old = before.get(route);
      const kept = old?.target.transport === target.transport;
      lanes.set(route, kept ? old : new Lane(route, target, clock, down.has(route)));
    }
    const used = new Set(lanes.values());
    for (const lane of before.values()) {
      if (used.has(lane)) continue;
      lane.retired = true;
      if (!lanes.has(lane.name)) onRemoved(lane);
      retireWhenQuiet(lane);
    }
  };
  fill(targets, down);
  return {
    all: () => lanes,
    get: (route) => lanes.get(route),
    replace: (next) => fill(next, new Set([...lanes.keys()].filter(isDown))),
    giveSlot(lane, passenger) {
      lane.give(passenger);
      retireWhenQuiet(lane);
    },
    usable: () =>
      [...lanes.values()]
        .filter((lane) => lane.usable())
        .map((lane) => ({ name: lane.name, byDestination: lane.byDestination })),
    destinations() {
      const found = new Map<string, DestinationRoom>();
      for (const lane of lanes.values()) {
        const destinations = lane.destinations();
        if (destinations !== null) found.set(lane.name, destinations);
      }
      return found;
    },
  };
}
