/** Outcomes, folders and opened stores for the tests of the store. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { createIds, type DeliveryId, type Ids, type MessageId } from '../../src/core/ids.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { LaneRoom } from '../../src/core/lane-room.ts';
import type { DestinationRoom, Lease, Settlement, Store, Try } from '../../src/store/store.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { type MessageWishes, newMessage } from './message.ts';

export const START_MS: number = Date.UTC(2026, 0, 5, 10);
export const LEASE_MS = 60_000;

/** A folder of this test's own, removed when it ends. */
export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'relay-store-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

const FACTS = {
  stage: 'dot',
  nextHop: 'smtp.ses.example:587',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  timings: { queue: 1, connect: 12, tls: 20, transaction: 30 },
} as const;

export const DELIVERED: Outcome = { ...FACTS, kind: 'delivered', code: 250, enhanced: '2.0.0', response: 'Ok 1' };
export const DEFERRED: Outcome = {
  ...FACTS,
  kind: 'deferred',
  cause: 'recipient',
  code: 450,
  enhanced: '4.2.1',
  response: 'try later',
};
const NO_ANSWER = { code: null, enhanced: null, response: 'no answer' } as const;
export const REFUSED: Outcome = { ...FACTS, ...NO_ANSWER, kind: 'deferred', cause: 'connect', stage: 'connect' };
/** The final dot was written, and no answer came. */
export const UNCERTAIN: Outcome = { ...FACTS, ...NO_ANSWER, kind: 'uncertain', cause: 'connect' };
export const REJECTED: Outcome = {
  ...FACTS,
  kind: 'rejected',
  cause: 'recipient',
  code: 550,
  enhanced: '5.1.1',
  response: 'no such user',
};

/** A bounce that suppresses nobody. */
export const BOUNCED: Extract<Settlement, { readonly state: 'bounced' }> = {
  state: 'bounced',
  bounce: { class: 'recipient', why: 'enhanced code 5.1.1: bad destination mailbox address' },
  suppressUntil: null,
};

/** Deferred on route `ses`, up to `dueAt`. */
export function until(dueAt: number, route = 'ses', byDestination = false): Settlement {
  return { state: 'deferred', dueAt, route, byDestination };
}

/** Room for `count` of any lane. */
export function room(count: number): LaneRoom {
  return [count, count, count];
}

/** A store, its clock, and the steps that many tests share. */
export interface Bench {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly ids: Ids;
  /** `delivery`: the first of `deliveries`. */
  accept(
    wishes?: MessageWishes,
  ): Promise<{ readonly id: MessageId; readonly delivery: DeliveryId; readonly deliveries: readonly DeliveryId[] }>;
  /** Claims up to `limit` of `route` now. */
  claim(limit?: number, route?: string, destinations?: DestinationRoom): Promise<readonly Lease[]>;
  /** Claims exactly one. */
  claimOne(route?: string): Promise<Lease>;
  /** Settles an attempt of one try over the lease's route, begun when it was claimed or accepted. */
  settle(lease: Lease, outcome: Outcome, settlement: Settlement): ReturnType<Store['queue']['settle']>;
  deliver(lease: Lease, captured?: boolean): ReturnType<Store['queue']['settle']>;
  /** The parts of a try of `lease` with `outcome`. */
  tryOf(lease: Lease, outcome: Outcome, route?: string): Try;
  /** Types of all events so far, in order of `seq`. */
  eventTypes(): Promise<readonly string[]>;
}

export interface OpenSettings {
  readonly dropContentWhenSettled?: boolean;
}

/** Opens a store for one test; `open` makes it, and it is stopped when the test ends. */
export async function openBench(
  open: (clock: ManualClock, settings: OpenSettings) => Promise<Store>,
  settings: OpenSettings = {},
): Promise<Bench> {
  const clock = createManualClock(START_MS);
  const ids = createIds(clock);
  const store = await open(clock, settings);
  onTestFinished(() => store.stop());
  const claim: Bench['claim'] = (limit = 100, route = 'ses', destinations) =>
    store.queue.claim([{ route, room: room(limit), destinations: destinations ?? null }], clock.now(), LEASE_MS);
  const tryOf: Bench['tryOf'] = (lease, outcome, route = lease.route) => ({
    route,
    startedAt: lease.leaseUntil - LEASE_MS,
    outcome,
  });
  const settle: Bench['settle'] = (lease, outcome, settlement) =>
    store.queue.settle(lease, [tryOf(lease, outcome)], settlement, clock.now());
  return {
    store,
    clock,
    ids,
    async accept(wishes = {}) {
      const message = newMessage(ids, clock.now(), wishes);
      const result = await store.intake.accept(message);
      if (result.kind !== 'accepted') throw new Error(`not accepted: ${result.kind}`);
      const [first] = message.deliveries;
      if (first === undefined) throw new Error('a message without recipients');
      return { id: message.record.id, delivery: first.id, deliveries: message.deliveries.map(({ id }) => id) };
    },
    claim,
    async claimOne(route = 'ses') {
      const [lease] = await claim(1, route);
      if (lease === undefined) throw new Error(`nothing is due on ${route}`);
      return lease;
    },
    settle,
    tryOf,
    deliver: (lease, captured = false) => settle(lease, DELIVERED, { state: 'delivered', captured }),
    async eventTypes() {
      return (await store.history.events({ afterSeq: 0, limit: 1000 })).map((event) => event.type);
    },
  };
}
