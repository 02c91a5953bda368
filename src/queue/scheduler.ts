/**
 * The scheduler: leases what is due, as far as routes have room, and runs the attempts.
 *
 * It sleeps until something can happen: an acceptance wakes its route at once, a finished attempt frees a slot, a timer
 * fires at the next due time, deadline or lease end. It never polls. What is due lives in the store; here stands only, per
 * route, the earliest moment at which something may be due.
 *
 * Lanes: the store hands out critical before normal before bulk, and the scheduler leases no more than can start now, so a
 * critical message is never behind a bulk message that merely waits in memory.
 *
 * After a crash nothing is lost: leases of the dead process are taken back at start, as `uncertain` attempts.
 */
import type { RetryConfig } from '../config/types.ts';
import { errorText, RelayError } from '../core/errors.ts';
import type { MessageId } from '../core/ids.ts';
import type { Outcome } from '../core/outcome.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import type { HeadStart, Lease, QueueStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { type AttemptDeps, type AttemptTarget, runAttempt } from './attempt.ts';
import { createLanes, type Lane } from './lanes.ts';

export const LEASE_MS = 300_000;
const RENEW_EVERY_MS = LEASE_MS / 3;
export const CRASH_LIMIT = 3;
const EXPIRE_BATCH = 500;
/** How soon after a change the store is asked anew for the next due time; many changes in that span cost one question. */
const REFRESH_MS = 50;
/** After a store failure: how long until the next try. */
const STORE_PAUSE_MS = 1000;

export interface SchedulerDeps {
  readonly store: QueueStore;
  readonly clock: Clock;
  readonly log: Log;
  readonly retry: () => RetryConfig;
  readonly cachedContent: (id: MessageId) => Uint8Array | null;
  readonly onSettled: (lease: Lease, outcome: Outcome) => void;
  /** A transport that `setLanes` took out of use has nothing under way any more: it can be stopped. */
  readonly onRetired: (transport: Transport) => void;
}

export interface Scheduler {
  /** Takes back the leases of a dead predecessor and begins. */
  start(): Promise<void>;
  /** Something on `route` may be due at `dueAt` (epoch milliseconds), with that deadline. */
  wake(route: string, dueAt: number, deadline: number): void;
  /** A head start on `route`, or null when other mail is due there or it has no room: then `wake` puts it in line. */
  headStart(route: string): HeadStart | null;
  /** Anything may have changed: asks the store. */
  wakeAll(): void;
  /** Replaces the lanes; attempts under way finish on the old ones, and what waits moves to routes that there are. */
  setLanes(targets: ReadonlyMap<string, AttemptTarget>): void;
  /** Deliveries under way. */
  busy(): number;
  /** Whether a delivery on `route` could start now. */
  hasRoom(route: string): boolean;
  /** Starts nothing new, breaks off attempts before their final dot, waits for the others. */
  stop(): Promise<void>;
}

