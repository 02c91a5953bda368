import { describe, expect, test } from 'vitest';
import { flowReport } from '../../src/api/story/flow.ts';
import type { Story } from '../../src/api/story/moments.ts';
import type { DeliveryState } from '../../src/core/delivery.ts';
import type { DeliveryId, MessageId } from '../../src/core/ids.ts';
import type { MessageView } from '../../src/store/history.ts';
import { address } from '../support/address.ts';

interface Given {
  readonly tag: string | null;
  readonly state: DeliveryState;
  readonly at?: number;
  readonly supersededBy?: string;
}

function view(id: string, { tag, state, at = 0, supersededBy }: Given): MessageView {
  const delivery = {
    id: `dlv_${id}` as DeliveryId,
    recipient: address('ann@example.net'),
    state,
    attempts: 1,
    rule: 'default',
    ruleReason: '',
    via: ['ses'],
    route: 'ses',
    nextAttemptAt: null,
    lastResponse: null,
    deliveredAt: state === 'delivered' ? at + 1000 : null,
    bounce: null,
    supersededBy: supersededBy === undefined ? null : (supersededBy as MessageId),
    updatedAt: at,
  };
  return {
    id: id as MessageId,
    headerMessageId: '<x@example.com>',
    mailFrom: '',
    headerFrom: 'a@example.com',
    dsn: { ret: null, envid: null },
    smtpUtf8: false,
    tag,
    tagSource: 'header',
    flow: 'f',
    metadata: {},
    priority: 'critical',
    collapseKey: null,
    requireTls: false,
    credential: null,
    rule: 'default',
    acceptedAt: at,
    deadline: at + 900_000,
    deadlineSource: 'tag',
    size: 1,
    eightBit: false,
    signatures: [],
    warnings: [],
    links: null,
    client: { address: '', helo: '', tls: null },
    contentKept: false,
    deliveries: [delivery],
  };
}

async function report(
  given: readonly Given[],
  elsewhere: readonly MessageView[] = [],
): Promise<readonly [string, string]> {
  const views = given.map((one, index) => view(`msg_${index}`, one));
  const stories = views.map(
    (message): Story => ({
      id: message.id,
      message,
      attempts: [],
      events: [],
      routeEvents: [],
      verdict: { state: 'delivered', outcome: '', whyLate: null, nextStep: null, cameBack: false },
    }),
  );
  const { verdict, text } = await flowReport(
    'f',
    stories,
    async (id) => [...views, ...elsewhere].find((one) => one.id === id) ?? null,
  );
  return [verdict, text];
}

const NOTICE: Given = { tag: 'compromised-account', state: 'delivered' };

describe('a flow', () => {
  test('with notices alone has no reset', async () => {
    expect((await report([NOTICE]))[0]).toBe('none');
  });

  test('whose reset was delivered says after how long', async () => {
    expect(await report([NOTICE, { tag: 'password-reset', state: 'delivered', at: 60_000 }])).toEqual([
      'delivered',
      'The reset for ann@example.net was delivered, 1 min 1 s after the flow began.',
    ]);
  });

  test.each<[DeliveryState, string]>([
    ['expired', 'it expired'],
    ['bounced', 'it bounced'],
    ['suppressed', 'the address is suppressed'],
    ['throttled', 'a flood guard'],
    ['canceled', 'it was canceled'],
    ['quarantined', 'it is quarantined'],
    ['superseded', 'it was replaced by a newer message that the log does not hold'],
  ])('whose reset ended as %s says that it was never delivered, and why', async (state, why) => {
    const [verdict, text] = await report([NOTICE, { tag: 'password-reset', state }]);
    expect(verdict).toBe('failed');
    expect(text).toContain(`NEVER DELIVERED: ${why}`);
    expect(text).toContain('No reset of this flow reached them.');
  });

  test('whose reset waits is open', async () => {
    expect((await report([{ tag: 'admin-reset', state: 'deferred' }]))[0]).toBe('open');
  });

  test('is judged by its newest reset, and tells of an older one that arrived', async () => {
    const [verdict, text] = await report([
      { tag: 'password-reset', state: 'delivered' },
      { tag: 'password-reset', state: 'expired', at: 1000 },
    ]);
    expect(verdict).toBe('failed');
    expect(text).toContain('An older one was delivered (msg_0)');
  });

  test('whose reset a message of another flow replaced is as well off as that message', async () => {
    const reset: Given = { tag: 'password-reset', state: 'superseded', supersededBy: 'msg_other' };
    const lost = view('msg_other', { tag: 'password-reset', state: 'expired' });
    expect((await report([reset], [view('msg_other', { tag: 'password-reset', state: 'delivered' })]))[0]).toBe(
      'delivered',
    );
    expect((await report([reset], [lost]))[0]).toBe('failed');
  });

  test('without a tag of its own counts every message', async () => {
    expect((await report([{ tag: null, state: 'bounced' }]))[0]).toBe('failed');
  });
});
