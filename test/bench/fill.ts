/**
 * Makes a database as a busy relay has it after a month: `npm run bench:fill -- --messages 1000000 --out bench/million`.
 *
 * Rows are written straight into the store's schema, with the store's own statements where it has them and with its triggers at
 * work, in the order in which a relay would have written them; not durable while it runs. Tags, states, attempts, answers, faults of
 * routes and times are drawn from a fixed seed, so that two runs make the same story. The mail itself is gone, as it is after delivery. One
 * story is always there: ann@example.net's reset of this morning, late because its first route was greylisted.
 */
import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type Database from 'better-sqlite3';
import { stringify } from 'yaml';
import { writeFileSync } from 'node:fs';
import { addressKey, type EnvelopeAddress, parseEnvelopeAddress } from '../../src/core/address.ts';
import { BOUNCE_EXPLANATIONS, type BounceClass } from '../../src/core/bounce.ts';
import type { DeliveryState } from '../../src/core/delivery.ts';
import {
  acceptedEvent,
  type EventAttempt,
  type EventData,
  type EventType,
  eventMessage,
} from '../../src/core/event.ts';
import { createIds } from '../../src/core/ids.ts';
import type { MessageRecord, NewDelivery, Priority } from '../../src/core/message.ts';
import { isoTime, systemClock } from '../../src/core/time.ts';
import { createAttemptInsert } from '../../src/store/sqlite/attempt-row.ts';
import { connect } from '../../src/store/sqlite/connect.ts';
import { createEventLog } from '../../src/store/sqlite/event-log.ts';
import { deliveryKey } from '../../src/store/sqlite/keys.ts';
import { createMessageInsert, laneOf } from '../../src/store/sqlite/message-row.ts';
import { migrate } from '../../src/store/sqlite/migrations.ts';
import { createTrendUpkeep } from '../../src/store/sqlite/trend-upkeep.ts';

const DAY_MS = 86_400_000;
const PER_TRANSACTION = 5000;
/** Ann asked for her reset so long ago. */
const STORY_AGE_MS = 3 * 3_600_000;

/** Park and Miller's generator: enough for a story, the same everywhere. */
export function createChance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state / 2_147_483_647;
  };
}

interface TagMix {
  readonly tag: string | null;
  readonly share: number;
  readonly priority: Priority;
  readonly ttlMs: number;
  readonly credential: string;
}

const TAGS: readonly TagMix[] = [
  { tag: 'password-reset', share: 0.24, priority: 'critical', ttlMs: 900_000, credential: 'keycloak' },
  { tag: 'otp', share: 0.22, priority: 'critical', ttlMs: 600_000, credential: 'keycloak' },
  { tag: 'magic-link', share: 0.12, priority: 'critical', ttlMs: 900_000, credential: 'supabase' },
  { tag: 'admin-reset', share: 0.01, priority: 'critical', ttlMs: 3_600_000, credential: 'support' },
  { tag: 'compromised-account', share: 0.02, priority: 'critical', ttlMs: 3_600_000, credential: 'risk' },
  { tag: 'receipt', share: 0.2, priority: 'normal', ttlMs: 2 * DAY_MS, credential: 'shop' },
  { tag: 'newsletter', share: 0.14, priority: 'bulk', ttlMs: 2 * DAY_MS, credential: 'shop' },
  { tag: null, share: 0.05, priority: 'normal', ttlMs: 2 * DAY_MS, credential: 'legacy' },
];

const OUTCOMES: readonly (readonly [DeliveryState, number])[] = [
  ['delivered', 0.958],
  ['bounced', 0.018],
  ['superseded', 0.009],
  ['expired', 0.004],
  ['suppressed', 0.006],
  ['throttled', 0.003],
  ['canceled', 0.0015],
  ['quarantined', 0.0005],
];

interface Answer {
  readonly code: number | null;
  readonly enhanced: string | null;
  readonly response: string;
  readonly stage: string;
  readonly cause: string;
}

