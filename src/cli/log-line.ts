/**
 * What a line of the relay's log tells of an event, in the shape of the event's body. The field names are those of
 * `telemetry/fields.ts`.
 *
 * A log line holds less than the event: no event id, no metadata, no cipher; of the routes that failed before, only what they
 * answered. A line may come from anywhere, cut or edited by hand: what is not as expected is left out, and a line that is no
 * event of mail or routes gives nothing.
 */
import { EVENT_TYPES, type EventAttempt, type EventType } from '../core/event.ts';
import type { LogFieldName } from '../telemetry/fields.ts';
import type { ToldEvent } from '../api/story/describe-event.ts';

export type LineReading =
  | { readonly kind: 'events'; readonly events: readonly ToldEvent[] }
  /** A line of the relay about something else. */
  | { readonly kind: 'other' }
  /** No line of the relay's JSON log. */
  | { readonly kind: 'broken' };

type Line = Readonly<Record<string, unknown>>;

/** Reads one line, without its line end. A refusal that names several recipients is an event for each. */
export function readLogLine(text: string): LineReading {
  const line = objectOf(text);
  if (line === null) return { kind: 'broken' };
  const time = line['time'];
  if (typeof time !== 'string' || Number.isNaN(Date.parse(time))) return { kind: 'broken' };
  const type = EVENT_TYPES.find((one) => one === line['event']);
  if (type === undefined) return { kind: 'other' };
  const recipients = type === 'message.rejected' ? listAt(line, 'recipients') : [textAt(line, 'recipient')];
  // A sender that was refused before any recipient was named.
  const each = recipients.length === 0 ? [undefined] : recipients;
  return { kind: 'events', events: each.map((recipient) => eventOf(type, time, line, recipient)) };
}

function eventOf(type: EventType, timestamp: string, line: Line, recipient: string | undefined): ToldEvent {
  const seq = numberAt(line, 'seq');
  const id = textAt(line, 'message');
  const reason = textAt(line, 'reason');
  const bounce = textAt(line, 'bounce');
  const attempt = type === 'message.rejected' || type === 'message.accepted' ? undefined : attemptOf(line);
  const route = textAt(line, 'route');
  const webhook = textAt(line, 'webhook');
  const isOfRoute = type === 'route.down' || type === 'route.up';
  const isOfWebhook = type === 'webhook.disabled';
  const failed = listAt(line, 'failed_over').map(failedTry);
  const newer = textAt(line, 'superseded_by');
  const warnings = listAt(line, 'warnings');
  const isRefusal = type === 'message.rejected';
  return {
    type,
    timestamp,
    data: {
      ...(seq === undefined ? {} : { seq }),
      ...(id === undefined
        ? {}
        : { message: { id, ...textsOf(line, MESSAGE_FIELDS), tag: textAt(line, 'tag') ?? null } }),
      ...(recipient === undefined ? {} : { delivery: deliveryOf(type, line, recipient) }),
      ...(attempt === undefined || isOfRoute ? {} : { attempt }),
      ...(failed.length === 0 ? {} : { failed_over: failed }),
      ...(bounce === undefined ? {} : { bounce: { class: bounce, why: reason ?? '' } }),
      ...(newer === undefined ? {} : { superseded_by: newer }),
      ...(isOfRoute && route !== undefined ? { route: { name: route, reason: reason ?? '' } } : {}),
      ...(isOfWebhook && webhook !== undefined ? { webhook: { name: webhook, reason: reason ?? '' } } : {}),
      ...(reason === undefined || bounce !== undefined || isOfRoute || isOfWebhook || isRefusal ? {} : { reason }),
      ...(isRefusal ? { refusal: refusalOf(line) } : {}),
      ...(warnings.length === 0 ? {} : { warnings }),
    },
  };
}

const MESSAGE_FIELDS = ['message_id', 'tag_source', 'flow', 'priority', 'credential', 'rule'] as const;

function deliveryOf(type: EventType, line: Line, recipient: string): NonNullable<ToldEvent['data']['delivery']> {
  const state = textAt(line, 'state') ?? (type === 'message.rejected' ? 'rejected' : 'queued');
  const id = textAt(line, 'delivery');
  const attempts = numberAt(line, 'attempts');
  const next = textAt(line, 'next_attempt_at');
  return {
    ...(id === undefined ? {} : { id }),
    recipient,
    state,
    ...(attempts === undefined ? {} : { attempts }),
    ...(next === undefined ? {} : { next_attempt_at: next }),
  };
}

function attemptOf(line: Line): EventAttempt | undefined {
  const outcome = OUTCOMES.find((one) => one === line['outcome']);
  const route = textAt(line, 'route');
  if (outcome === undefined || route === undefined) return undefined;
  return {
    number: numberAt(line, 'attempts') ?? 0,
    route,
    outcome,
    cause: textAt(line, 'cause') ?? null,
    next_hop: textAt(line, 'next_hop') ?? null,
    tls: textAt(line, 'tls') ?? null,
    cipher: null,
    stage: textAt(line, 'stage') ?? null,
    code: numberAt(line, 'code') ?? null,
    enhanced: textAt(line, 'enhanced') ?? null,
    response: textAt(line, 'response') ?? '',
    timings_ms: timingsOf(line['timings_ms']),
  };
}

const OUTCOMES = ['delivered', 'deferred', 'rejected', 'uncertain'] as const;

/** `ses: connection refused`, as the log tells a try over a route that failed. */
function failedTry(text: string): EventAttempt {
  const [, route = '', response = ''] = /^([^:]*): (.*)$/s.exec(text) ?? ['', text, ''];
  const nothing = { cause: null, next_hop: null, tls: null, cipher: null, stage: null, code: null, enhanced: null };
  return { number: 0, route, outcome: 'deferred', ...nothing, response, timings_ms: {} };
}

function refusalOf(line: Line): { readonly code: number; readonly enhanced: string; readonly text: string } {
  return {
    code: numberAt(line, 'code') ?? 0,
    enhanced: textAt(line, 'enhanced') ?? '',
    text: textAt(line, 'reason') ?? '',
  };
}

function timingsOf(value: unknown): Readonly<Record<string, number>> {
  if (typeof value !== 'object' || value === null) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}

function objectOf(text: string): Line | null {
  if (!text.startsWith('{')) return null;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : null;
  } catch {
    return null;
  }
}

function textsOf(line: Line, names: readonly LogFieldName[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const text = textAt(line, name);
      return text === undefined ? [] : [[name, text]];
    }),
  );
}

function textAt(line: Line, name: LogFieldName): string | undefined {
  const value = line[name];
  return typeof value === 'string' ? value : undefined;
}

function numberAt(line: Line, name: LogFieldName): number | undefined {
  const value = line[name];
  return typeof value === 'number' ? value : undefined;
}

function listAt(line: Line, name: LogFieldName): readonly string[] {
  const value = line[name];
  return Array.isArray(value) ? value.filter((item): item is string => typeof item === 'string') : [];
}
