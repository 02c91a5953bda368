/**
 * What the relay asks of its memory. One method, one business fact, one transaction.
 *
 * No SQL, row type or transaction handle leaves `store/`. Rooms receive only their slice. Every write resolves after it is
 * durable (fsync), and rejects with a `RelayError` (`store-io`, `store-full`, `store-closed`) when it is not: then nothing of
 * it happened. Times are epoch milliseconds given by the caller.
 */
import type { EnvelopeAddress, ReversePath } from '../core/address.ts';
import type { DeliveryState } from '../core/delivery.ts';
import type { EventAttempt, EventType, RelayEvent } from '../core/event.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { EnvelopeDsn, MessageRecord, NewDelivery, Priority, RecipientDsn } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Refusal } from '../core/refusal.ts';

export interface Store {
  readonly intake: IntakeStore;
  readonly queue: QueueStore;
  readonly history: HistoryStore;
  readonly health: HealthStore;
  readonly upkeep: UpkeepStore;
  readonly feed: EventFeed;
  /** Finishes what was asked for, folds the write-ahead log in, and closes. Later calls reject with `store-closed`. */
  stop(): Promise<void>;
}

// ---------------------------------------------------------------- intake

/** An idempotency key, scoped to one credential. */
export interface IdempotencyClaim {
  /** Username, or the empty string for clients without one. */
  readonly scope: string;
  readonly key: string;
  readonly expiresAt: number;
}

export interface NewMessage {
  readonly record: MessageRecord;
  readonly deliveries: readonly NewDelivery[];
  /** The bytes that will be sent. The store may take the memory over: the caller must not change them afterwards. */
  readonly content: Uint8Array;
  readonly idempotency: IdempotencyClaim | null;
  /** Not null, for a message with one delivery: it begins life under a lease of this length, as if claimed at once. */
  readonly leaseMs: number | null;
}

export type AcceptResult =
  | { readonly kind: 'accepted'; readonly lease: Lease | null }
  /** The idempotency key was used before: nothing was written. */
  | { readonly kind: 'duplicate'; readonly messageId: MessageId };

/** A message that was refused at submission; kept as events only, one per recipient. */
export interface RejectedMessage {
  readonly id: MessageId;
  readonly at: number;
  readonly headerMessageId: string | null;
  readonly tag: string | null;
  readonly credential: string | null;
  readonly rule: string | null;
  readonly recipients: readonly EnvelopeAddress[];
  readonly refusal: Refusal;
}

export interface IntakeStore {
  /** Message, content, deliveries (`queued`, due at once), idempotency key and `message.accepted` events. */
  accept(message: NewMessage): Promise<AcceptResult>;
  /** `message.rejected` events. */
  reject(message: RejectedMessage): Promise<void>;
}

// ----------------------------------------------------------------- queue

/** The right to work on one delivery until `leaseUntil`; the token tells it from every earlier and later lease. */
export interface Lease {
  readonly deliveryId: DeliveryId;
  readonly messageId: MessageId;
  readonly token: number;
  readonly leaseUntil: number;
  readonly route: string;
  readonly via: readonly string[];
  readonly recipient: EnvelopeAddress;
  readonly mailFrom: ReversePath;
  readonly dsn: EnvelopeDsn;
  readonly recipientDsn: RecipientDsn | null;
  readonly smtpUtf8: boolean;
  readonly eightBit: boolean;
  /** It may leave the machine under verified TLS only. */
  readonly requireTls: boolean;
  readonly priority: Priority;
  readonly tag: string | null;
  /** Attempts recorded so far. */
  readonly attempts: number;
  /** Times in a row that the relay ended without warning while it worked on this delivery. */
  readonly crashes: number;
  readonly acceptedAt: number;
  /** When it became due. */
  readonly dueAt: number;
  readonly deadline: number;
}

/** A slot held for a delivery that is about to be accepted, so that its attempt starts with the commit. */
export interface HeadStart {
  /** How long the lease is to run. */
  readonly leaseMs: number;
  /** The delivery was accepted under `lease`: its attempt begins. */
  begin(lease: Lease): void;
  /** Nothing was accepted: the slot is free again. */
  cancel(): void;
}

export interface ClaimRequest {
  readonly route: string;
  readonly limit: number;
}

