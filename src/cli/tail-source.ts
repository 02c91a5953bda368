/**
 * Where `tail` takes events from: the database, log files, and what else can tell them in order.
 *
 * A source gives events in pages, oldest first, each event once: first what is there, then what comes.
 */
import type { ToldEvent } from '../api/story/describe-event.ts';
import { addressKey, parseEnvelopeAddress } from '../core/address.ts';
import type { EventFilter } from '../store/history.ts';

/** What `tail` asks for; everything absent matches all. */
export type TailFilter = Omit<EventFilter, 'afterSeq' | 'limit'>;

export interface TailSource {
  /** What is there now: the newest `limit` events that match, or all of them (null). Called once, first. */
  past(filter: TailFilter, limit: number | null): AsyncIterable<readonly ToldEvent[]>;
  /** What comes after that, without an end but the user's; null: nothing can come from here. */
  readonly coming: ((filter: TailFilter) => AsyncIterable<readonly ToldEvent[]>) | null;
  close(): Promise<void>;
}

/** A test of whether an event is what `filter` asks for: for sources that cannot ask for less. */
export function createTailMatch(filter: TailFilter): (event: ToldEvent) => boolean {
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
