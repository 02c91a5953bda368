/**
 * One route in the eyes of the scheduler: its transport, its slots, its breaker, what is in work for each recipient domain
 * where that is limited, and per lane the earliest moment at which something may be due.
 */
import { type LaneRoom, lanesOf } from '../core/lane-room.ts';
import { PRIORITIES, type Priority } from '../core/message.ts';
import type { Clock } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import type { ClaimRequest, DestinationRoom, LaneTimes } from '../store/store.ts';
import { type Breaker, createBreaker } from './breaker.ts';
import { createSlots } from './slots.ts';

/** A way out: what carries a route's mail, and what is known of it. */
export interface LaneTarget {
  readonly transport: Transport;
  /** The route is a sandbox. */
  readonly captures: boolean;
  /** Whatever goes over it is under TLS with a verified certificate, or does not leave the machine. */
  readonly isProtected: boolean;
}

/** What of a delivery decides whether there is room for it. */
export interface Passenger {
  readonly priority: Priority;
  /** Its recipient domain in lower case; counts only on routes with a limit for each. */
  readonly destination: string;
}

const NO_ROOM: LaneRoom = [0, 0, 0];
const NEVER = Number.POSITIVE_INFINITY;

/** The lane's number: its place among the priorities, most urgent first. */
export function laneOf(priority: Priority): number {
  return PRIORITIES.indexOf(priority);
}

export class Lane {
  readonly name: string;
  readonly target: LaneTarget;
  /** Null: the route has no next hop of its own that could be down. */
  readonly breaker: Breaker | null;
  /** The store was asked for deliveries to fill the room, and has not answered yet. */
  claiming = false;
  /** Out of use since a change of config. */
  retired = false;
  readonly #clock: Clock;
  readonly #slots: ReturnType<typeof createSlots>;
  readonly #perDestination: LaneRoom | null;
  readonly #busyAt = new Map<string, number>();
  /** Epoch milliseconds by lane; `Infinity`: nothing waits as far as is known. */
  readonly #mayBeDueAt: [number, number, number] = [0, 0, 0];

  constructor(name: string, target: LaneTarget, clock: Clock, isDown: boolean) {
    const { transport } = target;
    this.name = name;
    this.target = target;
    this.breaker = transport.probe === null ? null : createBreaker(isDown, clock.monotonicMs());
    this.#clock = clock;
    this.#slots = createSlots(transport.capacity, transport.rate, clock);
    this.#perDestination = transport.perDestination === null ? null : lanesOf(transport.perDestination);
  }

  get byDestination(): boolean {
    return this.#perDestination !== null;
  }

  /** Whether mail may be tried here now; a half-open breaker lets one message through at a time. */
  usable(): boolean {
    if (this.retired) return false;
    switch (this.breaker?.state() ?? 'closed') {
      case 'open':
        return false;
      case 'half-open':
        return this.busy() === 0;
      case 'closed':
        return true;
    }
  }

  /** How many deliveries of each lane may start now, destinations aside. */
  room(): LaneRoom {
    switch (this.breaker?.state() ?? 'closed') {
      case 'open':
        return NO_ROOM;
      case 'half-open':
        return this.#slots.busy() === 0 ? [1, 1, 1] : NO_ROOM;
      case 'closed':
        return this.#slots.room();
    }
  }

  /** Whether `passenger` may start now. */
  hasRoomFor({ priority, destination }: Passenger): boolean {
    const lane = laneOf(priority);
    if ((this.room()[lane] ?? 0) <= 0) return false;
    if (this.#perDestination === null) return true;
    return (this.#busyAt.get(destination) ?? 0) < (this.#perDestination[lane] ?? 0);
  }

  /** Takes a slot. */
  take({ destination }: Passenger): void {
    this.#slots.take();
    if (this.#perDestination !== null) this.#busyAt.set(destination, (this.#busyAt.get(destination) ?? 0) + 1);
  }

  /** Gives the slot back. */
  give({ destination }: Passenger): void {
    this.#slots.give();
    if (this.#perDestination === null) return;
    const busy = this.#busyAt.get(destination) ?? 0;
    if (busy > 1) this.#busyAt.set(destination, busy - 1);
    else this.#busyAt.delete(destination);
    // It may have been full for some lane, and what waited for that was left out when the store was asked.
    if (busy < Math.min(...this.#perDestination)) return;
    const now = this.#clock.now();
    for (const priority of PRIORITIES) this.mayBeDue(priority, now);
  }

  busy(): number {
    return this.#slots.busy();
  }

  /** Something of that lane may be due at `at`. */
  mayBeDue(priority: Priority, at: number): void {
    const lane = laneOf(priority);
    this.#mayBeDueAt[lane] = Math.min(at, this.#mayBeDueAt[lane] ?? NEVER);
    const isOpen = this.breaker?.state() === 'open';
    if (isOpen && priority === 'critical' && at <= this.#clock.now()) this.breaker?.hurry(this.#clock.monotonicMs());
  }

  /** As the store told: nearer moments that were learnt meanwhile stay. */
  learn(times: LaneTimes): void {
    for (const [lane, priority] of PRIORITIES.entries()) {
      const at = times[lane] ?? null;
      if (at !== null) this.mayBeDue(priority, at);
    }
  }

  /** Whether a delivery as urgent as that, or more, may be due now and stand before a new one. */
  hasDueBefore(priority: Priority, now: number): boolean {
    return this.#mayBeDueAt.slice(0, laneOf(priority) + 1).some((at) => at <= now);
  }

  /** What to ask the store for now, or null. What becomes due from here on sets its mark again. */
  ask(now: number): ClaimRequest | null {
    const room = this.room();
    const wanted = PRIORITIES.map((_, lane) => (room[lane] ?? 0) > 0 && (this.#mayBeDueAt[lane] ?? NEVER) <= now);
    if (!wanted.includes(true)) return null;
    for (const [lane, asked] of wanted.entries()) if (asked) this.#mayBeDueAt[lane] = NEVER;
    this.claiming = true;
    return { route: this.name, room, destinations: this.destinations() };
  }

  /** The store answered with `leased` deliveries; null: it did not answer, everything is as before. */
  answered(request: ClaimRequest, leased: number | null, now: number): void {
    this.claiming = false;
    for (const [lane, priority] of PRIORITIES.entries()) {
      // A full answer: more may be due at once. A short one: nothing is, and later ones are asked for.
      const room = request.room[lane] ?? 0;
      if (room > 0 && (leased === null || leased >= room)) this.mayBeDue(priority, now);
    }
  }

  /** The state of its destinations for the store; null: they are not limited. */
  destinations(): DestinationRoom | null {
    return this.#perDestination === null ? null : { room: this.#perDestination, busy: [...this.#busyAt] };
  }

  /** Epoch milliseconds at which this lane wants a look, by the passing of time alone. */
  wakeAt(now: number): number {
    const probeAt = this.breaker?.probeAt() ?? null;
    let at = probeAt === null ? NEVER : now + Math.max(0, probeAt - this.#clock.monotonicMs());
    if (this.breaker?.state() === 'open') return at;
    const room = this.room();
    for (const [lane, dueAt] of this.#mayBeDueAt.entries()) {
      if (dueAt === NEVER) continue;
      if ((room[lane] ?? 0) > 0) at = Math.min(at, dueAt);
      else at = Math.min(at, now + (this.#slots.waitMs(lane) ?? NEVER));
    }
    return at;
  }
}