/** What the queue decided after an attempt. */
export type Settlement =
  /** `captured`: a sandbox route took it, and its content is kept to be looked at. */
  | { readonly state: 'delivered'; readonly captured: boolean }
  | { readonly state: 'bounced' }
  | { readonly state: 'expired' | 'quarantined'; readonly reason: string }
  | { readonly state: 'deferred'; readonly dueAt: number; readonly route: string };

export interface QueueStore {
  /**
   * Leases due deliveries, per request at most `limit`: most urgent lane first, then the longest due. Deliveries past their
   * deadline are not leased. A delivery that was interrupted by a crash before (`crashes` > 0) is leased only while no other
   * such delivery is under lease, so that a poison message is told from its neighbours.
   */
  claim(requests: readonly ClaimRequest[], now: number, leaseMs: number): Promise<readonly Lease[]>;
  /** Extends a lease to `leaseUntil`; `lost` when it has passed on. */
  renew(lease: Lease, leaseUntil: number): Promise<'kept' | 'lost'>;
  /** Attempt, new state and event in one transaction; `lost`, and nothing written, when the lease has passed on. */
  settle(lease: Lease, outcome: Outcome, settlement: Settlement, now: number): Promise<'settled' | 'lost'>;
  /** Gives a delivery back as it was: no attempt is recorded, it is due at `dueAt`. */
  release(lease: Lease, dueAt: number): Promise<'released' | 'lost'>;
  /**
   * Takes back leases that ran out before `now`. Each is recorded as an `uncertain` attempt (the copy may have gone out),
   * counts as a crash, and is due at once, after a second crash some seconds later, or `quarantined`: after `crashLimit`
   * crashes in which nothing else was in work, or twice as many in all. Returns how many.
   */
  reclaimExpired(now: number, crashLimit: number): Promise<number>;
  /** Moves undelivered deliveries past their deadline to `expired`, at most `limit` a call. Returns how many. */
  expireDue(now: number, limit: number): Promise<number>;
  /**
   * Puts undelivered deliveries on routes that are not in `routes` onto the first of their own `via` that is. Those with
   * none wait as they are, for a config that has one again: a route that no rule chose is never used. Returns how many
   * were moved.
   */
  reroute(routes: readonly string[]): Promise<number>;
  /** For each route with waiting deliveries: when the next one is due, and the next deadline or lease end of all. */
  nextDue(): Promise<{
    readonly routes: ReadonlyMap<string, number>;
    readonly nextDeadline: number | null;
    readonly nextLeaseEnd: number | null;
  }>;
  /** The bytes of an accepted message, or null when they are gone. */
  content(messageId: MessageId): Promise<Uint8Array | null>;
  /** An operator's wish for one delivery or all undelivered ones of a message. */
  retryNow(target: MessageId | DeliveryId, now: number): Promise<OperatorResult>;
  cancel(target: MessageId | DeliveryId, now: number, reason: string): Promise<OperatorResult>;
}

/** Which deliveries an operator's command changed, and why others were not. */
export interface OperatorResult {
  readonly changed: readonly DeliveryId[];
  readonly unchanged: readonly { readonly id: DeliveryId; readonly state: DeliveryState; readonly reason: string }[];
}

// --------------------------------------------------------------- history

export interface MessageView extends MessageRecord {
  readonly contentKept: boolean;
  readonly deliveries: readonly DeliveryView[];
}

export interface DeliveryView {
  readonly id: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly state: DeliveryState;
  readonly attempts: number;
  readonly rule: string;
  readonly ruleReason: string;
  readonly via: readonly string[];
  readonly route: string;
  readonly nextAttemptAt: number | null;
  readonly lastResponse: string | null;
  readonly deliveredAt: number | null;
  readonly updatedAt: number;
}

export interface AttemptView extends EventAttempt {
  readonly deliveryId: DeliveryId;
  readonly startedAt: number;
}

export interface MessageFilter {
  readonly tag?: string;
  readonly state?: DeliveryState;
  readonly recipient?: string;
  readonly flow?: string;
  readonly sinceMs?: number;
  readonly limit: number;
  /** Messages older than this id, for the next page. */
  readonly before?: MessageId;
}

