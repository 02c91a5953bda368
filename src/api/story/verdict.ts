/**
 * The answer to "I never got the mail" and "why was it late": what became of a message, or of one recipient's copy of it, why it
 * took so long, and what can be done. The command `trace`, the API and the pages tell it from here.
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
  /** What became of it, in whole sentences. */
  readonly outcome: string;
  /** Where the time went, in a sentence; null: it was not late. */
  readonly whyLate: string | null;
  /** What can be done, or what comes next; null: nothing is to be done. */
  readonly nextStep: NextStep | null;
  /** Whether it was delivered and a report by mail told later that it had failed, or that the recipient complained. */
  readonly cameBack: boolean;
}

export interface NextStep {
  /** In whole sentences, for everybody: it names no command. */
  readonly text: string;
  /** What does it on the command line. */
  readonly command: string | null;
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
  /** What the command of a next step repeats: ` --config FILE`, or nothing. */
  readonly placeOptions: string;
}

/** All of it in one text: what became of it, why it was late, what can be done. */
export function verdictText({ outcome, whyLate, nextStep }: Verdict): string {
  return [outcome, whyLate, nextStep?.text].filter((part) => part != null).join(' ');
}

/** The same for a terminal, where the next step ends with the command that does it. */
export function verdictWithCommand(verdict: Verdict): string {
  const text = verdictText(verdict);
  const command = verdict.nextStep?.command ?? null;
  return command === null ? text : `${text.replace(/\.$/, '')}: ${command}`;
}

/** The verdict on an accepted message. */
export function verdictOn(input: VerdictInput): Verdict {
  const [first, ...others] = input.deliveries;
  if (first === undefined) return { ...NOTHING_MORE, state: 'mixed', outcome: 'The message has no recipients.' };
  if (others.length === 0) return { ...NOTHING_MORE, state: first.state, ...verdictOnDelivery(input, first) };
  const counts = new Map<DeliveryState, number>();
  for (const { state } of input.deliveries) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  const returned = input.deliveries.filter((delivery) => cameBack(input, delivery)).length;
  const later = returned === 0 ? '' : ` ${returned} of those delivered came back later.`;
  return {
    ...NOTHING_MORE,
    state: counts.size === 1 ? first.state : 'mixed',
    outcome: `${input.deliveries.length} recipients: ${parts.join(', ')}.${later}`,
    cameBack: returned > 0,
  };
}

/** The verdict on a message that was refused at submission, from its events. */
export function verdictOnRejection(events: readonly WireEvent[]): Verdict {
  const event = events.find((candidate) => candidate.type === 'message.rejected');
  const text = event === undefined ? 'the reason is not known' : describeEvent(event);
  const when = event === undefined ? '' : ` on ${shownTime(event.timestamp)}`;
  return {
    ...NOTHING_MORE,
    state: 'rejected',
    outcome: `Refused at submission${when}: ${text}. The app was told; nothing was queued.`,
  };
}

const NOTHING_MORE = { whyLate: null, nextStep: null, cameBack: false } as const;

type Told = Pick<Verdict, 'outcome'> & Partial<Verdict>;

function verdictOnDelivery(input: VerdictInput, delivery: DeliveryFacts): Told {
  const { message, now, placeOptions } = input;
  const to = clean(delivery.recipient);
  const attempts = input.attempts.filter((attempt) => attempt.deliveryId === delivery.id);
  const last = attempts.at(-1);
  const late = (lead: string, until: number): string | null => {
    const { routeEvents } = input;
    const why = whyLate({ attempts, routeEvents, priority: message.priority, from: message.acceptedAt, to: until });
    return why === null ? null : `${lead} ${why}.`;
  };
  const trouble = last === undefined ? shownResponse(delivery.lastResponse) : describeAttempt(last);
  const tried =
    delivery.attempts === 0 ? 'nothing was tried' : `${tries(delivery.attempts)}, the last time over ${trouble}`;
  const reason = reasonOf(input.events, delivery);
  const at = dateTime(delivery.updatedAt);
  switch (delivery.state) {
    case 'delivered':
      return onDelivered(input, delivery, last, late);
    case 'queued':
    case 'deferred': {
      const waited = wholeSeconds(now - message.acceptedAt);
      return {
        outcome: `Not delivered to ${to} yet, ${span(waited)} after it was accepted: ${tried}. It is given up on ${dateTime(message.deadline)}.`,
        whyLate: late('Most of that time is', message.acceptedAt + waited),
        nextStep: nextTry(delivery, now),
      };
    }
    case 'sending':
      return { outcome: `Being sent to ${to} just now, over ${clean(delivery.route)}.` };
    case 'bounced': {
      const outcome = `Bounced for ${to} on ${at}: the next hop refused it for good: ${trouble}.`;
      const meaning = meaningOf(input, delivery);
      return { outcome: `${outcome}${meaning.text}`, nextStep: meaning.nextStep };
    }
    case 'expired':
      return {
        outcome: `Expired for ${to} on ${at}: not delivered in the ${span(message.deadline - message.acceptedAt)} it had; ${tried}.`,
        whyLate: late('Most of it is', message.deadline),
        nextStep: step('Let the person ask again.'),
      };
    case 'superseded':
      return { outcome: `Superseded for ${to} on ${at}: a newer message took its place${newerOf(delivery)}${reason}.` };
    case 'suppressed':
      return {
        outcome: `Not sent to ${to}: the address is suppressed${reason}. The app was not told.`,
        nextStep: step(
          'Let the person ask again once the address is off the suppression list.',
          `leadpush-relay suppressions remove ${shellWord(to)}${placeOptions}`,
        ),
      };
    case 'throttled':
      return {
        outcome: `Not sent to ${to}: over a flood guard${reason}. The app was not told.`,
        nextStep: step(
          `The guards are tags.${clean(message.tag ?? '*')}.throttle and credentials[].rate in the config.`,
        ),
      };
    case 'canceled':
      return {
        outcome: `Canceled for ${to} on ${at}${reason}.`,
        nextStep: mayRetry(input) ? step('Retry puts it back to work.', retry(delivery, placeOptions)) : null,
      };
    case 'quarantined':
      return {
        outcome: `Quarantined for ${to} on ${at}: the relay ended again and again while it worked on it${reason}.`,
        nextStep: mayRetry(input)
          ? step('Look into the log, then put it back to work with Retry.', retry(delivery, placeOptions))
          : step('Look into the log, then let the person ask again.'),
      };
  }
}

