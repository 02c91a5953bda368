/**
 * What can be asked of the writing and of the reading connection, as plain synchronous functions.
 *
 * These run next to SQLite, in a thread of their own; `open.ts` offers them to the relay as the slices of `Store`. Every
 * value is JSON, but for message content, which is a top-level argument or result and travels as bytes (`wire.ts`).
 */
import type { RelayErrorCode } from '../../core/errors.ts';
import type { EnvelopeAddress } from '../../core/address.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import type { QueueFigures } from '../../core/figures.ts';
import type { HistoryStore } from '../history.ts';
import type {
  AcceptResult,
  ClaimRequest,
  DestinationRoom,
  Feedback,
  LaneTimes,
  Lease,
  NewMessage,
  OperatorResult,
  PendingReport,
  RejectedMessage,
  RouteChange,
  Settlement,
  StsRecord,
  Suppression,
  Try,
  UsableRoute,
} from '../store.ts';
import type {
  OutboxDelivery,
  OutboxEndpoint,
  OutboxFigures,
  OutboxStanding,
  OutboxState,
  OutboxTry,
  OutboxWork,
  ReplaySelection,
} from '../outbox.ts';
import type { Reroute } from './reroute.ts';
import type { Trouble } from './trouble.ts';

/** What of a lease the store needs to know it again. */
export type LeaseTicket = Pick<Lease, 'deliveryId' | 'token'>;

export interface DueTimes {
  readonly routes: readonly (readonly [route: string, dueAt: LaneTimes])[];
  readonly nextDeadline: number | null;
  readonly nextDelay: number | null;
  readonly nextLeaseEnd: number | null;
}

/** `OVERWRITE`: start the log over, and leave nothing readable of what was in it; `TRUNCATE` does so too before it cuts. */
export type CheckpointMode = 'PASSIVE' | 'RESTART' | 'OVERWRITE' | 'TRUNCATE';

/** Frames in the write-ahead log, and how many of them are in the database file already. */
export interface WalState {
  readonly frames: number;
  readonly folded: number;
}

export interface WriterCalls {
  /** First of all: a new epoch of lease tokens. `voidLeases`: no other process can hold a lease, so all have run out. */
  begin(voidLeases: boolean): null;
  accept(message: Omit<NewMessage, 'content'>, content: Uint8Array): AcceptResult;
  reject(message: RejectedMessage): null;
  claim(requests: readonly ClaimRequest[], now: number, leaseMs: number): readonly Lease[];
  renew(lease: LeaseTicket, leaseUntil: number): 'kept' | 'lost';
  settle(
    lease: LeaseTicket,
    tries: readonly Try[],
    settlement: Settlement,
    now: number,
  ): 'settled' | 'superseded' | 'lost';
  release(lease: LeaseTicket, dueAt: number, now: number): 'released' | 'superseded' | 'lost';
  reclaimExpired(now: number, crashLimit: number, limit: number): number;
  markDelayed(now: number, limit: number): number;
  expireDue(now: number, limit: number): number;
  reroute(changes: readonly Reroute[]): number;
  routeChanged(change: RouteChange): null;
  nextDue(destinations: readonly (readonly [route: string, room: DestinationRoom])[]): DueTimes;
  content(messageId: MessageId): Uint8Array | null;
  retryNow(target: MessageId | DeliveryId, now: number): OperatorResult;
  cancel(target: MessageId | DeliveryId, now: number, reason: string): OperatorResult;
  putSuppression(suppression: Suppression): null;
  removeSuppression(recipient: EnvelopeAddress, now: number): boolean;
  recordFeedback(feedback: Feedback): 'recorded' | 'duplicate' | 'unknown';
  dropReport(number: number): null;
  putPolicy(record: StsRecord): null;
  removePolicy(domain: string): null;
  noteTlsLevel(domain: string, level: 'encrypted' | 'verified', at: number): null;
  syncOutbox(
    endpoints: readonly OutboxEndpoint[],
    now: number,
  ): { readonly standings: readonly OutboxStanding[]; readonly removed: readonly string[] };
  /** Forgets up to `limit` events of an endpoint that the config has no more, and at last the endpoint: then true. */
  forgetOutbox(name: string, limit: number): boolean;
  enableOutbox(name: string, now: number): boolean;
  outboxWork(name: string, now: number, room: number, busy: readonly number[]): OutboxWork;
  recordOutbox(name: string, made: OutboxTry): 'recorded' | 'lost';
  hastenOutbox(name: string, now: number, limit: number): number;
  giveUpOutbox(name: string, bornBefore: number, now: number, limit: number): number;
  /** `seqs` ascending. Returns how many of them are still in the log. */
  replayOutbox(name: string, seqs: readonly number[], now: number): number;
  /** Encrypts up to `limit` messages that an older version left in plain; returns how many. */
  sealPlain(limit: number): number;
  dropContent(settledBefore: number, sandboxBefore: number, limit: number): number;
  dropHistory(before: number, now: number, limit: number): number;
  /** A small durable write. */
  probe(now: number): null;
  /** Changes when another connection has committed. */
  dataVersion(): number;
  checkpoint(mode: CheckpointMode): WalState;
}

