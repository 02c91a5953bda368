/** The story of a message, and what happened in it, moment by moment, in words. Shared by `trace` of a message and of a flow. */
import type { AttemptFacts } from '../wire/attempt.ts';
import type { WireEvent } from '../wire/event.ts';
import type { MessageFacts } from '../wire/message.ts';
import type { MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import { clean } from './clean.ts';
import { describeAttempt, describeEvent, eventWord } from './describe-event.ts';
import { span } from './format.ts';
import type { Verdict } from './verdict.ts';

/** A message as the log knows it. `message` is null for one that was refused. */
export interface Story {
  readonly id: MessageId;
  readonly message: MessageFacts | null;
  readonly attempts: readonly AttemptFacts[];
  readonly events: readonly WireEvent[];
  /** `route.down` and `route.up` of the message's routes while it waited, and what held when it came. */
  readonly routeEvents: readonly WireEvent[];
  readonly verdict: Verdict;
}

export interface Moment {
  readonly at: string;
  readonly word: string;
  readonly text: string;
  readonly recipient: string | null;
}

/** Everything that happened to the message and, as far as it mattered, to its routes, in time order. */
export function momentsOf(story: Story): readonly Moment[] {
  const events = [...story.events, ...story.routeEvents].sort((a, b) => a.data.seq - b.data.seq);
  // Within a millisecond: acceptance, then tries, then what came of them.
  const accepted = events.filter(({ type }) => type === 'message.accepted');
  const others = events.filter(({ type }) => type !== 'message.accepted');
  return [...accepted.map(momentOfEvent), ...attemptsWithoutEvent(story), ...others.map(momentOfEvent)].sort((a, b) =>
    a.at < b.at ? -1 : a.at > b.at ? 1 : 0,
  );
}

function momentOfEvent(event: WireEvent): Moment {
  const { attempt, delivery } = event.data;
  const number = attempt === undefined || delivery === undefined ? '' : `attempt ${attempt.number} over `;
  return {
    at: event.timestamp,
    word: eventWord(event),
    text: `${number}${describeEvent(event, { failedOver: false })}${attempt === undefined ? '' : timings(attempt.timings_ms)}`,
    recipient: delivery?.recipient ?? null,
  };
}

/**
 * Attempts that changed no state have no event of their own: one that a crash interrupted, and one over a route that failed,
 * from which the message moved on at once.
 */
function attemptsWithoutEvent(story: Story): readonly Moment[] {
  const told = new Set(story.events.map(({ data }) => keyOf(data.delivery?.id, data.attempt?.number)));
  const movedOn = new Map<string, string>();
  for (const { data } of story.events) {
    const tries = [...(data.failed_over ?? []), ...(data.attempt === undefined ? [] : [data.attempt])];
    for (const [index, failed] of (data.failed_over ?? []).entries()) {
      movedOn.set(keyOf(data.delivery?.id, failed.number), `, on at once to ${clean(tries[index + 1]?.route ?? '')}`);
    }
  }
  return story.attempts
    .filter((attempt) => !told.has(keyOf(attempt.deliveryId, attempt.number)))
    .map((attempt) => ({
      at: isoTime(attempt.startedAt),
      word: movedOn.has(keyOf(attempt.deliveryId, attempt.number)) ? 'moved on' : attempt.outcome,
      text: `attempt ${attempt.number} over ${describeAttempt(attempt)}${movedOn.get(keyOf(attempt.deliveryId, attempt.number)) ?? ''}${timings(attempt.timings_ms)}`,
      recipient: story.message?.deliveries.find(({ id }) => id === attempt.deliveryId)?.recipient ?? null,
    }));
}

function keyOf(delivery: string | null | undefined, number: number | undefined): string {
  return `${delivery ?? ''} ${number ?? ''}`;
}

function timings(milliseconds: Readonly<Record<string, number>>): string {
  const parts = Object.entries(milliseconds).map(([phase, ms]) => `${clean(phase)} ${span(ms)}`);
  return parts.length === 0 ? '' : ` [${parts.join(', ')}]`;
}
