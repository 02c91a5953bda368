/** A real database with mail in it, for the commands that read one. */
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { EnvelopeAddress } from '../../src/core/address.ts';
import { createIds, type DeliveryId, type MessageId } from '../../src/core/ids.ts';
import type { MessageRecord } from '../../src/core/message.ts';
import type { Outcome } from '../../src/core/outcome.ts';
import { refuse } from '../../src/core/refusal.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { NewMessage, Settlement, Store, Try } from '../../src/store/store.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { NOW } from './support.ts';

export interface Seed {
  readonly store: Store;
  readonly clock: ManualClock;
  /** Accepts a message for one recipient, and returns its ids. */
  accept(over?: SeedMessage): Promise<{ readonly id: MessageId; readonly delivery: DeliveryId }>;
  /** Refuses a message for `recipient`. */
  reject(recipient: string, text?: string): Promise<MessageId>;
  /** Claims the next due delivery of `route` and settles it. */
  attempt(outcome: Outcome, settlement: Settlement, route?: string): Promise<void>;
  /** As `attempt`, with tries over several routes in order; the first begins now, each other one 100 ms after the one before. */
  attempts(tries: readonly (readonly [route: string, outcome: Outcome])[], settlement: Settlement): Promise<void>;
  stop(): Promise<void>;
}

export interface SeedMessage extends Partial<Omit<MessageRecord, 'id'>> {
  readonly recipient?: string;
  readonly route?: string;
  readonly content?: Uint8Array;
  readonly asks?: Partial<Pick<NewMessage, 'collapseScope' | 'suppression' | 'throttles' | 'delayedAfterMs'>>;
}

const LEASE_MS = 60_000;
const CONTENT = Buffer.from('Subject: x\r\n\r\nhello\r\n');

/** Opens `relay.db` in `folder`, making it when needed; closed when the test ends. */
export async function seed(folder: string): Promise<Seed> {
  const clock = createManualClock(NOW);
  const ids = createIds(clock);
  const store = await openSqliteStore({
    file: join(folder, 'relay.db'),
    clock,
    dropContentWhenSettled: true,
    exclusive: true,
  });
  let open = true;
  const stop = async (): Promise<void> => {
    if (open) await store.stop();
    open = false;
  };
  onTestFinished(stop);
  const attempts: Seed['attempts'] = async (tries, settlement) => {
    const route = tries[0]?.[0] ?? '';
    const requests = [{ route, room: [1, 1, 1] as const, destinations: null }];
    const [lease] = await store.queue.claim(requests, clock.now(), LEASE_MS);
    if (lease === undefined) throw new Error(`nothing is due on ${route}`);
    const made: Try[] = [];
    for (const [name, outcome] of tries) {
      if (made.length > 0) await clock.advance(100);
      made.push({ route: name, startedAt: clock.now(), outcome });
    }
    await store.queue.settle(lease, made, settlement, clock.now());
  };
  return {
    store,
    clock,
    async accept(over = {}) {
      const { recipient = 'ann@example.net', route = 'ses', content = CONTENT, asks = {}, ...record } = over;
      const id = ids.message();
      const delivery = ids.delivery();
      await store.intake.accept({
        record: { ...recordOf(id, clock.now()), ...record },
        deliveries: [
          {
            id: delivery,
            recipient: recipient as EnvelopeAddress,
            dsn: null,
            rule: 'recovery',
            ruleReason: 'tag is password-reset',
            via: [route, 'postmark'],
            route,
            byDestination: false,
            returnPath: null,
          },
        ],
        content: Buffer.from(content),
        idempotency: null,
        leaseMs: null,
        collapseScope: null,
        suppression: 'apply',
        throttles: [],
        delayedAfterMs: null,
        wantsReports: false,
        paysReport: null,
        ...asks,
      });
      return { id, delivery };
    },
    async reject(recipient, text = 'Sender not allowed') {
      const id = ids.message();
      await store.intake.reject({
        id,
        at: clock.now(),
        headerMessageId: '<refused@example.com>',
        tag: 'password-reset',
        credential: 'keycloak',
        rule: null,
        recipients: [recipient as EnvelopeAddress],
        refusal: refuse(550, '5.7.1', text, 'the From domain is not among senders'),
      });
      return id;
    },
    attempt: (outcome, settlement, route = 'ses') => attempts([[route, outcome]], settlement),
    attempts,
    stop,
  };
}

function recordOf(id: MessageId, now: number): MessageRecord {
  return {
    id,
    headerMessageId: `<${id}@example.com>`,
    mailFrom: 'bounce@example.com' as EnvelopeAddress,
    headerFrom: 'security@example.com',
    dsn: { ret: null, envid: null },
    smtpUtf8: false,
    tag: 'password-reset',
    tagSource: 'header',
    flow: 'f-1',
    metadata: { user: '42' },
    priority: 'critical',
    collapseKey: null,
    requireTls: false,
    credential: 'keycloak',
    rule: 'recovery',
    acceptedAt: now,
    deadline: now + 900_000,
    deadlineSource: 'tag',
    size: 3249,
    eightBit: false,
    signatures: ['lp1._domainkey.example.com (rsa-sha256)'],
    warnings: [],
    links: null,
    client: { address: '10.0.0.3', helo: 'app', tls: 'TLSv1.3' },
  };
}

const facts = {
  nextHop: 'mx.example.net:587',
  tls: { version: 'TLSv1.3', cipher: 'TLS_AES_256_GCM_SHA384' },
  timings: { queue: 1, connect: 12, tls: 20, transaction: 30 },
} as const;

export const DELIVERED: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  code: 250,
  enhanced: '2.0.0',
  response: 'Ok queued as 4X2',
  ...facts,
};

export const CAPTURED: Outcome = {
  ...DELIVERED,
  nextHop: 'sandbox',
  tls: null,
  response: 'captured by the sandbox',
};

export const LOGIN_REFUSED: Outcome = {
  kind: 'deferred',
  cause: 'auth',
  stage: 'auth',
  code: 535,
  enhanced: '5.7.8',
  response: 'authentication failed',
  ...facts,
};

export const BUSY: Outcome = {
  kind: 'deferred',
  cause: 'recipient',
  stage: 'rcpt',
  code: 451,
  enhanced: '4.2.1',
  response: 'mailbox busy',
  ...facts,
};

export const NO_USER: Outcome = { ...BUSY, kind: 'rejected', code: 550, enhanced: '5.1.1', response: 'no such user' };

/** What a mailbox that does not exist leads to. */
export const BOUNCED: Extract<Settlement, { state: 'bounced' }> = {
  state: 'bounced',
  bounce: { class: 'recipient', why: 'enhanced code 5.1.1: bad destination mailbox address' },
  suppressUntil: null,
};

export const REFUSED: Outcome = {
  kind: 'deferred',
  cause: 'connect',
  stage: 'connect',
  nextHop: 'smtp.ses.example:587',
  tls: null,
  code: null,
  enhanced: null,
  response: 'connection refused',
  timings: { connect: 3 },
};

/** A next hop that tries to write on the operator's terminal. */
export const HOSTILE: Outcome = {
  ...NO_USER,
  response: 'no \u001b]0;owned\u0007\u001b[31msuch\u009b2J user\r\nforged: line',
};
