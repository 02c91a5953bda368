/**
 * A transport for nodemailer: existing code sends through the relay's API by changing one line.
 *
 *     nodemailer.createTransport(leadpushTransport({ baseUrl, token, tag: 'password-reset' }))
 *
 * The message goes out as nodemailer built it, with its envelope; `X-Leadpush-*` headers work as over SMTP. What comes back and
 * what is thrown look as they do with nodemailer's own SMTP transport. Nothing of nodemailer is imported: what is needed of it
 * is described here, and its versions 6 to 10 fit.
 */
import { LeadpushRelay } from './client.ts';
import { LeadpushConnectionError, LeadpushError, LeadpushTimeoutError } from './errors.ts';
import { mayPass } from './retry.ts';
import type { LeadpushOptions } from './transport.ts';
import { VERSION } from './version.ts';

export interface LeadpushTransportOptions extends LeadpushOptions {
  /** The tag of messages that set no `X-Leadpush-Tag` themselves. */
  readonly tag?: string | undefined;
}

/** What is needed of a message that nodemailer compiled. */
export interface NodemailerMail {
  readonly data: { readonly signal?: unknown };
  readonly message: {
    newline?: string | undefined;
    getEnvelope(): { readonly from: string | false; readonly to: readonly string[] };
    getHeader(name: string): unknown;
    setHeader(name: string, value: string): unknown;
    messageId(): string;
    build(callback: (error: Error | null, message: Uint8Array) => void): void;
  };
}

/** What `sendMail` resolves to. A type, no interface: nodemailer wants to find any field by name. */
export type LeadpushInfo = {
  envelope: { from: string | false; to: string[] };
  /** The Message-ID header. */
  messageId: string;
  accepted: string[];
  rejected: string[];
  pending: string[];
  /** What the relay says over SMTP: `250 2.0.0 Ok: queued as msg_...`. */
  response: string;
  /** The relay's id of the message, for `messages.get` and `messages.trace`. */
  id: string;
};

/** An error in the shape of nodemailer's. `cause` is the SDK's own, where it came from there. */
export interface LeadpushSendError extends Error {
  /** `EAUTH`, `ECONNECTION`, `ETIMEDOUT`, `EENVELOPE`, `EMESSAGE`, `EPROTOCOL`, `EABORT`; else as nodemailer gave it. */
  code?: string;
  command?: string;
  /** The reply code that SMTP has for it: 4xx may pass, 5xx will not. Absent when no answer came. */
  responseCode?: number;
  /** That code with the relay's explanation. */
  response?: string;
  /** Whether the same message would be refused again. Absent when no answer came. */
  permanent?: boolean;
}

export interface LeadpushTransport {
  name: string;
  version: string;
  /** `sendMail({ signal })` ends the call. */
  supportsAbortSignal: true;
  send(mail: NodemailerMail, callback: (error: LeadpushSendError | null, info?: LeadpushInfo) => void): void;
  /** Whether the relay answers and knows the token. */
  verify(callback: (error: LeadpushSendError | null, success?: true) => void): void;
  verify(): Promise<true>;
  /** There is nothing to close: each message is a call of its own. */
  close(): void;
}

const TAG_HEADER = 'X-Leadpush-Tag';

/** A transport for `nodemailer.createTransport`. Throws a TypeError when the options cannot work. */
export function leadpushTransport({ tag, ...options }: LeadpushTransportOptions): LeadpushTransport {
  const relay = new LeadpushRelay(options);

  const send = async ({ data, message }: NodemailerMail): Promise<LeadpushInfo> => {
    const { from, to } = message.getEnvelope();
    const recipients = [...to];
    if (tag !== undefined && !message.getHeader(TAG_HEADER)) message.setHeader(TAG_HEADER, tag);
    message.newline = 'windows';
    const mime = await new Promise<Uint8Array>((resolve, reject) => {
      message.build((error, built) => (error === null || error === undefined ? resolve(built) : reject(error)));
    });
    const { id } = await relay.messages.sendMime(
      mime,
      { from: from === false ? '' : from, to: recipients },
      { signal: data.signal instanceof AbortSignal ? data.signal : undefined },
    );
    return {
      envelope: { from, to: recipients },
      messageId: message.messageId(),
      accepted: recipients,
      rejected: [],
      pending: [],
      response: `250 2.0.0 Ok: queued as ${id}`,
      id,
    };
  };

  const ask = async (): Promise<true> => {
    try {
      await relay.routes.list();
    } catch (error) {
      // A token that may send and not read: the relay knows it.
      if (!(error instanceof LeadpushError && error.code === 'forbidden')) throw sendError(error);
    }
    return true;
  };

  function verify(callback: (error: LeadpushSendError | null, success?: true) => void): void;
  function verify(): Promise<true>;
  function verify(callback?: (error: LeadpushSendError | null, success?: true) => void): void | Promise<true> {
    if (callback === undefined) return ask();
    answer(ask(), callback, (error) => error);
  }

  return {
    name: 'Leadpush Relay',
    version: VERSION,
    supportsAbortSignal: true,
    send(mail, callback) {
      answer(send(mail), callback, (error) => sendError(error, mail.data.signal));
    },
    verify,
    close() {},
  };
}

/** Hands the end of `work` to a callback, outside of the promise: what the callback throws is its own. */
function answer<T>(
  work: Promise<T>,
  tell: (error: LeadpushSendError | null, result?: T) => void,
  shape: (error: LeadpushSendError) => LeadpushSendError,
): void {
  work.then(
    (result) => queueMicrotask(() => tell(null, result)),
    (error) => queueMicrotask(() => tell(shape(error))),
  );
}

/** `thrown` in nodemailer's shape; what nodemailer itself threw while it built the message stays as it is. */
function sendError(thrown: unknown, signal?: unknown): LeadpushSendError {
  if (signal instanceof AbortSignal && signal.aborted) {
    const aborted = new Error('Message sending aborted', { cause: thrown });
    return Object.assign(aborted, { name: 'AbortError', code: 'EABORT' });
  }
  if (!(thrown instanceof LeadpushError)) return thrown instanceof Error ? thrown : new Error(String(thrown));
  return Object.assign(new Error(thrown.message, { cause: thrown }), {
    code: codeOf(thrown),
    command: 'API',
    ...replyOf(thrown),
  });
}

function codeOf(error: LeadpushError): string {
  if (error instanceof LeadpushTimeoutError) return 'ETIMEDOUT';
  if (error instanceof LeadpushConnectionError) return 'ECONNECTION';
  if (error.code === 'unauthorized' || error.code === 'forbidden') return 'EAUTH';
  if (error.code === 'unexpected-answer') return 'EPROTOCOL';
  return error.errors.some((entry) => entry.in === 'query') ? 'EENVELOPE' : 'EMESSAGE';
}

/** HTTP statuses mean other things than SMTP replies: 503 may pass, 535 will not. */
function replyOf(error: LeadpushError): Pick<LeadpushSendError, 'responseCode' | 'response' | 'permanent'> {
  if (error.status === null) return {};
  const permanent = !mayPass(error, 'safe');
  const responseCode = permanent ? permanentReply(error) : 451;
  return { responseCode, response: `${responseCode} ${error.message}`, permanent };
}

function permanentReply(error: LeadpushError): number {
  if (error.code === 'too-large') return 552;
  const code = codeOf(error);
  return code === 'EAUTH' ? 535 : code === 'EENVELOPE' ? 553 : 550;
}
