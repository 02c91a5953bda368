/**
 * What the relay asks of its memory. One method, one business fact, one transaction.
 *
 * No SQL, row type or transaction handle leaves `store/`. Rooms receive only their slice. Every write resolves after it is
 * durable (fsync), and rejects with a `RelayError` (`store-io`, `store-full`, `store-closed`) when it is not: then nothing of
 * it happened. Times are epoch milliseconds given by the caller.
 */
import type { EnvelopeAddress, ReversePath } from '../core/address.ts';
import type { Bounce } from '../core/bounce.ts';
import type { DeliveryState } from '../core/delivery.ts';
import type { EventAttempt, EventReport, RelayEvent } from '../core/event.ts';
import type { QueueFigures, StoreSizes } from '../core/figures.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { LaneRoom } from '../core/lane-room.ts';
import type { EnvelopeDsn, MessageRecord, NewDelivery, Priority, RecipientDsn } from '../core/message.ts';
import type { Outcome } from '../core/outcome.ts';
import type { Refusal } from '../core/refusal.ts';
import type { HistoryStore } from './history.ts';
import type { OutboxStore } from './outbox.ts';

export interface Store {
  readonly intake: IntakeStore;
  readonly queue: QueueStore;
  readonly history: HistoryStore;
  readonly health: HealthStore;
  readonly upkeep: UpkeepStore;
  readonly feed: EventFeed;
  readonly suppressions: SuppressionStore;
  readonly feedback: FeedbackStore;
  readonly reports: ReportStore;
  readonly domains: DomainStore;
  readonly outbox: OutboxStore;
  /** Finishes what was asked for, folds the write-ahead log in, and closes. Later calls reject with `store-closed`. */
  stop(): Promise<void>;
}

// ---------------------------------------------------------------- intake

/** At most `count` deliveries in any `perMs` milliseconds; those that are throttled or suppressed do not count. */
export interface Throttle {
  /** What is counted together: `tag:password-reset`, `credential:keycloak`. */
  readonly scope: string;
  /** Counted for each recipient, or for all of them together. */
  readonly per: 'recipient' | 'scope';
  readonly count: number;
  readonly perMs: number;
}

/** An idempotency key, scoped to one credential. */
export interface IdempotencyClaim {
  /** Username, or the empty string for clients without one. */
  readonly scope: string;
  readonly key: string;
  readonly expiresAt: number;
  /** Of what the message says and to whom (`intake/digest.ts`): equal when an app sends the same thing again. */
  readonly digest: string;
}

export interface NewMessage {
  readonly record: MessageRecord;
  readonly deliveries: readonly NewDelivery[];
  /** The bytes that will be sent. The store may take the memory over: the caller must not change them afterwards. */
  readonly content: Uint8Array;
  readonly idempotency: IdempotencyClaim | null;
  /** Not null, for a message with one delivery: it begins life under a lease of this length, as if claimed at once. */
  readonly leaseMs: number | null;
  /**
   * Older undelivered messages with the same scope to the same recipient are `superseded` by this one, in the same
   * transaction. One that is being sent is marked: it becomes `superseded` when its attempt ends without a delivery.
   */
  readonly collapseScope: string | null;
  /** `apply`: a recipient on the suppression list gets state `suppressed`, and nothing is sent. */
  readonly suppression: 'apply' | 'bypass';
  /** A delivery over one of these gets state `throttled`, and nothing is sent. */
  readonly throttles: readonly Throttle[];
  /** Not delivered so long after acceptance: `message.delayed`, once; null: never. */
  readonly delayedAfterMs: number | null;
  /** Whether a report is owed to the envelope sender as far as each recipient's NOTIFY asks for it (RFC 3461). */
  readonly wantsReports: boolean;
  /** This message is the report with that number: what is owed is paid in the same transaction. */
  readonly paysReport: number | null;
}

