/**
 * A provider that throttles or whose quota is used up: it says so of the sender and not of the message, so the message goes
 * over the other route at once. Where it says so only after the final dot, the message stays with it.
 */
import { describe, expect, it } from 'vitest';
import { once, reply, replyAndHangUp, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';
import { useStage } from './stage.ts';

const QUOTAS: readonly (readonly [at: Step, text: string])[] = [
  ['MAIL', '454 4.7.0 Throttling failure: maximum sending rate exceeded'],
  ['MAIL', '450 4.7.1 rate limit exceeded for your account'],
  ['MAIL', '451 4.7.1 too many messages, slow down'],
  ['MAIL', '452 4.5.3 too many messages from you today'],
  ['MAIL', '452 4.3.1 insufficient system storage'],
  ['MAIL', '550 5.4.5 Daily user sending limit exceeded'],
  ['RCPT', '421 4.7.28 unusual rate of mail from your address'],
  ['RCPT', '454 4.7.0 throttled'],
  ['DATA', '550 5.4.5 Daily sending quota exceeded'],
];

stageFaults(
  'a provider that says',
  QUOTAS.map(([at, text]): Fault => {
    const [code = '', enhanced = ''] = text.split(' ');
    return {
      what: `${code} ${enhanced} at ${at}`,
      at,
      how: code === '421' ? replyAndHangUp(text) : reply(text),
      recorded: { stage: at.toLowerCase(), cause: 'route', code: Number(code), enhanced },
    };
  }),
);

describe('a provider that throttles after the final dot', () => {
  const stage = useStage({ pair: { first: { on: { dot: once(reply('454 4.7.0 Throttling failure')) } } } });

  it('keeps the message: it is tried there again, and never over the other route in the same attempt', async () => {
    const throttled = { route: 'first', outcome: 'deferred', stage: 'dot', cause: 'route', code: 454 };
    const story = await (await stage().scene('pair').send()).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [
        { type: 'message.accepted' },
        { type: 'message.deferred', data: { attempt: throttled } },
        { type: 'message.delivered', data: { attempt: { route: 'first' } } },
      ],
      attempts: [throttled, { route: 'first', outcome: 'delivered' }],
      copies: { first: 1, second: 0 },
    });
    expect(story.events[1]?.data.failed_over).toBeUndefined();
  });
});
