/**
 * What is the same for every fault of a route before the final dot: with another route, the message arrives over that within
 * the same attempt; without one, it waits and arrives when the hop behaves. Exactly one copy either way, and the fault is
 * recorded as what it was.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { EventAttempt } from '../../../src/core/event.ts';
import type { Behaviour, Hook, NextHopOptions, Step } from '../../support/next-hop.ts';
import { type MailOptions, type Scene, type SceneSpec, type StageOptions, useStage } from './stage.ts';
import type { Story } from './story.ts';

export interface Fault {
  /** The sentence of which the tests' names are made begins so. */
  readonly what: string;
  readonly at: Step;
  readonly how: Behaviour | Hook;
  /** What is recorded of a try that met it. */
  readonly recorded: { readonly [Key in keyof EventAttempt]?: unknown };
  /** The first hop apart from the fault. */
  readonly hop?: NextHopOptions;
  readonly firstRoute?: SceneSpec['firstRoute'];
  readonly mail?: MailOptions;
  /** Looked at when the message has arrived over the second route. */
  readonly also?: (scene: Scene, relayPid: number) => void | Promise<void>;
}

/** Stages both scenes of each fault. */
export function stageFaults(title: string, faults: readonly Fault[], options: StageOptions = {}): void {
  describe(`${title}`, () => {
    const scenes: Record<string, SceneSpec> = {};
    for (const { what, at, how, hop, firstRoute } of faults) {
      const route = firstRoute === undefined ? {} : { firstRoute };
      scenes[what] = { first: { ...hop, on: { ...hop?.on, [at]: how } }, ...route };
      scenes[`${what}, alone`] = { first: { ...hop, on: { ...hop?.on, [at]: firstTime(how) } }, ...route, alone: true };
    }
    const stage = useStage(scenes, options);
    /** All are played at once: most of their time is waiting. */
    const plays = new Map<string, Promise<Story>>();
    beforeAll(() => {
      for (const { what, mail } of faults) {
        for (const name of [what, `${what}, alone`]) {
          const play = stage()
            .scene(name)
            .send(mail)
            .then((sent) => sent.end());
          // Whoever asks for the story hears of the failure.
          play.catch(() => undefined);
          plays.set(name, play);
        }
      }
    });

    it.each(faults.map((fault) => [fault.what, fault] as const))(
      '%s moves the message to the other route within the same attempt',
      async (what, { recorded, also }) => {
        const scene = stage().scene(what);
        const story = await plays.get(what);
        const first = { number: 1, route: 'first', outcome: 'deferred', ...recorded };
        const second = { number: 2, route: 'second', outcome: 'delivered', cause: null, stage: 'dot', code: 250 };
        expect(story).toMatchObject({
          state: 'delivered',
          events: [
            { type: 'message.accepted' },
            { type: 'message.delivered', data: { attempt: second, failed_over: [first] } },
          ],
          attempts: [first, second],
          copies: { first: 0, second: 1 },
        });
        expect(scene.first.messages).toEqual([]);
        await also?.(scene, stage().relay.pid);
      },
      40_000,
    );

    it.each(faults.map((fault) => [fault.what, fault] as const))(
      '%s lets the message wait where there is no other route, and arrive when it is over',
      async (what, { recorded }) => {
        const story = await plays.get(`${what}, alone`);
        const failed = { number: 1, route: 'first', outcome: 'deferred', ...recorded };
        const arrived = { number: 2, route: 'first', outcome: 'delivered', cause: null, stage: 'dot', code: 250 };
        expect(story).toMatchObject({
          state: 'delivered',
          events: [
            { type: 'message.accepted' },
            { type: 'message.deferred', data: { attempt: failed, delivery: { state: 'deferred', attempts: 1 } } },
            { type: 'message.delivered', data: { attempt: arrived } },
          ],
          attempts: [failed, arrived],
          copies: { first: 1, second: 0 },
        });
      },
      40_000,
    );
  });
}

/** `how` the first time, the normal answer after that. */
function firstTime(how: Behaviour | Hook): Hook {
  let left = 1;
  return (context) => {
    if (left-- <= 0) return null;
    return typeof how === 'function' ? how(context) : how;
  };
}