const WAITS: readonly Answer[] = [
  { code: 451, enhanced: '4.7.1', response: 'Greylisted, try again in 300 seconds', stage: 'rcpt', cause: 'recipient' },
  {
    code: 421,
    enhanced: '4.7.0',
    response: 'Too many connections from your address',
    stage: 'greeting',
    cause: 'route',
  },
  { code: 452, enhanced: '4.2.2', response: 'Mailbox is over its quota', stage: 'rcpt', cause: 'recipient' },
  { code: null, enhanced: null, response: 'the connection timed out', stage: 'connect', cause: 'connect' },
  {
    code: 454,
    enhanced: '4.7.0',
    response: 'Throttling failure: maximum sending rate exceeded',
    stage: 'data',
    cause: 'route',
  },
];
const REFUSALS: readonly (Answer & { readonly bounce: BounceClass })[] = [
  {
    code: 550,
    enhanced: '5.1.1',
    response: 'The email account that you tried to reach does not exist',
    stage: 'rcpt',
    cause: 'recipient',
    bounce: 'recipient',
  },
  {
    code: 554,
    enhanced: '5.7.1',
    response: 'Message rejected due to local policy',
    stage: 'dot',
    cause: 'content',
    bounce: 'policy',
  },
  { code: 552, enhanced: '5.2.2', response: 'Mailbox full', stage: 'rcpt', cause: 'recipient', bounce: 'mailbox-full' },
];
const HOPS: Readonly<Record<string, string>> = {
  ses: 'email-smtp.eu-west-1.example:587',
  postmark: 'smtp.postmark.example:465',
  direct: 'mx1.example.net:25',
};

export interface FillOptions {
  readonly file: string;
  readonly messages: number;
  /** Epoch milliseconds: when the last message was accepted. */
  readonly now: number;
  readonly days: number;
  readonly seed?: number;
}

/** Fills the database `file`, which is made anew; returns how many deliveries it holds. */
export function fill({ file, messages, now, days, seed = 7 }: FillOptions): number {
  const db = connect({ file, readonly: false, busyMs: 5000 });
  migrate(db, false);
  db.pragma('synchronous = OFF');
  db.pragma('secure_delete = OFF');
  const writer = createRowWriter(db, createChance(seed));
  const start = now - days * DAY_MS;
  let deliveries = 0;
  let at = start;
  for (let from = 0; from < messages; from += PER_TRANSACTION) {
    db.transaction(() => {
      for (let index = from; index < Math.min(messages, from + PER_TRANSACTION); index++) {
        const before = at;
        at = Math.floor(start + ((now - start) * (index + 1)) / messages);
        // Rows come in the order of their acceptance, the story's too.
        if (before < now - STORY_AGE_MS && at >= now - STORY_AGE_MS) deliveries += writer.story(now);
        deliveries += writer.message(at, now);
      }
    })();
    db.pragma('wal_checkpoint(TRUNCATE)');
  }
  // As the relay's own upkeep would have left them.
  db.transaction(() => createTrendUpkeep(db).fold(now, Number.MAX_SAFE_INTEGER))();
  db.pragma('wal_checkpoint(TRUNCATE)');
  db.close();
  return deliveries;
}

interface RowWriter {
  /** One message with its deliveries, attempts and events, as they are at `now`; returns the number of its deliveries. */
  message(acceptedAt: number, now: number): number;
  /** Ann's late reset, and what belongs to it. */
  story(now: number): number;
}

