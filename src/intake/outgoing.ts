/**
 * The message as it will leave: what is taken out, what is put in front, and nothing else.
 *
 * Taken out: `X-Leadpush-*`, accepted aliases, `Bcc` and `Resent-Bcc`. Put in: `Received`; `Message-ID` and `Date` when missing;
 * `Auto-Submitted` when missing on recovery mail (RFC 3834, section 5). Where the tag rewrites the sender, a new `From` stands for
 * the old one, and `Reply-To` is added if that was asked for. Every other octet stays as it came.
 */
import type { Identity } from '../config/types.ts';
import { formatMailDate } from '../mail/date.ts';
import { assemble, fieldsNamed, type MessageLayout } from '../mail/header.ts';
import type { WrittenFrom } from '../policy/trusted-sender.ts';
import { isAcceptedAlias } from './aliases.ts';
import { mailboxField } from './mailbox-field.ts';
import { isRelayHeader } from './relay-headers.ts';

export interface OutgoingInput {
  readonly message: MessageLayout;
  /** Mail that restores access to an account. */
  readonly recovery: boolean;
  /** Whose aliases are taken out. */
  readonly credential: Identity | null;
  /** The From to put in the place of the app's; null: that stays. */
  readonly newFrom: WrittenFrom | null;
  /** To add as Reply-To where the message has none; null: nothing. */
  readonly replyTo: WrittenFrom | null;
  /** The whole Received field with its CRLF. */
  readonly received: string;
  /** For a message without Message-ID: the one to give it, with angle brackets. Null: it has one. */
  readonly newMessageId: string | null;
  /** Epoch milliseconds for a missing Date. */
  readonly now: number;
}

/** Builds the unsigned outgoing message. */
export function buildOutgoing(input: OutgoingInput): MessageLayout {
  const { message, credential, newFrom, replyTo, now } = input;
  const missing = (key: string): boolean => fieldsNamed(message.fields, key).length === 0;
  let prepend = input.received;
  if (input.newMessageId !== null) prepend += `Message-ID: ${input.newMessageId}\r\n`;
  if (missing('date')) prepend += `Date: ${formatMailDate(now)}\r\n`;
  if (input.recovery && missing('auto-submitted')) prepend += 'Auto-Submitted: auto-generated\r\n';
  if (newFrom !== null) prepend += mailboxField('From', newFrom.name, newFrom.address);
  if (replyTo !== null && missing('reply-to')) prepend += mailboxField('Reply-To', replyTo.name, replyTo.address);
  const drop = (field: MessageLayout['fields'][number]): boolean =>
    isRelayHeader(field) ||
    isAcceptedAlias(field, credential) ||
    field.key === 'bcc' ||
    field.key === 'resent-bcc' ||
    (newFrom !== null && field.key === 'from');
  return assemble(message, { prepend, drop });
}