/** The methods of `HistoryStore`, without the waiting. */
type Now<T> = {
  readonly [K in keyof T]: T[K] extends (...args: infer A) => Promise<infer R> ? (...args: A) => R : never;
};

export interface ReaderCalls extends Now<HistoryStore> {
  figures(): QueueFigures;
  /** Whether an older version left content in plain. */
  plainLeft(): boolean;
  /**
   * Open deliveries on routes that are not in `routes`, as far as one of their own routes is, and those whose destination
   * does not fit their route.
   */
  reroutable(routes: readonly UsableRoute[]): readonly Reroute[];
  suppression(recipient: EnvelopeAddress, now: number): Suppression | null;
  suppressions(now: number, limit: number, after: string | null): readonly Suppression[];
  secret(): Uint8Array;
  knows(deliveryId: DeliveryId): boolean;
  byMessageId(headerMessageId: string): readonly { readonly id: DeliveryId; readonly recipient: EnvelopeAddress }[];
  pendingReports(limit: number): readonly PendingReport[];
  policy(domain: string): StsRecord | null;
  tlsLevel(domain: string, since: number): 'encrypted' | 'verified' | null;
  outboxFigures(): readonly OutboxFigures[];
  outboxDeliveries(
    name: string,
    filter: { readonly state?: OutboxState; readonly before?: number; readonly limit: number },
  ): readonly OutboxDelivery[] | null;
  /** The events of a piece of `selection`, from the one after `after` on; `next`: where the next piece begins, null: nowhere. */
  outboxSelect(
    name: string,
    selection: ReplaySelection,
    after: number,
    limit: number,
  ): { readonly seqs: readonly number[]; readonly unknown: readonly string[]; readonly next: number | null } | null;
  /** Folds the write-ahead log on a connection of its own, so that commits go on meanwhile. */
  checkpoint(): WalState;
  /** Octets free on the database's disk after the reserve is back in place; null: the database is in memory. */
  freeBytes(floorBytes: number): number | null;
}

/** One call on its way: the name of a function and its arguments. */
export interface Call {
  readonly name: string;
  readonly args: readonly unknown[];
}

export type CallResult =
  | { readonly ok: true; readonly value: unknown }
  /** `code` null: a bug, not the environment. */
  | { readonly ok: false; readonly code: RelayErrorCode | null; readonly message: string };

export interface Reply {
  /** One per call, in order. */
  readonly results: readonly CallResult[];
  /** Milliseconds from the start of the batch to the end of its commit. */
  readonly ms: number;
  /** Calls that wrote; 0: nothing was committed. */
  readonly writes: number;
  readonly trouble: Trouble | null;
  readonly wal: WalState;
  /** The events that the batch committed, in order of `seq`, each as the JSON text of a `RelayEvent`. */
  readonly events: readonly string[];
}

/** Runs calls against one connection. */
export interface Engine {
  run(calls: readonly Call[]): Reply;
  close(): void;
}

/** The way to an engine, wherever it runs. Rejects with a `RelayError` when the engine is gone. */
export interface Host {
  send(calls: readonly Call[]): Promise<Reply>;
  /** Lets the engine finish what it has, and closes it. */
  stop(): Promise<void>;
}

/**
 * How a call is to be run: `read` needs no commit; `write` needs one; `intake` brings new mail, which is refused first when
 * the disk is full; `alone` cannot run inside a transaction.
 */
export type Access = 'read' | 'write' | 'intake' | 'alone';

/** The functions of `C`, each with its way of running. */
export type Procedures<C> = { readonly [K in keyof C]: { readonly access: Access; readonly run: C[K] } };

/** A procedure without its types, for the engine that dispatches by name. */
export interface Procedure {
  readonly access: Access;
  run(...args: readonly unknown[]): unknown;
}
