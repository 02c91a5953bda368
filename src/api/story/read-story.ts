/** Reading the story of a message out of the log, for the command `trace` and for the API. */
import { isFinal } from '../../core/delivery.ts';
import type { EventType } from '../../core/event.ts';
import type { MessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { EventFilter } from '../../store/history.ts';
import type { AttemptFacts } from '../wire/attempt.ts';
import type { WireEvent } from '../wire/event.ts';
import type { MessageFacts } from '../wire/message.ts';
import type { Story } from './moments.ts';
import { verdictOn, verdictOnRejection } from './verdict.ts';

/** What of the log a story is made of. */
export interface StoryReads {
  message(id: MessageId): Promise<MessageFacts | null>;
  attempts(id: MessageId): Promise<readonly AttemptFacts[]>;
  eventsOf(id: MessageId): Promise<readonly WireEvent[]>;
  events(filter: EventFilter): Promise<readonly WireEvent[]>;
}

export interface StoryQuestion {
  /** Epoch milliseconds. */
  readonly now: number;
  /** A recipient whose copy alone is meant; any other text: all of them. */
  readonly key: string;
  /** What a next step repeats: ` --config FILE`, or nothing. */
  readonly placeOptions: string;
}

const ROUTE_EVENTS: readonly EventType[] = ['route.down', 'route.up'];
/** The newest ones that are looked through. */
const MAX_ROUTE_EVENTS = 1000;

/** The story of `id`; null: nothing is known of it. */
export async function readStory(
  history: StoryReads,
  id: MessageId,
  { now, key, placeOptions }: StoryQuestion,
): Promise<Story | null> {
  const events = await history.eventsOf(id);
  const message = await history.message(id);
  if (message === null) {
    return events.length === 0
      ? null
      : { id, message, attempts: [], events, routeEvents: [], verdict: verdictOnRejection(events) };
  }
  const attempts = await history.attempts(id);
  const routes = await history.events({ types: ROUTE_EVENTS, limit: MAX_ROUTE_EVENTS });
  const named = message.deliveries.filter(({ recipient }) => recipient.toLowerCase() === key.toLowerCase());
  const routeEvents = concerning(message, routes);
  const verdict = verdictOn({
    message,
    deliveries: named.length > 0 ? named : message.deliveries,
    attempts,
    events,
    routeEvents,
    now,
    placeOptions,
  });
  return { id, message, attempts, events, routeEvents, verdict };
}

/** Those of `routes` (in time order) that tell why `message` waited or took another way. */
function concerning(message: MessageFacts, routes: readonly WireEvent[]): readonly WireEvent[] {
  const from = isoTime(message.acceptedAt);
  const isOpen = message.deliveries.some(({ state }) => !isFinal(state));
  const to = isOpen ? null : isoTime(Math.max(...message.deliveries.map(({ updatedAt }) => updatedAt)));
  return [...new Set(message.deliveries.flatMap(({ via }) => via))].flatMap((name) => {
    const ofRoute = routes.filter(({ data }) => data.route?.name === name);
    const before = ofRoute.findLast(({ timestamp }) => timestamp < from);
    const during = ofRoute.filter(({ timestamp }) => timestamp >= from && (to === null || timestamp <= to));
    return before?.type === 'route.down' ? [before, ...during] : during;
  });
}
