/** Mail, outcomes and folders for the tests of the store. */
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { onTestFinished } from 'vitest';
import { createIds, type DeliveryId, type Ids, type MessageId } from '../../src/core/ids.ts';
import type { MessageRecord, NewDelivery } from '../../src/core/message.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import type { Lease, NewMessage, Settlement, Store } from '../../src/store/store.ts';
import { address } from '../support/address.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';

export const START_MS: number = Date.UTC(2026, 0, 5, 10);
export const LEASE_MS = 60_000;

/** A folder of this test's own, removed when it ends. */
export async function tempFolder(): Promise<string> {
  const folder = await mkdtemp(path.join(os.tmpdir(), 'relay-store-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

export interface MessageWishes {
  readonly record?: Partial<MessageRecord>;
  readonly recipients?: readonly string[];
  readonly delivery?: Partial<Omit<NewDelivery, 'id' | 'recipient'>>;
  readonly content?: Uint8Array;
  readonly idempotencyKey?: string;
}

/** A message to ann@example.net over route `ses`, due within 15 minutes; give what the test is about. */
export function newMessage(ids: Ids, now: number, wishes: MessageWishes = {}): NewMessage {
  const content = wishes.content ?? Buffer.from('From: a@example.com\r\n\r\nhello\r\n');
  const id = wishes.record?.id ?? ids.message();
  const acceptedAt = wishes.record?.acceptedAt ?? now;
  return {
    record: {
      id,
      headerMessageId: `<${id}@accounts.example.com>`,
      mailFrom: address('bounce@example.com'),
      headerFrom: 'security@example.com',
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      tag: 'password-reset',
      tagSource: 'header',
      flow: null,
      metadata: {},
      priority: 'normal',
      collapseKey: null,
      requireTls: false,
      credential: 'keycloak',
      rule: 'recovery',
      acceptedAt,
      deadline: acceptedAt + 900_000,
      deadlineSource: 'tag',
      size: content.length,
      eightBit: false,
      signatures: [],
      warnings: [],
      client: { address: '10.0.0.1', helo: 'app.example.com', tls: null },
      ...wishes.record,
    },
    deliveries: (wishes.recipients ?? ['ann@example.net']).map((recipient) => ({
      id: ids.delivery(),
      recipient: address(recipient),
      dsn: null,
      rule: 'recovery',
      ruleReason: 'its tag is password-reset',
      via: ['ses', 'postmark'],
      route: 'ses',
      ...wishes.delivery,
    })),
    content,
    idempotency:
      wishes.idempotencyKey === undefined
        ? null
        : { scope: 'keycloak', key: wishes.idempotencyKey, expiresAt: acceptedAt + 86_400_000 },
  };
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
export const REJECTED: Outcome = {
  ...FACTS,
  kind: 'rejected',
  cause: 'recipient',
  code: 550,
  enhanced: '5.1.1',
  response: 'no such user',
};

/** A store, its clock, and the steps that many tests share. */
export interface Bench {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly ids: Ids;
  accept(wishes?: MessageWishes): Promise<{ readonly id: MessageId; readonly deliveries: readonly DeliveryId[] }>;
  /** Claims up to `limit` of `route` now. */
  claim(limit?: number, route?: string): Promise<readonly Lease[]>;
  /** Claims exactly one. */
  claimOne(route?: string): Promise<Lease>;
  settle(lease: Lease, outcome: Outcome, settlement: Settlement): Promise<'settled' | 'lost'>;
  deliver(lease: Lease, captured?: boolean): Promise<'settled' | 'lost'>;
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
  const claim: Bench['claim'] = (limit = 100, route = 'ses') =>
    store.queue.claim([{ route, limit }], clock.now(), LEASE_MS);
  const settle: Bench['settle'] = (lease, outcome, settlement) =>
    store.queue.settle(lease, outcome, settlement, clock.now());
  return {
    store,
    clock,
    ids,
    async accept(wishes = {}) {
      const message = newMessage(ids, clock.now(), wishes);
      const result = await store.intake.accept(message);
      if (result.kind !== 'accepted') throw new Error(`not accepted: ${result.kind}`);
      return { id: message.record.id, deliveries: message.deliveries.map((delivery) => delivery.id) };
    },
    claim,
    async claimOne(route = 'ses') {
      const [lease] = await claim(1, route);
      if (lease === undefined) throw new Error(`nothing is due on ${route}`);
      return lease;
    },
    settle,
    deliver: (lease, captured = false) => settle(lease, DELIVERED, { state: 'delivered', captured }),
    async eventTypes() {
      return (await store.history.events({ afterSeq: 0, limit: 1000 })).map((event) => event.type);
    },
  };
}
