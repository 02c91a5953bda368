/**
 * The Message-ID header field (RFC 5322, section 3.6.4): read as it is, made when the app sent none.
 *
 * Reading is wider than the RFC's grammar: any one token passes, with or without angle brackets, because apps write all
 * sorts of things and the field is relayed as it came. White space, control characters and a second token do not pass:
 * the value is a key in the log and in traces.
 */
import type { MessageId } from '../core/ids.ts';
import { fieldValue, fieldsNamed, type MessageLayout } from './header.ts';

export type MessageIdField =
  /** `value` is the token as it stands, with its angle brackets where it has them. */
  | { readonly kind: 'message-id'; readonly value: string }
  | { readonly kind: 'absent' }
  | { readonly kind: 'malformed'; readonly reason: string };

/** Characters, angle brackets included; a longer one fits no line of 998 octets beside its field name. */
const MAX_LENGTH = 900;
const TOKEN = /^(?:<[^<>\s\p{C}]+>|[^<>\s\p{C}]+)$/u;

/** The Message-ID of `message`; `parseMessage` has made sure that there is one at most. */
export function readMessageId(message: Pick<MessageLayout, 'bytes' | 'fields'>): MessageIdField {
  const field = fieldsNamed(message.fields, 'message-id')[0];
  if (field === undefined) return { kind: 'absent' };
  const value = fieldValue(message.bytes, field);
  if (value.length > MAX_LENGTH)
    return { kind: 'malformed', reason: `Message-ID longer than ${MAX_LENGTH} characters` };
  if (!TOKEN.test(value))
    return { kind: 'malformed', reason: 'Message-ID that is not one token without spaces and control characters' };
  return { kind: 'message-id', value };
}

/** A Message-ID for a message that came without one: its own id at `domain` (A-labels), with angle brackets. */
export function generateMessageId(id: MessageId, domain: string): string {
  return `<${id}@${domain}>`;
}
