/**
 * One attempt: from a lease to a settled delivery.
 *
 * The deadline is checked before anything is sent, and an attempt that has not written its final dot when the deadline
 * comes is broken off. The result is recorded however long that takes, while the relay runs: a store that cannot write is
 * asked again until it can, because a result that is forgotten becomes a second copy. A relay that stops asks for some
 * seconds more. After a crash the store takes the lease for `uncertain`.
 */
import type { RetryConfig } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import type { MessageId } from '../core/ids.ts';
import type { AttemptFacts, Outcome } from '../core/outcome.ts';
import { type Clock, sleep } from '../core/time.ts';
import type { Transport } from '../delivery/transport.ts';
import { strikeEchoes } from '../mail/echo.ts';
import type { Lease, QueueStore, Settlement } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { settlementOf } from './settlement.ts';

const STORE_RETRY_MS = 1000;
/** Tries that a stopping relay still makes: ten seconds. */
const RETRIES_WHILE_STOPPING = 10;

export interface AttemptDeps {
  readonly store: Pick<QueueStore, 'settle' | 'release' | 'content'>;
  readonly cachedContent: (id: MessageId) => Uint8Array | null;
  readonly clock: Clock;
  readonly log: Log;
  readonly retry: () => RetryConfig;
  readonly onSettled: (lease: Lease, outcome: Outcome) => void;
}

export interface AttemptTarget {
  readonly transport: Transport;
  /** The route is a sandbox. */
  readonly captures: boolean;
  /** Whatever goes over it is under TLS with a verified certificate, or does not leave the machine. */
  readonly isProtected: boolean;
}

/** How the attempt ended for the scheduler: when the delivery is due again, or null when it is not. */
export interface AttemptEnd {
  readonly dueAt: number | null;
}

/**
 * Runs one attempt to its recorded end. `stopping` aborts when the relay drains: an attempt before its final dot is then
 * given back unrecorded. Rejects only for bugs, or when the store stays out of reach while the relay stops.
 */
export async function runAttempt(
  deps: AttemptDeps,
  lease: Lease,
  target: AttemptTarget,
  stopping: AbortSignal,
): Promise<AttemptEnd> {
  const { store, clock, log } = deps;
  const content = deps.cachedContent(lease.messageId) ?? (await untilStored(() => store.content(lease.messageId)));
  const startedAt = clock.now();
  if (content === null) {
    const outcome: Outcome = { kind: 'deferred', cause: 'local', ...nothingSent('the stored content is missing') };
    return record(outcome, { state: 'quarantined', reason: outcome.response });
  }
  if (startedAt >= lease.deadline) {
    const outcome: Outcome = {
      kind: 'deferred',
      cause: 'local',
      ...nothingSent('the deadline passed before the attempt'),
    };
    return record(outcome, { state: 'expired', reason: outcome.response });
  }
  if (lease.requireTls && !target.isProtected) {
    const text = `the message requires verified TLS, and route ${lease.route} has none`;
    return settle({ kind: 'deferred', cause: 'tls', ...nothingSent(text) });
  }

  // At the deadline the attempt is broken off, unless its final dot is out.
  const breakOff = new AbortController();
  const onStop = (): void => breakOff.abort();
  if (stopping.aborted) breakOff.abort();
  stopping.addEventListener('abort', onStop, { once: true });
  const cancelDeadline = clock.after(lease.deadline - startedAt, () => breakOff.abort());
  let result: Outcome;
  try {
    const outcome = await target.transport.deliver({ ...lease, content }, breakOff.signal);
    result = { ...outcome, response: strikeEchoes(outcome.response, content) };
  } finally {
    cancelDeadline();
    stopping.removeEventListener('abort', onStop);
  }

  if (stopping.aborted && result.kind === 'deferred' && result.cause === 'local' && clock.now() < lease.deadline) {
    await untilStored(() => store.release(lease, lease.dueAt));
    return { dueAt: null };
  }
  const queueMs = Math.max(0, Math.round(startedAt - lease.dueAt));
  return settle({ ...result, timings: { queue: queueMs, ...result.timings } });

  function settle(outcome: Outcome): Promise<AttemptEnd> {
    return record(outcome, settlementOf(lease, outcome, deps.retry(), target.captures, clock.now()));
  }

  async function record(outcome: Outcome, settlement: Settlement): Promise<AttemptEnd> {
    const answer = await untilStored(() => store.settle(lease, outcome, settlement, clock.now()));
    if (answer === 'lost') {
      log.warn(
        { event: 'lease.lost', message: lease.messageId, delivery: lease.deliveryId },
        'lease lost: not recorded',
      );
      return { dueAt: null };
    }
    deps.onSettled(lease, outcome);
    return { dueAt: settlement.state === 'deferred' ? settlement.dueAt : null };
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
