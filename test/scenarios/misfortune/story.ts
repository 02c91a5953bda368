/**
 * What became of one delivery, as the relay recorded it and as the next hops saw it, and the laws that hold for each.
 */
import { expect } from 'vitest';
import { isFinal, type DeliveryState } from '../../../src/core/delivery.ts';
import type { RelayEvent } from '../../../src/core/event.ts';
import type { MessageId } from '../../../src/core/ids.ts';
import type { AttemptView, HistoryStore } from '../../../src/store/history.ts';
import type { ReceivedMessage } from '../../support/next-hop.ts';

/** All that is known of one delivery. Routes are called `first` and `second`. */
export interface Story {
  readonly state: DeliveryState;
  readonly bounce: string | null;
  readonly events: readonly RelayEvent[];
  readonly attempts: readonly AttemptView[];
  /** Complete messages that a hop got and did not refuse. */
  readonly copies: { readonly first: number; readonly second: number };
}

/** Where to look. */
export interface StorySource {
  readonly history: Pick<HistoryStore, 'message' | 'attempts' | 'eventsOf'>;
  /** The routes are called `<slug>-first` and `<slug>-second`. */
  readonly slug: string;
  /** All that came to a hop. */
  received(which: 'first' | 'second'): readonly ReceivedMessage[];
}

/** The story so far of `id`'s delivery to `recipient`; fails when the delivery is final and a law is broken. */
export async function readStory(
  { history, slug, received }: StorySource,
  id: MessageId,
  recipient: string,
): Promise<Story> {
  // The state first: of a delivery that is final in it, everything is there when the rest is read.
  const message = await history.message(id);
  const delivery = message?.deliveries.find((one) => one.recipient === recipient);
  if (message === null || delivery === undefined) throw new Error(`${id} to ${recipient} is not in the database`);
  const attempts = await history.attempts(id);
  const events = await history.eventsOf(id);
  const arrived = (which: 'first' | 'second'): readonly Buffer[] =>
    received(which)
      .filter(({ recipients, reply }) => recipients[0]?.address === recipient && !/^[45]/.test(reply ?? ''))
      .map(({ content }) => content)
      .filter((content) => content.includes(message.headerMessageId));
  const copies = { first: arrived('first'), second: arrived('second') };
  const named = <T>(facts: T): T =>
    JSON.parse(JSON.stringify(facts).replaceAll(new RegExp(`"${slug}-(first|second)"`, 'g'), '"$1"'));
  const story: Story = {
    state: delivery.state,
    bounce: delivery.bounce?.class ?? null,
    events: named(events.filter(({ data }) => data.delivery?.id === delivery.id)),
    attempts: named(attempts.filter(({ deliveryId }) => deliveryId === delivery.id)),
    copies: { first: copies.first.length, second: copies.second.length },
  };
  if (isFinal(story.state)) laws(story, [...copies.first, ...copies.second], message.headerMessageId);
  return story;
}

/** What holds for every delivery that has come to its end, whatever befell it. */
function laws(story: Story, copies: readonly Buffer[], headerMessageId: string): void {
  const { state, events, attempts } = story;
  // One end, told by the last event; every try is told in order, and as it is recorded.
  expect(events[0]?.type).toBe('message.accepted');
  expect(events.at(-1)?.type).toBe(`message.${state}`);
  expect(attempts.map(({ number }) => number)).toEqual(attempts.map((_, index) => index + 1));
  const told = events.flatMap(({ data }) => [...(data.failed_over ?? []), ...(data.attempt ? [data.attempt] : [])]);
  expect(told).toEqual(attempts.map(({ deliveryId: _id, startedAt: _at, ...attempt }) => attempt));
  expect(events.at(-1)?.data.delivery?.attempts).toBe(attempts.length);
  // A second copy only where it could not be known that there was a first; the same bytes in each.
  const uncertain = attempts.filter(({ outcome }) => outcome === 'uncertain').length;
  expect(copies.length).toBeLessThanOrEqual(uncertain + (state === 'delivered' ? 1 : 0));
  if (state === 'delivered') expect(copies.length).toBeGreaterThanOrEqual(1);
  for (const copy of copies) {
    expect(copy.equals(copies[0] ?? copy)).toBe(true);
    expect(copy.toString('latin1').split('\r\n')).toContain(`Message-ID: ${headerMessageId}`);
    expect(copy.toString('latin1')).not.toMatch(/^x-leadpush/im);
  }
}
