/** What `POST /v1/messages` takes, and what sending answers. Limits are those of the headers that stand for the fields. */
import { z } from 'zod';
import { MAX_TTL_MS, PRIORITIES, type Priority, TAG_GRAMMAR } from '../../core/message.ts';
import { parseTtl } from '../../intake/relay-headers.ts';
import { type Mailbox, mailbox, mailboxes, readMailbox } from './mailbox.ts';

export interface SendRequest {
  readonly from: Mailbox;
  readonly to: readonly Mailbox[];
  readonly cc: readonly Mailbox[];
  readonly bcc: readonly Mailbox[];
  readonly replyTo: readonly Mailbox[];
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  /** Further header fields, in order. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly attachments: readonly Attachment[];
  readonly tag: string | null;
  readonly flow: string | null;
  /** In order of keys, which are in lower case. */
  readonly metadata: readonly (readonly [key: string, value: string])[];
  /** As `X-Leadpush-TTL` has it. */
  readonly ttl: string | null;
  readonly priority: Priority | null;
  readonly collapseKey: string | null;
}

export interface Attachment {
  readonly filename: string;
  readonly contentType: string;
  readonly content: Buffer;
  /** Not null: the HTML refers to it as `cid:`. */
  readonly contentId: string | null;
}

export interface WireSent {
  readonly id: string;
  readonly deliveries: readonly { readonly id: string; readonly recipient: string; readonly state: 'queued' }[];
}

const MAX_RECIPIENTS = 10_000;
const SOMEBODY: Mailbox = readMailbox('somebody@example.net');
const MAX_SUBJECT = 900;
const MAX_HEADERS = 50;
const MAX_HEADER_CHARS = 900;
const MAX_ATTACHMENTS = 50;
const MAX_METADATA = 20;
const MAX_METADATA_CHARS = 512;
/** A header line has 998 octets, its name included. */
const MAX_METADATA_OCTETS = 900;

const PRINTABLE_128 = z
  .string()
  .regex(/^[\x21-\x7e](?:[\x20-\x7e]{0,126}[\x21-\x7e])?$/, 'write 1 to 128 printable ASCII characters');
const CONTROL = /[\p{Cc}\p{Zl}\p{Zp}]/u;
const HEADER_NAME = /^[A-Za-z][A-Za-z0-9-]{0,75}$/;
const MEDIA_TYPE = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,62}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,62}$/i;
const METADATA_KEY = /^[a-z0-9][a-z0-9._-]{0,63}$/;
const NOT_BASE64 = /[^A-Za-z0-9+/]/;

/** Fields that the relay writes, that say what the message is, or that have a place of their own in the request. */
const OWN_HEADERS: ReadonlySet<string> = new Set(
  (
    'from to cc bcc reply-to subject sender date received return-path delivered-to mime-version dkim-signature ' +
    'domainkey-signature authentication-results arc-seal arc-message-signature arc-authentication-results'
  ).split(' '),
);
/** The only one of ours without a field in the request. */
const ALLOWED_RELAY_HEADER = 'x-leadpush-require-tls';

/** Why a header may not be given; null: it may. */
function headerFault(name: string): string | null {
  if (!HEADER_NAME.test(name)) return 'is not the name of a header: letters, digits and hyphens, 76 at most';
  const key = name.toLowerCase();
  if (OWN_HEADERS.has(key)) return 'is written by the relay, or has a field of its own';
  if (/^(?:content|resent)-/.test(key)) return 'says how the message is built, which is not for the client to say';
  if (key.startsWith('x-leadpush-') && key !== ALLOWED_RELAY_HEADER) return 'has a field of its own in the request';
  return null;
}

/**
 * A record with few keys. They are counted before any value is looked at: of a million each would be checked, and everything else
 * would wait. A key `__proto__` is refused here because a record loses it without a word.
 */
