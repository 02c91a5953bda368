/**
 * No route is left: mail is accepted and waits, the next hops are not hammered, and when one is back everything that waited
 * arrives, once. Both changes are told.
 */
import { describe, expect, it } from 'vitest';
import { replyAndHangUp } from '../../support/next-hop.ts';
import { type Mail, type Scene, useStage } from './stage.ts';

const EARLY = ['ann', 'ben', 'cia'];
const LATE = ['dan', 'eva', 'fay', 'gus'];

/** One mail to each. */
async function sendTo(scene: Scene, locals: readonly string[]): Promise<ReadonlyMap<string, Mail>> {
  const mails = new Map<string, Mail>();
  for (const local of locals) mails.set(local, await scene.send({ to: [local] }));
  return mails;
}

const refused = (route: string): Readonly<Record<string, unknown>> => ({
  route,
  outcome: 'deferred',
  stage: 'connect',
  cause: 'connect',
});

describe('a route that goes down', () => {
  const alone = true;
  const stage = useStage(
    {
      'for a while': { alone },
      'under one message': { alone },
      'for too long': { alone },
      'in half': { first: { on: { MAIL: replyAndHangUp('421 4.7.0 try again later') } }, alone },
      'with the other': {},
    },
    // The last step is longer than anything here: who waited for it would not be there in time.
    { fast: 10, ladder: ['2s', '5s', '10m'] },
  );

  it.concurrent('holds mail without a try while it is known to be down; all arrives at once when it is back', async () => {
    const scene = stage().scene('for a while');
    await scene.takeDown();
    const early = await sendTo(scene, EARLY);
    await scene.told('route.down');
    expect(await scene.routeEvents()).toMatchObject([
      { type: 'route.down', data: { route: { reason: expect.stringMatching(/^connect: .*ECONNREFUSED/) } } },
    ]);
    const late = await sendTo(scene, LATE);
    // The probe carries no mail.
    await scene.told('route.probed');
    for (const [local, mail] of late) {
      expect(await mail.story(local)).toMatchObject({ state: 'queued', attempts: [] });
    }

    await scene.bringBack();
    for (const [local, mail] of late) {
      expect(await mail.end(local)).toMatchObject({
        state: 'delivered',
        events: [{ type: 'message.accepted' }, { type: 'message.delivered' }],
        attempts: [{ outcome: 'delivered' }],
        copies: { first: 1 },
      });
    }
    let faults = 0;
    for (const [local, mail] of early) {
      const { state, attempts, copies } = await mail.end(local);
      expect({ state, copies }).toMatchObject({ state: 'delivered', copies: { first: 1 } });
      for (const attempt of attempts.slice(0, -1)) expect(attempt).toMatchObject(refused('first'));
      faults += attempts.length - 1;
    }
    // Three in a row opened the breaker; what had begun by then may add to them.
    expect(faults).toBeGreaterThanOrEqual(3);
    expect(faults).toBeLessThanOrEqual(5);
    expect(await scene.routeEvents()).toMatchObject([
      { type: 'route.down' },
      { type: 'route.up', data: { route: { reason: expect.stringContaining('probe') } } },
    ]);
  });

  it.concurrent('keeps the message that found it down for as long, and not for the next step of the ladder', async () => {
    const scene = stage().scene('under one message');
    await scene.takeDown();
    const mail = await scene.send();
    await scene.told('route.down');
    await scene.bringBack();
    expect(await mail.end()).toMatchObject({
      state: 'delivered',
      attempts: [refused('first'), refused('first'), refused('first'), { outcome: 'delivered' }],
      copies: { first: 1 },
    });
  });

  it.concurrent('lets a message expire whose time runs out; the events say why, and nobody sends it later', async () => {
    const scene = stage().scene('for too long');
    await scene.takeDown();
    const story = await (await scene.send({ ttl: '15s' })).end();
    expect(story).toMatchObject({ state: 'expired', copies: { first: 0 } });
    expect(story.events.at(-1)?.data.reason).toMatch(/deadline/);
    // The third opened the breaker: after that there are probes alone.
    expect(story.attempts.length).toBeGreaterThanOrEqual(1);
    expect(story.attempts.length).toBeLessThanOrEqual(3);
    for (const attempt of story.attempts) expect(attempt).toMatchObject(refused('first'));
    // New mail finds the route, the dead one does not.
    await scene.bringBack();
    expect(await (await scene.send({ to: ['ben'] })).end('ben')).toMatchObject({ state: 'delivered' });
    expect(scene.first.messages).toHaveLength(1);
  });

  it.concurrent('but greets lets one message at a time find out whether it works again', async () => {
    const scene = stage().scene('in half');
    const early = await sendTo(scene, EARLY);
    await scene.told('route.down');
    const before = scene.first.reached('MAIL');
    const mails = new Map([...early, ...(await sendTo(scene, LATE))]);
    // Each probe comes through and lets one message go; that meets the fault and closes the way again.
    await scene.told('route.probed', 2);
    await scene.first.until(() => scene.first.reached('MAIL') >= before + 2);
    // What had begun when it closed may add to them, and a third probe may be through by now.
    expect(scene.first.reached('MAIL')).toBeLessThanOrEqual(before + 5);
    expect((await scene.routeEvents()).map(({ type }) => type)).toEqual(['route.down']);

    scene.first.on('MAIL', null);
    for (const [local, mail] of mails) {
      const story = await mail.end(local);
      expect(story).toMatchObject({ state: 'delivered', copies: { first: 1 } });
      for (const attempt of story.attempts.slice(0, -1)) {
        expect(attempt).toMatchObject({ outcome: 'deferred', cause: 'route', stage: 'mail', code: 421 });
      }
    }
    expect(await scene.routeEvents()).toMatchObject([
      { type: 'route.down', data: { route: { reason: expect.stringContaining('try again later') } } },
      { type: 'route.up', data: { route: { reason: 'a message came through' } } },
    ]);
  }, 30_000);

  it.concurrent('together with the other: each try is recorded, and mail goes over the one that is back first', async () => {
    const scene = stage().scene('with the other');
    await Promise.all([scene.takeDown(), scene.takeDownSecond()]);
    const mail = await scene.send();
    const waiting = await mail.when(({ attempts }) => attempts.length > 0);
    expect(waiting.attempts.slice(0, 2)).toMatchObject([refused('first'), refused('second')]);
    expect(waiting.events[1]).toMatchObject({
      type: 'message.deferred',
      data: { failed_over: [refused('first')], attempt: refused('second'), delivery: { attempts: 2 } },
    });
    await scene.bringBackSecond();
    const story = await mail.end();
    expect(story).toMatchObject({ state: 'delivered', copies: { first: 0, second: 1 } });
    expect(story.attempts.at(-1)).toMatchObject({ route: 'second', outcome: 'delivered' });
  });
});
