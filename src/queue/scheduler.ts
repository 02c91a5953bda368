/**
 * The scheduler: leases what is due, as far as routes have room, and runs the attempts.
 *
 * It sleeps until something can happen: an acceptance wakes its route at once, a finished attempt frees a slot, a timer
 * fires at the next due time, deadline, delay, probe or lease end. It never polls. What is due lives in the store; here
 * stands only, per route and lane, the earliest moment at which something may be due.
 *
 * Lanes: the store hands out critical before normal before bulk, the scheduler leases no more than can start now, and part of
 * each route (and of each recipient domain, where that is limited) is kept free for the more urgent lanes. So a critical
 * message is never behind a bulk message, neither in memory nor on the wire.
 *
 * After a crash nothing is lost: leases of the dead process are taken back at start, as `uncertain` attempts.
 */
import { bugText } from '../core/bug-text.ts';
import { RelayError } from '../core/errors.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { LaneRoom } from '../core/lane-room.ts';
import type { Priority } from '../core/message.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import type { Arrival, DestinationRoom, HeadStart, Lease, QueueStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { type AttemptDeps, runAttempt } from './attempt.ts';
import type { BreakerState } from './breaker.ts';
import { createJourney, passengerOf } from './journey.ts';
import type { Lane, LaneTarget } from './lane.ts';
import { createLanes } from './lanes.ts';
import { createRouteWatch } from './route-watch.ts';
import type { SettlementRules } from './settlement.ts';

export const LEASE_MS = 300_000;
const RENEW_EVERY_MS = LEASE_MS / 3;
export const CRASH_LIMIT = 3;
/** Deliveries that one call expires, or tells the delay of. */
const PIECE = 500;
/** How soon after a change the store is asked anew for the next due time; many changes in that span cost one question. */
const REFRESH_MS = 50;
/** After a store failure: how long until the next try. */
const STORE_PAUSE_MS = 1000;
const NEVER = Number.POSITIVE_INFINITY;

export interface SchedulerDeps {
  readonly store: QueueStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly rules: () => SettlementRules;
  readonly cachedContent: (id: MessageId) => Uint8Array | null;
  /** A transport that `setLanes` took out of use has nothing under way any more: it can be stopped. */
  readonly onRetired: (transport: Transport) => void;
}

/** Moments at which something is to be done about a message, whatever else happens; epoch milliseconds. */
export interface Moments {
  readonly deadline: number;
  /** When it counts as delayed; null: never. */
  readonly delayAt: number | null;
}

export interface Scheduler {
  /** Takes back the leases of a dead predecessor and begins. */
  start(): Promise<void>;
  /** A delivery waits on its route, due at once. */
  wake(arrival: Pick<Arrival, 'route' | 'priority'>): void;
  /** A message was accepted that has these moments. */
  watch(moments: Moments): void;
  /** A head start for a delivery, or null when other mail is due there or it has no room: then `wake` puts it in line. */
  headStart(arrival: Arrival): HeadStart | null;
  /** The first route of `via` where mail may be tried now; the first of all when there is none. */
  chooseRoute(via: readonly string[]): string;
  /** Newer messages take the place of these deliveries: their attempts are broken off unless their final dot is out. */
  interrupt(deliveries: readonly DeliveryId[]): void;
  /** Anything may have changed: asks the store. */
  wakeAll(): void;
  /** Replaces the lanes; attempts under way finish on the old ones, and what waits moves to routes that there are. */
  setLanes(targets: ReadonlyMap<string, LaneTarget>): void;
  /** Deliveries under way. */
  busy(): number;
  /** Each route and the state of its breaker; one that has none is always `closed`. */
  routes(): readonly (readonly [route: string, state: BreakerState])[];
  /** How many deliveries of each lane could start on `route` now. */
  room(route: string): LaneRoom;
  /** How `route` fares; one that is not there counts as up and idle. */
  health(route: string): RouteHealth;
  /** What is in work at destinations, by route where they are limited. */
  destinations(): ReadonlyMap<string, DestinationRoom>;
  /** Starts nothing new, breaks off attempts before their final dot, waits for the others. */
  stop(): Promise<void>;
}

