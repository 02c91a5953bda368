/**
 * A next hop that ends a connection which the relay had kept for the next message: nothing of that message was taken, so it
 * goes over a fresh connection within the same try, and nobody hears of it.
 */
import { describe, expect, it } from 'vitest';
import { hangUp, replyAndHangUp, reset, type Behaviour, type StepContext } from '../../support/next-hop.ts';
import { useStage } from './stage.ts';

/** At the second MAIL of a connection. */
const secondTime =
  (how: Behaviour) =>
  ({ transaction }: StepContext): Behaviour | null =>
    transaction > 1 ? how : null;

describe('a kept connection', () => {
  const stage = useStage({
    'that is closed while it is idle': {},
    'that is reset while it is idle': {},
    'that is closed at MAIL': { first: { on: { MAIL: secondTime(hangUp) } } },
    'that is reset at MAIL': { first: { on: { MAIL: secondTime(reset) } } },
    'that says 421 at MAIL': { first: { on: { MAIL: secondTime(replyAndHangUp('421 4.4.2 idle for too long')) } } },
  });

  it.concurrent.each([
    ['that is closed while it is idle', 'hang-up'],
    ['that is reset while it is idle', 'reset'],
    ['that is closed at MAIL', null],
    ['that is reset at MAIL', null],
    ['that says 421 at MAIL', null],
  ] as const)('%s costs the next message nothing', async (name, drop) => {
    const scene = stage().scene(name);
    await (await scene.send({ to: ['ann'] })).end('ann');
    if (drop !== null) scene.first.dropAll(drop);
    const story = await (await scene.send({ to: ['ben'] })).end('ben');
    expect(story).toMatchObject({
      state: 'delivered',
      events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
      attempts: [{ route: 'first', outcome: 'delivered', code: 250 }],
      copies: { first: 1, second: 0 },
    });
    expect(scene.first.connections()).toBe(2);
    expect(scene.second.connections()).toBe(0);
    expect(await scene.routeEvents()).toEqual([]);
  });
});
