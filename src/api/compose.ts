/**
 * A message out of the fields of a request: nodemailer makes the MIME parts and encodes the subject, this file writes every field
 * that holds an address, what the client wishes of the relay, and the client's own headers.
 *
 * Nothing is read from files or the network. Recipients are not given to nodemailer at all: they stand in the envelope as they
 * came. `Message-ID` and `Date` are left to the acceptance, which gives them to every message that has none.
 */
import MailComposer from 'nodemailer/lib/mail-composer';
import { mailboxField } from '../intake/mailbox-field.ts';
import { assemble, type HeaderField, scanHeader } from '../mail/header.ts';
import type { Mailbox } from './wire/mailbox.ts';
import type { SendRequest } from './wire/send.ts';

/** Made by nodemailer for a message of its own; ours is the acceptance's. */
const LEFT_OUT: ReadonlySet<string> = new Set(['message-id', 'date']);
/** A text with more of them is smaller in base64. */
const MANY_NON_ASCII = 1 / 4;

/** The bytes of the message that `request` describes. */
export async function compose(request: SendRequest, idempotencyKey: string | null): Promise<Uint8Array> {
  const built = await new MailComposer({
    subject: request.subject,
    ...(request.text === '' ? {} : { text: textPart(request.text) }),
    ...(request.html === '' ? {} : { html: textPart(request.html) }),
    attachments: request.attachments.map(({ filename, contentType, content, contentId }) => ({
      filename,
      contentType,
      content,
      ...(contentId === null ? {} : { cid: contentId }),
    })),
    disableFileAccess: true,
    disableUrlAccess: true,
  })
    .compile()
    .build();
  const made = scanHeader(built);
  if (made.kind === 'malformed') throw new Error(`composed a header that we do not take: ${made.reason}`);
  const edit = { prepend: headerOf(request, idempotencyKey), drop: ({ key }: HeaderField) => LEFT_OUT.has(key) };
  return assemble({ bytes: built, fields: made.fields, bodyStart: made.bodyStart }, edit).bytes;
}

/** What nodemailer does not write. Every value was checked when the request was read. */
function headerOf(request: SendRequest, idempotencyKey: string | null): string {
  const wishes: (readonly [string, string | null])[] = [
    ['Idempotency-Key', idempotencyKey],
    ['Tag', request.tag],
    ['Flow', request.flow],
    ['TTL', request.ttl],
    ['Priority', request.priority],
    ['Collapse-Key', request.collapseKey],
    ...request.metadata.map(([key, value]) => [`Metadata-${key}`, value] as const),
  ];
  return [
    ...wishes.flatMap(([name, value]) => (value === null ? [] : [`X-Leadpush-${name}: ${value}\r\n`])),
    mailboxField('From', request.from.name, request.from.address),
    listField('Reply-To', request.replyTo),
    listField('To', request.to),
    listField('Cc', request.cc),
    ...request.headers.map(([name, value]) => `${name}: ${value}\r\n`),
  ].join('');
}

/** Several mailboxes in one field, each on lines of its own; empty for none. */
function listField(field: string, mailboxes: readonly Mailbox[]): string {
  const written = mailboxes.map(({ name, address }) => mailboxField(field, name, address).trimEnd());
  const [first, ...others] = written;
  if (first === undefined) return '';
  return `${[first, ...others.map((text) => text.slice(field.length + 1).trimStart())].join(',\r\n ')}\r\n`;
}

/** Always encoded: whatever a text holds, lines are short, end in CRLF, and no server on the way changes them. */
function textPart(text: string): { readonly content: string; readonly contentTransferEncoding: string } {
  let others = 0;
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) others++;
  return {
    content: text.replace(/\r\n?|\n/g, '\r\n'),
    contentTransferEncoding: others > text.length * MANY_NON_ASCII ? 'base64' : 'quoted-printable',
  };
}
