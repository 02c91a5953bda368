/**
 * What is read of the past: the slice `Store.history`, and what its reads answer with. The API and the commands show it.
 *
 * Times are epoch milliseconds.
 */
import type { EnvelopeAddress } from '../core/address.ts';
import type { Bounce } from '../core/bounce.ts';
import type { DeliveryState } from '../core/delivery.ts';
import type { EventAttempt, EventType, RelayEvent } from '../core/event.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { MessageRecord, Priority } from '../core/message.ts';

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
  /** Of a bounced delivery. */
  readonly bounce: Bounce | null;
  /** A newer message took its place, or came when it was too late for that (state `delivered`). */
  readonly supersededBy: MessageId | null;
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
  /** How the recipient begins, a domain in it as A-labels; letter case does not count. The cost grows with `deliveriesTo`. */
  readonly recipientPrefix?: string;
  readonly flow?: string;
  /** The Message-ID with its angle brackets. */
  readonly headerMessageId?: string;
  /** Accepted at or after this. */
  readonly sinceMs?: number;
  /** Accepted before this. */
  readonly untilMs?: number;
  readonly limit: number;
  /** Messages older than this id, for the next page. */
  readonly before?: MessageId;
}

/** How many events are looked through for those of one route, where nothing else narrows them. */
export const ROUTE_REACH = 200_000;

export interface EventFilter {
  readonly afterSeq?: number;
  /** Only what came before this `seq`. */
  readonly beforeSeq?: number;
  readonly types?: readonly EventType[];
  readonly tag?: string;
  readonly state?: string;
  readonly recipient?: string;
  readonly flow?: string;
  /**
   * Of the last try of an attempt, or the one that went down or came up. No index has it: without `sinceMs`, `afterSeq`, `flow` or
   * `recipient` only the newest `ROUTE_REACH` events (before `beforeSeq`) are looked at.
   */
  readonly route?: string;
  readonly sinceMs?: number;
  /** Up to and with that moment. */
  readonly untilMs?: number;
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

/** Counts and percentiles of deliveries that were accepted in a span, of one tag. */
export type TrendFigures = StatsRow;

/** Those of the slot that begins `at`. */
export interface TrendPoint extends TrendFigures {
  readonly at: number;
}

/** Tries that did not deliver, of one kind; `response` is the newest answer. */
export interface FaultRow {
  readonly route: string;
  readonly outcome: string;
  readonly cause: string | null;
  readonly stage: string;
  readonly code: number | null;
  readonly enhanced: string | null;
  readonly count: number;
  readonly response: string;
  readonly lastAt: number;
}

export interface TrendQuery {
  readonly sinceMs: number;
  readonly untilMs: number;
  /** A multiple of five minutes, or of an hour for what is older than a day. */
  readonly stepMs: number;
  /** `''`: mail without a tag. */
  readonly tag?: string;
  /** How many kinds of faults at most. */
  readonly topFaults: number;
}

export interface Trend {
  /** The beginning of the first slot. */
  readonly sinceMs: number;
  readonly stepMs: number;
  /** In order of time; a slot in which nothing was accepted is absent. */
  readonly points: readonly TrendPoint[];
  /** Of the whole span, busiest tag first. */
  readonly totals: readonly TrendFigures[];
  /** Of the hours that begin in the span, and of the one in which it begins; most frequent first. */
  readonly faults: readonly FaultRow[];
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
  /** How many deliveries are to recipients that begin with `prefix`; no more than `limit` are counted. */
  deliveriesTo(prefix: string, limit: number): Promise<number>;
  /** Everything about one message in order of `seq`. Works for rejected messages too. */
  eventsOf(id: MessageId): Promise<readonly RelayEvent[]>;
  /** Events in order of `seq`, from `afterSeq`. Without it: the newest `limit`, still in order of `seq`. */
  events(filter: EventFilter): Promise<readonly RelayEvent[]>;
  /** Ids of rejected messages that named `recipient`, newest first. */
  rejectedFor(recipient: string, limit: number): Promise<readonly MessageId[]>;
  /** Counted one by one, in a time that grows with the span; `trend` is quick whatever the traffic was. */
  stats(sinceMs: number): Promise<readonly StatsRow[]>;
  /** Volume, outcomes, percentiles and faults over time. */
  trend(query: TrendQuery): Promise<Trend>;
  /** Undelivered and quarantined deliveries, most urgent first. */
  queue(limit: number): Promise<readonly QueueRow[]>;
  content(id: MessageId): Promise<Uint8Array | null>;
}
