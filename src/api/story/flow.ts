/**
 * A recovery flow as one story: every message that an app joined with the same `X-Leadpush-Flow`, in time order, with the time
 * between the steps; and first of all whether the reset in it ever reached the person.
 *
 * A reset is a message with the tag `password-reset` or `admin-reset`; in a flow without one, every message counts, but for notices
 * of a compromised account, which restore nothing by themselves. One that a newer message replaced is as good as that message,
 * in whatever flow it is.
 *
 * Known limit: mail that was refused at submission has no flow in the log; `trace RECIPIENT` shows it.
 */
import type { DeliveryFacts, MessageFacts } from '../wire/message.ts';
import { isFinal, type DeliveryState } from '../../core/delivery.ts';
import { isoTime } from '../../core/time.ts';
import { clean } from './clean.ts';
import { span } from './format.ts';
import type { Story } from './moments.ts';

/** The flow as `trace --flow --json` shows it with each message, as `flow_report`; names are public. */
export interface FlowReport {
  readonly flow: string;
  /** `delivered`: the newest reset of each recipient was; `open`: it still may be; `failed`: it never will; `none`: no reset yet. */
  readonly verdict: 'delivered' | 'open' | 'failed' | 'none';
  readonly text: string;
  readonly started_at: string;
  readonly messages: readonly FlowMessage[];
}

export interface FlowMessage {
  readonly id: string;
  readonly tag: string | null;
  readonly accepted_at: string;
  /** Since the message before it in the flow was accepted; null for the first. */
  readonly gap_ms: number | null;
  readonly is_reset: boolean;
  readonly deliveries: readonly {
    readonly recipient: string;
    readonly state: string;
    readonly after_ms: number | null;
  }[];
}

/** What became of the reset for one recipient. */
interface Ending {
  readonly recipient: string;
  readonly kind: 'delivered' | 'open' | 'failed';
  readonly text: string;
}

const RESETS: ReadonlySet<string> = new Set(['password-reset', 'admin-reset']);
/** A message that replaces one that replaces one ...: enough, and an end for a loop. */
const MAX_SUCCESSORS = 20;

/** Tells the story of `stories` (oldest first); `messageOf` finds a message by its id, or null. */
export async function flowReport(
  flow: string,
  stories: readonly Story[],
  messageOf: (id: string) => Promise<MessageFacts | null>,
): Promise<FlowReport> {
  const messages = stories.flatMap(({ message }) => (message === null ? [] : [message]));
  const tagged = messages.filter(({ tag }) => tag !== null && RESETS.has(tag));
  const resets = tagged.length > 0 ? tagged : messages.filter(({ tag }) => tag !== 'compromised-account');
  const start = messages[0]?.acceptedAt ?? 0;
  const endings: Ending[] = [];
  for (const recipient of new Set(resets.flatMap(({ deliveries }) => deliveries.map((one) => one.recipient)))) {
    endings.push(await endingFor(recipient, resets, start, messageOf));
  }
  return {
    flow,
    verdict: endings.length === 0 ? 'none' : worst(endings),
    text:
      endings.length === 0
        ? 'No reset in this flow: it has notices alone, and nothing that restores access.'
        : endings.map(({ text }) => text).join(' '),
    started_at: isoTime(start),
    messages: messages.map((message, index): FlowMessage => {
      const before = messages[index - 1];
      return {
        id: message.id,
        tag: message.tag,
        accepted_at: isoTime(message.acceptedAt),
        gap_ms: before === undefined ? null : message.acceptedAt - before.acceptedAt,
        is_reset: resets.includes(message),
        deliveries: message.deliveries.map(({ recipient, state, deliveredAt }) => ({
          recipient,
          state,
          after_ms: deliveredAt === null ? null : deliveredAt - message.acceptedAt,
        })),
      };
    }),
  };
}

function worst(endings: readonly Ending[]): Ending['kind'] {
  return (
    (['failed', 'open', 'delivered'] as const).find((kind) => endings.some((ending) => ending.kind === kind)) ??
    'failed'
  );
}

/** The newest reset counts: who asks again has given up on the links before it. */
async function endingFor(
  recipient: string,
  resets: readonly MessageFacts[],
  start: number,
  messageOf: (id: string) => Promise<MessageFacts | null>,
): Promise<Ending> {
  const own = resets.flatMap((message) =>
    message.deliveries.filter((one) => one.recipient === recipient).map((delivery) => ({ message, delivery })),
  );
  const newest = own.at(-1);
  const who = clean(recipient);
  if (newest === undefined) return { recipient, kind: 'failed', text: `No reset for ${who}.` };
  const end = await followSuccessors(newest, messageOf);
  const { message, delivery } = end;
  const through = message.id === newest.message.id ? '' : ` by the newer message ${message.id} that took its place`;
  const count = own.length === 1 ? 'The reset' : `The newest of ${own.length} resets`;
  if (delivery.state === 'delivered') {
    const after = span((delivery.deliveredAt ?? delivery.updatedAt) - start);
    return {
      recipient,
      kind: 'delivered',
      text: `${count} for ${who} was delivered${through}, ${after} after the flow began.`,
    };
  }
  if (!isFinal(delivery.state)) {
    return { recipient, kind: 'open', text: `${count} for ${who} is not delivered yet (${delivery.state})${through}.` };
  }
  const older = own.findLast((one) => one.delivery.state === 'delivered');
  const but =
    older === undefined
      ? 'No reset of this flow reached them.'
      : `An older one was delivered (${older.message.id}); its link may be dead by now.`;
  return {
    recipient,
    kind: 'failed',
    text: `${count} for ${who} was NEVER DELIVERED: ${reasonFor(delivery.state)} (${message.id}). ${but}`,
  };
}

async function followSuccessors(
  first: { readonly message: MessageFacts; readonly delivery: DeliveryFacts },
  messageOf: (id: string) => Promise<MessageFacts | null>,
): Promise<typeof first> {
  let current = first;
  for (let step = 0; step < MAX_SUCCESSORS; step++) {
    const { delivery } = current;
    if (delivery.state !== 'superseded' || delivery.supersededBy === null) return current;
    const message = await messageOf(delivery.supersededBy);
    const next = message?.deliveries.find((one) => one.recipient.toLowerCase() === delivery.recipient.toLowerCase());
    if (message == null || next === undefined) return current;
    current = { message, delivery: next };
  }
  return current;
}

function reasonFor(state: DeliveryState): string {
  switch (state) {
    case 'expired':
      return 'it expired before a next hop took it';
    case 'bounced':
      return 'it bounced';
    case 'superseded':
      return 'it was replaced by a newer message that the log does not hold any more';
    case 'suppressed':
      return 'the address is suppressed';
    case 'throttled':
      return 'a flood guard held it back';
    case 'canceled':
      return 'it was canceled';
    case 'quarantined':
      return 'it is quarantined, and waits for an operator';
    default:
      return state;
  }
}
