/** A next hop that answers with what is no reply, or with a reply to something else. */
import { expect } from 'vitest';
import { raw, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

const ANSWERS: readonly (readonly [what: string, at: Step, octets: string, stage: RegExp])[] = [
  ['garbage for a greeting', 'connect', '\u0000\u0001\u00ff what?\r\n', /^greeting$/],
  ['the greeting of another protocol', 'connect', 'HTTP/1.1 400 Bad Request\r\n\r\n', /^greeting$/],
  ['garbage at MAIL', 'MAIL', '\u0000\u0001\u00ff what?\r\n', /^mail$/],
  ['garbage at RCPT', 'RCPT', 'ok\r\n', /^rcpt$/],
  ['garbage at DATA', 'DATA', '99999 go on\r\n', /^data$/],
  ['a 250 in place of 354', 'DATA', '250 2.0.0 ok\r\n', /^data$/],
  ['a 354 at MAIL', 'MAIL', '354 go on\r\n', /^mail$/],
  // What is said ahead of its command is never taken for the answer to it.
  ['the answers to everything at MAIL', 'MAIL', '250 ok\r\n'.repeat(4), /^(?:mail|rcpt|data)$/],
  ['a 250 behind the 354', 'DATA', '354 go on\r\n250 2.0.0 Ok: queued\r\n', /^data$/],
];

stageFaults(
  'a next hop that talks nonsense',
  ANSWERS.map(
    ([what, at, octets, stage]): Fault => ({
      what,
      at,
      how: raw(octets),
      recorded: { stage: expect.stringMatching(stage), cause: 'route' },
    }),
  ),
);
