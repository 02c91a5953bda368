/**
 * Where `tail` takes events from: the database, log files, and what else can tell them in order.
 *
 * A source gives events in pages, oldest first, each event once: first what is there, then what comes.
 */
import { addressKey, parseEnvelopeAddress } from '../core/address.ts';
import type { EventAttempt, EventReport, EventRoute, EventType, EventWebhook } from '../core/event.ts';
import type { EventFilter } from '../store/store.ts';

/** What `tail` asks for; everything absent matches all. */
export type TailFilter = Omit<EventFilter, 'afterSeq' | 'limit'>;

/**
 * An event as far as `tail` needs to know it: a `RelayEvent` is one, and so is what a line of the log tells of an event.
 * With `--json` it is printed as it is.
 */
export interface TailEvent {
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

export interface TailSource {
  /** What is there now: the newest `limit` events that match, or all of them (null). Called once, first. */
  past(filter: TailFilter, limit: number | null): AsyncIterable<readonly TailEvent[]>;
  /** What comes after that, without an end but the user's; null: nothing can come from here. */
  readonly coming: ((filter: TailFilter) => AsyncIterable<readonly TailEvent[]>) | null;
  close(): Promise<void>;
}

/** A test of whether an event is what `filter` asks for: for sources that cannot ask for less. */
export function createTailMatch(filter: TailFilter): (event: TailEvent) => boolean {
  const { types, tag, state, recipient, flow, route, sinceMs, untilMs } = filter;
  const recipientKey = recipient === undefined ? undefined : keyOf(recipient);
  return ({ type, timestamp, data }) => {
    const { message, delivery } = data;
    if (types !== undefined && !types.includes(type)) return false;
    if (tag !== undefined && message?.tag !== tag) return false;
    if (state !== undefined && delivery?.state !== state) return false;
    if (flow !== undefined && message?.flow !== flow) return false;
    if (route !== undefined && (data.attempt?.route ?? data.route?.name) !== route) return false;
    const at = Date.parse(timestamp);
    if (at < (sinceMs ?? at) || at > (untilMs ?? at)) return false;
    return recipientKey === undefined || (recipientKey !== null && keyOf(delivery?.recipient ?? '') === recipientKey);
  };
}

/** Null: no recipient can have that address. */
function keyOf(text: string): string | null {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  return parsed.kind === 'address' ? addressKey(parsed.address) : null;
}
