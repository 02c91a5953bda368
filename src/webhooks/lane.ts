/**
 * One endpoint: sends it what is due, records what came of it, and spares it while it fails.
 *
 * A lane knows nothing of the others, so an endpoint that hangs holds up nobody. Up to `CONCURRENCY` events are under way;
 * the store gives no event out while an earlier one of the same message waits. After `FAILING_AFTER` failures in a row one
 * event at a time is sent, with a pause after it; the first success opens the lane, and what had failed meanwhile is due.
 *
 * After a crash nothing is lost: what was not recorded waits in the store, and is sent again under the same id.
 */
import type { WebhookConfig } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import type { OutboxItem, OutboxStanding, OutboxStore, OutboxTry } from '../store/outbox.ts';
import type { Log } from '../telemetry/log.ts';
import { type Answer, createExchange, type Exchange } from './exchange.ts';
import { endpointPauseMs, FAILING_AFTER, retryDelayMs } from './retry.ts';

export interface LaneDeps {
  readonly outbox: Pick<OutboxStore, 'work' | 'record' | 'hasten' | 'giveUp'>;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  readonly log: Log;
  readonly userAgent: string;
  /** A try ended; `ms` the whole exchange. */
  readonly onTry: (endpoint: string, outcome: WebhookOutcome, ms: number) => void;
}

/** `dead`: it failed, and was the last try. */
export type WebhookOutcome = 'delivered' | 'failed' | 'dead';

export interface Lane {
  /** Something may be due, or the endpoint may have been enabled: look. */
  wake(): void;
  /** Goes on with another config. */
  update(config: WebhookConfig, standing: OutboxStanding): void;
  /** Sends nothing new, waits for what is under way for a few seconds, and breaks off the rest. */
  stop(): Promise<void>;
}

export const CONCURRENCY = 8;
/** Longer than the whole ladder with its jitter: what is older was held up by others, or its endpoint is disabled. */
export const GIVE_UP_AFTER_MS: number = 4 * 86_400_000;
const LOOK_FOR_OLD_MS = 60_000;
const GIVE_UP_PIECE = 500;
const STORE_TROUBLE_MS = 5000;
const DRAIN_MS = 5000;
const GONE = 410;

