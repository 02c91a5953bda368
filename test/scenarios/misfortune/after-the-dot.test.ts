/**
 * A next hop that fails once the final dot is out: it may have the message, so no other route gets it in this attempt. The
 * attempt is recorded `uncertain`, and the same bytes are sent again: at most one extra copy for each such attempt.
 */
import { describe, expect, it } from 'vitest';
import { flood, hangUp, once, raw, rawAndHangUp, reset, type StepContext } from '../../support/next-hop.ts';
import { type SceneSpec, useStage } from './stage.ts';

const UNCERTAIN = { route: 'first', outcome: 'uncertain', stage: 'dot', cause: 'route' };
const ARRIVED = { route: 'first', outcome: 'delivered', stage: 'dot', code: 250 };

describe('a next hop that fails after the final dot', () => {
  const ENDS = {
    'an end': hangUp,
    'a reset': reset,
    'an answer that is cut off': rawAndHangUp('250 2.0'),
    'a refusal that is cut off': rawAndHangUp('550 5.7.1 n'),
    'an answer that is none': raw('what?\r\n'),
    'a line without an end': flood('2'),
  } as const;
  const names = Object.keys(ENDS);
  const stage = useStage(
    Object.fromEntries(
      Object.entries(ENDS).map(([name, how]): [string, SceneSpec] => [name, { first: { on: { dot: once(how) } } }]),
    ),
  );

  it.concurrent.each(names)('%s leaves it uncertain, and it is sent once more over the same route', async (name) => {
    const story = await (await stage().scene(name).send()).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [
        { type: 'message.accepted' },
        { type: 'message.deferred', data: { attempt: UNCERTAIN } },
        { type: 'message.delivered', data: { attempt: ARRIVED } },
      ],
      attempts: [UNCERTAIN, ARRIVED],
      copies: { first: 2, second: 0 },
    });
    expect(story.events[1]?.data.failed_over).toBeUndefined();
  });
});

describe('a next hop that takes every message and never says so', () => {
  const stage = useStage({ alone: { first: { on: { dot: hangUp } }, alone: true } }, { ladder: ['600ms'] });

  it('gets a copy for each uncertain attempt until the time is up, and the message ends as expired', async () => {
    const story = await (await stage().scene('alone').send({ ttl: '1s' })).end();
    expect(story).toMatchObject({
      state: 'expired',
      events: [
        { type: 'message.accepted' },
        { type: 'message.deferred', data: { attempt: UNCERTAIN } },
        { type: 'message.deferred', data: { attempt: UNCERTAIN } },
        { type: 'message.expired', data: { reason: expect.stringContaining('deadline') } },
      ],
      attempts: [UNCERTAIN, UNCERTAIN],
      copies: { first: 2, second: 0 },
    });
  });
});

describe('an answer to the final dot that comes after the limit', () => {
  const { promise: wait, resolve: answerNow } = Promise.withResolvers<null>();
  const late = ({ connection }: StepContext): Promise<null> | null => (connection === 1 ? wait : null);
  const stage = useStage({ late: { first: { on: { dot: late } } } }, { fast: 20 });

  it('leaves it uncertain and costs a second copy; what is said then is not heard any more', async () => {
    const scene = stage().scene('late');
    const mail = await scene.send();
    const waiting = await mail.when(({ attempts }) => attempts.length > 0);
    expect(waiting.attempts).toMatchObject([{ ...UNCERTAIN, response: 'no answer to the final dot in time' }]);
    answerNow(null);
    expect(await mail.end()).toMatchObject({
      state: 'delivered',
      attempts: [UNCERTAIN, ARRIVED],
      copies: { first: 2, second: 0 },
    });
    expect(scene.first.accepted()).toHaveLength(2);
  }, 30_000);
});
