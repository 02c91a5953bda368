/**
 * What became of a recovery flow: whether the newest reset of each recipient was delivered. Pure.
 *
 * A reset is a message with the tag `password-reset` or `admin-reset`; without one, every message counts but notices of a compromised
 * account, which restore nothing by themselves. One that a newer message of the flow replaced is as good as that one.
 */
import type { Message } from '../api/types.ts';
import { isPending, type Mood } from './states.ts';
import { span } from './time.ts';

const RESETS: ReadonlySet<string> = new Set(['password-reset', 'admin-reset']);

/** The verdict on `messages`, oldest first. */
export function flowVerdict(messages: readonly Message[]): { readonly mood: Mood; readonly text: string } {
  const tagged = messages.filter(({ tag }) => tag !== null && RESETS.has(tag));
  const resets = tagged.length > 0 ? tagged : messages.filter(({ tag }) => tag !== 'compromised-account');
  const start = Date.parse(messages[0]?.accepted_at ?? '');
  const endings = [...new Set(resets.flatMap(({ deliveries }) => deliveries.map(({ recipient }) => recipient)))].map(
    (recipient) => endingFor(recipient, resets, start),
  );
  if (endings.length === 0) {
    return { mood: 'quiet', text: 'No reset in this flow: it has notices alone, and nothing that restores access.' };
  }
  const mood =
    (['bad', 'wait', 'good'] as const).find((each) => endings.some((ending) => ending.mood === each)) ?? 'bad';
  return { mood, text: endings.map(({ text }) => text).join(' ') };
}

function endingFor(
  recipient: string,
  resets: readonly Message[],
  start: number,
): { readonly mood: Mood; readonly text: string } {
  const own = resets.flatMap((message) =>
    message.deliveries
      .filter((delivery) => delivery.recipient === recipient)
      .map((delivery) => ({ message, delivery })),
  );
  const newest = own.at(-1);
  if (newest === undefined) return { mood: 'bad', text: `No reset for ${recipient}.` };
  const { delivery, message } = newest;
  const which = own.length === 1 ? 'The reset' : `The newest of ${own.length} resets`;
  if (delivery.state === 'delivered') {
    const after = span(Date.parse(delivery.delivered_at ?? message.accepted_at) - start);
    return { mood: 'good', text: `${which} for ${recipient} was delivered, ${after} after the flow began.` };
  }
  if (isPending(delivery.state)) {
    return { mood: 'wait', text: `${which} for ${recipient} is not delivered yet (${delivery.state}).` };
  }
  if (delivery.state === 'superseded') {
    return { mood: 'wait', text: `${which} for ${recipient} was replaced by a message outside of this flow.` };
  }
  const older = own.some((one) => one.delivery.state === 'delivered');
  return {
    mood: 'bad',
    text: `${which} for ${recipient} was never delivered (${delivery.state}). ${
      older ? 'An older one was; its link may be dead by now.' : 'No reset of this flow reached them.'
    }`,
  };
}