function onDelivered(
  input: VerdictInput,
  delivery: DeliveryFacts,
  last: AttemptFacts | undefined,
  late: (lead: string, until: number) => string | null,
): Told {
  const { message, placeOptions } = input;
  const when = delivery.deliveredAt ?? delivery.updatedAt;
  const took = span(when - message.acceptedAt);
  const route = clean(last?.route ?? delivery.route);
  if (last !== undefined && isCapture(last)) {
    return {
      outcome: `Captured by the sandbox route ${route} on ${dateTime(when)}, ${took} after it was accepted; nothing left this machine.`,
      whyLate: late('Late because of', when),
      nextStep: message.contentKept
        ? step('Look at the mail itself.', `leadpush-relay show ${message.id}${placeOptions}`)
        : null,
    };
  }
  const answer = last === undefined ? shownResponse(delivery.lastResponse) : answerOf(last);
  const hop = last?.next_hop == null ? route : `${route} (${clean(last.next_hop)})`;
  const outcome = `Delivered to ${clean(delivery.recipient)} on ${dateTime(when)}, ${took} after it was accepted: ${hop} took it and answered: ${answer}.`;
  const newer =
    delivery.supersededBy === null ? '' : ` It could not be held back for the newer one${newerOf(delivery)}.`;
  const report = reportOn(input, delivery);
  const told = report === undefined ? null : comeBack(report);
  if (told === null) {
    return {
      outcome: `${outcome}${newer}`,
      whyLate: late('Late because of', when),
      nextStep: step('If it is not in the inbox, ask there and look in the spam folder.'),
    };
  }
  const meaning = meaningOf(input, delivery);
  return {
    outcome: `${outcome}${newer} ${told}${meaning.text}`,
    whyLate: late('Late because of', when),
    nextStep: meaning.nextStep,
    cameBack: true,
  };
}

function step(text: string, command: string | null = null): NextStep {
  return { text, command };
}

function retry(delivery: DeliveryFacts, placeOptions: string): string {
  return `leadpush-relay queue retry ${delivery.id}${placeOptions}`;
}

/** Whether what a retry needs is there: its content, and time. */
function mayRetry({ message, now }: VerdictInput): boolean {
  return message.contentKept && message.deadline > now;
}

/** Of a span that still runs; who looks again each second sees it count. */
function wholeSeconds(ms: number): number {
  return ms < 1000 ? ms : Math.round(ms / 1000) * 1000;
}

function nextTry({ nextAttemptAt, route }: DeliveryFacts, now: number): NextStep {
  if (nextAttemptAt === null) return step('No attempt is planned.');
  return nextAttemptAt <= now
    ? step(`An attempt over ${clean(route)} is due now, or as soon as that route is up and has room.`)
    : step(`The next attempt is in ${span(wholeSeconds(nextAttemptAt - now))}, over ${clean(route)}.`);
}

/** The newest report by mail that says for good what became of a delivery after the next hop had taken it. */
function reportOn({ events }: Pick<VerdictInput, 'events'>, { id }: DeliveryFacts): WireEvent | undefined {
  return events.findLast(
    ({ data }) => data.delivery?.id === id && data.report !== undefined && data.report.status?.[0] !== '4',
  );
}

function cameBack(input: VerdictInput, delivery: DeliveryFacts): boolean {
  return delivery.state === 'delivered' && reportOn(input, delivery) !== undefined;
}

function comeBack({ type, timestamp, data }: WireEvent): string | null {
  if (data.report === undefined) return null;
  const what = type === 'message.complained' ? 'the recipient complained about it' : 'it came back after all';
  return `But on ${shownTime(timestamp)} ${what}: ${describeReport(data.report)}.`;
}

/**
 * Class of a bounce and until when the address is suppressed, from the newest event that tells, as a sentence with a space before
 * it, and what the class asks for.
 */
function meaningOf(
  input: VerdictInput,
  delivery: DeliveryFacts,
): { readonly text: string; readonly nextStep: NextStep | null } {
  const told = input.events.findLast(({ data }) => data.delivery?.id === delivery.id && data.bounce !== undefined);
  const bounce = told?.data.bounce ?? delivery.bounce;
  if (bounce == null) return { text: '', nextStep: null };
  const text = ` Class ${bounce.class} (${cut(clean(bounce.why), 200)}).`;
  const explanation = BOUNCE_EXPLANATIONS[bounce.class];
  const until = told?.data.bounce?.suppressed_until;
  if (until === undefined) return { text, nextStep: step(explanation) };
  const to = clean(delivery.recipient);
  return {
    text: `${text} The address is suppressed until ${shownTime(until)}.`,
    nextStep: step(
      `${explanation} If the address is right after all, take it off the suppression list.`,
      `leadpush-relay suppressions remove ${shellWord(to)}${input.placeOptions}`,
    ),
  };
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
