/** A next hop whose connection ends before the final dot: no copy can exist, so the message may go anywhere. */
import { expect } from 'vitest';
import { hangUp, rawAndHangUp, reset, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

/** More than kernel and hop take without reading: the drop comes in the middle of it. */
const LONG = `${'x'.repeat(70)}\r\n`.repeat(150_000);

const DROPS: readonly (readonly [at: Step, stage: RegExp])[] = [
  ['EHLO', /^ehlo$/],
  ['MAIL', /^mail$/],
  ['RCPT', /^rcpt$/],
  ['DATA', /^data$/],
];

stageFaults('a connection that ends before the final dot', [
  ...DROPS.flatMap(([at, stage]): readonly Fault[] => [
    {
      what: `an end at ${at}`,
      at,
      how: hangUp,
      recorded: { stage: expect.stringMatching(stage), cause: 'route', code: null },
    },
    {
      what: `a reset at ${at}`,
      at,
      how: reset,
      // Replies on their way are lost with the connection: the stage may be an earlier one.
      recorded: { stage: expect.stringMatching(/^(?:ehlo|mail|rcpt|data)$/), cause: 'route', code: null },
    },
    {
      what: `a refusal that is cut off at ${at}`,
      at,
      how: rawAndHangUp('554 5.7.1 you are'),
      recorded: { stage: expect.stringMatching(stage), cause: 'route', code: null },
    },
  ]),
  {
    what: 'a reset in the middle of the content',
    at: 'content',
    how: reset,
    mail: { text: LONG },
    recorded: { stage: 'data', cause: 'route', code: null },
  },
]);
