/**
 * One attempt: from a lease to a settled delivery.
 *
 * It begins on the lease's route. Where that route itself is at fault and the final dot was not written, it goes on over the
 * next route of the rule at once; each try is recorded. It ends when a route gives an answer about the message, or none is
 * left. Then it waits for the next step of the ladder, or, where its routes are known to be down, for the first that is up.
 *
 * The deadline is checked before anything is sent, and a try that has not written its final dot when the deadline comes is
 * broken off; while other routes are left, already when its share of the time is used up. A newer message that replaces this
 * one breaks it off too. The result is recorded however long that takes, while the relay runs: a store that cannot write is
 * asked again until it can, because a result that is forgotten becomes a second copy. A relay that stops asks for some
 * seconds more. After a crash the store takes the lease for `uncertain`.
 */
import { RelayError } from '../core/errors.ts';
import type { MessageId } from '../core/ids.ts';
import type { AttemptFacts, Outcome } from '../core/outcome.ts';
import { type Clock, sleep } from '../core/time.ts';
import type { DeliveryRequest } from '../delivery/transport.ts';
import { isPlainThanks, strikeEchoes } from '../mail/echo.ts';
import type { Lease, QueueStore, Settlement, Try } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import type { Journey } from './journey.ts';
import type { Lane } from './lane.ts';
import { mayMoveOn } from './route-fault.ts';
import { type SettlementRules, settlementOf } from './settlement.ts';

const STORE_RETRY_MS = 1000;
/** Tries that a stopping relay still makes: ten seconds. */
const RETRIES_WHILE_STOPPING = 10;
/** A try gets at least this much of what is left, however many routes are to come. */
const LEAST_SHARE_MS = 1000;

export interface AttemptDeps {
  readonly store: Pick<QueueStore, 'settle' | 'release' | 'content'>;
  readonly cachedContent: (id: MessageId) => Uint8Array | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly rules: () => SettlementRules;
  /** Told of each try when it has ended; `startedMs` is monotonic. */
  readonly onTried: (lane: Lane, outcome: Outcome, startedMs: number) => void;
}

/** Aborted from outside. */
export interface AttemptSignals {
  /** The relay drains: a try before its final dot is given back unrecorded. */
  readonly stopping: AbortSignal;
  /** A newer message takes this one's place: it is broken off unless its final dot is out. */
  readonly superseded: AbortSignal;
}

/** How the attempt ended for the scheduler: when and where the delivery is due again, or null when it is not. */
export type AttemptEnd = { readonly dueAt: number; readonly route: string } | null;

/**
 * Runs one attempt to its recorded end. Rejects only for bugs, or when the store stays out of reach while the relay stops.
 */
