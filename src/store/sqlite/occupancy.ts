/** How many deliveries are in work at each destination of a route, and which destinations have no room left for a lane. */
import type { DestinationRoom } from '../store.ts';

export interface Occupancy {
  /** How many more of `lane` may start at `destination`. */
  roomAt(destination: string, lane: number): number;
  /** No destination at all has room for `lane`. */
  hasNoRoom(lane: number): boolean;
  /** One more has started there. */
  add(destination: string): void;
  /** The destinations without room for `lane`, and those in `others`, as a JSON list for a statement. */
  full(lane: number, others?: readonly string[]): string;
}

const UNLIMITED: Occupancy = {
  roomAt: () => Number.MAX_SAFE_INTEGER,
  hasNoRoom: () => false,
  add() {},
  full: (_, others = []) => JSON.stringify(others),
};

/** Counts from what `destinations` says; null: the route has no limit for each destination. */
export function createOccupancy(destinations: DestinationRoom | null): Occupancy {
  if (destinations === null) return UNLIMITED;
  const { room, busy } = destinations;
  const counts = new Map(busy);
  const roomAt = (destination: string, lane: number): number =>
    Math.max(0, (room[lane] ?? 0) - (counts.get(destination) ?? 0));
  return {
    roomAt,
    hasNoRoom: (lane) => (room[lane] ?? 0) <= 0,
    add: (destination) => void counts.set(destination, (counts.get(destination) ?? 0) + 1),
    full: (lane, others = []) =>
      JSON.stringify([...[...counts.keys()].filter((destination) => roomAt(destination, lane) === 0), ...others]),
  };
}
