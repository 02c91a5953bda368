/** A next hop whose port is closed: nothing of the message was said, so it goes elsewhere at once, or waits. */
import { describe, expect, it } from 'vitest';
import { useStage } from './stage.ts';

const REFUSED = {
  route: 'first',
  outcome: 'deferred',
  stage: 'connect',
  cause: 'connect',
  code: null,
  response: expect.stringContaining('ECONNREFUSED'),
};

describe('a next hop that refuses connections', () => {
  const stage = useStage({ pair: {}, alone: { alone: true } });

  it('moves the message to the other route within the same attempt', async () => {
    const scene = stage().scene('pair');
    await scene.takeDown();
    const story = await (await scene.send()).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [
        { type: 'message.accepted' },
        { type: 'message.delivered', data: { attempt: { route: 'second' }, failed_over: [REFUSED] } },
      ],
      attempts: [REFUSED, { route: 'second', outcome: 'delivered', code: 250 }],
      copies: { first: 0, second: 1 },
    });
  });

  it('lets the message wait where there is no other route, and arrive when it is back', async () => {
    const scene = stage().scene('alone');
    await scene.takeDown();
    const mail = await scene.send();
    const waiting = await mail.when(({ attempts }) => attempts.length > 0);
    expect(waiting).toMatchObject({ state: 'deferred', attempts: [REFUSED], copies: { first: 0 } });
    await scene.bringBack();
    const story = await mail.end();
    expect(story).toMatchObject({ state: 'delivered', copies: { first: 1 } });
    expect(story.events.slice(0, -1).map(({ type }) => type)).toEqual([
      'message.accepted',
      ...story.attempts.slice(0, -1).map(() => 'message.deferred'),
    ]);
    for (const attempt of story.attempts.slice(0, -1)) expect(attempt).toMatchObject(REFUSED);
  });
});
