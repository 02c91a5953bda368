/**
 * SIGTERM while a next hop hangs: before the final dot the attempt is given back as if it had not begun, after it the answer is
 * waited for. Either way the relay ends with 0, and after the next start nothing is lost and nothing doubled without a reason.
 */
import { describe, expect, it } from 'vitest';
import { once, stall, type Step } from '../../support/next-hop.ts';
import { type SceneSpec, useStage } from './stage.ts';

const BEFORE: readonly Step[] = ['connect', 'EHLO', 'MAIL', 'RCPT', 'DATA'];
const ARRIVED = { route: 'first', outcome: 'delivered', stage: 'dot', code: 250 };

describe('SIGTERM while attempts hang before the final dot', () => {
  const stage = useStage(
    Object.fromEntries(BEFORE.map((at): [string, SceneSpec] => [at, { first: { on: { [at]: once(stall) } } }])),
  );

  it('gives them back unrecorded and at once, and each message arrives once after the next start', async () => {
    const mails = await Promise.all(
      BEFORE.map(async (at) => {
        const { first, send } = stage().scene(at);
        const mail = await send();
        await first.until(() => first.reached(at) === 1);
        return { at, mail };
      }),
    );
    expect(await stage().relay.stop()).toBe(0);
    for (const { at, mail } of mails) {
      expect(await mail.story()).toMatchObject({ state: 'queued', attempts: [], copies: { first: 0, second: 0 } });
      expect(stage().scene(at).second.connections()).toBe(0);
    }
    await stage().restart();
    for (const { mail } of mails) {
      expect(await mail.end()).toMatchObject({
        state: 'delivered',
        events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
        attempts: [ARRIVED],
        copies: { first: 1, second: 0 },
      });
    }
  });
});

describe('SIGTERM while the answer to the final dot is awaited', () => {
  const { promise: wait, resolve: answerNow } = Promise.withResolvers<null>();
  const stage = useStage({ slow: { first: { on: { dot: () => wait } } } });

  it('waits for it and takes no mail over HTTP meanwhile, and the message has one copy', async () => {
    const scene = stage().scene('slow');
    const mail = await scene.send();
    await scene.first.until(() => scene.first.reached('dot') === 1);
    stage().relay.signal('SIGTERM');
    await stage().relay.line((line) => line['event'] === 'relay.stopping');
    expect((await mail.story()).state).toBe('sending');
    const late = await fetch(`http://127.0.0.1:${stage().relay.httpPort}/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ from: 'a@example.com', to: ['late@example.net'], subject: 'x', text: 'x' }),
    });
    expect([late.status, await late.json()]).toMatchObject([503, { code: 'unavailable' }]);
    answerNow(null);
    expect(await stage().relay.exited).toBe(0);
    expect(await mail.story()).toMatchObject({
      state: 'delivered',
      attempts: [ARRIVED],
      copies: { first: 1, second: 0 },
    });
    await stage().restart();
    expect(await mail.story()).toMatchObject({ state: 'delivered', copies: { first: 1, second: 0 } });
  });
});

describe('SIGTERM while an answer to the final dot never comes', () => {
  const stage = useStage({ silent: { first: { on: { dot: once(stall) } } } }, { fast: 20 });

  it('waits for the limit, records it as uncertain, and sends the one extra copy after the next start', async () => {
    const scene = stage().scene('silent');
    const mail = await scene.send();
    await scene.first.until(() => scene.first.reached('dot') === 1);
    expect(await stage().relay.stop()).toBe(0);
    const uncertain = { route: 'first', outcome: 'uncertain', stage: 'dot' };
    expect(await mail.story()).toMatchObject({
      state: 'deferred',
      attempts: [uncertain],
      copies: { first: 1, second: 0 },
    });
    await stage().restart();
    expect(await mail.end()).toMatchObject({
      state: 'delivered',
      attempts: [uncertain, ARRIVED],
      copies: { first: 2, second: 0 },
    });
  }, 30_000);
});
