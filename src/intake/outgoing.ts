/**
 * The message as it will leave: what is taken out, what is put in front, and nothing else.
 *
 * Taken out: `X-Leadpush-*`, `Bcc` and `Resent-Bcc`. Put in: `Received`; `Message-ID` and `Date` when missing; `Auto-Submitted` when missing on
 * recovery mail (RFC 3834, section 5). Every other octet stays as it came.
 */
import { RECOVERY_TAGS } from '../core/message.ts';
import { formatMailDate } from '../mail/date.ts';
import { assemble, fieldsNamed, type MessageLayout } from '../mail/header.ts';
import { isRelayHeader } from './relay-headers.ts';

export interface OutgoingInput {
  readonly message: MessageLayout;
  readonly tag: string | null;
  /** The whole Received field with its CRLF. */
  readonly received: string;
  /** For a message without Message-ID: the one to give it, with angle brackets. Null: it has one. */
  readonly newMessageId: string | null;
  /** Epoch milliseconds for a missing Date. */
  readonly now: number;
}

/** Builds the unsigned outgoing message. */
export function buildOutgoing(input: OutgoingInput): MessageLayout {
  const { message, tag, now } = input;
  const missing = (key: string): boolean => fieldsNamed(message.fields, key).length === 0;
  let prepend = input.received;
  if (input.newMessageId !== null) prepend += `Message-ID: ${input.newMessageId}\r\n`;
  if (missing('date')) prepend += `Date: ${formatMailDate(now)}\r\n`;
  if (tag !== null && RECOVERY_TAGS.has(tag) && missing('auto-submitted')) {
    prepend += 'Auto-Submitted: auto-generated\r\n';
  }
  const drop = (field: MessageLayout['fields'][number]): boolean =>
    isRelayHeader(field) || field.key === 'bcc' || field.key === 'resent-bcc';
  return assemble(message, { prepend, drop });
}
