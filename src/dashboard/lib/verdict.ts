/**
 * The answer to "I never got the mail" and "why was it late", in a sentence, from a message's story. Pure.
 *
 * Why it was late: the time from acceptance to the end is cut into the wait before the first attempt, each attempt, and each wait
 * after one that did not deliver; those that took a fifth of the whole or more are named, the longest first.
 */
import type { Attempt, MessageDetail, RelayEvent } from '../api/types.ts';
import { type Mood, moodOf, overall } from './states.ts';
import { answerOf, attemptsOf, durationOf, type Story } from './story.ts';
import { span } from './time.ts';

export interface Verdict {
  readonly mood: Mood;
  /** What became of it. */
  readonly text: string;
  /** Why it took so long; empty: it did not. */
  readonly why: string;
  /** What can be done, when something can. */
  readonly next: string;
}

/** From here on a mail of the lane counts as late, in milliseconds. */
const LATE_MS: Readonly<Record<string, number>> = { critical: 10_000, normal: 60_000, bulk: 600_000 };
const NAMED_SHARE = 0.2;

type Delivery = MessageDetail['deliveries'][number];

/** The verdict on one message at `nowMs`. */
export function verdictOn(story: Story, nowMs: number): Verdict {
  const { message, events } = story;
  if (message === null) return refused(events);
  const [first, ...others] = message.deliveries;
  if (first === undefined) return { mood: 'quiet', text: 'The message has no recipients.', why: '', next: '' };
  if (others.length > 0) return several(message);
  const own = message.deliveries.length === 1 ? story : { ...story, events: eventsOf(events, first) };
  return onDelivery(message, first, own, nowMs);
}

function eventsOf(events: readonly RelayEvent[], delivery: Delivery): readonly RelayEvent[] {
  return events.filter(({ data }) => data.delivery?.id === delivery.id);
}

function refused(events: readonly RelayEvent[]): Verdict {
  const event = events.find(({ type }) => type === 'message.rejected');
  const refusal = event?.data.refusal;
  const said = refusal === undefined ? '' : `: ${refusal.code} ${refusal.enhanced} ${refusal.text}`;
  const reason = event?.data.reason;
  return {
    mood: 'bad',
    text: `Refused at submission${said}. The app was told; nothing was queued.`,
    why: reason === undefined || reason === refusal?.text ? '' : `Reason: ${reason}.`,
    next: '',
  };
}

function several(message: MessageDetail): Verdict {
  const counts = new Map<string, number>();
  for (const { state } of message.deliveries) counts.set(state, (counts.get(state) ?? 0) + 1);
  const parts = [...counts].map(([state, count]) => `${count} ${state}`);
  return {
    mood: moodOf(overall([...counts.keys()])),
    text: `${message.deliveries.length} recipients: ${parts.join(', ')}.`,
    why: '',
    next: '',
  };
}

function onDelivery(message: MessageDetail, delivery: Delivery, story: Story, nowMs: number): Verdict {
  const attempts = attemptsOf(message).filter(({ delivery_id }) => delivery_id === delivery.id);
  const last = attempts.at(-1);
  const accepted = Date.parse(message.accepted_at);
  const reason = reasonOf(story.events, delivery);
  const tried =
    last === undefined
      ? 'Nothing was tried'
      : `${times(attempts.length)}, the last time over ${last.route}: ${answerOf(last)}`;
  const mood = moodOf(delivery.state);
  switch (delivery.state) {
    case 'delivered': {
      const took = Date.parse(delivery.delivered_at ?? message.accepted_at) - accepted;
      const later = laterOf(story.events);
      if (last?.next_hop === 'sandbox') {
        return {
          mood,
          text: `Captured by the sandbox ${span(took)} after it was accepted; nothing left this machine.`,
          why: '',
          next: '',
        };
      }
      const by =
        last === undefined ? delivery.route : `${last.route}${last.next_hop === null ? '' : ` (${last.next_hop})`}`;
      return {
        mood: later === '' ? mood : 'bad',
        text: `Delivered ${span(took)} after it was accepted: ${by} took it.${later}`,
        why: took < lateFrom(message) ? '' : `Late because of ${whyLate(story, attempts, accepted, accepted + took)}.`,
        next: later === '' ? 'If it is not in the inbox, ask there and look in the spam folder.' : '',
      };
    }
    case 'queued':
    case 'deferred': {
      const waited = nowMs - accepted;
      const due = delivery.next_attempt_at;
      return {
        mood,
        text: `Not delivered yet, ${span(waited)} after it was accepted. ${tried}.`,
        why: waited < lateFrom(message) ? '' : `Most of that time is ${whyLate(story, attempts, accepted, nowMs)}.`,
        next:
          due === null
            ? ''
            : Date.parse(due) <= nowMs
              ? `An attempt over ${delivery.route} is due now, or as soon as that route is up and has room.`
              : `The next attempt is in ${span(Date.parse(due) - nowMs)}, over ${delivery.route}.`,
      };
    }
    case 'sending':
      return { mood, text: `Being sent just now, over ${delivery.route}.`, why: '', next: '' };
    case 'bounced':
      return {
        mood,
        text: `Bounced: the next hop refused it for good. ${tried}.`,
        why: delivery.bounce === null ? '' : `Class ${delivery.bounce.class}: ${delivery.bounce.explanation}`,
        next: '',
      };
    case 'expired':
      return {
        mood,
        text: `Expired: not delivered within the ${span(Date.parse(message.deadline) - accepted)} it had. ${tried}.`,
        why: `The time went into ${whyLate(story, attempts, accepted, Date.parse(message.deadline))}.`,
        next: '',
      };
    case 'superseded':
      return { mood, text: `Not sent: a newer message took its place.`, why: '', next: '' };
    case 'suppressed':
      return {
        mood: 'bad',
        text: `Not sent: the address is on the suppression list${reason}. The app was not told.`,
        why: '',
        next: 'Take it off the list under Suppressions, then let the person ask again.',
      };
    case 'throttled':
      return {
        mood,
        text: `Not sent: over a flood guard${reason}. The app was not told.`,
        why: '',
        next: 'The guards are tags.*.throttle and credentials[].rate in the config.',
      };
    case 'canceled':
      return { mood, text: `Taken off the queue by an operator${reason}.`, why: '', next: '' };
    case 'quarantined':
      return {
        mood,
        text: `Quarantined: the relay ended again and again while it worked on it${reason}.`,
        why: '',
        next: 'Look into the log, then put it back to work with Retry.',
      };
  }
}

