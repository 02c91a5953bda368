/**
 * One attempt: from a lease to a settled delivery.
 *
 * The deadline is checked before anything is sent, and an attempt that has not written its final dot when the deadline
 * comes is broken off. The result is recorded however long that takes: a store that cannot write is asked again until it
 * can, because a result that is forgotten becomes a second copy. After a crash the store takes the lease for `uncertain`.
 */
import { RelayError } from '../core/errors.ts';
import type { MessageId } from '../core/ids.ts';
import type { AttemptFacts, Outcome } from '../core/outcome.ts';
import { type Clock, sleep } from '../core/time.ts';
import type { RetryConfig } from '../config/types.ts';
import type { Transport } from '../delivery/transport.ts';
import type { Lease, QueueStore, Settlement } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { settlementOf } from './settlement.ts';

const STORE_RETRY_MS = 1000;

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
  const startedAt = clock.now();
  const content = deps.cachedContent(lease.messageId) ?? (await store.content(lease.messageId));
  if (content === null) {
    const outcome: Outcome = { kind: 'deferred', cause: 'local', ...nothingSent('the stored content is missing') };
    return record(outcome, { state: 'quarantined', reason: outcome.response });
  }

  // At the deadline the attempt is broken off, unless its final dot is out.
  const breakOff = new AbortController();
  const onStop = (): void => breakOff.abort();
  if (stopping.aborted) breakOff.abort();
  stopping.addEventListener('abort', onStop, { once: true });
  const cancelDeadline = clock.after(lease.deadline - startedAt, () => breakOff.abort());
  let result: Outcome;
  try {
    result = await target.transport.deliver({ ...lease, content }, breakOff.signal);
  } finally {
    cancelDeadline();
    stopping.removeEventListener('abort', onStop);
  }

  const now = clock.now();
  if (stopping.aborted && result.kind === 'deferred' && result.cause === 'local' && now < lease.deadline) {
    await untilStored(() => store.release(lease, lease.dueAt));
    return { dueAt: null };
  }
  const queueMs = Math.max(0, Math.round(startedAt - lease.dueAt));
  const outcome: Outcome = { ...result, timings: { queue: queueMs, ...result.timings } };
  return record(outcome, settlementOf(lease, outcome, deps.retry(), target.captures, now));

  async function record(outcome: Outcome, settlement: Settlement): Promise<AttemptEnd> {
    const settledAt = clock.now();
    const answer = await untilStored(() => store.settle(lease, outcome, settlement, settledAt));
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

  async function untilStored<T>(write: () => Promise<T>): Promise<T> {
    for (;;) {
      try {
        return await write();
      } catch (error) {
        if (!(error instanceof RelayError) || error.code === 'store-closed') throw error;
        log.error(
          { event: 'store.failed', message: lease.messageId, delivery: lease.deliveryId, reason: error.message },
          'result not stored yet, trying again',
        );
        await sleep(clock, STORE_RETRY_MS, stopping);
      }
    }
  }
}

function nothingSent(response: string): AttemptFacts {
  return { stage: 'connect', nextHop: null, tls: null, code: null, enhanced: null, response, timings: {} };
}
