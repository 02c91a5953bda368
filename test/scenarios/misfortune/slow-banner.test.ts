/**
 * A next hop that takes the connection and greets too late or not at all, or is silent later on. The limits are of the wall
 * clock; where the message's time is short, each route gets its share of it.
 */
import { describe, expect, it } from 'vitest';
import { stall, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';
import { useStage } from './stage.ts';

const NOT_GREETED = 'had not greeted and answered within 10000 ms';
const SILENT: readonly (readonly [at: Step, stage: string, said: string])[] = [
  ['connect', 'greeting', NOT_GREETED],
  ['EHLO', 'ehlo', NOT_GREETED],
  ['MAIL', 'mail', 'no answer to MAIL in time'],
  ['RCPT', 'rcpt', 'no answer to RCPT in time'],
  ['DATA', 'data', 'no answer to DATA in time'],
];

stageFaults(
  'a next hop that is silent beyond the limit',
  SILENT.map(
    ([at, stage, said]): Fault => ({
      what: at === 'connect' ? 'a missing banner' : `silence at ${at}`,
      at,
      how: stall,
      recorded: { stage, cause: 'route', code: null, response: expect.stringContaining(said) },
      // The connection is not kept waiting for an answer that nobody wants any more.
      also: ({ first }) => first.until(() => first.openConnections() === 0),
    }),
  ),
  { fast: 10 },
);

describe('a banner that comes too late for a message with little time', () => {
  const stage = useStage({
    pair: { first: { on: { connect: stall } } },
    alone: { first: { on: { connect: stall } }, alone: true },
  });

  it.concurrent('costs it the share of one route, and it arrives over the other', async () => {
    const scene = stage().scene('pair');
    const story = await (await scene.send({ ttl: '3s' })).end();
    expect(story).toMatchObject({
      state: 'delivered',
      events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
      attempts: [
        {
          route: 'first',
          outcome: 'deferred',
          stage: 'greeting',
          cause: 'route',
          response: expect.stringMatching(/^no result within \d{4} ms, its share of the time left$/),
        },
        { route: 'second', outcome: 'delivered' },
      ],
      copies: { first: 0, second: 1 },
    });
  });

  it.concurrent('costs it everything where there is no other route: it expires, and was never sent', async () => {
    const scene = stage().scene('alone');
    const story = await (await scene.send({ ttl: '1s' })).end();
    expect(story).toMatchObject({
      state: 'expired',
      events: [
        { type: 'message.accepted' },
        { type: 'message.expired', data: { reason: expect.stringContaining('deadline') } },
      ],
      attempts: [{ route: 'first', outcome: 'deferred', stage: 'greeting', cause: 'local' }],
      copies: { first: 0, second: 0 },
    });
    expect(scene.first.reached('MAIL')).toBe(0);
    await scene.first.until(() => scene.first.openConnections() === 0);
  });
});