export type AcceptResult =
  | {
      readonly kind: 'accepted';
      readonly lease: Lease | null;
      /** Older deliveries that this message replaces and that are being sent just now: their attempts can be broken off. */
      readonly interrupt: readonly DeliveryId[];
    }
  /** The idempotency key was used before, for the same: nothing was written. */
  | { readonly kind: 'duplicate'; readonly messageId: MessageId }
  /** The idempotency key was used before, for something else: nothing was written. */
  | { readonly kind: 'conflict'; readonly messageId: MessageId };

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
  /** Why the deadline is what it is; `give-up`: nobody asked for one. */
  readonly deadlineSource: MessageRecord['deadlineSource'];
  /** Where it counts against the limit of a route that has one for each recipient domain; empty on other routes. */
  readonly destination: string;
  /** Attempts recorded so far. */
  readonly attempts: number;
  /** Steps of the retry ladder taken so far. */
  readonly rounds: number;
  /** Times in a row that the relay ended without warning while it worked on this delivery. */
  readonly crashes: number;
  readonly acceptedAt: number;
  /** When it became due. */
  readonly dueAt: number;
  readonly deadline: number;
}

/** A delivery that is about to be accepted, as far as it decides whether its attempt may start with the commit. */
export interface Arrival {
  readonly route: string;
  readonly priority: Priority;
  readonly recipient: EnvelopeAddress;
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
  /** How many deliveries may start now: one of lane `i` only while fewer than `room[i]` of this claim have started. */
  readonly room: LaneRoom;
  /** For a route with a limit for each recipient domain; null: it has none. */
  readonly destinations: DestinationRoom | null;
}

/** At a destination with `n` deliveries in work, one of lane `i` may start while `n` is below `room[i]`. */
export interface DestinationRoom {
  readonly room: LaneRoom;
  /** Destinations with deliveries in work, and how many. */
  readonly busy: readonly (readonly [destination: string, count: number])[];
}

/** One try over one route; a delivery attempt that moves on to another route consists of several. */
export interface Try {
  readonly route: string;
  /** Epoch milliseconds. */
  readonly startedAt: number;
  readonly outcome: Outcome;
}

/** When something is due on a route, by lane; null: nothing waits in it. */
export type LaneTimes = readonly [critical: number | null, normal: number | null, bulk: number | null];

/** A route to which deliveries can be moved. */
export interface UsableRoute {
  readonly name: string;
  /** It has a limit for each recipient domain. */
  readonly byDestination: boolean;
}

/** What the queue decided after an attempt. */
export type Settlement =
  /** `captured`: a sandbox route took it, and its content is kept to be looked at. */
  | { readonly state: 'delivered'; readonly captured: boolean }
  /** `suppressUntil`: the recipient goes on the suppression list up to then (epoch milliseconds). */
  | { readonly state: 'bounced'; readonly bounce: Bounce; readonly suppressUntil: number | null }
  | { readonly state: 'expired' | 'quarantined'; readonly reason: string }
  | {
      readonly state: 'deferred';
      readonly dueAt: number;
      readonly route: string;
      readonly byDestination: boolean;
      /** Steps of the ladder taken so far; absent: as many as before, for a wait that is no step of it. */
      readonly rounds?: number;
    };

