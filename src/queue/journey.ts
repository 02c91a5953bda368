/**
 * One delivery's way over the routes of its rule within one attempt: where it is, where it can go on to, where it waits for
 * the next attempt.
 *
 * It only ever uses routes of the delivery's own `via`, each at most once an attempt, and holds exactly one slot until `end`.
 */
import { domainOf } from '../core/address.ts';
import type { Lease } from '../store/store.ts';
import type { Lane, Passenger } from './lane.ts';
import type { Lanes } from './lanes.ts';

export interface Journey {
  /** The route that carries it now. */
  lane(): Lane;
  /** Routes that could still be tried in this attempt. */
  alternatives(): number;
  /**
   * Gives the slot here back and takes one on the next route that has room. `no-room`: there are such routes, and all their
   * slots are taken; `nowhere`: none is left.
   */
  moveOn(): 'moved' | 'no-room' | 'nowhere';
  /** Where it is to wait for a slot after `no-room`. */
  waitingRoom(): Lane;
  /** Where it is to wait for the next attempt; `stay`: this route may have it already, so it is better not to change. */
  retryOn(stay: boolean): Lane;
  /** The attempt is over: its slot is free again. */
  end(): void;
}

/** Begins the journey of `lease` on `start`, where a slot was taken for it. */
export function createJourney(lanes: Lanes, start: Lane, lease: Lease): Journey {
  let lane = start;
  const tried = new Set([start.name]);
  const passenger: Passenger = passengerOf(lease);

  const own = (): readonly Lane[] => lease.via.flatMap((route) => lanes.get(route) ?? []);
  const mayCarry = (candidate: Lane): boolean =>
    candidate.usable() && (!lease.requireTls || candidate.target.isProtected);
  const left = (): readonly Lane[] => own().filter((candidate) => !tried.has(candidate.name) && mayCarry(candidate));

  return {
    lane: () => lane,
    alternatives: () => left().length,
    moveOn() {
      const candidates = left();
      if (candidates.length === 0) return 'nowhere';
      const next = candidates.find((candidate) => candidate.hasRoomFor(passenger));
      if (next === undefined) return 'no-room';
      next.take(passenger);
      lanes.giveSlot(lane, passenger);
      lane = next;
      tried.add(next.name);
      return 'moved';
    },
    waitingRoom: () => left()[0] ?? lane,
    retryOn(stay) {
      if (stay && lane.usable()) return lane;
      return own().find(mayCarry) ?? own()[0] ?? lane;
    },
    end: () => lanes.giveSlot(lane, passenger),
  };
}

/** The part of a delivery that slots ask for. */
export function passengerOf({ priority, recipient }: Pick<Lease, 'priority' | 'recipient'>): Passenger {
  return { priority, destination: domainOf(recipient) };
}
