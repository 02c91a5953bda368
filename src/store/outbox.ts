/**
 * What the webhooks ask of the store: the slice `Store.outbox`.
 *
 * The event log is the outbox: an event that was committed is sent to every endpoint that wants its type and tag, at least
 * once, whatever ends the process in between. An endpoint is worked by one process: that which holds the database.
 */
import type { EventType } from '../core/event.ts';
import type { EventId, MessageId } from '../core/ids.ts';

/** An endpoint as the config has it. */
export interface OutboxEndpoint {
  readonly name: string;
  readonly types: readonly EventType[];
  /** Messages with one of these tags; null: all. Events that are about no message are wanted whatever it says. */
  readonly tags: readonly string[] | null;
  /** Differs when the endpoint's config differs. */
  readonly fingerprint: string;
}

/** How an endpoint fares. */
export interface OutboxStanding {
  readonly name: string;
  /** Failed tries since the last success. */
  readonly failures: number;
  /** Epoch milliseconds of the first of them; null: the last try succeeded, or there was none. */
  readonly failingSince: number | null;
  /** Epoch milliseconds; null: it is not disabled. */
  readonly disabledAt: number | null;
  readonly disabledReason: string | null;
}

/** One event to send now. */
export interface OutboxItem {
  readonly seq: number;
  readonly eventId: EventId;
  /** The event as JSON text, the same at each try. */
  readonly body: string;
  /** Tries so far. */
  readonly tries: number;
}

export interface OutboxWork {
  readonly items: readonly OutboxItem[];
  /** When the next waiting event is due (epoch milliseconds), beyond `items` and those under way; null: none. */
  readonly nextDueAt: number | null;
  /** The log holds events that were not looked at yet. */
  readonly more: boolean;
  /** Not null: nothing is to be sent. `gone`: the endpoint is not known. */
  readonly halted: 'disabled' | 'gone' | null;
}

/** One try and what follows from it. */
export interface OutboxTry {
  readonly seq: number;
  /** Epoch milliseconds. */
  readonly at: number;
  readonly ms: number;
  /** HTTP status; null: there was no answer. */
  readonly status: number | null;
  /** The answer's text, or what went wrong: one line, cleaned, cut. */
  readonly text: string;
  readonly verdict:
    | { readonly kind: 'delivered' }
    /** Tried again at `dueAt` (epoch milliseconds). */
    | { readonly kind: 'again'; readonly dueAt: number }
    /** Never tried again unless replayed. */
    | { readonly kind: 'dead' };
  /** Not null: the endpoint is disabled, for this reason, with a `webhook.disabled` event. */
  readonly disable: string | null;
}

export type OutboxState = 'waiting' | 'delivered' | 'dead';

export interface OutboxAttempt {
  readonly number: number;
  readonly at: number;
  readonly ms: number;
  readonly delivered: boolean;
  readonly status: number | null;
  readonly text: string;
}

/** An event on its way to an endpoint, or there, or given up. */
export interface OutboxDelivery {
  readonly seq: number;
  readonly eventId: EventId;
  readonly type: EventType;
  readonly eventAt: number;
  readonly messageId: MessageId | null;
  readonly state: OutboxState;
  /** Epoch milliseconds; null: not waiting, or waiting for an earlier event of the same message. */
  readonly nextAttemptAt: number | null;
  /** Oldest first. */
  readonly attempts: readonly OutboxAttempt[];
}

export interface OutboxFigures extends OutboxStanding {
  /** What the endpoint wants, as in `OutboxEndpoint`. */
  readonly types: readonly string[];
  readonly tags: readonly string[] | null;
  /** Events that are wanted and not delivered yet; beyond those taken from the log, at most 10000 are counted. */
  readonly backlog: number;
  /** Epoch milliseconds of the oldest of them; null: none. */
  readonly oldestPendingAt: number | null;
  readonly dead: number;
  /** When the next try is due, of those taken from the log; null: none is. Epoch milliseconds, as the next two. */
  readonly nextAttemptAt: number | null;
  readonly lastDeliveredAt: number | null;
  readonly lastFailedAt: number | null;
}

/** Which events are sent again. Only those that the endpoint wants, by type and tag, and that are still in the log. */
export type ReplaySelection =
  | { readonly kind: 'events'; readonly ids: readonly string[] }
  /** Epoch milliseconds; `since` counts, `until` does not. */
  | { readonly kind: 'range'; readonly since: number; readonly until: number }
  | { readonly kind: 'dead' };

export interface ReplayResult {
  /** Events that now wait to be sent, those that waited anyway included. */
  readonly queued: number;
  /** Ids that are not in the log, or not for this endpoint. */
  readonly unknown: readonly string[];
}

export interface OutboxStore {
  /**
   * Brings the endpoints in line with the config. A new one begins with the events after this moment; one that is not in
   * the list is forgotten with all that waits for it; one whose fingerprint changed is enabled, and what waits is due at once. So
   * is what waits since a time that lies ahead of `now`: the clock was set back.
   */
  sync(endpoints: readonly OutboxEndpoint[], now: number): Promise<readonly OutboxStanding[]>;
  /**
   * Up to `room` events to send now, but for those in `busy` (their `seq`). An event is held back while an earlier one of the
   * same message or route waits. Takes from the log no more than is needed.
   */
  work(name: string, now: number, room: number, busy: readonly number[]): Promise<OutboxWork>;
  /** Records a try; `lost`, and nothing written, when the event does not wait any more. */
  record(name: string, made: OutboxTry): Promise<'recorded' | 'lost'>;
  /** Everything that waits for its next try is due now. Returns how many were brought forward. */
  hasten(name: string, now: number): Promise<number>;
  /** Gives up what has waited since before `bornBefore` (epoch milliseconds), at most `limit` a call. Returns how many. */
  giveUp(name: string, bornBefore: number, now: number, limit: number): Promise<number>;
  /** Enables a disabled endpoint; false: it is not known. */
  enable(name: string, now: number): Promise<boolean>;
  /** Null: the endpoint is not known. */
  replay(name: string, selection: ReplaySelection, now: number): Promise<ReplayResult | null>;
  /** In the order of names. */
  figures(): Promise<readonly OutboxFigures[]>;
  /** Newest event first, older than `before` (a `seq`); null: the endpoint is not known. */
  deliveries(
    name: string,
    filter: { readonly state?: OutboxState; readonly before?: number; readonly limit: number },
  ): Promise<readonly OutboxDelivery[] | null>;
}
