import { describe, expect, test } from 'vitest';
import type { EnvelopeAddress } from '../../src/core/address.ts';
import type { DeliveryId, MessageId } from '../../src/core/ids.ts';
import {
  type Verdict,
  verdictOn,
  type VerdictInput,
  verdictText,
  verdictWithCommand,
} from '../../src/api/story/verdict.ts';
import type { AttemptView, DeliveryView, MessageView } from '../../src/store/history.ts';
import { DELIVERY_STATES } from '../../src/core/delivery.ts';
import { NOW } from './support.ts';

const DELIVERY = `dlv_${'0'.repeat(26)}` as DeliveryId;

const RETURNED: VerdictInput['events'][number] = {
  type: 'message.bounced',
  timestamp: new Date(NOW + 9000).toISOString(),
  data: {
    event_id: 'evt_2',
    seq: 2,
    delivery: { id: DELIVERY, recipient: 'ann@example.net', state: 'delivered', attempts: 1 },
    report: { kind: 'dsn', reporter: 'mx.example.net', status: '5.1.1', diagnostic: 'no such user' },
    bounce: {
      class: 'recipient',
      why: 'enhanced code 5.1.1',
      explanation: 'x',
      suppressed_until: '2026-02-04T10:00:00.000Z',
    },
  },
} as never;

function delivery(over: Partial<DeliveryView>): DeliveryView {
  return {
    id: DELIVERY,
    recipient: 'ann@example.net' as EnvelopeAddress,
    state: 'queued',
    attempts: 0,
    rule: 'recovery',
    ruleReason: 'tag is password-reset',
    via: ['ses'],
    route: 'ses',
    nextAttemptAt: null,
    lastResponse: null,
    deliveredAt: null,
    bounce: null,
    supersededBy: null,
    updatedAt: NOW + 500,
    ...over,
  };
}

const attempt: AttemptView = {
  deliveryId: DELIVERY,
  startedAt: NOW,
  number: 1,
  route: 'ses',
  outcome: 'deferred',
  cause: 'recipient',
  next_hop: 'mx.example.net:587',
  tls: 'TLSv1.3',
  cipher: 'x',
  stage: 'rcpt',
  code: 451,
  enhanced: '4.2.1',
  response: 'mailbox \u001b[31mbusy',
  timings_ms: {},
};

function parts(one: Partial<DeliveryView>, over: Partial<VerdictInput> = {}): Verdict {
  const message: MessageView = {
    id: `msg_${'0'.repeat(26)}` as MessageId,
    headerMessageId: '<a@example.com>',
    mailFrom: '',
    headerFrom: 'no-reply@example.com',
    dsn: { ret: null, envid: null },
    smtpUtf8: false,
    tag: 'password-reset',
    tagSource: 'header',
    flow: null,
    metadata: {},
    priority: 'critical',
    collapseKey: null,
    requireTls: false,
    credential: null,
    rule: 'recovery',
    acceptedAt: NOW,
    deadline: NOW + 900_000,
    deadlineSource: 'tag',
    size: 1000,
    eightBit: false,
    signatures: [],
    warnings: [],
    links: null,
    client: { address: '127.0.0.1', helo: 'app', tls: null },
    contentKept: true,
    deliveries: [],
  };
  return verdictOn({
    message,
    deliveries: [delivery(one)],
    attempts: [],
    events: [],
    routeEvents: [],
    now: NOW + 1000,
    placeOptions: ' --data ./d',
    ...over,
  });
}

function verdict(one: Partial<DeliveryView>, over: Partial<VerdictInput> = {}): string {
  return verdictWithCommand(parts(one, over));
}