export interface EventFilter {
  readonly afterSeq?: number;
  readonly types?: readonly EventType[];
  readonly tag?: string;
  readonly state?: string;
  readonly recipient?: string;
  readonly sinceMs?: number;
  readonly limit: number;
}

export interface StatsRow {
  readonly tag: string | null;
  readonly accepted: number;
  readonly states: Readonly<Partial<Record<DeliveryState, number>>>;
  /** Milliseconds from acceptance to the next hop's 250, of delivered ones; null when there are none. */
  readonly p50Ms: number | null;
  readonly p95Ms: number | null;
  readonly p99Ms: number | null;
}

export interface QueueRow {
  readonly messageId: MessageId;
  readonly deliveryId: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly state: DeliveryState;
  readonly route: string;
  readonly priority: Priority;
  readonly tag: string | null;
  readonly attempts: number;
  readonly acceptedAt: number;
  readonly dueAt: number | null;
  readonly deadline: number;
  readonly lastResponse: string | null;
}

/** Reading. Never waits for a commit of another, sees every commit that was answered before the call. */
export interface HistoryStore {
  message(id: MessageId): Promise<MessageView | null>;
  attempts(id: MessageId): Promise<readonly AttemptView[]>;
  /** Message ids, newest first. `key` is a message id, a Message-ID with or without brackets, a recipient or a flow. */
  find(key: string, by: 'any' | 'flow', limit: number): Promise<readonly MessageId[]>;
  messages(filter: MessageFilter): Promise<readonly MessageView[]>;
  /** Everything about one message in order of `seq`. Works for rejected messages too. */
  eventsOf(id: MessageId): Promise<readonly RelayEvent[]>;
  /** Events in order of `seq`, from `afterSeq`. Without it: the newest `limit`, still in order of `seq`. */
  events(filter: EventFilter): Promise<readonly RelayEvent[]>;
  /** Ids of rejected messages that named `recipient`, newest first. */
  rejectedFor(recipient: string, limit: number): Promise<readonly MessageId[]>;
  stats(sinceMs: number): Promise<readonly StatsRow[]>;
  /** Undelivered and quarantined deliveries, most urgent first. */
  queue(limit: number): Promise<readonly QueueRow[]>;
  content(id: MessageId): Promise<Uint8Array | null>;
}

// ------------------------------------------------------- health and upkeep

export interface StoreHealth {
  /** False: nothing is to be accepted now; `reason` says why, `kind` tells a full disk from other trouble. */
  readonly accepting: boolean;
  readonly kind: 'ok' | 'full' | 'io';
  readonly reason: string;
}

export interface QueueFigures {
  /** Deliveries by state, of the states that are not final, and quarantined. */
  readonly byState: Readonly<Partial<Record<DeliveryState, number>>>;
  /** Acceptance time of the oldest undelivered delivery by priority. */
  readonly oldestAcceptedAt: Readonly<Partial<Record<Priority, number>>>;
}

export interface HealthStore {
  /** What is known now, without a wait. */
  current(): StoreHealth;
  /** Called when `accepting` changes. */
  onChange(listener: (health: StoreHealth) => void): void;
  /** Looks again (a probe write, free space), and updates `current`. */
  probe(): Promise<StoreHealth>;
  figures(): Promise<QueueFigures>;
  /** Milliseconds and operations of each commit, as they happen; for metrics. */
  onCommit(listener: (commit: { readonly ms: number; readonly operations: number }) => void): void;
  /** Called when another process changed the database (a command on the same machine). */
  onOutsideChange(listener: () => void): void;
}

export interface EventFeed {
  /**
   * Calls `listener` with the events of each commit of this process, in order of `seq`, after the commit and before the
   * promise of the call that caused them resolves. For the log, metrics, and whoever follows live.
   */
  onEvents(listener: (events: readonly RelayEvent[]) => void): void;
}

export interface UpkeepStore {
  /** Deletes content of settled messages that is past its time, at most `limit` messages. Returns how many. */
  dropContent(settledBefore: number, sandboxBefore: number, limit: number): Promise<number>;
  /** Deletes messages that settled before `before` with all they own, and events as old; at most `limit`. Returns how many. */
  dropHistory(before: number, limit: number): Promise<number>;
}