function fewValues(max: number, what: string, record: z.ZodType<Record<string, string>>): typeof record {
  return z.preprocess((input, context) => {
    if (typeof input !== 'object' || input === null) return input;
    const isWide = Object.keys(input).length > max;
    if (!isWide && !Object.hasOwn(input, '__proto__')) return input;
    context.addIssue(
      isWide
        ? { code: 'custom', message: `at most ${max} ${what}` }
        : { code: 'custom', message: 'is no name that can be used', path: ['__proto__'] },
    );
    return z.NEVER;
  }, record);
}

const headers = fewValues(
  MAX_HEADERS,
  'headers',
  z
    .record(
      z.string(),
      z
        .string()
        .max(MAX_HEADER_CHARS)
        .refine((value) => /^[\x20-\x7e]*$/.test(value), 'write printable ASCII on one line'),
    )
    .check((context) => {
      const seen = new Set<string>();
      for (const name of Object.keys(context.value)) {
        const fault = headerFault(name) ?? (seen.has(name.toLowerCase()) ? 'is given twice' : null);
        if (fault !== null) issue(context, [name], fault);
        seen.add(name.toLowerCase());
      }
    }),
);

const metadata = fewValues(
  MAX_METADATA,
  'values',
  z
    .record(
      z.string(),
      z
        .string()
        .max(MAX_METADATA_CHARS)
        .refine(
          (value) => value.isWellFormed() && !CONTROL.test(value) && value === value.trim(),
          'control characters, or blanks around it',
        )
        .refine(
          (value) => Buffer.byteLength(value) <= MAX_METADATA_OCTETS,
          `has more than ${MAX_METADATA_OCTETS} octets`,
        ),
    )
    .check((context) => {
      for (const key of Object.keys(context.value)) {
        if (!METADATA_KEY.test(key)) issue(context, [key], 'has a key that is not 1 to 64 of a-z 0-9 . _ -');
      }
    }),
);

/** Whether `text` is base64, padded or not: one pass without going back, for it may be as long as a whole message. */
function isBase64(text: string): boolean {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0;
  const bare = text.slice(0, text.length - padding);
  const rest = bare.length % 4;
  return !NOT_BASE64.test(bare) && (padding === 0 ? rest !== 1 : rest === 4 - padding);
}

