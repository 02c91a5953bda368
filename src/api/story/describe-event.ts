/** Events in words, for `tail` and `trace`. Everything that comes from outside is cleaned here. */
import type { EventAttempt, EventReport, EventRoute, EventType, EventWebhook } from '../../core/event.ts';
import { clean, cut } from './clean.ts';
import { dateTime, timeOfDay } from './format.ts';

const MAX_RESPONSE = 200;

/**
 * An event as far as `tail` needs to know it: a `RelayEvent` is one, and so is what a line of the log tells of an event.
 * With `--json` it is printed as it is.
 */
export interface ToldEvent {
  readonly type: EventType;
  readonly timestamp: string;
  readonly data: {
    readonly seq?: number;
    readonly message?: {
      readonly id: string;
      readonly tag?: string | null;
      readonly flow?: string | null;
      readonly rule?: string | null;
      readonly credential?: string | null;
    };
    readonly delivery?: { readonly recipient: string; readonly state: string; readonly next_attempt_at?: string };
    readonly attempt?: EventAttempt;
    readonly failed_over?: readonly EventAttempt[];
    readonly bounce?: { readonly class: string; readonly why: string; readonly suppressed_until?: string };
    readonly report?: EventReport;
    readonly supersedes?: readonly string[];
    readonly superseded_by?: string;
    readonly route?: EventRoute;
    readonly webhook?: EventWebhook;
    readonly reason?: string;
    readonly refusal?: { readonly code: number; readonly enhanced: string; readonly text: string };
    readonly warnings?: readonly string[];
  };
}

/** What an event is called in a column: `delivered`, `deferred`, `route.down`. */
export function eventWord(event: ToldEvent): string {
  return event.type.replace(/^message\./, '');
}

/**
 * What happened and why, on one line, without the names of message and recipient. `failedOver: false` leaves out the tries
 * over routes that failed just before, for those who tell them on lines of their own.
 */
export function describeEvent(event: ToldEvent, tell: { readonly failedOver: boolean } = { failedOver: true }): string {
  const { attempt, delivery, reason, refusal, warnings, message, bounce, report, route, webhook } = event.data;
  const parts: string[] = [];
  const before = (tell.failedOver ? (event.data.failed_over ?? []) : []).map(
    (failed) => `${describeAttempt(failed)}, on at once to `,
  );
  if (route !== undefined) parts.push(`route ${clean(route.name)}: ${shown(route.reason)}`);
  if (webhook !== undefined) parts.push(`webhook ${clean(webhook.name)}: ${shown(webhook.reason)}`);
  if (report !== undefined) parts.push(describeReport(report));
  if (refusal !== undefined) {
    const why = reason === undefined || reason === refusal.text ? '' : ` (${shown(reason)})`;
    parts.push(`${shown(`${refusal.code} ${refusal.enhanced} ${refusal.text}`)}${why}`);
  } else {
    if (attempt !== undefined) parts.push(describeAttempt(attempt));
    if (reason !== undefined && reason !== attempt?.response) parts.push(shown(reason));
  }
  if (bounce !== undefined) parts.push(describeBounce(bounce));
  const newer = event.data.superseded_by;
  if (newer !== undefined) parts.push(`newer message ${newer}`);
  if (event.type === 'message.accepted') {
    parts.push(clean(`rule ${message?.rule ?? '?'}`));
    if (message?.credential != null) parts.push(clean(`from ${message.credential}`));
    const older = event.data.supersedes ?? [];
    if (older.length > 0) parts.push(`replaces ${older.join(', ')} as far as it has not gone out`);
  }
  if (warnings !== undefined) parts.push(`warning: ${shown(warnings.join('; '))}`);
  if (delivery?.next_attempt_at !== undefined && event.type !== 'message.accepted') {
    parts.push(`next try ${timeOfDay(delivery.next_attempt_at).slice(0, 8)}`);
  }
  return before.join('') + parts.join(', ');
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

/** `class recipient (enhanced code 5.1.1 ...), suppressed until 2026-02-04 10:00:00Z`. */
function describeBounce(bounce: NonNullable<ToldEvent['data']['bounce']>): string {
  const until =
    bounce.suppressed_until === undefined ? '' : `, suppressed until ${dateTime(Date.parse(bounce.suppressed_until))}`;
  return `class ${bounce.class} (${shown(bounce.why)})${until}`;
}

/** Who reported by mail, and what: `report of mx.example.net: 5.1.1 smtp; 550 no such user`. */
export function describeReport(report: EventReport): string {
  const kind = report.kind === 'arf' ? 'complaint' : 'report';
  const by = report.reporter === null ? '' : ` of ${shown(report.reporter)}`;
  return `${kind}${by}: ${shown([report.status, report.diagnostic].filter((part) => part !== null).join(' '))}`;
}

function shown(text: string): string {
  return cut(clean(text), MAX_RESPONSE);
}
