/** A next hop whose answers come in pieces, broken within a line, within a line end, between lines: each is one answer. */
import { describe, expect, it } from 'vitest';
import { raw, type Step, type StepContext } from '../../support/next-hop.ts';
import { type SceneSpec, useStage } from './stage.ts';

/** The pieces of an answer; only the last one is long enough for the hop to know what it said. */
const PIECES: Readonly<Partial<Record<Step, readonly string[]>>> = {
  connect: ['220-next-', 'hop.test\r', '\n', '220 ESMTP\r\n'],
  EHLO: ['250-next-hop.test\r\n250-PIPEL', 'INING\r\n25', '0-SIZE 1000000\r\n', '250 8BITMIME\r\n'],
  MAIL: ['250-2.1', '.0 sender\r', '\n', '250 2.1.0 ok\r\n'],
  RCPT: ['250-2.1.5 recip', 'ient\r\n', '250 2.1.5 ok\r\n'],
  DATA: ['354-go', ' on\r', '\n', '354 end with a dot\r\n'],
  dot: ['250-2.0.0 O', 'k\r', '\n250', ' 2.0.0 queued\r', '\n'],
};
const steps = Object.keys(PIECES);

describe('an answer in pieces', () => {
  const stage = useStage(
    Object.fromEntries(
      Object.entries(PIECES).map(([at, pieces]): [string, SceneSpec] => [
        at,
        { first: { on: { [at]: inPieces(pieces) } } },
      ]),
    ),
  );

  it.concurrent.each(steps)('is one answer at %s: the message arrives at once, and once', async (at) => {
    const arrived = { route: 'first', outcome: 'delivered', stage: 'dot', code: 250, enhanced: '2.0.0' };
    expect(await (await stage().scene(at).send()).end()).toMatchObject({
      state: 'delivered',
      events: [{ type: 'message.accepted' }, { type: 'message.delivered', data: { attempt: arrived } }],
      attempts: [arrived],
      copies: { first: 1, second: 0 },
    });
  });
});

/** Says `pieces` one after another, far enough apart to be read one by one. */
function inPieces(pieces: readonly string[]) {
  return async ({ say }: StepContext): Promise<ReturnType<typeof raw>> => {
    for (const piece of pieces.slice(0, -1)) {
      say(piece);
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
    return raw(pieces.at(-1) ?? '');
  };
}
