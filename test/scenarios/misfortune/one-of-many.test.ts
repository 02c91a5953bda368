/** A next hop that refuses one recipient of many: each recipient has its own delivery, and one's fate is not another's. */
import { describe, expect, it } from 'vitest';
import { type Hook, reply } from '../../support/next-hop.ts';
import { useStage } from './stage.ts';

const LOCALS = ['ann', 'ben', 'cia', 'dan', 'eva'];

/** `text` at RCPT for `local`, as often as `count` says. */
function answering(local: string, text: string, count = Number.POSITIVE_INFINITY): Hook {
  let left = count;
  return ({ line }) => (line.includes(`<${local}@`) && left-- > 0 ? reply(text) : null);
}

describe('one recipient of five', () => {
  const stage = useStage({
    refused: { first: { on: { RCPT: answering('cia', '550 5.1.1 no such user') } } },
    'put off': { first: { on: { RCPT: answering('cia', '450 4.2.1 mailbox busy', 1) } } },
  });

  it('that does not exist bounces alone, and the four others get their one copy at once', async () => {
    const scene = stage().scene('refused');
    const mail = await scene.send({ to: LOCALS });
    for (const local of LOCALS.filter((one) => one !== 'cia')) {
      expect(await mail.end(local)).toMatchObject({
        state: 'delivered',
        events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
        attempts: [{ route: 'first', outcome: 'delivered' }],
        copies: { first: 1, second: 0 },
      });
    }
    expect(await mail.end('cia')).toMatchObject({
      state: 'bounced',
      bounce: 'recipient',
      events: [
        { type: 'message.accepted' },
        { type: 'message.bounced', data: { bounce: { class: 'recipient', suppressed_until: expect.any(String) } } },
      ],
      attempts: [
        { route: 'first', outcome: 'rejected', stage: 'rcpt', cause: 'recipient', code: 550, enhanced: '5.1.1' },
      ],
      copies: { first: 0, second: 0 },
    });
    expect(scene.first.messages).toHaveLength(LOCALS.length - 1);
    for (const { recipients } of scene.first.messages) expect(recipients).toHaveLength(1);
  });

  it('whose mailbox is busy waits alone, and arrives with the second try', async () => {
    const mail = await stage().scene('put off').send({ to: LOCALS });
    for (const local of LOCALS) {
      const tries =
        local === 'cia'
          ? [{ outcome: 'deferred', cause: 'recipient' }, { outcome: 'delivered' }]
          : [{ outcome: 'delivered' }];
      expect(await mail.end(local)).toMatchObject({
        state: 'delivered',
        attempts: tries,
        copies: { first: 1, second: 0 },
      });
    }
  });
});