export interface QueueStore {
  /**
   * Leases due deliveries as far as each request has room: most urgent lane first, then the longest due; on a route with
   * destinations, a full one is passed over and the others take turns. Deliveries past their
   * deadline are not leased. A delivery that was interrupted by a crash before (`crashes` > 0) is leased only while no other
   * such delivery is under lease, so that a poison message is told from its neighbours.
   */
  claim(requests: readonly ClaimRequest[], now: number, leaseMs: number): Promise<readonly Lease[]>;
  /** Extends a lease to `leaseUntil`; `lost` when it has passed on. */
  renew(lease: Lease, leaseUntil: number): Promise<'kept' | 'lost'>;
  /**
   * Records each of `tries` (one or more, in order) as an attempt, the new state, and one event, in one transaction; `lost`,
   * and nothing written, when the lease has passed on. `superseded`: a newer message came meanwhile, and what would have
   * been tried again, or have expired, has ended instead.
   */
  settle(
    lease: Lease,
    tries: readonly Try[],
    settlement: Settlement,
    now: number,
  ): Promise<'settled' | 'superseded' | 'lost'>;
  /**
   * Gives a delivery back as it was: no attempt is recorded, it is due at `dueAt`. `superseded`: it has ended instead,
   * because a newer message came meanwhile.
   */
  release(lease: Lease, dueAt: number): Promise<'released' | 'superseded' | 'lost'>;
  /**
   * Takes back leases that ran out before `now`. Each is recorded as an `uncertain` attempt (the copy may have gone out),
   * counts as a crash, and is due at once, after a second crash some seconds later, or `quarantined`: after `crashLimit`
   * crashes in which nothing else was in work, or twice as many in all. Returns how many.
   */
  reclaimExpired(now: number, crashLimit: number): Promise<number>;
  /** `message.delayed` for undelivered deliveries whose time for it has come, at most `limit` a call. Returns how many. */
  markDelayed(now: number, limit: number): Promise<number>;
  /** Moves undelivered deliveries past their deadline to `expired`, at most `limit` a call. Returns how many. */
  expireDue(now: number, limit: number): Promise<number>;
  /**
   * Puts undelivered deliveries on routes that are not in `routes` onto the first of their own `via` that is. Those with
   * none wait as they are, for a config that has one again: a route that no rule chose is never used. Returns how many
   * were moved.
   */
  reroute(routes: readonly UsableRoute[]): Promise<number>;
  /** `route.down` or `route.up`, as an event. */
  routeChanged(change: RouteChange): Promise<void>;
  /**
   * For each route with waiting deliveries: when the next one is due in each lane, and the next deadline, `message.delayed`
   * or lease end of all. Deliveries at destinations that `destinations` (by route) says are full for their lane do not count:
   * they are to be asked for again when one of theirs has ended.
   */
  nextDue(destinations: ReadonlyMap<string, DestinationRoom>): Promise<{
    readonly routes: ReadonlyMap<string, LaneTimes>;
    readonly nextDeadline: number | null;
    readonly nextDelay: number | null;
    readonly nextLeaseEnd: number | null;
  }>;
  /** The bytes of an accepted message, or null when they are gone. */
  content(messageId: MessageId): Promise<Uint8Array | null>;
  /** An operator's wish for one delivery or all undelivered ones of a message. */
  retryNow(target: MessageId | DeliveryId, now: number): Promise<OperatorResult>;
  cancel(target: MessageId | DeliveryId, now: number, reason: string): Promise<OperatorResult>;
}

export interface RouteChange {
  readonly type: 'route.down' | 'route.up';
  readonly route: string;
  /** One line, cleaned. */
  readonly reason: string;
  /** Epoch milliseconds. */
  readonly at: number;
}

/** Which deliveries an operator's command changed, and why others were not. */
export interface OperatorResult {
  readonly changed: readonly DeliveryId[];
  readonly unchanged: readonly { readonly id: DeliveryId; readonly state: DeliveryState; readonly reason: string }[];
}

// ----------------------------------------------- suppressions and feedback

export interface Suppression {
  readonly recipient: EnvelopeAddress;
  /** `bounce`: a next hop or a report said that it does not exist; `complaint`: it called mail of ours spam. */
  readonly reason: 'bounce' | 'complaint' | 'manual';
  /** One line: the reply, the report, or the operator's words. */
  readonly detail: string;
  /** The message that led to it; null for an operator's. */
  readonly messageId: MessageId | null;
  readonly createdAt: number;
  /** Epoch milliseconds; null: until it is removed by hand. */
  readonly expiresAt: number | null;
}

/** Recipients that get no mail. Letter case of an address does not count. Entries past their time count as absent. */
export interface SuppressionStore {
  get(recipient: EnvelopeAddress, now: number): Promise<Suppression | null>;
  /** In the order of addresses; `after`: the last address of the page before. */
  list(now: number, limit: number, after: string | null): Promise<readonly Suppression[]>;
  /** Adds or replaces. */
  put(suppression: Suppression): Promise<void>;
  /** Returns whether there was one. */
  remove(recipient: EnvelopeAddress, now: number): Promise<boolean>;
}

/** What a report that came in by mail says of one delivery. */
export interface Feedback {
  readonly deliveryId: DeliveryId;
  readonly at: number;
  readonly report: EventReport;
  readonly kind:
    | { readonly type: 'bounced'; readonly bounce: Bounce; readonly suppressUntil: number | null }
    | { readonly type: 'complained'; readonly suppressUntil: number | null }
    /** The next hop is still trying. */
    | { readonly type: 'delayed' };
}