function lateFrom({ priority }: MessageDetail): number {
  return LATE_MS[priority] ?? 60_000;
}

interface Share {
  readonly ms: number;
  readonly text: string;
}

/** Where the time from `from` to `to` went, the longest part first. */
function whyLate(story: Story, attempts: readonly Attempt[], from: number, to: number): string {
  const shares = new Map<string, Share>();
  const add = (text: string, ms: number): void => {
    shares.set(text, { text, ms: (shares.get(text)?.ms ?? 0) + Math.max(0, ms) });
  };
  let at = from;
  let before: Attempt | null = null;
  for (const attempt of attempts) {
    const start = Date.parse(attempt.started_at);
    add(waitText(story, before, attempt.route, at, start), start - at);
    const took = durationOf(attempt);
    add(attemptText(attempt), took);
    at = start + took;
    before = attempt;
  }
  const last = attempts.at(-1);
  if (last?.outcome !== 'delivered') add(waitText(story, before, before?.route ?? '', at, to), to - at);
  const whole = Math.max(1, to - from);
  const named = [...shares.values()].filter(({ ms }) => ms >= whole * NAMED_SHARE).sort((a, b) => b.ms - a.ms);
  if (named.length === 0) return 'many short waits';
  return named.map(({ text, ms }) => `${text} (${span(ms)})`).join(', and ');
}

function waitText(story: Story, before: Attempt | null, route: string, from: number, to: number): string {
  if (before !== null && before.outcome !== 'delivered') {
    return `the wait after ${before.route} answered "${answerOf(before)}"${before.stage === null ? '' : ` at ${before.stage}`}`;
  }
  const down = story.routeEvents.find(
    ({ type, data, timestamp }) => type === 'route.down' && data.route !== undefined && Date.parse(timestamp) <= to,
  );
  if (down?.data.route !== undefined && Date.parse(down.timestamp) <= to && to - from > 0) {
    return `the wait while route ${down.data.route.name} was down: ${down.data.route.reason}`;
  }
  return `the wait in the queue before the first attempt${route === '' ? '' : ` over ${route}`}`;
}

const PHASES: Readonly<Record<string, string>> = {
  connect: 'connecting to',
  tls: 'the TLS handshake with',
  session: 'greeting and login at',
  transaction: 'the answer of',
};

function attemptText(attempt: Attempt): string {
  const [phase] = Object.entries(attempt.timings_ms)
    .filter(([name]) => name !== 'queue')
    .sort(([, a], [, b]) => b - a)[0] ?? ['transaction'];
  const who = attempt.next_hop ?? attempt.route;
  const failed = attempt.outcome === 'delivered' ? '' : `, which ended with "${answerOf(attempt)}"`;
  return `${PHASES[phase] ?? 'the attempt at'} ${who}${failed}`;
}

/** The newest reason that an event gives for the present state, as `: reason`. */
function reasonOf(events: readonly RelayEvent[], delivery: Delivery): string {
  const event = events.findLast(
    ({ data }) =>
      data.delivery?.id === delivery.id && data.delivery.state === delivery.state && data.reason !== undefined,
  );
  return event?.data.reason === undefined ? '' : `: ${event.data.reason}`;
}

/** What became known by mail after the next hop had taken it. */
function laterOf(events: readonly RelayEvent[]): string {
  const later = events.findLast(({ data }) => data.report !== undefined && data.report.status?.[0] !== '4');
  if (later?.data.report === undefined) return '';
  const { reporter, diagnostic } = later.data.report;
  const by = reporter === null ? '' : ` (${reporter})`;
  return later.type === 'message.complained'
    ? ` But the recipient complained about it later${by}.`
    : ` But it came back later${by}: ${diagnostic}.`;
}

function times(count: number): string {
  return count === 1 ? 'Tried once' : `Tried ${count} times`;
}
