/**
 * Keeps the breakers of the routes: hears of every try, probes routes that are down, and records `route.down` and `route.up`.
 *
 * A probe never carries mail. The event is written behind the change, and written again until the store takes it: mail does
 * not wait for it.
 */
import { RelayError } from '../core/errors.ts';
import type { Outcome } from '../core/outcome.ts';
import { type Clock, sleep } from '../core/time.ts';
import type { QueueStore, RouteChange } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { BreakerChange } from './breaker.ts';
import type { Lane } from './lane.ts';
import { routeHealth } from './route-fault.ts';

const STORE_RETRY_MS = 1000;

export interface RouteWatchDeps {
  readonly store: Pick<QueueStore, 'routeChanged'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly stopping: AbortSignal;
  /** A route went down or came up, or lets a message through to see. */
  readonly onChange: () => void;
}

export interface RouteWatch {
  /** A try over `lane` that began at `startedMs` (monotonic) has ended. */
  tried(lane: Lane, outcome: Outcome, startedMs: number): void;
  /** The route is no longer in the config: if it was down, that is over. */
  removed(lane: Lane): void;
  /** Begins a probe when one is due. */
  probeWhenDue(lane: Lane): void;
  /** Resolves when probes and events under way have ended. */
  stop(): Promise<void>;
}

/** Makes the watch. */
export function createRouteWatch(deps: RouteWatchDeps): RouteWatch {
  const { clock, log, stopping } = deps;
  const underWay = new Set<Promise<void>>();

  const follow = (work: Promise<void>): void => {
    const ended = work.finally(() => underWay.delete(ended));
    underWay.add(ended);
  };

  const tell = (lane: Lane, change: BreakerChange, reason: string): void => {
    if (change === null) return;
    const type = change === 'down' ? 'route.down' : 'route.up';
    follow(record({ type, route: lane.name, reason, at: clock.now() }));
  };

  /** In order: a route that went down and came up again while the store could not write is told in that order. */
  let last: Promise<void> = Promise.resolve();
  const record = (change: RouteChange): Promise<void> => {
    last = last.then(async () => {
      for (;;) {
        try {
          await deps.store.routeChanged(change);
          return;
        } catch (error) {
          if (!(error instanceof RelayError)) throw error;
          log.error(
            { event: 'store.failed', route: change.route, reason: error.message },
            `${change.type} not recorded`,
          );
          if (error.code === 'store-closed' || stopping.aborted) return;
        }
        await sleep(clock, STORE_RETRY_MS, stopping).catch(() => undefined);
      }
    });
    return last;
  };

  const probe = async (lane: Lane): Promise<void> => {
    const { breaker } = lane;
    const look = lane.target.transport.probe;
    if (breaker === null || look === null) return;
    breaker.probing(clock.monotonicMs());
    const outcome = await look(stopping);
    if (stopping.aborted || lane.retired) return;
    const works = outcome.kind === 'delivered';
    log.info(
      {
        event: 'route.probed',
        route: lane.name,
        outcome: outcome.kind,
        next_hop: outcome.nextHop ?? undefined,
        stage: outcome.stage,
        response: outcome.response,
      },
      works ? 'the route answers again' : 'the route is still down',
    );
    tell(
      lane,
      breaker.probed(works, clock.monotonicMs()),
      `a probe came through to ${outcome.nextHop ?? 'the next hop'}`,
    );
    deps.onChange();
  };

  return {
    tried(lane, outcome, startedMs) {
      const { breaker } = lane;
      if (breaker === null) return;
      const before = breaker.state();
      const now = clock.monotonicMs();
      switch (routeHealth(outcome)) {
        case 'works':
          tell(lane, breaker.success(now), 'a message came through');
          break;
        case 'fault':
          tell(lane, breaker.fault(outcome.stage, startedMs, now), `${outcome.stage}: ${outcome.response}`);
          break;
        case 'unknown':
          break;
      }
      if (breaker.state() !== before) deps.onChange();
    },
    removed(lane) {
      const state = lane.breaker?.state() ?? 'closed';
      if (state !== 'closed') tell(lane, 'up', 'it was taken out of the config');
    },
    probeWhenDue(lane) {
      const probeAt = lane.breaker?.probeAt() ?? null;
      if (probeAt === null || probeAt > clock.monotonicMs() || stopping.aborted) return;
      follow(probe(lane));
    },
    async stop() {
      while (underWay.size > 0) await Promise.allSettled(underWay);
    },
  };
}
