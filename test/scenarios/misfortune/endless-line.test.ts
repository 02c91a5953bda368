/**
 * A next hop that floods: a line without an end, a reply of lines without an end, blank lines. What it may say is bounded, so
 * memory and time are too, however fast it talks.
 */
import { readFileSync } from 'node:fs';
import { expect } from 'vitest';
import { flood, type Step } from '../../support/next-hop.ts';
import { type Fault, stageFaults } from './faults.ts';

const FLOODS = [
  ['a line without an end', '2'],
  ['a reply without an end', '250-more and more\r\n'],
  ['blank lines without an end', '\r\n'],
] as const;
const STEPS: readonly (readonly [at: Step, stage: string])[] = [
  ['connect', 'greeting'],
  ['EHLO', 'ehlo'],
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
];
/** A process at rest has some 100 MB; unbounded, a flood of a second brings ten times that. */
const MAX_PEAK_MB = 400;

stageFaults(
  'a next hop that floods',
  FLOODS.flatMap(([what, octets]) =>
    STEPS.map(
      ([at, stage]): Fault => ({
        what: `${what} at ${at}`,
        at,
        how: flood(octets),
        // Found out by counting, and not by a limit of time.
        recorded: {
          stage,
          cause: 'route',
          code: null,
          response: expect.stringMatching(/said more than 65536 octets$/),
        },
        async also({ first }, relayPid) {
          await first.until(() => first.openConnections() === 0);
          expect(peakMb(relayPid)).toBeLessThan(MAX_PEAK_MB);
        },
      }),
    ),
  ),
);

/** The most memory that the process ever held at once (Linux). */
function peakMb(pid: number): number {
  return Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
}
