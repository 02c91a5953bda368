/** What the page of a message says on top, from stories as the API tells them. */
import { describe, expect, test } from 'vitest';
import type { Attempt, MessageDetail, RelayEvent } from '../../src/dashboard/api/types.ts';
import { stepsOf, type Story } from '../../src/dashboard/lib/story.ts';
import { verdictOn } from '../../src/dashboard/lib/verdict.ts';

const START = Date.UTC(2026, 0, 5, 10);
const at = (ms: number): string => new Date(START + ms).toISOString();

function attempt(number: number, startMs: number, over: Partial<Attempt> = {}): Attempt {
  return {
    delivery_id: 'dlv_1',
    started_at: at(startMs),
    number,
    route: 'ses',
    outcome: 'delivered',
    cause: null,
    next_hop: 'smtp.ses.example:587',
    tls: 'TLSv1.3',
    cipher: null,
    stage: 'dot',
    code: 250,
    enhanced: '2.0.0',
    response: 'Ok',
    timings_ms: { queue: 1, connect: 10, transaction: 40 },
    ...over,
  };
}

const GREYLISTED: Partial<Attempt> = {
  outcome: 'deferred',
  cause: 'recipient',
  stage: 'rcpt',
  code: 451,
  enhanced: '4.7.1',
  response: 'Greylisted',
};

type DeliveryDetail = MessageDetail['deliveries'][number];

function story(
  delivery: Partial<DeliveryDetail>,
  over: {
    readonly message?: Partial<MessageDetail>;
    readonly events?: readonly RelayEvent[];
    readonly routeEvents?: readonly RelayEvent[];
  } = {},
): Story {
  return {
    message: {
      id: 'msg_1',
      message_id: '<1@example.com>',
      tag: 'password-reset',
      tag_source: 'header',
      flow: null,
      metadata: {},
      priority: 'critical',
      collapse_key: null,
      credential: null,
      from: 'a@example.com',
      mail_from: 'a@example.com',
      rule: 'recovery',
      accepted_at: at(0),
      deadline: at(900_000),
      deadline_source: 'tag',
      size: 1000,
      signatures: [],
      client: { address: '127.0.0.1', helo: '', tls: null },
      warnings: [],
      links: [],
      link_audit: null,
      content_kept: false,
      deliveries: [
        {
          id: 'dlv_1',
          recipient: 'ann@example.net',
          state: 'delivered',
          attempts: [],
          attempt_count: 0,
          rule: 'recovery',
          rule_reason: 'tag',
          via: ['ses'],
          route: 'ses',
          next_attempt_at: null,
          last_response: null,
          delivered_at: null,
          bounce: null,
          superseded_by: null,
          updated_at: at(0),
          ...delivery,
        },
      ],
      ...over.message,
    },
    events: over.events ?? [],
    routeEvents: over.routeEvents ?? [],
  };
}

const event = (type: RelayEvent['type'], ms: number, data: Partial<RelayEvent['data']>): RelayEvent => ({
  type,
  timestamp: at(ms),
  data: { event_id: `evt_${type}_${ms}`, seq: 1, ...data },
});