/** Makes a scheduler over the routes in `targets`. */
export function createScheduler(deps: SchedulerDeps, targets: ReadonlyMap<string, AttemptTarget>): Scheduler {
  const { store, clock, log } = deps;
  const stopping = new AbortController();
  const attempts = new Set<Promise<void>>();
  const underLease = new Map<Lease, number>();
  const lanes = createLanes(targets, clock, deps.onRetired);
  let nextDeadline = Number.POSITIVE_INFINITY;
  let nextLeaseEnd = Number.POSITIVE_INFINITY;
  let working = false;
  let workAgain = false;
  let refreshWanted = false;
  /** Something may stand on a route that has no lane: moved before the next look at what is due. */
  let rerouteWanted = false;
  let cancelTimer: CancelTimer | null = null;
  let timerAt = Number.POSITIVE_INFINITY;
  let cancelRefresh: CancelTimer | null = null;
  /** Monotonic milliseconds. */
  let pausedUntil = 0;
  let idle: (() => void) | null = null;

  const attemptDeps: AttemptDeps = {
    store,
    cachedContent: deps.cachedContent,
    clock,
    log,
    retry: deps.retry,
    onSettled: deps.onSettled,
  };

  return {
    async start() {
      const reclaimed = await store.reclaimExpired(clock.now(), CRASH_LIMIT);
      if (reclaimed > 0) log.warn({ event: 'queue.reclaimed', count: reclaimed }, 'deliveries of an interrupted run');
      rerouteWanted = true;
      refreshWanted = true;
      work();
    },
    wake(route, dueAt, deadline) {
      wakeRoute(route, dueAt);
      if (deadline < nextDeadline) nextDeadline = deadline;
      work();
    },
    headStart(route) {
      const lane = lanes.get(route);
      if (lane === undefined || stopping.signal.aborted) return null;
      if (lane.claiming || lane.mayBeDueAt <= clock.now() || lane.slots.free() === 0) return null;
      lane.slots.take();
      return {
        leaseMs: LEASE_MS,
        begin(lease) {
          if (lease.deadline < nextDeadline) nextDeadline = lease.deadline;
          run(lease, lane);
        },
        cancel() {
          lanes.giveSlot(lane);
          work();
        },
      };
    },
    wakeAll() {
      refreshWanted = true;
      work();
    },
    setLanes(next) {
      lanes.replace(next);
      rerouteWanted = true;
      refreshWanted = true;
      work();
    },
    busy: () => underLease.size,
    hasRoom: (route) => (lanes.get(route)?.slots.free() ?? 0) > 0,
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
    },
  };

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
    if (rerouteWanted) await reroute();
    if (refreshWanted) await refresh();
    await keepLeases();
    if (clock.now() >= nextDeadline) await expire();
    const now = clock.now();
    const requests: { readonly route: string; readonly limit: number }[] = [];
    for (const [route, lane] of lanes.all()) {
      const limit = lane.slots.free();
      if (lane.mayBeDueAt <= now && limit > 0) requests.push({ route, limit });
    }
    if (requests.length === 0) return;
    // Whatever becomes due while the store answers sets the mark again.
    const asked = requests.flatMap(({ route }) => lanes.get(route) ?? []);
    for (const lane of asked) {
      lane.mayBeDueAt = Number.POSITIVE_INFINITY;
      lane.claiming = true;
    }
    let leases: readonly Lease[];
    try {
      leases = await store.claim(requests, now, LEASE_MS);
    } catch (error) {
      for (const lane of asked) lane.mayBeDueAt = now;
      throw error;
    } finally {
      for (const lane of asked) lane.claiming = false;
    }
    const claimed = new Map<string, number>();
    for (const lease of leases) {
      claimed.set(lease.route, (claimed.get(lease.route) ?? 0) + 1);
      begin(lease);
    }
    for (const { route, limit } of requests) {
      // A full answer: more may be due at once. A short one: nothing is due now, later ones are asked for.
      if ((claimed.get(route) ?? 0) >= limit) wakeRoute(route, now);
    }
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
    lane.slots.take();
    run(lease, lane);
  }

  /** Runs the attempt in a slot that was taken for it. */
  function run(lease: Lease, lane: Lane): void {
    underLease.set(lease, lease.leaseUntil);
    if (lease.leaseUntil < nextLeaseEnd) nextLeaseEnd = lease.leaseUntil;
    const attempt = runAttempt(attemptDeps, lease, lane, stopping.signal)
      .then((end) => {
        if (end.dueAt !== null) wakeRoute(lease.route, end.dueAt);
      })
      .catch((error: unknown) => {
        // A bug, or the store out of reach at the end: the lease runs out and the attempt counts as uncertain.
        log.error(
          { event: 'attempt.failed', message: lease.messageId, delivery: lease.deliveryId, reason: errorText(error) },
          'attempt failed without a result',
        );
        nextLeaseEnd = Math.min(nextLeaseEnd, lease.leaseUntil);
      })
      .finally(() => {
        attempts.delete(attempt);
        underLease.delete(lease);
        // Only one delivery with a crash behind it runs at a time: another may have waited for this one.
        if (lease.crashes > 0) refreshWanted = true;
        lanes.giveSlot(lane);
        work();
      });
    attempts.add(attempt);
  }

  /** Renews leases of long attempts first, then takes back those that ran out: never one that is still worked on. */
  async function keepLeases(): Promise<void> {
    const now = clock.now();
    const old = [...underLease].filter(([, until]) => until - now <= LEASE_MS - RENEW_EVERY_MS);
    // A renewal that fails ends the round here: nothing is taken back while leases that stand cannot be told from dead ones.
    await Promise.all(
      old.map(async ([lease]) => {
        const answer = await store.renew(lease, now + LEASE_MS);
        if (answer === 'kept' && underLease.has(lease)) underLease.set(lease, now + LEASE_MS);
      }),
    );
    if (now < nextLeaseEnd) return;
    nextLeaseEnd = Number.POSITIVE_INFINITY;
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
    let expired: number;
    do {
      expired = await store.expireDue(clock.now(), EXPIRE_BATCH);
    } while (expired === EXPIRE_BATCH);
    nextDeadline = Number.POSITIVE_INFINITY;
    await refresh();
  }

  /** Moves what stands on routes without a lane to one of its own that has one. */
  async function reroute(): Promise<void> {
    rerouteWanted = false;
    try {
      await store.reroute([...lanes.all().keys()]);
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
      due = await store.nextDue();
    } catch (error) {
      refreshWanted = true;
      throw error;
    }
    // A route without a lane is left alone here: what could be moved was moved, the rest waits for a config that has it.
    for (const [route, at] of due.routes) if (lanes.get(route) !== undefined) wakeRoute(route, at);
    if (due.nextDeadline !== null) nextDeadline = Math.min(nextDeadline, due.nextDeadline);
    if (due.nextLeaseEnd !== null) nextLeaseEnd = Math.min(nextLeaseEnd, due.nextLeaseEnd);
  }

  function scheduleRefresh(): void {
    if (cancelRefresh !== null || stopping.signal.aborted) return;
    cancelRefresh = clock.after(REFRESH_MS, () => {
      cancelRefresh = null;
      refreshWanted = true;
      work();
    });
  }

  function wakeRoute(route: string, at: number): void {
    const lane = lanes.get(route);
    if (lane === undefined) rerouteWanted = true;
    else if (at < lane.mayBeDueAt) lane.mayBeDueAt = at;
  }

  function armTimer(): void {
    const now = clock.now();
    let at = Math.min(nextDeadline, nextLeaseEnd);
    for (const lane of lanes.all().values()) {
      if (lane.slots.free() > 0) at = Math.min(at, lane.mayBeDueAt);
      else if (lane.mayBeDueAt < Number.POSITIVE_INFINITY) at = Math.min(at, now + (lane.slots.waitMs() ?? Infinity));
    }
    for (const until of underLease.values()) at = Math.min(at, until - LEASE_MS + RENEW_EVERY_MS);
    if (refreshWanted || rerouteWanted) at = Math.min(at, now);
    at = Math.max(at, now + Math.max(0, pausedUntil - clock.monotonicMs()));
    if (at === timerAt && cancelTimer !== null) return;
    cancelTimer?.();
    cancelTimer = null;
    timerAt = at;
    if (at === Number.POSITIVE_INFINITY) return;
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
