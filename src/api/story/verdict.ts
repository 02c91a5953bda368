/**
 * The answer to "I never got the mail", in one sentence: what became of a message, or of one recipient's copy of it.
 *
 * Pure: everything it knows is passed in. Texts of next hops are cleaned here.
 */
import type { AttemptFacts } from '../wire/attempt.ts';
import type { WireEvent } from '../wire/event.ts';
import type { DeliveryFacts, MessageFacts } from '../wire/message.ts';
import { BOUNCE_EXPLANATIONS } from '../../core/bounce.ts';
import type { DeliveryState } from '../../core/delivery.ts';
import { clean, cut } from './clean.ts';
import { answerOf, describeAttempt, describeEvent, describeReport } from './describe-event.ts';
import { dateTime, span } from './format.ts';
import { shellWord } from '../../core/shell-word.ts';
import { whyLate } from './why-late.ts';

export interface Verdict {
  /** The state it is about, for colour; `mixed` when several recipients have several. */
  readonly state: DeliveryState | 'rejected' | 'mixed';
  readonly text: string;
}

export interface VerdictInput {
  readonly message: MessageFacts;
  /** The deliveries that were asked about; one, or all of the message. */
  readonly deliveries: readonly DeliveryFacts[];
  readonly attempts: readonly AttemptFacts[];
  readonly events: readonly WireEvent[];
  /** `route.down` and `route.up` of its routes, oldest first. */
  readonly routeEvents: readonly WireEvent[];
  readonly now: number;
  /** What a next step repeats: ` --config FILE`, or nothing. */
  readonly placeOptions: string;
}

/** The verdict on an accepted message. */
export function verdictOn(input: VerdictInput): Verdict {
  const [first, ...others] = input.deliveries;
  if (first === undefined) return { state: 'mixed', text: 'The message has no recipients.' };
  if (others.length === 0) return { state: first.state, text: verdictOnDelivery(input, first) };
  const counts = new Map<DeliveryState, number>();
  for (const { state } of input.deliveries) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  return {
    state: counts.size === 1 ? first.state : 'mixed',
    text: `${input.deliveries.length} recipients: ${parts.join(', ')}.`,
  };
}

/** The verdict on a message that was refused at submission, from its events. */
export function verdictOnRejection(events: readonly WireEvent[]): Verdict {
  const event = events.find((candidate) => candidate.type === 'message.rejected');
  const text = event === undefined ? 'the reason is not known' : describeEvent(event);
  return {
    state: 'rejected',
    text: `Refused at submission${event === undefined ? '' : ` on ${shownTime(event.timestamp)}`}: ${text}. The app was told; nothing was queued.`,
  };
}

function verdictOnDelivery(input: VerdictInput, delivery: DeliveryFacts): string {
  const { message, now, placeOptions } = input;
  const to = clean(delivery.recipient);
  const attempts = input.attempts.filter((attempt) => attempt.deliveryId === delivery.id);
  const last = attempts.at(-1);
  const late = (lead: string, until: number): string => {
    const { routeEvents } = input;
    const why = whyLate({ attempts, routeEvents, priority: message.priority, from: message.acceptedAt, to: until });
    return why === null ? '' : ` ${lead} ${why}.`;
  };
  const trouble = last === undefined ? shownResponse(delivery.lastResponse) : describeAttempt(last);
  const reason = reasonOf(input.events, delivery);
  const at = dateTime(delivery.updatedAt);
  switch (delivery.state) {
    case 'delivered': {
      const when = delivery.deliveredAt ?? delivery.updatedAt;
      const took = span(when - message.acceptedAt);
      const route = clean(last?.route ?? delivery.route);
      if (last !== undefined && isCapture(last)) {
        const look = message.contentKept ? ` Look at it with: leadpush-relay show ${message.id}${placeOptions}` : '';
        return `Captured by the sandbox route ${route} on ${dateTime(when)}, ${took} after it was accepted; nothing left this machine.${look}`;
      }
      const answer = last === undefined ? shownResponse(delivery.lastResponse) : answerOf(last);
      const hop = last?.next_hop == null ? route : `${route} (${clean(last.next_hop)})`;
      return `Delivered to ${to}: ${hop} took it on ${dateTime(when)}, ${took} after it was accepted, and answered: ${answer}.${late('Late because of', when)} ${afterwards(input, delivery)}`;
    }
    case 'queued':
    case 'deferred': {
      const next = delivery.nextAttemptAt;
      const due =
        next === null
          ? 'no attempt is planned'
          : next <= now
            ? 'an attempt is due now'
            : `next attempt in ${span(next - now)}`;
      const so =
        delivery.attempts === 0 ? 'nothing was tried yet' : `${tries(delivery.attempts)}, the last one over ${trouble}`;
      return `Not delivered to ${to} yet: ${so}; ${due} over ${clean(delivery.route)}; it is given up on ${dateTime(message.deadline)}.${late('Most of the time so far is', now)}`;
    }
    case 'sending':
      return `Being sent to ${to} just now, over ${clean(delivery.route)}.`;
    case 'bounced':
      return `Bounced for ${to} on ${at}: the next hop refused it for good: ${trouble}.${meaningOf(input, delivery)}`;
    case 'expired': {
      const why =
        delivery.attempts === 0
          ? 'nothing could be tried'
          : `${tries(delivery.attempts)}, the last one over ${trouble}`;
      return `Expired for ${to} on ${at}: not delivered in the ${span(message.deadline - message.acceptedAt)} it had; ${why}.${late('Most of it is', message.deadline)}`;
    }
    case 'superseded':
      return `Superseded for ${to} on ${at}: a newer message took its place${newerOf(delivery)}${reason}.`;
    case 'suppressed':
      return `Not sent to ${to}: the address is suppressed${reason}. The app was not told. To let mail through again: leadpush-relay suppressions remove ${shellWord(to)}${placeOptions}`;
    case 'throttled':
      return `Not sent to ${to}: over a flood guard${reason}. The app was not told. The guards are tags.${clean(message.tag ?? '*')}.throttle and credentials[].rate in the config.`;
    case 'canceled':
      return `Canceled for ${to} on ${at}${reason}.`;
    case 'quarantined':
      return `Quarantined for ${to} on ${at}${reason}. Put it back with: leadpush-relay queue retry ${delivery.id}${placeOptions}`;
  }
}