/** Makes the lane of an endpoint; it begins with the first `wake`. */
export function createLane(first: WebhookConfig, standing: OutboxStanding, deps: LaneDeps): Lane {
  const { outbox, clock, log } = deps;
  const { name } = first;
  const way = (config: WebhookConfig): Exchange =>
    createExchange(config, { clock, userAgent: deps.userAgent, connections: CONCURRENCY });
  let exchange = way(first);
  let { failures } = standing;
  let pausedUntilMs = 0;
  let isStopped = false;
  let isLooking = false;
  let lookAgain = false;
  let cancelLook: CancelTimer = () => {};
  let cancelOld: CancelTimer = () => {};
  const underWay = new Map<number, Promise<void>>();
  const breaking = new AbortController();

  function wake(): void {
    lookAgain = true;
    if (isLooking || isStopped) return;
    isLooking = true;
    void look();
  }

  async function look(): Promise<void> {
    try {
      while (lookAgain && !isStopped) {
        lookAgain = false;
        cancelLook();
        await startWhatIsDue();
      }
    } catch (thrown) {
      storeTrouble(thrown);
    } finally {
      isLooking = false;
    }
  }

  /** The store's own health tells the operator; the lane only waits. */
  function storeTrouble(thrown: unknown): void {
    if (!(thrown instanceof RelayError)) throw thrown;
    if (thrown.code !== 'store-closed') {
      log.warn({ event: 'webhook.store', webhook: name, reason: thrown.message }, 'webhooks wait for the store');
    }
    pausedUntilMs = Math.max(pausedUntilMs, clock.monotonicMs() + STORE_TROUBLE_MS);
    lookIn(STORE_TROUBLE_MS);
  }

  function lookIn(ms: number): void {
    cancelLook();
    if (!isStopped) cancelLook = clock.after(ms, wake);
  }

  function roomNow(): number {
    if (clock.monotonicMs() < pausedUntilMs) return 0;
    return Math.max(0, (failures < FAILING_AFTER ? CONCURRENCY : 1) - underWay.size);
  }

  async function startWhatIsDue(): Promise<void> {
    for (;;) {
      const room = roomNow();
      if (room === 0) {
        // Whoever is under way looks again when it ends.
        const pauseMs = pausedUntilMs - clock.monotonicMs();
        return pauseMs > 0 ? lookIn(pauseMs) : undefined;
      }
      const now = clock.now();
      const work = await outbox.work(name, now, room, [...underWay.keys()]);
      if (isStopped || work.halted !== null) return;
      for (const item of work.items) start(item);
      if (work.items.length < room && work.more) continue;
      if (work.nextDueAt !== null) lookIn(work.nextDueAt - now);
      return;
    }
  }

  function start(item: OutboxItem): void {
    const run = send(item)
      .catch(storeTrouble)
      .finally(() => {
        underWay.delete(item.seq);
        wake();
      });
    underWay.set(item.seq, run);
  }

  async function send(item: OutboxItem): Promise<void> {
    const at = clock.now();
    const asked = exchange;
    const answer = await asked.post(item.eventId, item.body, breaking.signal);
    if (answer.kind === 'aborted') return;
    const made = madeOf(item, at, answer, asked === exchange);
    const wasFailing = failures >= FAILING_AFTER;
    if (answer.kind === 'ok') {
      failures = 0;
      pausedUntilMs = 0;
    } else if (asked === exchange) {
      failures++;
      pausedUntilMs = clock.monotonicMs() + endpointPauseMs(failures, deps.random(), answer.retryAfterMs);
    }
    tell(item, made);
    if ((await outbox.record(name, made)) === 'lost') return;
    if (answer.kind === 'ok' && wasFailing) {
      const hastened = await outbox.hasten(name, clock.now());
      log.info({ event: 'webhook.recovered', webhook: name, count: hastened }, 'the webhook endpoint answers again');
    }
  }

  /** `isOfNow`: the endpoint has the config that it was asked under. A failure under another says nothing about this one. */
  function madeOf({ seq, tries }: OutboxItem, at: number, answer: Answer, isOfNow: boolean): OutboxTry {
    const { status, text, ms } = answer;
    const facts = { seq, at, ms, status, text };
    if (answer.kind === 'ok') return { ...facts, verdict: { kind: 'delivered' }, disable: null };
    const now = clock.now();
    if (!isOfNow) return { ...facts, verdict: { kind: 'again', dueAt: now }, disable: null };
    if (status === GONE) {
      // It stays due: whoever enables the endpoint wants it sent.
      return { ...facts, verdict: { kind: 'again', dueAt: now }, disable: `it answered 410: ${text}` };
    }
    const delayMs = retryDelayMs(tries, deps.random(), answer.retryAfterMs);
    return {
      ...facts,
      verdict: delayMs === null ? { kind: 'dead' } : { kind: 'again', dueAt: now + delayMs },
      disable: null,
    };
  }

  function tell(item: OutboxItem, { verdict, status, text, ms }: OutboxTry): void {
    const outcome = verdict.kind === 'again' ? 'failed' : verdict.kind;
    deps.onTry(name, outcome, ms);
    const fields = {
      event: `webhook.${outcome}`,
      webhook: name,
      event_id: item.eventId,
      seq: item.seq,
      attempts: item.tries + 1,
      status: status ?? undefined,
      response: text,
    };
    if (outcome === 'delivered') log.debug(fields, 'webhook delivered');
    else if (outcome === 'dead') log.error(fields, 'webhook given up: it can be replayed');
    else log.warn(fields, 'webhook failed: it is tried again');
  }

  /** Disabled endpoints too: what waits for ever would keep the event log from being cleaned up. */
  async function giveUpOld(): Promise<void> {
    try {
      let count = 0;
      for (let piece = GIVE_UP_PIECE; piece === GIVE_UP_PIECE && !isStopped; count += piece) {
        const now = clock.now();
        piece = await outbox.giveUp(name, now - GIVE_UP_AFTER_MS, now, GIVE_UP_PIECE);
      }
      if (count > 0) {
        log.error({ event: 'webhook.dead', webhook: name, count }, 'events too old for a webhook were given up');
      }
    } catch (thrown) {
      storeTrouble(thrown);
    }
    // No event that is wanted may have come for long: what was passed over must not wait for one to be cleaned up.
    wake();
    if (!isStopped) cancelOld = clock.after(LOOK_FOR_OLD_MS, () => void giveUpOld());
  }

  cancelOld = clock.after(LOOK_FOR_OLD_MS, () => void giveUpOld());
  return {
    wake,
    update(config, changed) {
      // Requests under way end on the old connections.
      exchange.close();
      exchange = way(config);
      failures = changed.failures;
      pausedUntilMs = 0;
      wake();
    },
    async stop() {
      isStopped = true;
      cancelLook();
      cancelOld();
      const cancelBreak = clock.after(DRAIN_MS, () => breaking.abort());
      await Promise.all(underWay.values());
      cancelBreak();
      exchange.close();
    },
  };
}
