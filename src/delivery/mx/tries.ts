/**
 * What several tries within one attempt come to: the outcome of the most telling one, with the others in short. Pure.
 *
 * A reply tells more than a broken conversation, that more than a failed connection, that more than a failed look-up; among
 * equals the last one counts, because it is what the next attempt will meet first if the others stay away.
 */
import type { Outcome } from '../../core/outcome.ts';
import { MAX_RESPONSE_LENGTH } from '../judged.ts';

export interface Try {
  /** The host, or `host[address]:port` when it came so far. */
  readonly where: string;
  /** Not `delivered`. */
  readonly outcome: Outcome;
  /** Nothing was tried because there is nothing to try, and waiting does not change it. */
  readonly hopeless: boolean;
}

/** Characters of each other fault that are shown. */
const SHORT = 70;

/** The outcome of the whole attempt; `tries` holds at least one. Hopeless ones alone make it `rejected`, as 5.4.4. */
export function sumUp(tries: readonly Try[]): Outcome | null {
  const hopeful = tries.filter((entry) => !entry.hopeless);
  const telling = (hopeful.length > 0 ? hopeful : tries).reduce<Try | null>(
    (best, entry) => (best === null || weight(entry.outcome) >= weight(best.outcome) ? entry : best),
    null,
  );
  if (telling === null) return null;
  const others = tries.filter((entry) => entry !== telling);
  const response = cut(
    `${telling.outcome.response}${others.length === 0 ? '' : ` (${inShort(tries.length, others)})`}`,
  );
  if (hopeful.length > 0) return { ...telling.outcome, response };
  return { ...telling.outcome, kind: 'rejected', cause: 'recipient', enhanced: '5.4.4', response };
}

function inShort(count: number, others: readonly Try[]): string {
  const faults = others.map(({ where, outcome }) => {
    const text = outcome.response;
    const short = text.length > SHORT ? `${text.slice(0, SHORT - 1).toWellFormed()}\u2026` : text;
    return text.startsWith(where) || text.includes(where) ? short : `${where}: ${short}`;
  });
  return `${count} tried; ${faults.join('; ')}`;
}

function weight(outcome: Outcome): number {
  if (outcome.code !== null) return 4;
  if (outcome.kind !== 'delivered' && outcome.cause === 'tls') return 3;
  if (outcome.stage === 'dns') return 0;
  return outcome.stage === 'connect' ? 1 : 2;
}

function cut(text: string): string {
  return text.length <= MAX_RESPONSE_LENGTH ? text : `${text.slice(0, MAX_RESPONSE_LENGTH - 1).toWellFormed()}\u2026`;
}