function createRowWriter(db: Database.Database, chance: () => number): RowWriter {
  let time = 0;
  const ids = createIds({ ...systemClock, now: () => time }, (target) => {
    for (let i = 0; i < target.length; i++) target[i] = Math.floor(chance() * 256);
  });
  const insertMessage = createMessageInsert(db);
  const insertAttempt = createAttemptInsert(db);
  const events = createEventLog(db);
  const settle = db.prepare<[number, number]>('UPDATE messages SET content_kept = 0, settled_at = ? WHERE mid = ?');
  const insertDelivery = db.prepare<(string | number | null)[]>(`
    INSERT INTO deliveries (did, id, mid, recipient, recipient_key, rule, rule_reason, via, route, priority, deadline, updated_at,
      state, due_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'queued', ?)`);
  const finish = db.prepare<(string | number | null)[]>(`
    UPDATE deliveries SET state = ?, route = ?, attempts = ?, due_at = ?, last_response = ?, delivered_at = ?, bounce_class = ?,
      bounce_why = ?, updated_at = ? WHERE did = ?`);
  const suppress = db.prepare<(string | number | null)[]>(
    'INSERT OR IGNORE INTO suppressions (recipient_key, recipient, reason, detail, message_id, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?, ?)',
  );

  const pick = <T>(items: readonly T[]): T => items[Math.floor(chance() * items.length)] ?? fail();
  const emit = (type: EventType, at: number, data: EventData, recipient: EnvelopeAddress): void => {
    events.append(type, at, data, addressKey(recipient));
    events.take();
  };

  function record(acceptedAt: number, mix: TagMix, over: Partial<MessageRecord> = {}): MessageRecord {
    time = acceptedAt;
    const id = ids.message();
    return {
      id,
      headerMessageId: `<${id.slice(4)}@example.com>`,
      mailFrom: 'no-reply@example.com' as MessageRecord['mailFrom'],
      headerFrom: 'security@example.com',
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      tag: mix.tag,
      tagSource: mix.tag === null ? 'none' : 'header',
      flow: mix.priority === 'critical' && chance() < 0.5 ? `flow-${Math.floor(chance() * 300_000)}` : null,
      metadata: chance() < 0.2 ? { user: String(Math.floor(chance() * 1e6)) } : {},
      priority: mix.priority,
      collapseKey: null,
      requireTls: false,
      credential: mix.credential,
      rule: 'recovery',
      acceptedAt,
      deadline: acceptedAt + mix.ttlMs,
      deadlineSource: mix.priority === 'critical' ? 'tag' : 'give-up',
      size: 3000 + Math.floor(chance() * 9000),
      eightBit: false,
      signatures: ['lp1._domainkey.example.com (rsa-sha256)', 'lp2._domainkey.example.com (ed25519-sha256)'],
      warnings: [],
      links:
        mix.priority === 'critical'
          ? {
              verdict: 'pass',
              links: [
                {
                  scheme: 'https',
                  host: 'accounts.example.com',
                  shown: null,
                  kind: 'a',
                  count: 1,
                  verdict: 'pass',
                  codes: [],
                },
              ],
              findings: [],
              omitted: { links: 0, findings: 0 },
            }
          : null,
      client: { address: '10.0.0.12', helo: 'auth.internal', tls: 'TLSv1.3' },
      ...over,
    };
  }

  function attemptOf(number: number, route: string, answer: Answer | null, queueMs: number): EventAttempt {
    const fast = answer === null || answer.stage !== 'connect';
    return {
      number,
      route,
      outcome: answer === null ? 'delivered' : answer.code !== null && answer.code >= 500 ? 'rejected' : 'deferred',
      cause: answer?.cause ?? null,
      next_hop: HOPS[route] ?? null,
      tls: fast ? 'TLSv1.3' : null,
      cipher: fast ? 'TLS_AES_256_GCM_SHA384' : null,
      stage: answer?.stage ?? 'dot',
      code: answer === null ? 250 : answer.code,
      enhanced: answer === null ? '2.0.0' : answer.enhanced,
      response: answer?.response ?? `Ok ${ids.event().slice(4, 20)}`,
      timings_ms: fast
        ? {
            queue: queueMs,
            connect: 8 + Math.floor(chance() * 30),
            tls: 12 + Math.floor(chance() * 40),
            session: 10 + Math.floor(chance() * 30),
            transaction: 25 + Math.floor(chance() ** 4 * 2500),
          }
        : { queue: queueMs, connect: 2000 },
    };
  }

  function durationOf({ timings_ms }: EventAttempt): number {
    return Object.entries(timings_ms).reduce((sum, [phase, ms]) => (phase === 'queue' ? sum : sum + ms), 0);
  }

  /** One delivery with its whole story up to `now`. */
  function deliver(
    message: MessageRecord,
    mid: number,
    index: number,
    recipient: EnvelopeAddress,
    plan: {
      readonly state: DeliveryState;
      readonly waits: readonly { readonly answer: Answer; readonly route: string; readonly thenMs: number }[];
    },
    now: number,
  ): void {
    const did = deliveryKey(mid, index);
    const id = ids.delivery();
    const delivery: NewDelivery = {
      id,
      recipient,
      dsn: null,
      rule: message.rule,
      ruleReason: `tag is ${message.tag ?? 'none'}`,
      via: ['ses', 'postmark'],
      route: 'ses',
      byDestination: false,
      returnPath: null,
    };
    const key = addressKey(recipient);
    insertDelivery.run(
      did,
      id,
      mid,
      recipient,
      key,
      delivery.rule,
      delivery.ruleReason,
      '["ses","postmark"]',
      'ses',
      laneOf(message.priority),
      message.deadline,
      message.acceptedAt,
      message.acceptedAt,
    );
    emit('message.accepted', message.acceptedAt, acceptedEvent(message, delivery), recipient);
    const about = eventMessage(message, delivery.rule);
    let at = message.acceptedAt + 1 + Math.floor(chance() * 4);
    let number = 0;
    let last: EventAttempt | null = null;
    const isTried = ['delivered', 'bounced', 'deferred', 'expired'].includes(plan.state);
    for (const { answer, route, thenMs } of isTried ? plan.waits : []) {
      number++;
      last = attemptOf(number, route, answer, number === 1 ? at - message.acceptedAt : 1);
      insertAttempt(did, at, last);
      const done = at + durationOf(last);
      emit(
        'message.deferred',
        done,
        {
          message: about,
          delivery: { id, recipient, state: 'deferred', attempts: number, next_attempt_at: isoTime(done + thenMs) },
          attempt: last,
        },
        recipient,
      );
      at = done + thenMs;
    }
    const end = (
      state: DeliveryState,
      when: number,
      data: EventData,
      more: { readonly deliveredAt?: number; readonly bounce?: readonly [string, string] } = {},
    ): void => {
      finish.run(
        state,
        last?.route ?? 'ses',
        number,
        null,
        last === null ? null : `${last.code ?? ''} ${last.enhanced ?? ''} ${last.response}`.trim(),
        more.deliveredAt ?? null,
        more.bounce?.[0] ?? null,
        more.bounce?.[1] ?? null,
        when,
        did,
      );
      emit(
        `message.${state}` as EventType,
        when,
        { message: about, delivery: { id, recipient, state, attempts: number }, ...data },
        recipient,
      );
      settle.run(when, mid);
    };
    switch (plan.state) {
      case 'delivered': {
        number++;
        last = attemptOf(
          number,
          plan.waits.at(-1)?.answer.cause === 'route' ? 'postmark' : pick(['ses', 'ses', 'ses', 'postmark']),
          null,
          at - message.acceptedAt,
        );
        insertAttempt(did, at, last);
        const done = at + durationOf(last);
        end('delivered', done, { attempt: last }, { deliveredAt: done });
        return;
      }
      case 'bounced': {
        const refusal = pick(REFUSALS);
        number++;
        last = attemptOf(number, 'ses', refusal, at - message.acceptedAt);
        insertAttempt(did, at, last);
        const done = at + durationOf(last);
        const why = `enhanced code ${refusal.enhanced ?? ''}`;
        end(
          'bounced',
          done,
          { attempt: last, bounce: { class: refusal.bounce, why, explanation: BOUNCE_EXPLANATIONS[refusal.bounce] } },
          { bounce: [refusal.bounce, why] },
        );
        if (refusal.bounce === 'recipient' && done > now - 3 * DAY_MS) {
          suppress.run(
            key,
            recipient,
            'bounce',
            `${refusal.code} ${refusal.enhanced} ${refusal.response}`,
            message.id,
            done,
            done + 30 * DAY_MS,
          );
        }
        return;
      }
      case 'deferred':
      case 'queued': {
        const dueAt = Math.max(now, at) + 10_000 + Math.floor(chance() * 600_000);
        finish.run(
          number > 0 ? 'deferred' : 'queued',
          'ses',
          number,
          dueAt,
          last === null ? null : `${last.code ?? ''} ${last.response}`,
          null,
          null,
          null,
          at,
          did,
        );
        return;
      }
      case 'expired':
        end('expired', message.deadline, { reason: 'its deadline passed' });
        return;
      case 'canceled':
        end('canceled', at + 20_000, { reason: 'canceled on the command line' });
        return;
      case 'quarantined':
        end('quarantined', at + 60_000, { reason: 'the relay ended three times while it worked on it' });
        return;
      default:
        end(plan.state, message.acceptedAt + 2, {
          reason: plan.state === 'throttled' ? 'more than 5 password-reset messages in 1 h' : plan.state,
        });
    }
  }

  function waitsFor(
    state: DeliveryState,
  ): readonly { readonly answer: Answer; readonly route: string; readonly thenMs: number }[] {
    const count =
      state === 'delivered'
        ? chance() < 0.06
          ? 1 + Math.floor(chance() * 3)
          : 0
        : state === 'bounced'
          ? 0
          : 1 + Math.floor(chance() * 3);
    return Array.from({ length: count }, (_, index) => ({
      answer: pick(WAITS),
      route: pick(['ses', 'ses', 'postmark', 'direct']),
      thenMs: [5000, 15_000, 30_000, 60_000][index] ?? 60_000,
    }));
  }

  function address(text: string): EnvelopeAddress {
    const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
    return parsed.kind === 'address' ? parsed.address : fail();
  }

  return {
    message(acceptedAt, now) {
      let rest = chance();
      const mix = TAGS.find(({ share }) => (rest -= share) < 0) ?? TAGS[0] ?? fail();
      const message = record(acceptedAt, mix);
      const mid = insertMessage(message, false);
      const recipients = mix.tag === 'receipt' && chance() < 0.1 ? 2 : 1;
      for (let index = 0; index < recipients; index++) {
        const who =
          chance() < 0.004
            ? 'monitor@example.com'
            : `user${Math.floor(chance() * 220_000)}@${pick(['example.net', 'example.org', 'mail.example', 'corp.example'])}`;
        let chosen = chance();
        let state = OUTCOMES.find(([, share]) => (chosen -= share) < 0)?.[0] ?? 'delivered';
        // What is young may still be waiting.
        const age = now - acceptedAt;
        const mayWait = mix.priority === 'critical' ? age < 400_000 : age < 6 * 3_600_000;
        if (mayWait && chance() < 0.03) state = chance() < 0.8 ? 'deferred' : 'queued';
        deliver(message, mid, index, address(who), { state, waits: state === 'queued' ? [] : waitsFor(state) }, now);
      }
      return recipients;
    },

    story(now) {
      const at = now - STORY_AGE_MS;
      const mix = TAGS[0] ?? fail();
      const [greylisted = fail()] = WAITS;
      const notice = record(at - 240_000, TAGS[4] ?? fail(), { flow: 'case-4711' });
      deliver(
        notice,
        insertMessage(notice, false),
        0,
        address('ann@example.net'),
        { state: 'delivered', waits: [] },
        now,
      );
      const message = record(at, mix, { flow: 'case-4711', credential: 'keycloak' });
      const mid = insertMessage(message, false);
      deliver(
        message,
        mid,
        0,
        address('ann@example.net'),
        {
          state: 'delivered',
          waits: [
            { answer: greylisted, route: 'ses', thenMs: 5000 },
            { answer: greylisted, route: 'ses', thenMs: 15_000 },
            { answer: greylisted, route: 'ses', thenMs: 60_000 },
          ],
        },
        now,
      );
      for (const [type, minutes, reason] of [
        ['route.down', 50, 'connect: the connection was refused'],
        ['route.up', 47, 'a probe succeeded'],
      ] as const) {
        events.append(type, now - minutes * 60_000, { route: { name: 'ses', reason } }, null);
        events.take();
      }
      return 2;
    },
  };
}