const attachment = z
  .strictObject({
    filename: z
      .string()
      .min(1)
      .max(255)
      .refine(
        (name) => name.isWellFormed() && !CONTROL.test(name) && !/[/\\]/.test(name),
        'control characters or slashes',
      ),
    content: z.string().refine(isBase64, 'write base64').describe('Base64.'),
    content_type: z
      .string()
      .regex(MEDIA_TYPE, 'write a media type such as application/pdf')
      .refine((type) => !/^(?:multipart|message)\//i.test(type), 'multipart and message types cannot be attached')
      .default('application/octet-stream'),
    content_id: z
      .string()
      .regex(
        /^[A-Za-z0-9._-]{1,100}(?:@[A-Za-z0-9.-]{1,100})?$/,
        'write letters, digits, dots, with or without @ and a domain',
      )
      .optional()
      .describe('The HTML shows it as `cid:` and this.'),
  })
  .meta({ id: 'Attachment' });

const ttl = z
  .union([z.int(), z.string().max(20)], { error: 'write seconds, or a duration such as 15m' })
  .transform(String)
  .refine((text) => parseTtl(text) !== null, 'write seconds, or a duration such as 15m, from 1 second to 30 days')
  .meta({
    description: 'How long the link lives: seconds, or `15m`, `2h`. After it the message is never delivered.',
    examples: [900, '15m'],
  });

const fields = {
  from: mailbox,
  to: mailboxes(1, MAX_RECIPIENTS),
  cc: mailboxes(0, MAX_RECIPIENTS).optional(),
  bcc: mailboxes(0, MAX_RECIPIENTS).optional().describe('Recipients that the others do not see.'),
  reply_to: mailboxes(0, 10).optional(),
  subject: z
    .string()
    .max(MAX_SUBJECT)
    .refine((text) => text.isWellFormed() && !CONTROL.test(text), 'control characters or line breaks'),
  text: z.string().optional().describe('The plain text. It or `html` must be there.'),
  html: z.string().optional(),
  headers: headers
    .optional()
    .describe('Further headers: printable ASCII, none that the relay writes. `X-Leadpush-Require-TLS: true` is one.'),
  attachments: z.array(attachment).max(MAX_ATTACHMENTS).optional(),
  tag: z
    .string()
    .regex(TAG_GRAMMAR, 'write 1 to 64 of a-z 0-9 . _ -, a letter or digit first')
    .optional()
    .describe('What kind of mail this is: `password-reset`.'),
  flow: PRINTABLE_128.optional().describe('Id of the recovery flow: it ties several messages together.'),
  metadata: metadata.optional().describe('Comes back in the API, in events and webhooks.'),
  ttl: ttl.optional(),
  priority: z.enum(PRIORITIES).optional(),
  collapse_key: PRINTABLE_128.optional().describe(
    'A newer message to the same recipient with the same key replaces this one while it is queued.',
  ),
};

/** What a client sends; what comes of it is a `SendRequest`. */
export const sendRequest: z.ZodType<SendRequest, unknown> = z
  .strictObject(fields)
  .refine(({ text, html }) => (text ?? '') !== '' || (html ?? '') !== '', {
    error: 'give `text`, `html` or both',
    path: ['text'],
  })
  .transform(requestOf)
  .meta({
    id: 'SendMessage',
    description: `A message to be composed. A TTL is at most ${MAX_TTL_MS / 86_400_000} days.`,
  });

/** A message that is only asked about. */
export interface ExplainRequest {
  readonly message: SendRequest;
  /** Username of the credential it would come from; null: the caller's own. */
  readonly credential: string | null;
}

/** What a client asks about: as much of a message as it likes. */
export const explainRequest: z.ZodType<ExplainRequest, unknown> = z
  .strictObject({
    ...fields,
    to: mailboxes(0, MAX_RECIPIENTS).optional().describe('Who would get it; somebody@example.net when it is absent.'),
    subject: fields.subject.optional(),
    credential: z.string().max(128).optional().describe('Username of the credential it would come from.'),
  })
  .transform(
    ({ to, subject, credential, ...input }): ExplainRequest => ({
      message: requestOf({ ...input, to: to ?? [SOMEBODY], subject: subject ?? '' }),
      credential: credential ?? null,
    }),
  )
  .meta({ id: 'ExplainMessage', description: 'A message that is only asked about; only `from` has to be there.' });

function requestOf(input: z.output<z.ZodObject<typeof fields>>): SendRequest {
  return {
    from: input.from,
    to: input.to,
    cc: input.cc ?? [],
    bcc: input.bcc ?? [],
    replyTo: input.reply_to ?? [],
    subject: input.subject,
    text: input.text ?? '',
    html: input.html ?? '',
    headers: Object.entries(input.headers ?? {}),
    attachments: (input.attachments ?? []).map((file) => ({
      filename: file.filename,
      contentType: file.content_type,
      content: Buffer.from(file.content, 'base64'),
      contentId: file.content_id ?? null,
    })),
    tag: input.tag ?? null,
    flow: input.flow ?? null,
    metadata: Object.entries(input.metadata ?? {}).sort(([a], [b]) => (a < b ? -1 : 1)),
    ttl: input.ttl ?? null,
    priority: input.priority ?? null,
    collapseKey: input.collapse_key ?? null,
  };
}

export const sent: z.ZodType<WireSent> = z
  .object({
    id: z.string().describe('Id of the message (`msg_...`).'),
    deliveries: z
      .array(z.object({ id: z.string(), recipient: z.string(), state: z.literal('queued') }))
      .describe('One for each recipient. What becomes of them is told by the message itself, never here.'),
  })
  .meta({ id: 'Sent', description: 'The message is kept; it will be delivered, or said why not.' });

function issue(context: z.core.ParsePayload, path: readonly PropertyKey[], message: string): void {
  context.issues.push({ code: 'custom', input: context.value, path: [...path], message });
}