/** What became known of a delivered mail later, or where else to look. */
function afterwards(input: VerdictInput, delivery: DeliveryFacts): string {
  const late =
    delivery.supersededBy === null ? '' : ` It could not be held back for the newer one${newerOf(delivery)}.`;
  const later = input.events.findLast(
    ({ data }) => data.delivery?.id === delivery.id && data.report !== undefined && data.report.status?.[0] !== '4',
  );
  if (later?.data.report === undefined) {
    return `If it is not in the inbox, ask there and look in the spam folder.${late}`;
  }
  const when = dateTime(Date.parse(later.timestamp));
  const told = describeReport(later.data.report);
  const what = later.type === 'message.complained' ? 'the recipient complained about it' : 'it came back after all';
  return `But on ${when} ${what}: ${told}.${meaningOf(input, delivery)}${late}`;
}

/** Class and meaning of a bounce, and until when the address is suppressed, from the newest event that tells. */
function meaningOf(input: VerdictInput, delivery: DeliveryFacts): string {
  const told = input.events.findLast(({ data }) => data.delivery?.id === delivery.id && data.bounce !== undefined);
  const bounce = told?.data.bounce ?? delivery.bounce;
  if (bounce == null) return '';
  const until = told?.data.bounce?.suppressed_until;
  const suppressed =
    until === undefined
      ? ''
      : ` The address is suppressed until ${dateTime(Date.parse(until))}: leadpush-relay suppressions.`;
  return ` Class ${bounce.class} (${cut(clean(bounce.why), 200)}). ${BOUNCE_EXPLANATIONS[bounce.class]}${suppressed}`;
}

function newerOf(delivery: DeliveryFacts): string {
  return delivery.supersededBy === null ? '' : ` (${delivery.supersededBy})`;
}

/** Whether a sandbox route made this attempt; the names of real next hops have a port. */
export function isCapture(attempt: AttemptFacts): boolean {
  return attempt.outcome === 'delivered' && attempt.next_hop === 'sandbox';
}

/** The newest reason that an event gives for the delivery's present state, as `: reason`. */
function reasonOf(events: readonly WireEvent[], delivery: DeliveryFacts): string {
  const event = events.findLast(
    ({ data }) => data.delivery?.id === delivery.id && data.delivery.state === delivery.state,
  );
  return event?.data.reason === undefined ? '' : `: ${cut(clean(event.data.reason), 200)}`;
}

function tries(count: number): string {
  return count === 1 ? 'tried once' : `tried ${count} times`;
}

function shownResponse(response: string | null): string {
  return cut(clean(response ?? ''), 200) || 'no answer is recorded';
}

function shownTime(iso: string): string {
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}
