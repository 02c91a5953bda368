/**
 * What every store must do, whatever it is made of. Each test opens a store of its own.
 *
 * The file is long because it is one list: a new store is held against all of it.
 */
import { describe, expect, test } from 'vitest';
import type { DeliveryState } from '../../src/core/delivery.ts';
import type { RelayEvent } from '../../src/core/event.ts';
import { refuse } from '../../src/core/refusal.ts';
import type { Store, UsableRoute } from '../../src/store/store.ts';
import { address } from '../support/address.ts';
import type { ManualClock } from '../support/clock.ts';
import {
  type Bench,
  BOUNCED,
  DEFERRED,
  DELIVERED,
  LEASE_MS,
  openBench,
  type OpenSettings,
  REJECTED,
  room,
  START_MS,
  until,
} from './fixture.ts';
import { newMessage } from './message.ts';

const MINUTE_MS = 60_000;

/** Routes without a limit for each recipient domain. */
const plain = (...names: readonly string[]): readonly UsableRoute[] =>
  names.map((name) => ({ name, byDestination: false }));

/** Runs the contract over stores that `open` makes. */
export function describeStore(
  name: string,
  open: (clock: ManualClock, settings: OpenSettings) => Promise<Store>,
): void {
  const bench = (settings: OpenSettings = {}): Promise<Bench> => openBench(open, settings);
  const stateOf = async ({ store }: Bench, id: Parameters<Store['history']['message']>[0]): Promise<DeliveryState[]> =>
    ((await store.history.message(id))?.deliveries ?? []).map((delivery) => delivery.state);

  describe(`${name}: taking mail in`, () => {
    test('gives back a message as it was accepted, field by field', async () => {
      const { store, ids, clock } = await bench();
      const message = newMessage(ids, clock.now(), {
        record: {
          mailFrom: '',
          dsn: { ret: 'HDRS', envid: 'e+1' },
          smtpUtf8: true,
          tag: null,
          tagSource: 'none',
          flow: 'f-1',
          metadata: { user: '42', __proto__x: '"quoted"' },
          priority: 'bulk',
          collapseKey: 'k',
          requireTls: true,
          credential: null,
          deadlineSource: 'give-up',
          eightBit: true,
          signatures: ['lp1._domainkey.example.com (rsa-sha256)'],
          warnings: ['unknown header X-Leadpush-Foo'],
          client: { address: '2001:db8::1', helo: 'x', tls: 'TLSv1.3' },
        },
        recipients: ['Ann@Example.NET', 'bob@example.org'],
        delivery: { rule: 'r', ruleReason: 'because', via: ['a', 'b'], route: 'a' },
      });
      await store.intake.accept(message);

      expect(await store.history.message(message.record.id)).toEqual({
        ...message.record,
        contentKept: true,
        deliveries: message.deliveries.map(({ id, recipient }) => ({
          id,
          recipient,
          state: 'queued',
          attempts: 0,
          rule: 'r',
          ruleReason: 'because',
          via: ['a', 'b'],
          route: 'a',
          nextAttemptAt: START_MS,
          lastResponse: null,
          deliveredAt: null,
          bounce: null,
          supersededBy: null,
          updatedAt: START_MS,
        })),
      });
    });

    test('keeps content byte for byte, however large, and from a slice of a larger buffer', async () => {
      const { store, accept } = await bench();
      const whole = Buffer.alloc(300_000, 'x');
      for (let i = 0; i < whole.length; i++) whole[i] = i % 256;
      const small = await accept({ content: whole.subarray(7, 107) });
      const large = await accept({ content: whole });
      const empty = await accept({ content: new Uint8Array(0) });

      expect(Buffer.from((await store.queue.content(small.id)) ?? [])).toEqual(whole.subarray(7, 107));
      expect(Buffer.from((await store.queue.content(large.id)) ?? []).equals(whole)).toBe(true);
      expect(Buffer.from((await store.history.content(large.id)) ?? []).equals(whole)).toBe(true);
      expect(await store.queue.content(empty.id)).toHaveLength(0);
      expect(whole).toHaveLength(300_000);
    });

    test('tells of each recipient in an event of its own, with the warnings', async () => {
      const { store, accept } = await bench();
      const { id, deliveries } = await accept({
        record: { warnings: ['w'], flow: 'f', metadata: { a: 'b' } },
        recipients: ['ann@example.net', 'bob@example.net'],
      });

      const events = await store.history.eventsOf(id);
      expect(events.map((event) => [event.type, event.data.seq, event.data.delivery?.id])).toEqual([
        ['message.accepted', 1, deliveries[0]],
        ['message.accepted', 2, deliveries[1]],
      ]);
      expect(events[0]).toMatchObject({
        timestamp: '2026-01-05T10:00:00.000Z',
        data: {
          message: { id, tag: 'password-reset', flow: 'f', metadata: { a: 'b' }, rule: 'recovery', priority: 'normal' },
          delivery: { recipient: 'ann@example.net', state: 'queued', attempts: 0 },
          warnings: ['w'],
        },
      });
      expect(events[0]?.data.event_id).toMatch(/^evt_/);
    });

    test('answers a repeated idempotency key with the first id and writes nothing', async () => {
      const { store, ids, clock, accept, eventTypes } = await bench();
      const first = await accept({ idempotencyKey: 'k' });
      const second = newMessage(ids, clock.now(), { idempotencyKey: 'k' });

      expect(await store.intake.accept(second)).toEqual({ kind: 'duplicate', messageId: first.id });
      expect(await store.history.message(second.record.id)).toBeNull();
      expect(await eventTypes()).toEqual(['message.accepted']);
    });

    test('answers a repeated idempotency key that is used for something else as a conflict, and writes nothing', async () => {
      const { accept, store, clock, ids } = await bench();
      const first = await accept({ idempotencyKey: 'k', digest: 'one' });
      const other = newMessage(ids, clock.now(), { idempotencyKey: 'k', digest: 'two' });
      expect(await store.intake.accept(other)).toEqual({ kind: 'conflict', messageId: first.id });
      expect(await store.history.message(other.record.id)).toBeNull();
      const same = newMessage(ids, clock.now(), { idempotencyKey: 'k', digest: 'one' });
      expect(await store.intake.accept(same)).toEqual({ kind: 'duplicate', messageId: first.id });
    });

    test('keeps what was found of the links', async () => {
      const { accept, store } = await bench();
      const links = {
        verdict: 'warn',
        links: [
          { scheme: 'https', host: 'a.example', shown: null, kind: 'text', count: 2, verdict: 'warn', codes: ['x'] },
        ],
        omitted: { links: 0, findings: 0 },
        findings: [{ code: 'x', severity: 'warning', part: 'html', host: null, count: 1, text: 'It is so.' }],
      } as const;
      const { id } = await accept({ record: { links } });
      expect((await store.history.message(id))?.links).toEqual(links);
      expect((await store.history.message((await accept()).id))?.links).toBeNull();
    });

    test('lets exactly one of two concurrent messages with one idempotency key win', async () => {
      const { store, ids, clock } = await bench();
      const messages = Array.from({ length: 5 }, () => newMessage(ids, clock.now(), { idempotencyKey: 'k' }));
      const results = await Promise.all(messages.map((message) => store.intake.accept(message)));

      const winner = results.findIndex((result) => result.kind === 'accepted');
      expect(results.filter((result) => result.kind === 'accepted')).toHaveLength(1);
      expect(results.filter((_, index) => index !== winner)).toEqual(
        Array.from({ length: 4 }, () => ({ kind: 'duplicate', messageId: messages[winner]?.record.id })),
      );
    });

    test('takes an idempotency key anew when it has expired, and apart for each credential', async () => {
      const { store, ids, clock, accept } = await bench();
      await accept({ idempotencyKey: 'k' });
      const other = newMessage(ids, clock.now());
      expect(
        await store.intake.accept({
          ...other,
          idempotency: { scope: '', key: 'k', expiresAt: clock.now() + 1, digest: 'digest' },
        }),
      ).toEqual({ kind: 'accepted', lease: null, interrupt: [] });

      await clock.advance(86_400_000);
      const again = await accept({ idempotencyKey: 'k' });
      expect(await store.intake.accept(newMessage(ids, clock.now(), { idempotencyKey: 'k' }))).toEqual({
        kind: 'duplicate',
        messageId: again.id,
      });
    });

    test('keeps a refused message as events, one a recipient, without a message', async () => {
      const { store, ids, clock } = await bench();
      const id = ids.message();
      const refusal = refuse(550, '5.7.1', 'Sender not allowed', 'From is not among senders');
      await store.intake.reject({
        id,
        at: clock.now(),
        headerMessageId: '<x@example.com>',
        tag: null,
        credential: 'keycloak',
        rule: null,
        recipients: [address('ann@example.net'), address('bob@example.net')],
        refusal,
      });

      expect(await store.history.message(id)).toBeNull();
      const events = await store.history.eventsOf(id);
      expect(events.map((event) => event.data.delivery)).toEqual([
        { id: null, recipient: 'ann@example.net', state: 'rejected', attempts: 0 },
        { id: null, recipient: 'bob@example.net', state: 'rejected', attempts: 0 },
      ]);
      expect(events[0]).toMatchObject({
        type: 'message.rejected',
        data: {
          message: { id, message_id: '<x@example.com>', tag: null, tag_source: 'none', accepted_at: null },
          reason: 'From is not among senders',
          refusal: { code: 550, enhanced: '5.7.1', text: 'Sender not allowed' },
        },
      });
      expect(await store.history.rejectedFor('ANN@example.net', 10)).toEqual([id]);
      expect(await store.history.find(id, 'any', 10)).toEqual([id]);
    });

    test('keeps one event of a message that was refused before it named a recipient', async () => {
      const { store, ids, clock } = await bench();
      const id = ids.message();
      const refused = { headerMessageId: null, tag: null, credential: null, rule: null, recipients: [] };
      await store.intake.reject({ id, at: clock.now(), ...refused, refusal: refuse(550, '5.7.1', 'no') });
      expect((await store.history.eventsOf(id)).map((event) => event.type)).toEqual(['message.rejected']);
    });

    test('fails a message whose id is taken, and not its neighbours', async () => {
      const { store, ids, clock } = await bench();
      const first = newMessage(ids, clock.now());
      const results = await Promise.allSettled(
        [first, first, newMessage(ids, clock.now())].map((message) => store.intake.accept(message)),
      );
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
      const seqs = (await store.history.events({ afterSeq: 0, limit: 10 })).map((event) => event.data.seq);
      expect(seqs).toEqual([1, 2]);
    });
  });

  describe(`${name}: leases`, () => {
    test('accepts under a lease as if it had been claimed at once', async () => {
      const { store, ids } = await bench();
      const claimed = newMessage(ids, START_MS);
      await store.intake.accept(claimed);
      const [lease] = await store.queue.claim([{ route: 'ses', room: room(1), destinations: null }], START_MS, 1000);
      const born = await store.intake.accept(newMessage(ids, START_MS, { leaseMs: 1000 }));
      if (born.kind !== 'accepted' || born.lease === null || lease === undefined) throw new Error('no lease');

      const { deliveryId, messageId, token, ...rest } = lease;
      expect(born.lease).toMatchObject(rest);
      expect(born.lease.token).toBeGreaterThan(token);
      expect([deliveryId, messageId]).not.toContain(born.lease.deliveryId);
      expect(
        await store.queue.claim([{ route: 'ses', room: room(9), destinations: null }], START_MS + 1, 1000),
      ).toEqual([]);
    });

    test('lets the lease of an acceptance run out like any other', async () => {
      const { store, ids } = await bench();
      const born = await store.intake.accept(newMessage(ids, START_MS, { leaseMs: 1000 }));
      if (born.kind !== 'accepted' || born.lease === null) throw new Error('no lease');
      expect(await store.queue.reclaimExpired(START_MS + 1001, 3)).toBe(1);
      expect(await store.queue.release(born.lease, START_MS)).toBe('lost');
    });

    test('gives no lease to one of several deliveries', async () => {
      const { store, ids } = await bench();
      const message = newMessage(ids, START_MS, { leaseMs: 1000, recipients: ['ann@example.net', 'bob@example.net'] });
      expect(await store.intake.accept(message)).toEqual({ kind: 'accepted', lease: null, interrupt: [] });
    });

    test('hands out all that a transport needs', async () => {
      const { accept, claimOne } = await bench();
      const { id, deliveries } = await accept({
        record: { dsn: { ret: 'FULL', envid: 'e' }, smtpUtf8: true, eightBit: true, priority: 'critical' },
        delivery: { dsn: { notify: ['FAILURE'], orcpt: 'rfc822;ann@example.net' } },
      });
      expect(await claimOne()).toEqual({
        deliveryId: deliveries[0],
        messageId: id,
        token: expect.any(Number),
        leaseUntil: START_MS + LEASE_MS,
        route: 'ses',
        via: ['ses', 'postmark'],
        recipient: 'ann@example.net',
        mailFrom: 'bounce@example.com',
        dsn: { ret: 'FULL', envid: 'e' },
        recipientDsn: { notify: ['FAILURE'], orcpt: 'rfc822;ann@example.net' },
        smtpUtf8: true,
        eightBit: true,
        requireTls: false,
        priority: 'critical',
        tag: 'password-reset',
        deadlineSource: 'tag',
        destination: '',
        attempts: 0,
        rounds: 0,
        crashes: 0,
        acceptedAt: START_MS,
        dueAt: START_MS,
        deadline: START_MS + 15 * MINUTE_MS,
      });
    });

    test('hands out the most urgent lane first, then the longest due', async () => {
      const { accept, clock, claim } = await bench();
      const order: string[] = [];
      for (const priority of ['bulk', 'normal', 'critical', 'bulk', 'critical'] as const) {
        await clock.advance(1);
        order.push((await accept({ record: { priority } })).id);
      }
      const leases = await claim();
      expect(leases.map((lease) => order.indexOf(lease.messageId))).toEqual([2, 4, 1, 0, 3]);
    });

    test('keeps to the limit and the route of each request', async () => {
      const { accept, store, clock } = await bench();
      for (let i = 0; i < 3; i++) await accept();
      for (let i = 0; i < 3; i++) await accept({ delivery: { route: 'postmark' } });
      const leases = await store.queue.claim(
        [
          { route: 'ses', room: room(2), destinations: null },
          { route: 'postmark', room: room(1), destinations: null },
          { route: 'unknown', room: room(5), destinations: null },
        ],
        clock.now(),
        LEASE_MS,
      );
      expect(leases.map((lease) => lease.route)).toEqual(['ses', 'ses', 'postmark']);
    });

    test('never hands out one delivery twice, even to claims at the same moment', async () => {
      const { accept, claim } = await bench();
      for (let i = 0; i < 10; i++) await accept();
      const claims = await Promise.all([claim(4), claim(4), claim(4)]);
      const ids = claims.flat().map((lease) => lease.deliveryId);
      expect(ids).toHaveLength(10);
      expect(new Set(ids).size).toBe(10);
    });

    test('hands out nothing before it is due, and nothing at or past its deadline', async () => {
      const { accept, claim, clock, settle, claimOne } = await bench();
      await accept();
      await settle(await claimOne(), DEFERRED, until(START_MS + 10));
      await clock.advance(9);
      expect(await claim()).toEqual([]);
      await clock.advance(15 * MINUTE_MS - 9);
      expect(await claim()).toEqual([]);
    });

    test('gives every lease a larger token than any before', async () => {
      const { accept, claimOne, store } = await bench();
      const tokens: number[] = [];
      await accept();
      for (let i = 0; i < 3; i++) {
        const lease = await claimOne();
        tokens.push(lease.token);
        await store.queue.release(lease, START_MS);
      }
      expect([...new Set(tokens)].sort((a, b) => a - b)).toEqual(tokens);
      expect(tokens).toHaveLength(3);
    });

    test('prolongs a lease that stands', async () => {
      const { accept, claimOne, store, clock, claim } = await bench();
      await accept();
      const lease = await claimOne();
      expect(await store.queue.renew(lease, START_MS + 5 * MINUTE_MS)).toBe('kept');
      await clock.advance(LEASE_MS + 1);
      expect(await store.queue.reclaimExpired(clock.now(), 3)).toBe(0);
      expect(await claim()).toEqual([]);
    });

    test('takes a released delivery back unrecorded, due when it was said', async () => {
      const { accept, claimOne, store, clock, eventTypes } = await bench();
      const { id } = await accept();
      expect(await store.queue.release(await claimOne(), START_MS + 5)).toBe('released');
      expect((await store.history.message(id))?.deliveries[0]).toMatchObject({
        state: 'queued',
        attempts: 0,
        nextAttemptAt: START_MS + 5,
      });
      expect(await eventTypes()).toEqual(['message.accepted']);
      await clock.advance(5);
      expect((await claimOne()).dueAt).toBe(START_MS + 5);
    });

    test('lets the holder of a lease that has passed on write nothing', async () => {
      const { accept, claimOne, store, clock, settle, deliver, eventTypes } = await bench();
      const { id } = await accept();
      const stale = await claimOne();
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      const fresh = await claimOne();
      const before = await eventTypes();

      expect(await deliver(stale)).toBe('lost');
      expect(await settle(stale, REJECTED, BOUNCED)).toBe('lost');
      expect(await store.queue.renew(stale, clock.now() + LEASE_MS)).toBe('lost');
      expect(await store.queue.release(stale, clock.now())).toBe('lost');
      expect(await eventTypes()).toEqual(before);
      expect(await store.history.attempts(id)).toHaveLength(1);
      expect(await deliver(fresh)).toBe('settled');
      expect(await deliver(fresh)).toBe('lost');
    });
  });

  describe(`${name}: results`, () => {
    test('records a delivery with its attempt and its event', async () => {
      const { accept, claimOne, clock, deliver, store } = await bench();
      const { id, deliveries } = await accept();
      const lease = await claimOne();
      await clock.advance(63);
      expect(await deliver(lease)).toBe('settled');

      const attempt = {
        number: 1,
        route: 'ses',
        outcome: 'delivered',
        cause: null,
        next_hop: 'smtp.ses.example:587',
        tls: 'TLSv1.3',
        cipher: 'TLS_AES_256_GCM_SHA384',
        stage: 'dot',
        code: 250,
        enhanced: '2.0.0',
        response: 'Ok 1',
        timings_ms: { queue: 1, connect: 12, tls: 20, transaction: 30 },
      };
      expect(await store.history.attempts(id)).toEqual([
        { ...attempt, deliveryId: deliveries[0], startedAt: START_MS },
      ]);
      expect((await store.history.message(id))?.deliveries[0]).toMatchObject({
        state: 'delivered',
        attempts: 1,
        deliveredAt: START_MS + 63,
        nextAttemptAt: null,
        lastResponse: 'Ok 1',
        updatedAt: START_MS + 63,
      });
      const [, event] = await store.history.eventsOf(id);
      expect(event).toMatchObject({
        type: 'message.delivered',
        timestamp: '2026-01-05T10:00:00.063Z',
        data: {
          seq: 2,
          message: { id },
          delivery: { id: deliveries[0], recipient: 'ann@example.net', state: 'delivered', attempts: 1 },
          attempt,
        },
      });
    });

    test('defers to the time and the route that were decided', async () => {
      const { accept, claimOne, settle, store, clock, claim } = await bench();
      const { id } = await accept();
      const dueAt = START_MS + 30_000;
      await settle(await claimOne(), DEFERRED, until(dueAt, 'postmark'));

      expect((await store.history.message(id))?.deliveries[0]).toMatchObject({
        state: 'deferred',
        route: 'postmark',
        nextAttemptAt: dueAt,
        lastResponse: 'try later',
      });
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event?.type).toBe('message.deferred');
      expect(event?.data.delivery).toMatchObject({ state: 'deferred', next_attempt_at: '2026-01-05T10:00:30.000Z' });
      expect(event?.data.attempt).toMatchObject({ route: 'ses', outcome: 'deferred', cause: 'recipient' });
      await clock.advance(30_000);
      expect((await claim(1, 'postmark'))[0]).toMatchObject({ attempts: 1, dueAt, crashes: 0 });
    });

    test('keeps an uncertain outcome as what it is, though the delivery is deferred', async () => {
      const { accept, claimOne, settle, store } = await bench();
      const { id } = await accept();
      const outcome = { ...DEFERRED, kind: 'uncertain', cause: 'connect', code: null, enhanced: null } as const;
      await settle(await claimOne(), outcome, until(START_MS + 1));
      expect((await store.history.attempts(id))[0]).toMatchObject({ outcome: 'uncertain', cause: 'connect' });
      expect((await store.history.eventsOf(id)).at(-1)?.data.attempt?.outcome).toBe('uncertain');
    });

    test.each([
      ['bounced', BOUNCED, undefined],
      ['expired', { state: 'expired', reason: 'too late' }, 'too late'],
      ['quarantined', { state: 'quarantined', reason: 'poison' }, 'poison'],
    ] as const)('ends as %s with its event and reason', async (state, settlement, reason) => {
      const { accept, claimOne, settle, store } = await bench();
      const { id } = await accept();
      await settle(await claimOne(), REJECTED, settlement);
      expect((await store.history.message(id))?.deliveries[0]?.state).toBe(state);
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event?.type).toBe(`message.${state}`);
      expect(event?.data.reason).toBe(reason);
      expect(event?.data.attempt).toMatchObject({ number: 1, response: 'no such user' });
    });

    test('numbers the attempts of a delivery from 1, in the order in which they began', async () => {
      const { accept, claimOne, settle, clock, store } = await bench();
      const { id } = await accept();
      for (let i = 1; i <= 3; i++) {
        await settle(await claimOne(), DEFERRED, until(clock.now() + 10));
        await clock.advance(10);
      }
      expect((await store.history.attempts(id)).map((attempt) => attempt.number)).toEqual([1, 2, 3]);
    });

    test('gives events a gapless growing seq over all that happens', async () => {
      const { accept, claim, deliver, settle, store } = await bench();
      await Promise.all(Array.from({ length: 8 }, () => accept()));
      const leases = await claim();
      await Promise.all(leases.map((lease, i) => (i % 2 === 0 ? deliver(lease) : settle(lease, REJECTED, BOUNCED))));
      const seqs = (await store.history.events({ afterSeq: 0, limit: 100 })).map((event) => event.data.seq);
      expect(seqs).toEqual(Array.from({ length: 16 }, (_, i) => i + 1));
    });
  });

  describe(`${name}: content`, () => {
    test('goes in the transaction of the last final state', async () => {
      const { accept, claim, deliver, settle, store } = await bench();
      const { id } = await accept({ recipients: ['ann@example.net', 'bob@example.net'] });
      const [one, two] = await claim();
      if (one === undefined || two === undefined) throw new Error('two leases were expected');
      await deliver(one);
      expect(await store.history.message(id)).toMatchObject({ contentKept: true });
      await settle(two, REJECTED, BOUNCED);
      expect(await store.history.message(id)).toMatchObject({ contentKept: false });
      expect(await store.queue.content(id)).toBeNull();
      expect(await store.history.content(id)).toBeNull();
    });

    test('stays when a sandbox captured one of the deliveries, until its own time', async () => {
      const { accept, claim, deliver, store, clock } = await bench();
      const { id } = await accept({ recipients: ['ann@example.net', 'bob@example.net'] });
      const [one, two] = await claim();
      if (one === undefined || two === undefined) throw new Error('two leases were expected');
      await deliver(one, true);
      await deliver(two, false);
      expect(await store.history.message(id)).toMatchObject({ contentKept: true });
      await clock.advance(1000);
      expect(await store.upkeep.dropContent(clock.now(), START_MS, 10)).toBe(0);
      expect(await store.upkeep.dropContent(START_MS, clock.now(), 10)).toBe(1);
      expect(await store.history.message(id)).toMatchObject({ contentKept: false });
    });

    test('stays of a quarantined delivery', async () => {
      const { accept, claimOne, settle, store, clock } = await bench();
      const { id } = await accept();
      await settle(await claimOne(), DEFERRED, { state: 'quarantined', reason: 'poison' });
      await clock.advance(1000);
      expect(await store.upkeep.dropContent(clock.now(), clock.now(), 10)).toBe(0);
      expect(await store.queue.content(id)).not.toBeNull();
    });

    test('stays after the end when it is kept for a time, and is dropped in bounded pieces after it', async () => {
      const { accept, claim, deliver, store, clock } = await bench({ dropContentWhenSettled: false });
      const { id } = await accept();
      for (let i = 0; i < 4; i++) await accept();
      for (const lease of await claim()) await deliver(lease);
      expect(await store.upkeep.dropContent(clock.now(), clock.now(), 3)).toBe(0);
      await clock.advance(1);
      expect(await store.upkeep.dropContent(clock.now(), clock.now(), 3)).toBe(3);
      expect(await store.upkeep.dropContent(clock.now(), clock.now(), 3)).toBe(2);
      expect(await store.upkeep.dropContent(clock.now(), clock.now(), 3)).toBe(0);
      expect(await store.history.content(id)).toBeNull();
    });
  });

  describe(`${name}: interruptions`, () => {
    test('turns a lease that ran out into an uncertain attempt, due at once', async () => {
      const { accept, claimOne, store, clock } = await bench();
      const { id } = await accept();
      await claimOne();
      expect(await store.queue.reclaimExpired(START_MS + LEASE_MS, 3)).toBe(0);
      await clock.advance(LEASE_MS + 1);
      expect(await store.queue.reclaimExpired(clock.now(), 3)).toBe(1);

      expect((await store.history.attempts(id))[0]).toMatchObject({
        number: 1,
        route: 'ses',
        outcome: 'uncertain',
        cause: 'local',
        stage: 'dot',
        response:
          'the relay stopped during this attempt; whether the next hop has the message is not known (nothing else was in work)',
        startedAt: START_MS,
      });
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event?.type).toBe('message.deferred');
      expect(event?.data.attempt?.outcome).toBe('uncertain');
      expect(await claimOne()).toMatchObject({ crashes: 1, attempts: 1, dueAt: clock.now() });
    });

    test('quarantines a delivery that was in work in as many crashes as are allowed', async () => {
      const { accept, claimOne, store, clock, claim } = await bench();
      const { id } = await accept();
      for (let crash = 1; crash <= 3; crash++) {
        expect(await claimOne()).toMatchObject({ crashes: crash - 1 });
        await clock.advance(LEASE_MS + 1);
        await store.queue.reclaimExpired(clock.now(), 3);
        await clock.advance(10_000);
      }
      expect((await store.history.message(id))?.deliveries[0]).toMatchObject({ state: 'quarantined', attempts: 3 });
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event).toMatchObject({
        type: 'message.quarantined',
        data: { reason: 'the relay stopped 3 times while it worked on this delivery', attempt: { number: 3 } },
      });
      expect(await claim()).toEqual([]);
    });

    test('does not take a bystander of other mail’s crashes for poison before twice as many', async () => {
      const { accept, claim, store, clock } = await bench();
      const { id } = await accept();
      for (let crash = 1; crash <= 6; crash++) {
        expect((await store.history.message(id))?.deliveries[0]?.state).not.toBe('quarantined');
        await accept();
        expect(await claim()).toHaveLength(2);
        await clock.advance(LEASE_MS + 1);
        await store.queue.reclaimExpired(clock.now(), 3);
        for (const other of (await store.queue.nextDue(new Map())).routes.size > 0
          ? await store.history.queue(9)
          : []) {
          if (other.messageId !== id) await store.queue.cancel(other.messageId, clock.now(), 'test');
        }
        await clock.advance(10_000);
      }
      expect((await store.history.message(id))?.deliveries[0]?.state).toBe('quarantined');
    });

    test('lets a delivery rest after its second crash, so that repeated kills do not pass for poison', async () => {
      const { accept, claimOne, claim, store, clock } = await bench();
      await accept();
      for (let crash = 1; crash <= 2; crash++) {
        await claimOne();
        await clock.advance(LEASE_MS + 1);
        await store.queue.reclaimExpired(clock.now(), 3);
      }
      expect(await claim()).toEqual([]);
      await clock.advance(10_000);
      expect(await claim()).toHaveLength(1);
    });

    test('does not call an interrupted delivery due while another one is in work', async () => {
      const { accept, claim, store, clock, deliver } = await bench();
      await accept();
      await accept();
      await claim();
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      const [first] = await claim();
      if (first === undefined) throw new Error('nothing is due');
      expect((await store.queue.nextDue(new Map())).routes.size).toBe(0);
      await deliver(first);
      expect((await store.queue.nextDue(new Map())).routes.size).toBe(1);
    });

    test('has at most one interrupted delivery in work at a time, and others beside it', async () => {
      const { accept, claim, store, clock, deliver } = await bench();
      for (let i = 0; i < 3; i++) await accept();
      await claim();
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      await clock.advance(1);
      const innocent = await accept();

      const first = await claim();
      expect(first.map((lease) => lease.crashes).sort()).toEqual([0, 1]);
      expect(first.map((lease) => lease.messageId)).toContain(innocent.id);
      expect(await claim()).toEqual([]);
      for (const lease of first) await deliver(lease);
      expect((await claim()).map((lease) => lease.crashes)).toEqual([1]);
    });

    test('has at most one interrupted delivery in work over all lanes and routes', async () => {
      const { accept, claim, store, clock } = await bench();
      await accept({ record: { priority: 'critical' } });
      await accept();
      await accept({ delivery: { route: 'postmark' } });
      await claim();
      await claim(1, 'postmark');
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      const requests = ['postmark', 'ses'].map((route) => ({ route, room: room(5), destinations: null }));
      expect(await store.queue.claim(requests, clock.now(), LEASE_MS)).toHaveLength(1);
    });

    test('clears an interrupted delivery of suspicion once an attempt has come to a result', async () => {
      const { accept, claimOne, store, clock, settle } = await bench();
      await accept();
      await claimOne();
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      await settle(await claimOne(), DEFERRED, until(clock.now()));
      expect(await claimOne()).toMatchObject({ crashes: 0, attempts: 2 });
    });
  });

  describe(`${name}: deadlines`, () => {
    test('expires what was not delivered by its deadline, with the reason, in bounded pieces', async () => {
      const { accept, store, clock } = await bench();
      const { id } = await accept();
      for (let i = 0; i < 2; i++) await accept();
      await clock.advance(15 * MINUTE_MS - 1);
      expect(await store.queue.expireDue(clock.now(), 2)).toBe(0);
      await clock.advance(1);
      expect(await store.queue.expireDue(clock.now(), 2)).toBe(2);
      expect(await store.queue.expireDue(clock.now(), 2)).toBe(1);
      expect(await store.queue.expireDue(clock.now(), 2)).toBe(0);

      expect(await store.history.message(id)).toMatchObject({ contentKept: false, deliveries: [{ state: 'expired' }] });
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event?.type).toBe('message.expired');
      expect(event?.data.reason).toBe('not delivered by its deadline 2026-01-05T10:15:00.000Z (set by the tag)');
      expect(event?.data.attempt).toBeUndefined();
    });

    test('leaves a delivery in work alone, and ends a quarantined one so that its content goes', async () => {
      const b = await bench();
      const inWork = await b.accept();
      await b.claimOne();
      const quarantined = await b.accept();
      await b.settle(await b.claimOne(), DEFERRED, { state: 'quarantined', reason: 'poison' });
      await b.clock.advance(15 * MINUTE_MS);
      expect(await b.store.queue.expireDue(b.clock.now(), 10)).toBe(1);
      expect(await stateOf(b, inWork.id)).toEqual(['sending']);
      expect((await b.store.history.message(quarantined.id))?.deliveries[0]).toMatchObject({
        state: 'expired',
        lastResponse: 'try later',
      });
      expect(await b.store.queue.content(quarantined.id)).toBeNull();
    });
  });

  describe(`${name}: what is next`, () => {
    test('tells for each route when the next delivery is due, and the next deadline and lease end', async () => {
      const { accept, claim, settle, store, clock } = await bench();
      expect(await store.queue.nextDue(new Map())).toEqual({
        routes: new Map(),
        nextDeadline: null,
        nextDelay: null,
        nextLeaseEnd: null,
      });

      await accept();
      await accept({ record: { priority: 'bulk', deadline: START_MS + 5 * MINUTE_MS } });
      const [first] = await claim();
      if (first === undefined) throw new Error('a lease was expected');
      await settle(first, DEFERRED, until(START_MS + 700, 'postmark'));
      await clock.advance(3);
      await accept();

      expect(await store.queue.nextDue(new Map())).toEqual({
        routes: new Map([
          ['postmark', [null, START_MS + 700, null]],
          ['ses', [null, START_MS + 3, null]],
        ]),
        nextDeadline: START_MS + 15 * MINUTE_MS,
        nextDelay: null,
        nextLeaseEnd: START_MS + LEASE_MS,
      });
    });

    test('finds the earliest of each lane of a route', async () => {
      const { accept, store, clock } = await bench();
      await accept({ record: { priority: 'bulk' } });
      await accept({ record: { priority: 'critical' }, delivery: { route: 'postmark' } });
      await clock.advance(5);
      await accept({ record: { priority: 'critical' } });
      await accept({ record: { priority: 'bulk' }, delivery: { route: 'postmark' } });
      const { routes } = await store.queue.nextDue(new Map());
      expect(routes).toEqual(
        new Map([
          ['postmark', [START_MS, null, START_MS + 5]],
          ['ses', [START_MS + 5, null, START_MS]],
        ]),
      );
    });

    test('counts interrupted deliveries among what is due', async () => {
      const { accept, claimOne, store, clock } = await bench();
      await accept();
      await claimOne();
      await clock.advance(LEASE_MS + 1);
      await store.queue.reclaimExpired(clock.now(), 3);
      expect((await store.queue.nextDue(new Map())).routes).toEqual(new Map([['ses', [null, clock.now(), null]]]));
    });
  });

  describe(`${name}: a change of routes`, () => {
    test('moves undelivered deliveries to the first of their own routes that is left', async () => {
      const b = await bench();
      const queued = await b.accept();
      const stuck = await b.accept({ delivery: { via: ['ses'] } });
      const elsewhere = await b.accept({ delivery: { route: 'postmark' } });
      const deferred = await b.accept({ record: { priority: 'critical' }, delivery: { via: ['ses', 'x', 'other'] } });
      await b.settle(await b.claimOne(), DEFERRED, until(START_MS + 9));

      expect(await b.store.queue.reroute(plain('other', 'postmark'))).toBe(2);
      const routeOf = async (id: typeof queued.id): Promise<string | undefined> =>
        (await b.store.history.message(id))?.deliveries[0]?.route;
      expect(await routeOf(queued.id)).toBe('postmark');
      expect(await routeOf(deferred.id)).toBe('other');
      expect(await routeOf(stuck.id)).toBe('ses');
      expect(await routeOf(elsewhere.id)).toBe('postmark');
      expect(await b.store.queue.reroute(plain('other', 'postmark'))).toBe(0);
      expect((await b.claim(10, 'postmark')).map((lease) => lease.messageId)).toContain(queued.id);
    });

    test('leaves alone what is in work on a route that stands, though it is not its first', async () => {
      const { accept, claimOne, store } = await bench();
      await accept({ delivery: { route: 'postmark' } });
      await claimOne('postmark');
      expect(await store.queue.reroute(plain('ses', 'postmark'))).toBe(0);
    });

    test('moves quarantined and interrupted deliveries and those in work, and none that are done', async () => {
      const b = await bench();
      const quarantined = await b.accept();
      await b.settle(await b.claimOne(), DEFERRED, { state: 'quarantined', reason: 'poison' });
      const done = await b.accept();
      await b.deliver(await b.claimOne());
      const interrupted = await b.accept();
      await b.claimOne();
      await b.clock.advance(LEASE_MS + 1);
      await b.store.queue.reclaimExpired(b.clock.now(), 3);
      const inWork = await b.accept();
      await b.clock.advance(1);
      for (const lease of await b.claim()) {
        if (lease.messageId === interrupted.id) await b.store.queue.release(lease, START_MS);
      }

      expect(await b.store.queue.reroute(plain('postmark'))).toBe(3);
      for (const [{ id }, route] of [
        [quarantined, 'postmark'],
        [done, 'ses'],
        [interrupted, 'postmark'],
        [inWork, 'postmark'],
      ] as const) {
        expect((await b.store.history.message(id))?.deliveries[0]?.route).toBe(route);
      }
    });
  });

  describe(`${name}: an operator`, () => {
    test('makes a deferred delivery due at once', async () => {
      const { accept, claimOne, settle, store, clock } = await bench();
      const { id, deliveries } = await accept();
      await settle(await claimOne(), DEFERRED, until(START_MS + 99_999));
      await clock.advance(1);
      expect(await store.queue.retryNow(id, clock.now())).toEqual({ changed: deliveries, unchanged: [] });
      expect(await claimOne()).toMatchObject({ dueAt: START_MS + 1, attempts: 1 });
    });

    test('brings back a bounced delivery whose content is kept, and the message is open again', async () => {
      const { accept, claimOne, settle, store, deliver, clock } = await bench({ dropContentWhenSettled: false });
      const { id, delivery } = await accept();
      await settle(await claimOne(), REJECTED, BOUNCED);
      await clock.advance(1);
      expect((await store.queue.retryNow(delivery, clock.now())).changed).toEqual([delivery]);
      expect(await store.upkeep.dropContent(clock.now() + 1, clock.now() + 1, 10)).toBe(0);
      expect(await deliver(await claimOne())).toBe('settled');
      expect((await store.history.attempts(id)).map((attempt) => attempt.outcome)).toEqual(['rejected', 'delivered']);
    });

    test('is told why a delivery cannot be tried again', async () => {
      const { accept, claimOne, settle, deliver, store, clock } = await bench();
      const bounced = await accept();
      await settle(await claimOne(), REJECTED, BOUNCED);
      const delivered = await accept();
      await deliver(await claimOne());
      const sending = await accept();
      await claimOne();
      const late = await accept({ record: { deadline: START_MS + 5 } });
      await clock.advance(5);

      const reasonFor = async (id: typeof late.id): Promise<unknown> =>
        (await store.queue.retryNow(id, clock.now())).unchanged.map(({ state, reason }) => [state, reason]);
      expect(await reasonFor(bounced.id)).toEqual([
        ['bounced', 'its content was deleted when the message came to its end'],
      ]);
      expect(await reasonFor(delivered.id)).toEqual([['delivered', 'it was delivered']]);
      expect(await reasonFor(sending.id)).toEqual([['sending', 'an attempt is under way']]);
      expect(await reasonFor(late.id)).toEqual([['queued', 'its deadline passed at 2026-01-05T10:00:00.005Z']]);
    });

    test('cancels what waits, with the reason, and leaves the rest', async () => {
      const { accept, claimOne, deliver, store, clock } = await bench();
      const { id, deliveries } = await accept({
        recipients: ['ann@example.net', 'bob@example.net', 'eve@example.net'],
      });
      await deliver(await claimOne());
      await claimOne();
      const result = await store.queue.cancel(id, clock.now(), 'canceled by ops');

      expect(result.changed).toEqual([deliveries[2]]);
      expect(result.unchanged.map(({ id: delivery, state }) => [delivery, state])).toEqual([
        [deliveries[0], 'delivered'],
        [deliveries[1], 'sending'],
      ]);
      const event = (await store.history.eventsOf(id)).at(-1);
      expect(event).toMatchObject({
        type: 'message.canceled',
        data: { reason: 'canceled by ops', delivery: { id: deliveries[2], state: 'canceled' } },
      });
    });

    test('ends the message when the last waiting delivery is canceled', async () => {
      const { accept, store, clock } = await bench();
      const { id, delivery } = await accept();
      await store.queue.cancel(delivery, clock.now(), 'by hand');
      expect(await store.history.message(id)).toMatchObject({
        contentKept: false,
        deliveries: [{ state: 'canceled' }],
      });
      expect(await store.queue.nextDue(new Map())).toMatchObject({ nextDeadline: null });
    });

    test('changes nothing for an id that is not known', async () => {
      const { store, ids, clock } = await bench();
      const nothing = { changed: [], unchanged: [] };
      expect(await store.queue.retryNow(ids.message(), clock.now())).toEqual(nothing);
      expect(await store.queue.cancel(ids.delivery(), clock.now(), 'x')).toEqual(nothing);
    });
  });

  describe(`${name}: history`, () => {
    test('finds a message by its id, Message-ID, recipient, flow and delivery', async () => {
      const { store, accept } = await bench();
      await accept({ recipients: ['eve@example.net'] });
      const { id, delivery } = await accept({
        record: { flow: 'f-7', headerMessageId: '<abc@host>' },
        recipients: ['Ann@Example.net'],
      });
      for (const key of [id, '<abc@host>', 'abc@host', 'ann@EXAMPLE.net', 'f-7', delivery]) {
        expect(await store.history.find(key, 'any', 10)).toEqual([id]);
      }
      expect(await store.history.find('f-7', 'flow', 10)).toEqual([id]);
      expect(await store.history.find('abc@host', 'flow', 10)).toEqual([]);
      for (const key of ['nobody@example.net', 'f-8', '', '%', "' OR 1=1 --"]) {
        expect(await store.history.find(key, 'any', 10)).toEqual([]);
      }
    });

    test('finds the newest first, as many as are wanted, each once', async () => {
      const { store, accept } = await bench();
      const made: string[] = [];
      for (let i = 0; i < 4; i++) {
        made.push((await accept({ record: { flow: 'f' }, recipients: ['a@example.net', 'A@example.net'] })).id);
      }
      expect(await store.history.find('a@example.net', 'any', 3)).toEqual(made.toReversed().slice(0, 3));
      expect(await store.history.find('f', 'flow', 10)).toEqual(made.toReversed());
    });

    test('lists messages newest first, page after page', async () => {
      const { store, accept } = await bench();
      const made: string[] = [];
      for (let i = 0; i < 5; i++) made.push((await accept()).id);
      const first = await store.history.messages({ limit: 2 });
      const before = first.at(-1)?.id;
      const second = await store.history.messages({ limit: 2, ...(before === undefined ? {} : { before }) });
      expect([...first, ...second].map((message) => message.id)).toEqual(made.toReversed().slice(0, 4));
    });

    test('lists messages by tag, flow, recipient, state and time, alone and together', async () => {
      const { store, accept, clock, claimOne, deliver, settle, claim } = await bench();
      const reset = (await accept({ record: { flow: 'f' }, recipients: ['ann@example.net'] })).id;
      await deliver(await claimOne());
      const bounced = (await accept({ recipients: ['bob@example.net'] })).id;
      await settle(await claimOne(), REJECTED, BOUNCED);
      await clock.advance(1000);
      const news = (await accept({ record: { tag: 'news', priority: 'bulk' }, recipients: ['ann@example.net'] })).id;
      await claim();
      const waiting = (await accept({ record: { flow: 'f' }, recipients: ['ann@example.net'] })).id;

      const list = async (filter: Omit<Parameters<Store['history']['messages']>[0], 'limit'>): Promise<string[]> =>
        (await store.history.messages({ limit: 10, ...filter })).map((message) => message.id);
      expect(await list({ tag: 'password-reset' })).toEqual([waiting, bounced, reset]);
      expect(await list({ flow: 'f' })).toEqual([waiting, reset]);
      expect(await list({ recipient: 'ANN@example.net' })).toEqual([waiting, news, reset]);
      expect(await list({ state: 'delivered' })).toEqual([reset]);
      expect(await list(BOUNCED)).toEqual([bounced]);
      expect(await list({ state: 'sending' })).toEqual([news]);
      expect(await list({ state: 'queued' })).toEqual([waiting]);
      expect(await list({ sinceMs: START_MS + 1000 })).toEqual([waiting, news]);
      expect(await list({ recipient: 'ann@example.net', state: 'delivered' })).toEqual([reset]);
      expect(await list({ recipient: 'ann@example.net', tag: 'news', sinceMs: START_MS + 1 })).toEqual([news]);
      expect(await list({ flow: 'f', state: 'queued', tag: 'password-reset' })).toEqual([waiting]);
      expect(await list({ flow: 'f', state: 'delivered' })).toEqual([reset]);
      expect(await list({ tag: 'news', state: 'bounced' })).toEqual([]);
      expect(await list({ recipient: 'not an address' })).toEqual([]);
      expect(await list({ recipientPrefix: 'AN' })).toEqual([waiting, news, reset]);
      expect(await list({ recipientPrefix: 'bob@Ex' })).toEqual([bounced]);
      expect(await list({ recipientPrefix: 'nn@example' })).toEqual([]);
      expect(await list({ recipientPrefix: 'ann', state: 'delivered', tag: 'password-reset' })).toEqual([reset]);
      expect(await list({ recipientPrefix: '', before: bounced })).toEqual([reset]);
      expect(await list({ recipientPrefix: 'b', recipient: 'ann@example.net' })).toEqual([]);
      const { deliveriesTo } = store.history;
      expect([await deliveriesTo('Ann', 10), await deliveriesTo('', 2), await deliveriesTo('%', 10)]).toEqual([
        3, 2, 0,
      ]);
      expect(await list({ untilMs: START_MS + 1000 })).toEqual([bounced, reset]);
      expect(await list({ untilMs: START_MS })).toEqual([]);
      expect(await list({ sinceMs: START_MS + 1000, untilMs: START_MS + 1001, tag: 'news' })).toEqual([news]);
      const headerMessageId = `<${bounced}@accounts.example.com>`;
      expect(await list({ headerMessageId })).toEqual([bounced]);
      expect(await list({ headerMessageId, state: 'bounced' })).toEqual([bounced]);
      expect(await list({ headerMessageId, state: 'queued' })).toEqual([]);
      expect(await list({ headerMessageId, recipient: 'bob@example.net', tag: 'password-reset' })).toEqual([bounced]);
    });

    test('lists the newest events without a mark, and the next ones after a mark', async () => {
      const { store, accept } = await bench();
      for (let i = 0; i < 5; i++) await accept();
      const seqs = (events: readonly RelayEvent[]): number[] => events.map((event) => event.data.seq);
      expect(seqs(await store.history.events({ limit: 2 }))).toEqual([4, 5]);
      expect(seqs(await store.history.events({ limit: 2, afterSeq: 1 }))).toEqual([2, 3]);
      expect(seqs(await store.history.events({ limit: 2, afterSeq: 5 }))).toEqual([]);
    });

    test('lists the newest events before a mark, with every kind of filter', async () => {
      const { store, accept } = await bench();
      for (let i = 0; i < 5; i++) await accept({ record: { flow: 'f-1' } });
      const list = async (filter: Omit<Parameters<Store['history']['events']>[0], 'limit'>): Promise<number[]> =>
        (await store.history.events({ limit: 2, ...filter })).map((event) => event.data.seq);
      expect(await list({ beforeSeq: 4 })).toEqual([2, 3]);
      expect(await list({ beforeSeq: 1 })).toEqual([]);
      expect(await list({ beforeSeq: 4, afterSeq: 2 })).toEqual([3]);
      expect(await list({ beforeSeq: 4, flow: 'f-1' })).toEqual([2, 3]);
      expect(await list({ beforeSeq: 4, types: ['message.accepted'] })).toEqual([2, 3]);
      expect(await list({ beforeSeq: 4, recipient: 'ann@example.net' })).toEqual([2, 3]);
    });

    test('filters events by flow, route and end of time, alone and together', async () => {
      const { store, accept, claimOne, settle, clock } = await bench();
      await accept({ record: { flow: 'f-1' } });
      await settle(await claimOne(), DEFERRED, until(START_MS + 99_999));
      await clock.advance(10);
      await accept({ record: { flow: 'f-2' } });
      await store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'x', at: clock.now() });
      await store.queue.routeChanged({ type: 'route.up', route: 'postmark', reason: 'x', at: clock.now() });
      const list = async (filter: Omit<Parameters<Store['history']['events']>[0], 'limit'>): Promise<number[]> =>
        (await store.history.events({ limit: 10, ...filter })).map((event) => event.data.seq);
      expect(await list({ flow: 'f-1' })).toEqual([1, 2]);
      expect(await list({ flow: 'f-1', afterSeq: 1 })).toEqual([2]);
      expect(await list({ flow: 'f-2', types: ['message.deferred'] })).toEqual([]);
      expect(await list({ flow: 'f-3' })).toEqual([]);
      expect(await list({ route: 'ses' })).toEqual([2, 4]);
      expect(await list({ route: 'postmark' })).toEqual([5]);
      expect(await list({ route: 'ses', flow: 'f-1' })).toEqual([2]);
      expect(await list({ untilMs: START_MS + 9 })).toEqual([1, 2]);
      expect(await list({ untilMs: START_MS + 10 })).toEqual([1, 2, 3, 4, 5]);
      expect(await list({ untilMs: START_MS - 1 })).toEqual([]);
      expect(await list({ untilMs: START_MS + 9, afterSeq: 1 })).toEqual([2]);
      expect((await store.history.events({ flow: 'f-1', limit: 1 })).map((event) => event.data.seq)).toEqual([2]);
    });

    test('filters events by type, tag, state, recipient and time, alone and together', async () => {
      const { store, ids, accept, clock, claimOne, deliver, settle } = await bench();
      await accept({ recipients: ['ann@example.net'] });
      await deliver(await claimOne());
      await clock.advance(1000);
      await accept({ record: { tag: 'news' }, recipients: ['bob@example.net'] });
      await settle(await claimOne(), REJECTED, BOUNCED);
      await store.intake.reject({
        id: ids.message(),
        at: clock.now(),
        headerMessageId: null,
        tag: null,
        credential: null,
        rule: null,
        recipients: [address('bob@example.net')],
        refusal: refuse(550, '5.6.0', 'no From header'),
      });

      const list = async (filter: Omit<Parameters<Store['history']['events']>[0], 'limit'>): Promise<number[]> =>
        (await store.history.events({ limit: 10, ...filter })).map((event) => event.data.seq);
      expect(await list({ types: ['message.delivered', 'message.bounced'] })).toEqual([2, 4]);
      expect(await list({ types: [] })).toEqual([]);
      expect(await list({ tag: 'news' })).toEqual([3, 4]);
      expect(await list({ state: 'queued' })).toEqual([1, 3]);
      expect(await list(BOUNCED)).toEqual([4]);
      expect(await list({ recipient: 'ANN@example.net' })).toEqual([1, 2]);
      expect(await list({ state: 'rejected' })).toEqual([5]);
      expect(await list({ recipient: 'bob@example.net' })).toEqual([3, 4, 5]);
      expect(await list({ recipient: 'bob@example.net', types: ['message.bounced'] })).toEqual([4]);
      expect(await list({ sinceMs: START_MS + 1000 })).toEqual([3, 4, 5]);
      expect(await list({ sinceMs: START_MS + 1001 })).toEqual([]);
      expect(await list({ tag: 'news', types: ['message.accepted'], afterSeq: 2 })).toEqual([3]);
      expect(await list({ recipient: 'bob@example.net', state: 'bounced', tag: 'news' })).toEqual([4]);
      expect(await list({ recipient: 'bob@example.net', tag: 'password-reset' })).toEqual([]);
    });

    test('shows the queue most urgent first, with what is undelivered or quarantined', async () => {
      const { store, accept, claimOne, settle, deliver, clock } = await bench();
      await accept();
      await deliver(await claimOne());
      const quarantined = await accept();
      await settle(await claimOne(), DEFERRED, { state: 'quarantined', reason: 'poison' });
      const bulk = await accept({ record: { priority: 'bulk' } });
      const inWork = await accept({ record: { priority: 'critical' } });
      await claimOne();
      await clock.advance(1);
      const critical = await accept({ record: { priority: 'critical' }, delivery: { route: 'postmark' } });
      const normal = await accept();

      const rows = await store.history.queue(10);
      expect(rows.map((row) => row.messageId)).toEqual([inWork.id, critical.id, normal.id, quarantined.id, bulk.id]);
      expect(rows[1]).toEqual({
        messageId: critical.id,
        deliveryId: critical.deliveries[0],
        recipient: 'ann@example.net',
        state: 'queued',
        route: 'postmark',
        priority: 'critical',
        tag: 'password-reset',
        attempts: 0,
        acceptedAt: START_MS + 1,
        dueAt: START_MS + 1,
        deadline: START_MS + 1 + 15 * MINUTE_MS,
        lastResponse: null,
      });
      expect(rows[3]).toMatchObject({ state: 'quarantined', dueAt: null, lastResponse: 'try later' });
      expect(await store.history.queue(2)).toEqual(rows.slice(0, 2));
    });

    test('counts by tag, with the times to the next hop', async () => {
      const { store, accept, clock, claimOne, deliver, settle } = await bench();
      await accept({ record: { tag: null } });
      await deliver(await claimOne());
      await clock.advance(1);
      for (const tookMs of [10, 20, 30, 40]) {
        await accept();
        await clock.advance(tookMs);
        await deliver(await claimOne());
      }
      await accept();
      await settle(await claimOne(), REJECTED, BOUNCED);

      const reset = { tag: 'password-reset', accepted: 5, states: { delivered: 4, bounced: 1 } };
      expect(await store.history.stats(START_MS)).toEqual([
        { tag: null, accepted: 1, states: { delivered: 1 }, p50Ms: 0, p95Ms: 0, p99Ms: 0 },
        { ...reset, p50Ms: 20, p95Ms: 40, p99Ms: 40 },
      ]);
      expect(await store.history.stats(START_MS + 1)).toHaveLength(1);
      expect(await store.history.stats(clock.now() + 1)).toEqual([]);
    });

    test('counts tries that did not deliver, by route and answer, the most frequent kind first', async () => {
      const { store, accept, clock, claimOne, settle, tryOf } = await bench();
      await accept();
      const first = await claimOne();
      await store.queue.settle(
        first,
        [tryOf(first, DEFERRED, 'backup'), tryOf(first, DELIVERED)],
        { state: 'delivered', captured: false },
        clock.now(),
      );
      await clock.advance(1);
      for (const response of ['older', 'newer']) {
        await accept();
        await settle(await claimOne(), { ...DEFERRED, response }, until(START_MS + 99_999));
      }
      const faults = async (sinceMs: number, topFaults: number) =>
        (await store.history.trend({ sinceMs, untilMs: clock.now() + 1, stepMs: 300_000, topFaults })).faults;
      const rows = await faults(0, 10);
      expect(rows).toMatchObject([
        { route: 'ses', code: DEFERRED.code, count: 2, response: 'newer' },
        { route: 'backup', count: 1 },
      ]);
      expect(await faults(0, 1)).toEqual(rows.slice(0, 1));
      expect(await faults(START_MS + 3_600_000, 10)).toEqual([]);
    });

    test('gives no times for a tag of which nothing was delivered', async () => {
      const { store, accept } = await bench();
      await accept();
      expect(await store.history.stats(0)).toEqual([
        { tag: 'password-reset', accepted: 1, states: { queued: 1 }, p50Ms: null, p95Ms: null, p99Ms: null },
      ]);
    });

    test('counts what is open, and the age of the oldest in each lane', async () => {
      const { store, accept, clock, claimOne, settle, deliver } = await bench();
      await accept({ record: { priority: 'critical' } });
      await deliver(await claimOne());
      await accept({ record: { priority: 'critical' } });
      await settle(await claimOne(), DEFERRED, { state: 'quarantined', reason: 'poison' });
      await clock.advance(1);
      await accept({ record: { priority: 'bulk' } });
      await settle(await claimOne(), DEFERRED, until(START_MS + 99_999));
      await accept({ record: { priority: 'critical' } });
      await claimOne();
      await clock.advance(1);
      await accept({ record: { priority: 'critical' } });

      expect(await store.health.figures()).toEqual({
        byState: { queued: 1, deferred: 1, sending: 1, quarantined: 1 },
        oldestAcceptedAt: { critical: START_MS + 1, bulk: START_MS + 1 },
        lastSeq: 8,
        contentKeys: { used: 4, free: 0 },
      });
      await deliver(await claimOne());
      expect((await store.health.figures()).contentKeys).toEqual({ used: 3, free: 1 });
    });
  });

  describe(`${name}: upkeep`, () => {
    test('deletes messages that settled before a time with all they own, and events as old, in bounded pieces', async () => {
      const { store, accept, clock, claim, deliver } = await bench();
      const old: string[] = [];
      for (let i = 0; i < 3; i++) old.push((await accept()).id);
      for (const lease of await claim()) await deliver(lease);
      await clock.advance(1000);
      const young = await accept();
      for (const lease of await claim()) await deliver(lease);
      const waiting = await accept();

      expect(await store.upkeep.dropHistory(START_MS, 100)).toBe(0);
      const before = START_MS + 1;
      let rounds = 0;
      while ((await store.upkeep.dropHistory(before, 2)) > 0) rounds++;
      expect(rounds).toBe(3);
      expect((await store.history.messages({ limit: 10 })).map((message) => message.id)).toEqual([
        waiting.id,
        young.id,
      ]);
      expect((await store.history.events({ afterSeq: 0, limit: 10 })).map((event) => event.data.seq)).toEqual([
        7, 8, 9,
      ]);
      for (const id of old) expect(await store.history.find(id, 'any', 1)).toEqual([]);
    });

    test('never gives a deleted event number again', async () => {
      const { store, accept, clock, claimOne, deliver } = await bench();
      await accept();
      await deliver(await claimOne());
      await clock.advance(1000);
      await store.upkeep.dropHistory(clock.now(), 100);
      await accept();
      expect((await store.history.events({ limit: 10 })).map((event) => event.data.seq)).toEqual([3]);
    });

    test('keeps messages that are still open, however old', async () => {
      const { store, accept, clock } = await bench();
      const { id } = await accept();
      await clock.advance(1000);
      await store.upkeep.dropHistory(clock.now(), 100);
      expect(await store.history.message(id)).not.toBeNull();
    });
  });

  describe(`${name}: the feed`, () => {
    test('tells the events of a commit in order of seq before the call that caused them resolves', async () => {
      const { store, accept, claimOne, deliver } = await bench();
      const told: RelayEvent[] = [];
      store.feed.onEvents((events) => told.push(...events));
      const { id } = await accept({ recipients: ['ann@example.net', 'bob@example.net'] });
      expect(told).toEqual(await store.history.eventsOf(id));
      await deliver(await claimOne());
      expect(told.map((event) => [event.type, event.data.seq])).toEqual([
        ['message.accepted', 1],
        ['message.accepted', 2],
        ['message.delivered', 3],
      ]);
      expect(told).toEqual(await store.history.eventsOf(id));
    });

    test('tells nothing of a call that failed', async () => {
      const { store, ids, clock } = await bench();
      const told: RelayEvent[] = [];
      store.feed.onEvents((events) => told.push(...events));
      const message = newMessage(ids, clock.now());
      // The second of its deliveries has an id that is taken.
      const other = newMessage(ids, clock.now());
      const twin = { ...other, deliveries: [...other.deliveries, ...message.deliveries] };
      const results = await Promise.allSettled([message, twin].map((one) => store.intake.accept(one)));
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
      expect(told.map((event) => [event.data.message?.id, event.data.seq])).toEqual([[message.record.id, 1]]);
    });
  });

  describe(`${name}: being open`, () => {
    test('takes mail, and says so', async () => {
      const { store } = await bench();
      expect(store.health.current()).toEqual({ accepting: true, kind: 'ok', reason: '' });
      expect(await store.health.probe()).toEqual({ accepting: true, kind: 'ok', reason: '' });
    });

    test('tells of each commit how many operations were in it', async () => {
      const { store, accept } = await bench();
      let operations = 0;
      store.health.onCommit((commit) => {
        expect(commit.ms).toBeGreaterThanOrEqual(0);
        operations += commit.operations;
      });
      await Promise.all([accept(), accept(), accept()]);
      expect(operations).toBe(3);
    });

    test('finishes what was asked for when it stops, and refuses what comes later', async () => {
      const { store, ids, clock } = await bench();
      const accepted = Array.from({ length: 20 }, () => store.intake.accept(newMessage(ids, clock.now())));
      const stopped = store.stop();
      expect((await Promise.all(accepted)).every((result) => result.kind === 'accepted')).toBe(true);
      await stopped;
      const closed = { name: 'RelayError', code: 'store-closed' };
      await expect(store.intake.accept(newMessage(ids, clock.now()))).rejects.toMatchObject(closed);
      await expect(store.queue.nextDue(new Map())).rejects.toMatchObject(closed);
      await expect(store.history.queue(1)).rejects.toMatchObject(closed);
      await store.stop();
    });

    test('takes the result of an attempt that it does not know as lost', async () => {
      const { ids, accept, claimOne, settle } = await bench();
      await accept();
      const lease = await claimOne();
      const unknown = { ...lease, deliveryId: ids.delivery() };
      expect(await settle(unknown, DELIVERED, { state: 'delivered', captured: false })).toBe('lost');
    });
  });
}