/** How a route fares. */
export interface RouteHealth {
  readonly breaker: BreakerState;
  /** Deliveries under way. */
  readonly inWork: number;
}

interface UnderWay {
  leaseUntil: number;
  readonly superseded: AbortController;
}

/** Makes a scheduler over the routes in `targets`; `down`: routes that were down when the relay stopped. */
export function createScheduler(
  deps: SchedulerDeps,
  targets: ReadonlyMap<string, LaneTarget>,
  down: ReadonlySet<string> = new Set(),
): Scheduler {
  const { store, clock, log } = deps;
  const stopping = new AbortController();
  const attempts = new Set<Promise<void>>();
  const underWay = new Map<Lease, UnderWay>();
  const lanes = createLanes(targets, down, clock, deps.onRetired, (lane) => routes.removed(lane));
  const routes = createRouteWatch({ store, clock, log, stopping: stopping.signal, onChange: onRouteChange });
  let nextDeadline = NEVER;
  let nextDelay = NEVER;
  let nextLeaseEnd = NEVER;
  let working = false;
  let workAgain = false;
  let refreshWanted = false;
  /** Routes that are gone and still have mail, as far as it was told. */
  const stranded = new Set<string>();
  /** Something may stand on a route where it should not: moved before the next look at what is due. */
  let rerouteWanted = false;
  let cancelTimer: CancelTimer | null = null;
  let timerAt = NEVER;
  let cancelRefresh: CancelTimer | null = null;
  /** Monotonic milliseconds. */
  let pausedUntil = 0;
  let idle: (() => void) | null = null;

  const attemptDeps: AttemptDeps = {
    store,
    cachedContent: deps.cachedContent,
    clock,
    log,
    rules: deps.rules,
    onTried: routes.tried,
  };

  return {
    async start() {
      const reclaimed = await store.reclaimExpired(clock.now(), CRASH_LIMIT);
      if (reclaimed > 0) log.warn({ event: 'queue.reclaimed', count: reclaimed }, 'deliveries of an interrupted run');
      rerouteWanted = true;
      refreshWanted = true;
      work();
    },
    wake(arrival) {
      markDue(arrival.route, arrival.priority, clock.now());
      work();
    },
    watch(moments) {
      nextDeadline = Math.min(nextDeadline, moments.deadline);
      nextDelay = Math.min(nextDelay, moments.delayAt ?? NEVER);
      if (!working && !stopping.signal.aborted) armTimer();
    },
    headStart(arrival) {
      const lane = lanes.get(arrival.route);
      const passenger = passengerOf(arrival);
      if (lane === undefined || stopping.signal.aborted || lane.claiming) return null;
      if (lane.hasDueBefore(arrival.priority, clock.now()) || !lane.hasRoomFor(passenger)) return null;
      lane.take(passenger);
      return {
        leaseMs: LEASE_MS,
        begin: (lease) => run(lease, lane),
        cancel() {
          lanes.giveSlot(lane, passenger);
          work();
        },
      };
    },
    chooseRoute: (via) => via.find((route) => lanes.get(route)?.usable() === true) ?? via[0] ?? '',
    interrupt(deliveries) {
      const ids = new Set(deliveries);
      for (const [lease, { superseded }] of underWay) if (ids.has(lease.deliveryId)) superseded.abort();
    },
    wakeAll() {
      refreshWanted = true;
      work();
    },
    setLanes(next) {
      lanes.replace(next);
      stranded.clear();
      rerouteWanted = true;
      work();
    },
    busy: () => underWay.size,
    routes: () => [...lanes.all()].map(([name, { breaker }]) => [name, breaker?.state() ?? 'closed']),
    room: (route) => lanes.get(route)?.room() ?? [0, 0, 0],
    health(route) {
      const lane = lanes.get(route);
      return { breaker: lane?.breaker?.state() ?? 'closed', inWork: lane?.busy() ?? 0 };
    },
    destinations: lanes.destinations,
    async stop() {
      stopping.abort();
      cancelTimer?.();
      cancelRefresh?.();
      if (working) {
        await new Promise<void>((resolve) => {
          idle = resolve;
        });
      }
      while (attempts.size > 0) await Promise.allSettled(attempts);
      await routes.stop();
    },
  };

  /** A breaker opened or closed, or lets one message through: what waits may move, what was held back may start. */
  function onRouteChange(): void {
    rerouteWanted = true;
    work();
  }

  /** Runs one round, and another as long as one was asked for meanwhile. Never two at a time. */
  function work(): void {
    if (stopping.signal.aborted) return;
    if (working) {
      workAgain = true;
      return;
    }
    working = true;
    void (async () => {
      try {
        do {
          workAgain = false;
          await round();
        } while (workAgain && !stopping.signal.aborted);
      } catch (error) {
        storeTrouble(error);
      } finally {
        working = false;
        idle?.();
        if (!stopping.signal.aborted) armTimer();
      }
    })();
  }

  async function round(): Promise<void> {
    if (clock.monotonicMs() < pausedUntil) return;
    for (const lane of lanes.all().values()) routes.probeWhenDue(lane);
    if (rerouteWanted) await reroute();
    if (refreshWanted) await refresh();
    await keepLeases();
    if (clock.now() >= nextDeadline) await expire();
    if (clock.now() >= nextDelay) await tellDelays();
    await claim();
  }

  async function claim(): Promise<void> {
    const now = clock.now();
    const asked = [...lanes.all().values()].flatMap((lane) => {
      const request = lane.ask(now);
      return request === null ? [] : [{ lane, request }];
    });
    if (asked.length === 0) return;
    let leases: readonly Lease[];
    try {
      leases = await store.claim(
        asked.map(({ request }) => request),
        now,
        LEASE_MS,
      );
    } catch (error) {
      for (const { lane, request } of asked) lane.answered(request, null, now);
      throw error;
    }
    for (const { lane, request } of asked) {
      lane.answered(request, leases.filter(({ route }) => route === request.route).length, now);
    }
    for (const lease of leases) begin(lease);
    scheduleRefresh();
  }

  function begin(lease: Lease): void {
    const lane = lanes.get(lease.route);
    if (lane === undefined || stopping.signal.aborted) {
      if (!stopping.signal.aborted) rerouteWanted = true;
      void store
        .release(lease, lease.dueAt)
        .catch((error: unknown) => storeTrouble(error))
        .finally(() => work());
      return;
    }
    lane.take(passengerOf(lease));
    run(lease, lane);
  }

  /** Runs the attempt in a slot that was taken for it. */
  function run(lease: Lease, lane: Lane): void {
    const superseded = new AbortController();
    underWay.set(lease, { leaseUntil: lease.leaseUntil, superseded });
    if (lease.leaseUntil < nextLeaseEnd) nextLeaseEnd = lease.leaseUntil;
    const journey = createJourney(lanes, lane, lease);
    const signals = { stopping: stopping.signal, superseded: superseded.signal };
    const attempt = runAttempt(attemptDeps, lease, journey, signals)
      .then((end) => {
        if (end !== null) markDue(end.route, lease.priority, end.dueAt);
      })
      .catch((error: unknown) => {
        // A bug, or the store out of reach at the end: the lease runs out and the attempt counts as uncertain.
        log.error(
          { event: 'attempt.failed', message: lease.messageId, delivery: lease.deliveryId, reason: bugText(error) },
          'attempt failed without a result',
        );
        nextLeaseEnd = Math.min(nextLeaseEnd, lease.leaseUntil);
      })
      .finally(() => {
        attempts.delete(attempt);
        underWay.delete(lease);
        // Only one delivery with a crash behind it runs at a time: another may have waited for this one.
        if (lease.crashes > 0) refreshWanted = true;
        journey.end();
        work();
      });
    attempts.add(attempt);
  }

  /** Renews leases of long attempts first, then takes back those that ran out: never one that is still worked on. */
  async function keepLeases(): Promise<void> {
    const now = clock.now();
    const old = [...underWay].filter(([, { leaseUntil }]) => leaseUntil - now <= LEASE_MS - RENEW_EVERY_MS);
    // A renewal that fails ends the round here: nothing is taken back while leases that stand cannot be told from dead ones.
    await Promise.all(
      old.map(async ([lease, state]) => {
        const answer = await store.renew(lease, now + LEASE_MS);
        if (answer === 'kept') state.leaseUntil = now + LEASE_MS;
      }),
    );
    if (now < nextLeaseEnd) return;
    nextLeaseEnd = NEVER;
    let reclaimed: number;
    try {
      reclaimed = await store.reclaimExpired(now, CRASH_LIMIT);
    } catch (error) {
      nextLeaseEnd = now;
      throw error;
    }
    if (reclaimed > 0) log.warn({ event: 'queue.reclaimed', count: reclaimed }, 'leases ran out');
    await refresh();
  }

  async function expire(): Promise<void> {
    while ((await store.expireDue(clock.now(), PIECE)) === PIECE);
    nextDeadline = NEVER;
    await refresh();
  }

  async function tellDelays(): Promise<void> {
    while ((await store.markDelayed(clock.now(), PIECE)) === PIECE);
    nextDelay = NEVER;
    await refresh();
  }

  /** Moves what stands on routes where it cannot be tried to one of its own where it can. */
  async function reroute(): Promise<void> {
    rerouteWanted = false;
    try {
      await store.reroute(lanes.usable());
    } catch (error) {
      rerouteWanted = true;
      throw error;
    }
    refreshWanted = true;
  }

  /** Asks the store for the next moments; keeps nearer ones that were learnt since. */
  async function refresh(): Promise<void> {
    refreshWanted = false;
    let due: Awaited<ReturnType<QueueStore['nextDue']>>;
    try {
      due = await store.nextDue(lanes.destinations());
    } catch (error) {
      refreshWanted = true;
      throw error;
    }
    // A route without a lane is left alone here: what could be moved was moved, the rest waits for a config that has it.
    for (const [route, times] of due.routes) {
      const lane = lanes.get(route);
      if (lane !== undefined) lane.learn(times);
      else tellStranded(route);
    }
    nextDeadline = Math.min(nextDeadline, due.nextDeadline ?? NEVER);
    nextDelay = Math.min(nextDelay, due.nextDelay ?? NEVER);
    nextLeaseEnd = Math.min(nextLeaseEnd, due.nextLeaseEnd ?? NEVER);
  }

  /** Once for each route and config. */
  function tellStranded(route: string): void {
    if (stranded.has(route)) return;
    stranded.add(route);
    log.warn(
      {
        event: 'queue.stranded',
        route,
        hint: 'Put the route back into the config, or cancel the mail: `queue list` shows it.',
      },
      'mail waits for a route that is not in the config, and has no other',
    );
  }

  function scheduleRefresh(): void {
    if (cancelRefresh !== null || stopping.signal.aborted) return;
    cancelRefresh = clock.after(REFRESH_MS, () => {
      cancelRefresh = null;
      refreshWanted = true;
      work();
    });
  }

  function markDue(route: string, priority: Priority, at: number): void {
    const lane = lanes.get(route);
    if (lane === undefined) rerouteWanted = true;
    else lane.mayBeDue(priority, at);
  }

  function armTimer(): void {
    const now = clock.now();
    let at = Math.min(nextDeadline, nextDelay, nextLeaseEnd);
    for (const lane of lanes.all().values()) at = Math.min(at, lane.wakeAt(now));
    for (const { leaseUntil } of underWay.values()) at = Math.min(at, leaseUntil - LEASE_MS + RENEW_EVERY_MS);
    if (refreshWanted || rerouteWanted) at = Math.min(at, now);
    at = Math.max(at, now + Math.max(0, pausedUntil - clock.monotonicMs()));
    if (at === timerAt && cancelTimer !== null) return;
    cancelTimer?.();
    cancelTimer = null;
    timerAt = at;
    if (at === NEVER) return;
    cancelTimer = clock.after(at - now, () => {
      cancelTimer = null;
      work();
    });
  }

  function storeTrouble(error: unknown): void {
    if (!(error instanceof RelayError)) throw error;
    if (error.code === 'store-closed') return;
    log.error({ event: 'store.failed', reason: error.message }, 'queue waits for the store');
    pausedUntil = clock.monotonicMs() + STORE_PAUSE_MS;
    refreshWanted = true;
    if (!stopping.signal.aborted) armTimer();
  }
}