describe('the verdict', () => {
  test('on a delivered mail says who took it, when, and what it answered', () => {
    const took: AttemptView = { ...attempt, outcome: 'delivered', code: 250, enhanced: '2.0.0', response: 'Ok' };
    expect(verdict({ state: 'delivered', attempts: 1, deliveredAt: NOW + 63 }, { attempts: [took] })).toBe(
      'Delivered to ann@example.net on 2026-01-05 10:00:00Z, 63 ms after it was accepted: ses (mx.example.net:587) took it ' +
        'and answered: 250 2.0.0 Ok. If it is not in the inbox, ask there and look in the spam folder.',
    );
  });

  test('on a mail that was late says where the time went, the longest part first', () => {
    const first: AttemptView = {
      ...attempt,
      startedAt: NOW + 20_000,
      timings_ms: { queue: 20_000, transaction: 1000 },
    };
    const took: AttemptView = {
      ...attempt,
      number: 2,
      startedAt: NOW + 81_000,
      outcome: 'delivered',
      timings_ms: { connect: 10 },
    };
    expect(
      verdict({ state: 'delivered', attempts: 2, deliveredAt: NOW + 81_010 }, { attempts: [first, took] }),
    ).toContain(
      'Late because of the wait after ses answered "451 4.2.1 mailbox busy" at rcpt (1 min), and the wait in the queue before the first attempt over ses (20 s). If it is not',
    );
  });

  test('on a mail that waited for its route names the route and what was wrong with it', () => {
    const took: AttemptView = {
      ...attempt,
      startedAt: NOW + 40_000,
      outcome: 'delivered',
      timings_ms: { connect: 10 },
    };
    const down = {
      type: 'route.down',
      timestamp: new Date(NOW).toISOString(),
      data: { route: { name: 'ses', reason: 'refused' } },
    } as const;
    const over = {
      attempts: [took],
      routeEvents: [{ ...down, data: { event_id: 'evt_1', seq: 1, ...down.data } }],
    } as const;
    expect(verdict({ state: 'delivered', attempts: 1, deliveredAt: NOW + 40_010 }, over as never)).toContain(
      'Late because of the wait while route ses was down: refused (40 s).',
    );
  });

  test('on a captured mail says that nothing left', () => {
    const capture: AttemptView = { ...attempt, route: 'catch', outcome: 'delivered', next_hop: 'sandbox', tls: null };
    const text = verdict({ state: 'delivered', attempts: 1, deliveredAt: NOW + 5 }, { attempts: [capture] });
    expect(text).toContain('Captured by the sandbox route catch');
    expect(text).toContain('nothing left this machine');
    expect(text).toContain(`leadpush-relay show msg_${'0'.repeat(26)} --data ./d`);
  });

  test('on a waiting mail says what came of the last attempt, when the next is due and when it ends', () => {
    expect(verdict({ state: 'deferred', attempts: 1, nextAttemptAt: NOW + 6000 }, { attempts: [attempt] })).toBe(
      'Not delivered to ann@example.net yet, 1 s after it was accepted: tried once, the last time over ses (mx.example.net:587, TLSv1.3) at rcpt: ' +
        '451 4.2.1 mailbox busy. It is given up on 2026-01-05 10:15:00Z. The next attempt is in 5 s, over ses.',
    );
    expect(verdict({ state: 'queued', nextAttemptAt: NOW })).toContain(
      'nothing was tried. It is given up on 2026-01-05 10:15:00Z. An attempt over ses is due now',
    );
  });

  test.each([
    ['sending', 'Being sent'],
    ['bounced', 'Bounced'],
    ['expired', 'Expired for ann@example.net on 2026-01-05 10:00:00Z: not delivered in the 15 min it had'],
    ['superseded', 'a newer message took its place'],
    ['suppressed', 'the address is suppressed'],
    ['throttled', 'over a flood guard'],
    ['canceled', 'Canceled'],
    ['quarantined', `queue retry ${DELIVERY} --data ./d`],
  ] as const)('on a mail that is %s says so', (state, words) => {
    expect(verdict({ state })).toContain(words);
  });

  test('on a mail that was late names the slow phase of a slow next hop', () => {
    const slow: AttemptView = {
      ...attempt,
      outcome: 'delivered',
      timings_ms: { queue: 5, connect: 20, transaction: 29_980 },
    };
    const { whyLate } = parts({ state: 'delivered', attempts: 1, deliveredAt: NOW + 30_000 }, { attempts: [slow] });
    expect(whyLate).toBe('Late because of the answer of mx.example.net:587 (30 s).');
  });

  test('on a mail that was late names what a long attempt ended with', () => {
    const hung: AttemptView = {
      ...attempt,
      stage: 'connect',
      code: null,
      enhanced: null,
      response: 'timed out',
      timings_ms: { connect: 30_000 },
    };
    const took: AttemptView = { ...attempt, number: 2, startedAt: NOW + 30_000, outcome: 'delivered' };
    const two = { attempts: [hung, took] };
    expect(parts({ state: 'delivered', attempts: 2, deliveredAt: NOW + 30_010 }, two).whyLate).toBe(
      'Late because of connecting to mx.example.net:587, which ended with "timed out" (30 s).',
    );
  });

  test('on a mail that went at once has nothing to explain', () => {
    expect(parts({ state: 'delivered', attempts: 1, deliveredAt: NOW + 63 })).toMatchObject({
      whyLate: null,
      cameBack: false,
    });
  });

  test('on one that came back after its delivery says so, and what its class asks for', () => {
    const told = parts({ state: 'delivered', attempts: 1, deliveredAt: NOW + 63 }, { events: [RETURNED] });
    expect(told).toMatchObject({
      state: 'delivered',
      cameBack: true,
      outcome: expect.stringContaining(
        'But on 2026-01-05 10:00:09Z it came back after all: report of mx.example.net: 5.1.1 no such user. Class recipient (enhanced code 5.1.1). ' +
          'The address is suppressed until 2026-02-04 10:00:00Z.',
      ),
      nextStep: {
        text: 'The mailbox or its domain does not exist or takes no mail: ask the person for another address. If the address is right after all, take it off the suppression list.',
        command: 'leadpush-relay suppressions remove ann@example.net --data ./d',
      },
    });
    const several = [delivery({ state: 'delivered' }), delivery({ id: 'dlv_2' as DeliveryId, state: 'delivered' })];
    expect(parts({}, { deliveries: several, events: [RETURNED] })).toMatchObject({
      cameBack: true,
      outcome: '2 recipients: 2 delivered. 1 of those delivered came back later.',
    });
  });

  test('offers a retry only while one is possible', () => {
    const quarantined = { state: 'quarantined' } as const;
    expect(parts(quarantined).nextStep?.text).toBe('Look into the log, then put it back to work with Retry.');
    expect(parts(quarantined, { now: NOW + 900_000 }).nextStep).toEqual({
      text: 'Look into the log, then let the person ask again.',
      command: null,
    });
    expect(parts({ state: 'canceled' }, { now: NOW + 900_000 }).nextStep).toBeNull();
  });

  test.each(DELIVERY_STATES)(
    'for those without a terminal, on one that is %s, is sentences without a command',
    (state) => {
      const told = parts({ state, nextAttemptAt: NOW, bounce: { class: 'recipient', why: '5.1.1' } });
      expect(verdictText(told)).toMatch(/^[A-Z].*\.$/);
      expect(verdictText(told)).not.toContain('leadpush-relay');
    },
  );

  test('on several recipients counts them', () => {
    const two = [delivery({ state: 'delivered' }), delivery({ state: 'bounced' }), delivery({ state: 'delivered' })];
    expect(verdict({}, { deliveries: two })).toBe('3 recipients: 2 delivered, 1 bounced.');
  });
});