function fail(): never {
  throw new Error('a list is empty');
}

/** A config for the filled database: the routes lead nowhere, nothing is sent. */
function configFor(dir: string): string {
  return stringify({
    hostname: 'relay.example.com',
    data: dir,
    smtp: { listeners: [{ host: '127.0.0.1', port: 0, tls: 'none' }], trusted_networks: ['127.0.0.0/8'] },
    http: { host: '127.0.0.1', port: 8025 },
    senders: [{ domain: 'example.com', dkim: [] }],
    routes: {
      ses: { type: 'smtp', host: '127.0.0.1', port: 9, tls: 'none' },
      postmark: { type: 'smtp', host: '127.0.0.1', port: 9, tls: 'none' },
      direct: { type: 'sandbox' },
    },
    rules: [{ name: 'recovery', via: ['ses', 'postmark'] }],
    retention: { events: '60d' },
  });
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      messages: { type: 'string', default: '1000000' },
      days: { type: 'string', default: '30' },
      out: { type: 'string', default: 'bench/filled' },
    },
  });
  const dir = path.resolve(values.out);
  rmSync(dir, { recursive: true, force: true });
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const began = performance.now();
  const deliveries = fill({
    file: path.join(dir, 'relay.db'),
    messages: Number(values.messages),
    now: Date.now(),
    days: Number(values.days),
  });
  writeFileSync(path.join(dir, 'relay.yaml'), configFor('.'));
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.log(`${values.messages} messages, ${deliveries} deliveries in ${dir}, made in ${seconds} s`);
  console.log(`Look at it: npx leadpush-relay serve --config ${path.join(values.out, 'relay.yaml')}`);
}
