/**
 * `messages`: sending, and what became of it.
 *
 * Each send has an idempotency key, its own or one that is made here, once for the call: a try whose answer was lost is made
 * again without a second message. The content of a message is in no error and no log.
 */
import { toBase64 } from './bytes.ts';
import { createList, type List } from './list.ts';
import { type CallOptions, segment, type Transport } from './transport.ts';
import type {
  Accepted,
  Attachment,
  Change,
  DeliveryState,
  Message,
  MessageDetail,
  Preview,
  SendMessage,
  Trace,
} from './types.ts';

/** A file; its content is base64, or bytes that are turned into it. */
export type NewAttachment = Omit<Attachment, 'content'> & { readonly content: string | Uint8Array };
/** A message to be composed by the relay. */
export type NewMessage = Omit<SendMessage, 'attachments'> & { readonly attachments?: readonly NewAttachment[] };

/** Who a message is from and for on the wire, whatever its headers say. */
export interface Envelope {
  /** The empty string: the null sender. */
  readonly from: string;
  readonly to: readonly string[];
}

export interface SendOptions extends CallOptions {
  /** Accepted once in 24 h. Default: a new one for each call. */
  readonly idempotencyKey?: string | undefined;
}

export interface MessageQuery {
  readonly tag?: string | undefined;
  /** At least one delivery is in this state. */
  readonly state?: DeliveryState | undefined;
  /** Exactly this address; letter case does not count. */
  readonly recipient?: string | undefined;
  readonly flow?: string | undefined;
  /** The Message-ID header. */
  readonly message_id?: string | undefined;
  /** Accepted at or after this: a moment, or a span back from now (`24h`). */
  readonly since?: string | Date | undefined;
  /** Accepted before this. */
  readonly until?: string | Date | undefined;
  /** How many come in one page: 1 to 100. */
  readonly limit?: number | undefined;
}

export interface Messages {
  /** Hands `message` over to be composed; it is on the relay's disk when the promise resolves. */
  send(message: NewMessage, options?: SendOptions): Promise<Accepted>;
  /**
   * Hands a message over as it is (RFC 5322, CRLF line ends), with its envelope. Its `X-Leadpush-*` headers count; an
   * `X-Leadpush-Idempotency-Key` among them takes the place of a key made here.
   */
  sendMime(mime: Uint8Array | string, envelope: Envelope, options?: SendOptions): Promise<Accepted>;
  /** One message, with every attempt. */
  get(id: string, options?: CallOptions): Promise<MessageDetail>;
  /** Those that `query` asks for, the newest first. */
  list(query?: MessageQuery, options?: CallOptions): List<Message>;
  /** Takes back what has not gone out. */
  cancel(id: string, options?: CallOptions): Promise<Change>;
  /** Tries what has not gone out at once. */
  retry(id: string, options?: CallOptions): Promise<Change>;
  /** Everything about it, in time order. */
  trace(id: string, options?: CallOptions): Promise<Trace>;
  /** What a sandbox captured, as it reads: subject, text, links; for an app's own tests. Needs the scope `admin`. */
  preview(id: string, options?: CallOptions): Promise<Preview>;
  /** The bytes as they went out, while they are kept (the sandbox keeps them). Needs the scope `admin`. */
  content(id: string, options?: CallOptions): Promise<Uint8Array>;
}

/** The calls over `transport`. */
export function createMessages(transport: Transport): Messages {
  const path = (id: string, call = ''): string => `/v1/messages/${segment(id)}${call}`;
  return {
    send(message, { idempotencyKey, ...options } = {}) {
      const attachments = message.attachments?.map(({ content, ...file }) => ({
        ...file,
        content: typeof content === 'string' ? content : toBase64(content),
      }));
      return transport.json({
        op: 'messages.send',
        method: 'POST',
        path: '/v1/messages',
        json: attachments === undefined ? message : { ...message, attachments },
        headers: { 'idempotency-key': idempotencyKey ?? transport.runtime.uniqueKey() },
        repeat: 'safe',
        ...options,
      });
    },
    sendMime(mime, envelope, { idempotencyKey, ...options } = {}) {
      const bytes = typeof mime === 'string' ? new TextEncoder().encode(mime) : mime;
      const key = idempotencyKey ?? (namesKey(bytes) ? undefined : transport.runtime.uniqueKey());
      return transport.json({
        op: 'messages.sendMime',
        method: 'POST',
        path: '/v1/messages/mime',
        query: { from: envelope.from, to: envelope.to },
        bytes,
        headers: { 'content-type': 'message/rfc822', ...(key === undefined ? {} : { 'idempotency-key': key }) },
        repeat: 'safe',
        ...options,
      });
    },
    get: (id, options) =>
      transport.json({ op: 'messages.get', method: 'GET', path: path(id), repeat: 'safe', ...options }),
    list: (query = {}, options = {}) => createList(transport, 'messages.list', '/v1/messages', { ...query }, options),
    cancel: (id, options) =>
      transport.json({
        op: 'messages.cancel',
        method: 'POST',
        path: path(id, '/cancel'),
        repeat: 'refused',
        ...options,
      }),
    retry: (id, options) =>
      transport.json({ op: 'messages.retry', method: 'POST', path: path(id, '/retry'), repeat: 'refused', ...options }),
    trace: (id, options) =>
      transport.json({ op: 'messages.trace', method: 'GET', path: path(id, '/trace'), repeat: 'safe', ...options }),
    preview: (id, options) =>
      transport.json({ op: 'messages.preview', method: 'GET', path: path(id, '/preview'), repeat: 'safe', ...options }),
    content: (id, options) =>
      transport.bytes({
        op: 'messages.content',
        method: 'GET',
        path: path(id, '/content'),
        repeat: 'safe',
        ...options,
      }),
  };
}

/** Whether the header of `mime` names an idempotency key itself. */
function namesKey(mime: Uint8Array): boolean {
  // Header fields are ASCII; what is not becomes U+FFFD and matches nothing.
  const text = new TextDecoder().decode(mime.subarray(0, MAX_HEADER_BYTES));
  const header = text.split(/\r?\n\r?\n/, 1)[0] ?? '';
  return /^X-Leadpush-Idempotency-Key[ \t]*:/im.test(header);
}

/** A header longer than this is refused by the relay. */
const MAX_HEADER_BYTES = 1_000_000;