export async function runAttempt(
  deps: AttemptDeps,
  lease: Lease,
  journey: Journey,
  signals: AttemptSignals,
): Promise<AttemptEnd> {
  const { store, clock, log } = deps;
  const { stopping } = signals;
  const content = deps.cachedContent(lease.messageId) ?? (await untilStored(() => store.content(lease.messageId)));
  const begunAt = clock.now();
  const queueMs = Math.max(0, Math.round(begunAt - lease.dueAt));
  const tries: Try[] = [];
  if (content === null) {
    const text = 'the stored content is missing';
    note(begunAt, { kind: 'deferred', cause: 'local', ...nothingSent(text) });
    return record({ state: 'quarantined', reason: text });
  }
  const request: Omit<DeliveryRequest, 'hasAlternative'> = {
    ...lease,
    deliverBy: lease.deadlineSource === 'give-up' ? null : lease.deadline,
    content,
  };

  for (;;) {
    const lane = journey.lane();
    const startedAt = clock.now();
    const outcome = await tryOver(lane, request, content, startedAt);
    const left = lease.deadline - clock.now();
    if (stopping.aborted && outcome.kind === 'deferred' && outcome.cause === 'local' && left > 0) {
      if (tries.length === 0) {
        await untilStored(() => store.release(lease, lease.dueAt));
        return null;
      }
      return record(waiting(journey.retryOn(false)));
    }
    note(startedAt, outcome);
    if (left > 0 && !signals.superseded.aborted && mayMoveOn(outcome)) {
      const move = journey.moveOn();
      if (move === 'moved') continue;
      if (move === 'no-room') return record(waiting(journey.waitingRoom()));
    }
    const now = clock.now();
    const retryOn = journey.retryOn(outcome.stage === 'dot');
    // The route is known to be down: its probe says when to go on, and no step of the ladder may keep it longer than that.
    if (left > 0 && mayMoveOn(outcome) && !retryOn.usable()) return record(waiting(retryOn));
    const end = {
      outcome,
      captures: lane.target.captures,
      retryOn: { route: retryOn.name, byDestination: retryOn.byDestination },
    };
    return record(settlementOf(lease, end, deps.rules(), now));
  }

  /** One try, from its beginning to its outcome. */
  async function tryOver(
    lane: Lane,
    what: Omit<DeliveryRequest, 'hasAlternative'>,
    bytes: Uint8Array,
    startedAt: number,
  ): Promise<Outcome> {
    const left = lease.deadline - startedAt;
    if (left <= 0) {
      return { kind: 'deferred', cause: 'local', ...nothingSent('the deadline passed before the attempt') };
    }
    if (lease.requireTls && !lane.target.isProtected) {
      const text = `the message requires verified TLS, and route ${lane.name} has none`;
      return { kind: 'deferred', cause: 'tls', ...nothingSent(text) };
    }
    const others = journey.alternatives();
    const shareMs = Math.min(left, Math.max(LEAST_SHARE_MS, left / (others + 1)));
    const breakOff = new AbortController();
    let shareUsedUp = false;
    const cancelShare = clock.after(shareMs, () => {
      shareUsedUp = true;
      breakOff.abort();
    });
    const onAbort = (): void => breakOff.abort();
    const outside = [signals.stopping, signals.superseded];
    for (const signal of outside) {
      if (signal.aborted) breakOff.abort();
      signal.addEventListener('abort', onAbort, { once: true });
    }
    const startedMs = clock.monotonicMs();
    let outcome: Outcome;
    try {
      outcome = await lane.target.transport.deliver({ ...what, hasAlternative: others > 0 }, breakOff.signal);
    } finally {
      cancelShare();
      for (const signal of outside) signal.removeEventListener('abort', onAbort);
    }
    // The route had its share of the time and did not come to a result: that is the route's fault, and another may.
    if (shareUsedUp && others > 0 && outcome.kind === 'deferred' && outcome.cause === 'local') {
      outcome = {
        ...outcome,
        cause: 'route',
        response: `no result within ${Math.round(shareMs)} ms, its share of the time left`,
      };
    }
    deps.onTried(lane, outcome, startedMs);
    const said = outcome.response;
    if (outcome.kind === 'delivered' && isPlainThanks(said, bytes)) return outcome;
    return { ...outcome, response: strikeEchoes(said, bytes) };
  }

  function note(startedAt: number, outcome: Outcome): void {
    const waited = tries.length === 0 ? { queue: queueMs } : {};
    tries.push({
      route: journey.lane().name,
      startedAt,
      outcome: { ...outcome, timings: { ...waited, ...outcome.timings } },
    });
  }

  /** Stands in line again at once. */
  function waiting(lane: Lane): Settlement {
    return { state: 'deferred', dueAt: clock.now(), route: lane.name, byDestination: lane.byDestination };
  }

  async function record(settlement: Settlement): Promise<AttemptEnd> {
    const answer = await untilStored(() => store.settle(lease, tries, settlement, clock.now()));
    if (answer === 'lost') {
      log.warn(
        { event: 'lease.lost', message: lease.messageId, delivery: lease.deliveryId },
        'lease lost: not recorded',
      );
      return null;
    }
    return answer === 'settled' && settlement.state === 'deferred' ? settlement : null;
  }

  async function untilStored<T>(ask: () => Promise<T>): Promise<T> {
    for (let triesWhileStopping = 0; ; ) {
      try {
        return await ask();
      } catch (error) {
        if (!(error instanceof RelayError) || error.code === 'store-closed') throw error;
        if (stopping.aborted && ++triesWhileStopping >= RETRIES_WHILE_STOPPING) throw error;
        log.error(
          { event: 'store.failed', message: lease.messageId, delivery: lease.deliveryId, reason: error.message },
          'the store does not answer, trying again',
        );
        await sleep(clock, STORE_RETRY_MS, new AbortController().signal);
      }
    }
  }
}

function nothingSent(response: string): AttemptFacts {
  return { stage: 'connect', nextHop: null, tls: null, code: null, enhanced: null, response, timings: {} };
}