export interface FeedbackStore {
  /** 32 octets that only this database knows: return paths are authenticated with them. */
  secret(): Promise<Uint8Array>;
  /** Whether the delivery exists, for a recipient of a report. */
  knows(deliveryId: DeliveryId): Promise<boolean>;
  /** Deliveries of the message with this Message-ID (with angle brackets), newest message first. */
  byMessageId(
    headerMessageId: string,
  ): Promise<readonly { readonly id: DeliveryId; readonly recipient: EnvelopeAddress }[]>;
  /**
   * The event on its delivery and the suppression, in one transaction. The delivery's state stays as it is: the next hop had
   * taken it. `duplicate`: the same was reported before, nothing is written; `unknown`: the delivery is gone.
   */
  record(feedback: Feedback): Promise<'recorded' | 'duplicate' | 'unknown'>;
}

/** A report that is owed to an envelope sender (RFC 3464). Written in the transaction that made it due. */
export interface PendingReport {
  readonly number: number;
  /**
   * `relayed`: handed to a next hop that cannot tell the sender, who asked to hear of success (RFC 3461, section 5.2.2): it has
   * no DSN, or was given a return path of ours.
   */
  readonly action: 'failed' | 'delayed' | 'relayed' | 'delivered';
  /** When what is reported happened. */
  readonly at: number;
  readonly record: MessageRecord;
  readonly deliveryId: DeliveryId;
  readonly recipient: EnvelopeAddress;
  readonly recipientDsn: RecipientDsn | null;
  readonly state: DeliveryState;
  /** Of the last attempt, or null when there was none. */
  readonly attempt: EventAttempt | null;
  readonly bounce: Bounce | null;
  /** Why, when no attempt tells it. */
  readonly reason: string | null;
}

export interface ReportStore {
  /** Oldest first. The content of their messages is kept until they are paid. */
  pending(limit: number): Promise<readonly PendingReport[]>;
  /** This one cannot be sent: it is owed no more. */
  drop(number: number): Promise<void>;
}

/** What is remembered of recipient domains for direct delivery. */
export interface DomainStore {
  policy(domain: string): Promise<StsRecord | null>;
  putPolicy(record: StsRecord): Promise<void>;
  removePolicy(domain: string): Promise<void>;
  /** The best TLS seen at a domain's MX hosts since `since`; null: none, or never spoken to. */
  tlsLevel(domain: string, since: number): Promise<'encrypted' | 'verified' | null>;
  noteTlsLevel(domain: string, level: 'encrypted' | 'verified', at: number): Promise<void>;
}

/** A cached MTA-STS policy (RFC 8461). */
export interface StsRecord {
  readonly domain: string;
  /** `id` of the TXT record that it was fetched for. */
  readonly id: string;
  readonly mode: 'enforce' | 'testing' | 'none';
  readonly mx: readonly string[];
  /** Epoch milliseconds. */
  readonly fetchedAt: number;
  readonly expiresAt: number;
}

// ------------------------------------------------------- health and upkeep

export interface StoreHealth {
  /** False: nothing is to be accepted now; `reason` says why, `kind` tells a full disk from other trouble. */
  readonly accepting: boolean;
  readonly kind: 'ok' | 'full' | 'io';
  readonly reason: string;
}

export interface HealthStore {
  /** What is known now, without a wait. */
  current(): StoreHealth;
  /** Called when `accepting` changes. */
  onChange(listener: (health: StoreHealth) => void): void;
  /** Looks again (a probe write, free space), and updates `current`. */
  probe(): Promise<StoreHealth>;
  figures(): Promise<QueueFigures>;
  /** Looks at the files; rejects with `store-io` when they cannot be looked at. */
  sizes(): Promise<StoreSizes>;
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
  /**
   * Deletes messages that settled before `before` with all they own, and events as old, but for those that a webhook still has
   * to get and all after them; at most `limit`. Returns how many.
   */
  dropHistory(before: number, limit: number): Promise<number>;
}
