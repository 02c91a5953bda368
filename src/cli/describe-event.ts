/** Events in words, for `tail` and `trace`. Everything that comes from outside is cleaned here. */
import type { EventAttempt, RelayEvent } from '../core/event.ts';
import { clean, cut } from './clean.ts';
import { timeOfDay } from './format.ts';

const MAX_RESPONSE = 200;

/** What an event is called in a column: `delivered`, `deferred`, `route.down`. */
export function eventWord(event: RelayEvent): string {
  return event.type.replace(/^message\./, '');
}

/** What happened and why, on one line, without the names of message and recipient. */
export function describeEvent(event: RelayEvent): string {
  const { attempt, delivery, reason, refusal, warnings, message } = event.data;
  const parts: string[] = [];
  if (refusal !== undefined) {
    const why = reason === undefined || reason === refusal.text ? '' : ` (${shown(reason)})`;
    parts.push(`${shown(`${refusal.code} ${refusal.enhanced} ${refusal.text}`)}${why}`);
  } else {
    if (attempt !== undefined) parts.push(describeAttempt(attempt));
    if (reason !== undefined && reason !== attempt?.response) parts.push(shown(reason));
  }
  if (event.type === 'message.accepted') {
    parts.push(clean(`rule ${message?.rule ?? '?'}`));
    if (message?.credential != null) parts.push(clean(`from ${message.credential}`));
  }
  if (warnings !== undefined) parts.push(`warning: ${shown(warnings.join('; '))}`);
  if (delivery?.next_attempt_at !== undefined && event.type !== 'message.accepted') {
    parts.push(`next try ${timeOfDay(delivery.next_attempt_at).slice(0, 8)}`);
  }
  return parts.join(', ');
}

/** Route, next hop, TLS and answer of an attempt: `ses (mx.example.net:587, TLSv1.3): 250 2.0.0 Ok`. */
export function describeAttempt(attempt: EventAttempt): string {
  const where = [attempt.next_hop, attempt.tls].filter((part) => part !== null).join(', ');
  const stage = attempt.outcome === 'delivered' || attempt.stage === null ? '' : ` at ${attempt.stage}`;
  return `${clean(attempt.route)}${where === '' ? '' : ` (${clean(where)})`}${stage}: ${answerOf(attempt)}`;
}

/** Codes and text of the next hop's answer, or what went wrong when there was none. */
export function answerOf(attempt: EventAttempt): string {
  const codes = [attempt.code, attempt.enhanced].filter((part) => part !== null).join(' ');
  const answer = shown(`${codes} ${attempt.response}`) || attempt.outcome;
  // A reply to AUTH seldom says whose password it is about.
  const isLogin = attempt.stage === 'auth' && attempt.cause === 'auth' && attempt.code !== null;
  return isLogin ? `${answer} (the username or password of route ${clean(attempt.route)} was refused)` : answer;
}

function shown(text: string): string {
  return cut(clean(text), MAX_RESPONSE);
}
