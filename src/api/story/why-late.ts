/**
 * Why a mail was late: where the time from its acceptance to its end went. Pure.
 *
 * The time is cut into the wait before the first attempt, each attempt, and each wait after one that did not deliver; those that
 * took a fifth of the whole or more are named, the longest first. Texts of next hops are cleaned by who describes them.
 */
import type { Priority } from '../../core/message.ts';
import type { AttemptFacts } from '../wire/attempt.ts';
import type { WireEvent } from '../wire/event.ts';
import { clean } from './clean.ts';
import { answerOf } from './describe-event.ts';
import { span } from './format.ts';

export interface Lateness {
  /** Of one delivery, oldest first. */
  readonly attempts: readonly AttemptFacts[];
  /** `route.down` and `route.up` of its routes, oldest first. */
  readonly routeEvents: readonly WireEvent[];
  readonly priority: Priority;
  /** Epoch milliseconds: its acceptance, and its end or now. */
  readonly from: number;
  readonly to: number;
}

/** From here on a mail of the lane counts as late, in milliseconds. */
const LATE_MS: Readonly<Record<Priority, number>> = { critical: 10_000, normal: 60_000, bulk: 600_000 };
const NAMED_SHARE = 0.2;

/** What took the time, without a full stop; null: it was not late. */
export function whyLate({ attempts, routeEvents, priority, from, to }: Lateness): string | null {
  const whole = to - from;
  if (whole < LATE_MS[priority]) return null;
  const shares = new Map<string, number>();
  const add = (text: string, ms: number): void => void shares.set(text, (shares.get(text) ?? 0) + Math.max(0, ms));
  let at = from;
  let before: AttemptFacts | null = null;
  for (const attempt of attempts) {
    const took = durationOf(attempt);
    const { route, startedAt } = attempt;
    add(waitText(routeEvents, before, route, [at, startedAt]), startedAt - at);
    add(attemptText(attempt), took);
    at = startedAt + took;
    before = attempt;
  }
  if (before?.outcome !== 'delivered') add(waitText(routeEvents, before, null, [at, to]), to - at);
  const named = [...shares].filter(([, ms]) => ms >= whole * NAMED_SHARE).sort(([, a], [, b]) => b - a);
  if (named.length === 0) return 'many short waits';
  return named.map(([text, ms]) => `${text} (${span(ms)})`).join(', and ');
}

function phasesOf({ timings_ms }: AttemptFacts): [phase: string, ms: number][] {
  return Object.entries(timings_ms).filter(([phase]) => phase !== 'queue');
}

function durationOf(attempt: AttemptFacts): number {
  return phasesOf(attempt).reduce((sum, [, ms]) => sum + ms, 0);
}

/** A wait from `from` to `to`, after the attempt `before` and until one over `route`. */
function waitText(
  routeEvents: readonly WireEvent[],
  before: AttemptFacts | null,
  route: string | null,
  [from, to]: readonly [number, number],
): string {
  if (before !== null) {
    const stage = before.stage === null ? '' : ` at ${before.stage}`;
    return `the wait after ${clean(before.route)} answered "${answerOf(before)}"${stage}`;
  }
  const down = routeEvents.find(({ type, timestamp }) => type === 'route.down' && Date.parse(timestamp) <= to);
  if (down?.data.route !== undefined && to > from) {
    return `the wait while route ${clean(down.data.route.name)} was down: ${clean(down.data.route.reason)}`;
  }
  return `the wait in the queue before the first attempt${route === null ? '' : ` over ${clean(route)}`}`;
}

/** What takes the time in each phase; another one is the attempt as a whole. */
const PHASES: ReadonlyMap<string, string> = new Map([
  ['connect', 'connecting to'],
  ['tls', 'the TLS handshake with'],
  ['session', 'greeting and login at'],
  ['transaction', 'the answer of'],
]);

/** An attempt by its longest phase. */
function attemptText(attempt: AttemptFacts): string {
  const [longest] = phasesOf(attempt).sort(([, a], [, b]) => b - a);
  const what = PHASES.get(longest?.[0] ?? '') ?? 'the attempt at';
  const failed = attempt.outcome === 'delivered' ? '' : `, which ended with "${answerOf(attempt)}"`;
  return `${what} ${clean(attempt.next_hop ?? attempt.route)}${failed}`;
}
