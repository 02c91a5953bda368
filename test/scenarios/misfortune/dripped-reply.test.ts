/** A next hop whose reply drips in octet by octet without an end: each octet that comes buys it no time. */
import { drip, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

const DRIPS: readonly (readonly [at: Step, stage: string, octets: string])[] = [
  ['connect', 'greeting', '220-welcome\r\n'],
  ['EHLO', 'ehlo', '250-X\r\n'],
  ['MAIL', 'mail', '250-still here\r\n'],
  ['RCPT', 'rcpt', '250 without an end of line '],
  ['DATA', 'data', '354-soon\r\n'],
];

stageFaults(
  'a next hop that drips',
  DRIPS.map(
    ([at, stage, octets]): Fault => ({
      what: `a dripped reply at ${at}`,
      at,
      how: drip(octets),
      recorded: { stage, cause: 'route', code: null },
      also: ({ first }) => first.until(() => first.openConnections() === 0),
    }),
  ),
  { fast: 10 },
);