describe('the verdict', () => {
  test('on a mail that went at once has nothing to explain', () => {
    const { mood, text, why } = verdictOn(story({ delivered_at: at(51), attempts: [attempt(1, 1)] }), START + 60_000);
    expect(mood).toBe('good');
    expect(text).toBe('Delivered 51 ms after it was accepted: ses (smtp.ses.example:587) took it.');
    expect(why).toBe('');
  });

  test('on a late one names the answer that made it wait, and for how long', () => {
    const { why } = verdictOn(
      story({
        delivered_at: at(80_000),
        attempts: [attempt(1, 1, GREYLISTED), attempt(2, 20_000, GREYLISTED), attempt(3, 79_950)],
      }),
      START + 90_000,
    );
    expect(why).toBe('Late because of the wait after ses answered "451 4.7.1 Greylisted" at rcpt (1 min 20 s).');
  });

  test('on a late one names the slow phase of a slow next hop', () => {
    const { why } = verdictOn(
      story({
        delivered_at: at(30_000),
        attempts: [attempt(1, 0, { timings_ms: { connect: 20, transaction: 29_980 } })],
      }),
      START + 90_000,
    );
    expect(why).toBe('Late because of the answer of smtp.ses.example:587 (30 s).');
  });

  test('on a late one names the route that was down', () => {
    const { why } = verdictOn(
      story(
        { delivered_at: at(60_000), attempts: [attempt(1, 59_950)] },
        { routeEvents: [event('route.down', -5000, { route: { name: 'ses', reason: 'connection refused' } })] },
      ),
      START + 90_000,
    );
    expect(why).toContain('the wait while route ses was down: connection refused (1 min)');
  });

  test('on one that waits says when the next attempt is', () => {
    const { mood, text, next } = verdictOn(
      story({ state: 'deferred', attempts: [attempt(1, 1, GREYLISTED)], next_attempt_at: at(30_000) }),
      START + 20_000,
    );
    expect(mood).toBe('wait');
    expect(text).toBe(
      'Not delivered yet, 20 s after it was accepted. Tried once, the last time over ses: 451 4.7.1 Greylisted.',
    );
    expect(next).toBe('The next attempt is in 10 s, over ses.');
  });

  test('on one that came back after its delivery says so first of all', () => {
    const { mood, text } = verdictOn(
      story(
        { delivered_at: at(51), attempts: [attempt(1, 1)] },
        {
          events: [
            event('message.bounced', 9000, {
              delivery: { id: 'dlv_1', recipient: 'ann@example.net', state: 'delivered', attempts: 1 },
              report: { kind: 'dsn', reporter: 'mx.example.net', status: '5.1.1', diagnostic: 'no such user' },
            }),
          ],
        },
      ),
      START + 60_000,
    );
    expect(mood).toBe('bad');
    expect(text).toContain('But it came back later (mx.example.net): no such user.');
  });

  test.each([
    'bounced',
    'expired',
    'superseded',
    'suppressed',
    'throttled',
    'canceled',
    'quarantined',
    'sending',
    'queued',
  ] as const)('on one that is %s is a sentence', (state) => {
    expect(verdictOn(story({ state }), START + 1000).text).toMatch(/^[A-Z].*\.$/);
  });

  test('on a refused one tells what the app was told', () => {
    const { text } = verdictOn(
      {
        message: null,
        events: [
          event('message.rejected', 0, { refusal: { code: 550, enhanced: '5.7.1', text: 'sender not allowed' } }),
        ],
        routeEvents: [],
      },
      START,
    );
    expect(text).toBe('Refused at submission: 550 5.7.1 sender not allowed. The app was told; nothing was queued.');
  });
});

describe('the steps of a story', () => {
  test('tell each attempt once, in time order, with what the event knows of it', () => {
    const first = attempt(1, 10, GREYLISTED);
    const steps = stepsOf(
      story(
        { delivered_at: at(5060), attempts: [first, attempt(2, 5010)] },
        {
          events: [
            event('message.accepted', 0, {
              delivery: { id: 'dlv_1', recipient: 'ann@example.net', state: 'queued', attempts: 0 },
            }),
            event('message.deferred', 60, {
              delivery: {
                id: 'dlv_1',
                recipient: 'ann@example.net',
                state: 'deferred',
                attempts: 1,
                next_attempt_at: at(5000),
              },
              attempt: first,
            }),
            event('message.delayed', 3000, {
              delivery: { id: 'dlv_1', recipient: 'ann@example.net', state: 'deferred', attempts: 1 },
            }),
          ],
        },
      ),
    );
    expect(steps.map(({ word, attempt: tried }) => [word, tried?.number ?? null])).toEqual([
      ['accepted', null],
      ['deferred', 1],
      ['delayed', null],
      ['delivered', 2],
    ]);
    expect(steps[1]?.nextAttemptAt).toBe(at(5000));
  });

  test('call an attempt that failed over what it is', () => {
    const steps = stepsOf(
      story({
        attempts: [
          attempt(1, 0, { outcome: 'deferred', cause: 'connect', route: 'ses' }),
          attempt(2, 5, { route: 'postmark' }),
        ],
      }),
    );
    expect(steps.map(({ word }) => word)).toEqual(['moved on', 'delivered']);
  });
});
