/**
 * The story of a message, step by step in time order, from what the API tells of it. Pure.
 *
 * Attempts tell more than the events that they led to, so each event about an attempt is told by the attempt. Acceptance of several
 * recipients is one step. Ups and downs of the message's routes stand between them.
 */
import type { Attempt, MessageDetail, RelayEvent, Trace } from '../api/types.ts';
import { type Mood, moodOf } from './states.ts';

/** As the call `trace` answers; no message: it was refused at submission. */
export type Story = Pick<Trace, 'message' | 'events' | 'route_events'>;

export interface Step {
  readonly key: string;
  /** RFC 3339. */
  readonly at: string;
  readonly mood: Mood;
  readonly word: string;
  /** One line, plain text. */
  readonly text: string;
  readonly recipient: string | null;
  readonly attempt: Attempt | null;
  readonly nextAttemptAt: string | null;
  readonly related: readonly string[];
}

/** Milliseconds that an attempt took, without the wait before it. */
export function durationOf({ timings_ms }: Pick<Attempt, 'timings_ms'>): number {
  return Object.entries(timings_ms).reduce((sum, [phase, ms]) => (phase === 'queue' ? sum : sum + ms), 0);
}

/** Every attempt of the message with its recipient, in the order of their beginning. */
export function attemptsOf(message: MessageDetail): readonly (Attempt & { readonly recipient: string })[] {
  return message.deliveries
    .flatMap(({ recipient, attempts }) => attempts.map((attempt) => ({ ...attempt, recipient })))
    .sort((a, b) => Date.parse(a.started_at) - Date.parse(b.started_at) || a.number - b.number);
}

/** Codes and text of an answer: `451 4.7.1 Greylisted`. */
export function answerOf(attempt: Pick<Attempt, 'code' | 'enhanced' | 'response' | 'outcome'>): string {
  const answer = [attempt.code, attempt.enhanced, attempt.response]
    .filter((part) => part !== null && part !== '')
    .join(' ');
  return answer === '' ? attempt.outcome : answer;
}

/** The steps of `story`. */
export function stepsOf({ message, events, route_events }: Story): readonly Step[] {
  const attempts = message === null ? [] : attemptsOf(message);
  const told = new Set(attempts.map((attempt) => `${attempt.delivery_id} ${attempt.number}`));
  const steps: Step[] = [];

  const accepted = events.filter(({ type }) => type === 'message.accepted');
  const [first] = accepted;
  if (first !== undefined) {
    const warnings = accepted.flatMap(({ data }) => data.warnings ?? []);
    const replaced = [...new Set(accepted.flatMap(({ data }) => data.supersedes ?? []))];
    steps.push({
      ...NOTHING,
      key: first.data.event_id,
      at: first.timestamp,
      word: 'accepted',
      mood: 'quiet',
      text: [
        `rule ${first.data.message?.rule ?? 'unknown'}`,
        first.data.message?.credential == null ? '' : `from ${first.data.message.credential}`,
        accepted.length > 1 ? `${accepted.length} recipients` : '',
        replaced.length > 0 ? 'takes the place of older messages that have not gone out' : '',
        [...new Set(warnings)].map((warning) => `warning: ${warning}`).join('; '),
      ]
        .filter((part) => part !== '')
        .join(', '),
      related: replaced,
    });
  }

  for (const attempt of attempts) {
    const event = events.find(
      ({ data }) => data.delivery?.id === attempt.delivery_id && data.attempt?.number === attempt.number,
    );
    const movedOn = event === undefined && attempts.some((other) => isNext(attempt, other));
    const state = event?.data.delivery?.state ?? attempt.outcome;
    steps.push({
      ...NOTHING,
      key: `${attempt.delivery_id} ${attempt.number}`,
      at: attempt.started_at,
      word: movedOn ? 'moved on' : state,
      mood: movedOn
        ? 'wait'
        : attempt.outcome === 'rejected'
          ? 'bad'
          : moodOf(state === 'uncertain' ? 'deferred' : state),
      text: bounceText(event),
      recipient: attempt.recipient,
      attempt,
      nextAttemptAt: event?.data.delivery?.next_attempt_at ?? null,
    });
  }

  for (const event of [...events, ...route_events]) {
    const { data, type } = event;
    if (type === 'message.accepted') continue;
    if (data.attempt !== undefined && told.has(`${data.delivery?.id ?? ''} ${data.attempt.number}`)) continue;
    const word = type.replace(/^message\./, '');
    steps.push({
      ...NOTHING,
      key: data.event_id,
      at: event.timestamp,
      word,
      mood:
        type === 'route.up'
          ? 'good'
          : type === 'route.down'
            ? 'bad'
            : type === 'message.delayed'
              ? 'wait'
              : moodOf(word),
      text: eventText(event),
      recipient: data.delivery?.recipient ?? null,
      related: data.superseded_by === undefined ? [] : [data.superseded_by],
    });
  }
  return steps.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
}

/** When times begin to count, in epoch milliseconds: at the acceptance, for a route may have been down before; else at the first step. */
export function startOf(steps: readonly Step[]): number {
  return Date.parse((steps.find(({ word }) => word === 'accepted') ?? steps[0])?.at ?? '');
}

const NOTHING = { text: '', recipient: null, attempt: null, nextAttemptAt: null, related: [] };

function isNext(attempt: Attempt, other: Attempt): boolean {
  return attempt.delivery_id === other.delivery_id && other.number === attempt.number + 1;
}

function bounceText(event: RelayEvent | undefined): string {
  const bounce = event?.data.bounce;
  if (bounce === undefined) return '';
  const until = bounce.suppressed_until === undefined ? '' : ' The address is on the suppression list now.';
  return `${bounce.class}: ${bounce.explanation}${until}`;
}

function eventText({ data }: RelayEvent): string {
  const parts: string[] = [];
  if (data.route !== undefined) parts.push(`${data.route.name}: ${data.route.reason}`);
  if (data.report !== undefined) {
    const { kind, reporter, status, diagnostic } = data.report;
    const by = reporter === null ? '' : ` of ${reporter}`;
    parts.push(
      `${kind === 'arf' ? 'complaint' : 'report'}${by}: ${[status, diagnostic].filter((part) => part !== null).join(' ')}`,
    );
  }
  if (data.refusal !== undefined) parts.push(`${data.refusal.code} ${data.refusal.enhanced} ${data.refusal.text}`);
  if (data.reason !== undefined && data.reason !== data.refusal?.text) parts.push(data.reason);
  if (data.bounce !== undefined) parts.push(`${data.bounce.class}: ${data.bounce.explanation}`);
  if (data.attempt !== undefined) parts.push(answerOf(data.attempt));
  return parts.join(', ');
}
