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
    add(waitText(before, routeEvents, at, attempt.startedAt), attempt.startedAt - at);
    add(attemptText(attempt), took);
    at = attempt.startedAt + took;
    before = attempt;
  }
  if (before?.outcome !== 'delivered') add(waitText(before, routeEvents, at, to), to - at);
  const named = [...shares].filter(([, ms]) => ms >= whole * NAMED_SHARE).sort(([, a], [, b]) => b - a);
  if (named.length === 0) return 'many short waits';
  return named.map(([text, ms]) => `${text} (${span(ms)})`).join(', and ');
}

function durationOf({ timings_ms }: AttemptFacts): number {
  return Object.entries(timings_ms).reduce((sum, [phase, ms]) => (phase === 'queue' ? sum : sum + ms), 0);
}

function waitText(before: AttemptFacts | null, routeEvents: readonly WireEvent[], from: number, to: number): string {
  if (before !== null) return `the wait after ${clean(before.route)} answered "${answerOf(before)}"`;
  const down = routeEvents.find(({ type, timestamp }) => type === 'route.down' && Date.parse(timestamp) <= to);
  if (down?.data.route !== undefined && to > from) {
    return `the wait while route ${clean(down.data.route.name)} was down: ${clean(down.data.route.reason)}`;
  }
  return 'the wait in the queue before the first attempt';
}

function attemptText(attempt: AttemptFacts): string {
  const who = clean(attempt.next_hop ?? attempt.route);
  return attempt.outcome === 'delivered' ? `the attempt at ${who}` : `the attempt at ${who} that did not deliver`;
}
