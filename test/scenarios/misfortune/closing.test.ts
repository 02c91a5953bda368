/**
 * A next hop that closes with 421 (RFC 5321, section 3.8), at each step before the final dot: it says nothing of the message,
 * so the message goes elsewhere at once.
 */
import { expect } from 'vitest';
import { replyAndHangUp } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

const STEPS = [
  ['connect', 'greeting'],
  ['EHLO', 'ehlo'],
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
] as const;

stageFaults(
  'a next hop that closes with 421',
  STEPS.map(
    ([at, stage]): Fault => ({
      what: `421 at ${at}`,
      at,
      how: replyAndHangUp('421 4.3.2 closing for maintenance'),
      recorded: {
        stage,
        cause: 'route',
        code: 421,
        enhanced: '4.3.2',
        response: expect.stringContaining('closing for maintenance'),
      },
    }),
  ),
);
