/**
 * A next hop that takes everything and answers very slowly: bulk mail fills the connections that it may have and no more, so
 * that critical mail finds one free at once. It waits neither for them nor for what stands in line behind them.
 */
import { describe, expect, it } from 'vitest';
import type { StepContext } from '../../support/next-hop.ts';
import { useStage } from './stage.ts';

const CONNECTIONS = 5;
/** Of 5 connections one is for critical mail alone, and another is closed to bulk. */
const FOR_BULK = 3;
const BULK = Array.from({ length: 20 }, (_, index) => `bulk${index}`);

describe('a next hop that is busy with bulk mail on every connection that bulk may have', () => {
  const { promise: wait, resolve: answerNow } = Promise.withResolvers<null>();
  let most = 0;
  const stage = useStage({
    slow: {
      first: {
        on: {
          connect({ hop }) {
            most = Math.max(most, hop.openConnections());
            return null;
          },
          dot: ({ hop, connection }: StepContext) => {
            const message = hop.messages.findLast((one) => one.connection === connection);
            return message?.recipients[0]?.address.startsWith('bulk') === true ? wait : null;
          },
        },
      },
      firstRoute: { connections: CONNECTIONS },
      alone: true,
    },
  });

  it('takes critical mail at once over a connection that was kept free, and all the rest in its turn', async () => {
    const scene = stage().scene('slow');
    const bulk = await scene.send({ to: BULK, priority: 'bulk' });
    await scene.first.until(() => scene.first.reached('dot') === FOR_BULK);

    for (const local of ['ann', 'ben', 'cia']) {
      const critical = await scene.send({ to: [local] });
      expect(await critical.end(local)).toMatchObject({
        state: 'delivered',
        events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
        attempts: [{ route: 'first', outcome: 'delivered' }],
        copies: { first: 1 },
      });
    }
    expect(scene.first.accepted()).toHaveLength(3);
    const states = await Promise.all(BULK.map(async (local) => (await bulk.story(local)).state));
    expect(states.filter((state) => state === 'sending')).toHaveLength(FOR_BULK);
    expect(states.filter((state) => state === 'queued')).toHaveLength(BULK.length - FOR_BULK);

    answerNow(null);
    for (const local of BULK) {
      expect(await bulk.end(local)).toMatchObject({
        state: 'delivered',
        attempts: [{ route: 'first', outcome: 'delivered' }],
        copies: { first: 1 },
      });
    }
    expect(most).toBeLessThanOrEqual(CONNECTIONS);
  });
});
