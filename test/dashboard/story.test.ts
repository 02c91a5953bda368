/** What the page of a message makes of a story as the API tells it: its steps, and the colour of its verdict. */
import { describe, expect, test } from 'vitest';
import type { Attempt, MessageDetail, RelayEvent } from '../../src/dashboard/api/types.ts';
import { startOf, stepsOf, type Story } from '../../src/dashboard/lib/story.ts';
import { verdictMood } from '../../src/dashboard/lib/states.ts';
import { due } from '../../src/dashboard/lib/time.ts';

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
    events: [...(over.events ?? [])],
    route_events: [],
  };
}

const event = (type: RelayEvent['type'], ms: number, data: Partial<RelayEvent['data']>): RelayEvent => ({
  type,
  timestamp: at(ms),
  data: { event_id: `evt_${type}_${ms}`, seq: 1, ...data },
});

describe('the time of what comes next', () => {
  test('is said to be past when it is', () => {
    expect(due(at(10_000), START)).toBe('in 10 s');
    expect(due(at(0), START)).toBe('in 1 s');
    expect(due(at(-12_000), START)).toBe('was due 12 s ago');
  });
});

describe('the mood of a verdict', () => {
  test.each([
    ['delivered', 'good'],
    ['deferred', 'wait'],
    ['bounced', 'bad'],
    ['rejected', 'bad'],
    ['superseded', 'quiet'],
    // Quiet in a list; to the person who waits for the mail it is not.
    ['suppressed', 'bad'],
  ])('on one that is %s is %s', (state, mood) => {
    expect(verdictMood({ state, came_back: false })).toBe(mood);
  });

  test('on one that came back after its delivery is bad', () => {
    expect(verdictMood({ state: 'delivered', came_back: true })).toBe('bad');
  });
});

describe('the steps of a story', () => {
  test('count from the acceptance, although the route was down before', () => {
    const accepted = event('message.accepted', 60_000, {});
    const down = event('route.down', 0, { route: { name: 'ses', reason: 'refused' } });
    const steps = stepsOf({ ...story({}, { events: [accepted] }), route_events: [down] });
    expect(steps.map(({ word }) => word)).toEqual(['route.down', 'accepted']);
    expect(startOf(steps)).toBe(Date.parse(at(60_000)));
    expect(startOf(steps.slice(0, 1))).toBe(Date.parse(at(0)));
  });

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
