/**
 * A next hop that greylists (450 or 451 4.7.1 at RCPT): the answer is about this recipient and says "later", so the message is
 * not carried to another route, where the wait would begin anew; it is tried again on the same one.
 */
import { describe, expect, it } from 'vitest';
import { reply, times } from '../../support/next-hop.ts';
import { useStage } from './stage.ts';

describe('greylisting', () => {
  const stage = useStage({
    'with 450': { first: { on: { RCPT: times(2, reply('450 4.7.1 Greylisted, please try again in 60 seconds')) } } },
    'with 451': { first: { on: { RCPT: times(2, reply('451 4.7.1 Greylisting in action, please come back later')) } } },
  });

  it.concurrent.each(['with 450', 'with 451'] as const)('%s is waited for on the same route', async (name) => {
    const scene = stage().scene(name);
    const listed = {
      route: 'first',
      outcome: 'deferred',
      stage: 'rcpt',
      cause: 'recipient',
      code: Number(name.slice(-3)),
      enhanced: '4.7.1',
    };
    const arrived = { route: 'first', outcome: 'delivered', code: 250 };
    const story = await (await scene.send()).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [
        { type: 'message.accepted' },
        { type: 'message.deferred', data: { attempt: listed } },
        { type: 'message.deferred', data: { attempt: listed } },
        { type: 'message.delivered', data: { attempt: arrived } },
      ],
      attempts: [listed, listed, arrived],
      copies: { first: 1, second: 0 },
    });
    expect(scene.second.connections()).toBe(0);
    // The answer shows that the route works: nothing is held against it.
    expect(await scene.routeEvents()).toEqual([]);
  });
});
