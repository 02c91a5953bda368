/**
 * Where an attempt goes after a try that ended without a delivery. Pure.
 *
 * Ended: anything final, anything at the final dot (a copy may exist, or the content itself was deferred), and a word about
 * the mailbox or about us (4.2.x, 4.7.x, greylisting): every host of the domain would say the same, and one that is asked at
 * once after a greylisting counts it against us.
 *
 * Next address: the conversation failed, or the host said 421 or that it cannot speak with us: nothing was said about the
 * message. Next host: any other 4xx to MAIL, RCPT or DATA, a local trouble of that host, as long as no host said so before.
 * Postfix asks all hosts then; one more finds out whether it is that host alone, and a farm of ten is not asked ten times.
 */
import type { Judged } from '../judged.ts';

export type Direction = 'end' | 'next-address' | 'next-host';

const GREYLISTING = /\bgr[ea]y-?\s?list/i;

/** Where to go after `judged`; `refusals`: how many other hosts were left for a temporary refusal before. */
export function directionAfter({ ending, reply, verdict }: Judged, refusals: number): Direction {
  if (verdict.kind !== 'deferred' || verdict.cause === 'local' || ending.stage === 'dot') return 'end';
  const inTransaction = ending.stage === 'mail' || ending.stage === 'rcpt' || ending.stage === 'data';
  if (!inTransaction || reply === null || reply.code === 421 || reply.code >= 500) return 'next-address';
  const subject = reply.enhanced?.slice(2, 4);
  if (subject === '2.' || subject === '7.' || GREYLISTING.test(reply.text)) return 'end';
  return refusals === 0 ? 'next-host' : 'end';
}
