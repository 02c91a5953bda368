/**
 * Sending: composed here or brought ready, a message goes through the same acceptance as one that came over SMTP.
 *
 * The answer says that the message is kept, never what becomes of it: whoever asks for a reset must not learn which accounts
 * exist. The same idempotency key with the same content is answered as the first time.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Config } from '../../config/types.ts';
import { addressKey, type EnvelopeAddress, parseEnvelopeAddress, type ReversePath } from '../../core/address.ts';
import type { MessageId } from '../../core/ids.ts';
import type { Refusal } from '../../core/refusal.ts';
import type { Conflict, Intake } from '../../intake/submission.ts';
import type { HistoryStore } from '../../store/history.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { identityOf } from '../caller.ts';
import { compose } from '../compose.ts';
import type { ProblemCode, ProblemError } from '../problem.ts';
import { sendRequest, sent, type WireSent } from '../wire/send.ts';

export interface SendDeps {
  readonly intake: Pick<Intake, 'ready' | 'accept'>;
  readonly history: Pick<HistoryStore, 'message'>;
  /** As it is now. */
  readonly config: () => Pick<Config, 'credentials' | 'smtp'>;
}

/** JSON is larger than what it stands for: base64, escapes, and the fields. */
const JSON_FACTOR = 4 / 3;
const JSON_SLACK_BYTES = 64 * 1024;
const RETRY_AFTER_SECONDS = '10';
const NON_ASCII = /[^\0-\x7f]/;

const SEND_PROBLEMS: readonly ProblemCode[] = [
  'bad-request',
  'forbidden',
  'cross-origin',
  'not-allowed',
  'too-large',
  'unsupported-media-type',
  'validation',
  'link-policy',
  'malformed-message',
  'no-secure-route',
  'idempotency-conflict',
];

const sendHeaders = z.object({
  'idempotency-key': z
    .string()
    .regex(/^[\x20-\x7e]{1,128}$/, 'write 1 to 128 printable ASCII characters')
    .optional()
    .describe('Made by the client for each message: within 24 hours the same key is accepted once.'),
});

const addressQuery = z.string().transform((text, context): EnvelopeAddress => {
  const parsed = parseEnvelopeAddress(text, { smtpUtf8: true });
  if (parsed.kind === 'address') return parsed.address;
  context.addIssue({ code: 'custom', message: `not an address: ${parsed.reason}` });
  return z.NEVER;
});

const mimeQuery = z.strictObject({
  from: z
    .union([z.literal('').transform((): ReversePath => ''), addressQuery])
    .describe('The envelope sender; empty: the null sender.'),
  to: z
    .preprocess(
      (input) =>
        input === undefined
          ? input
          : [input].flat().flatMap((each) => (typeof each === 'string' ? each.split(',') : [each])),
      z.array(addressQuery).min(1),
    )
    .describe('The envelope recipients: several values, or one with commas.'),
});

interface Envelope {
  readonly mailFrom: ReversePath;
  readonly recipients: readonly EnvelopeAddress[];
}

/** Adds `POST /v1/messages` and `POST /v1/messages/mime`. */
export function addSend(api: Api, { intake, history, config }: SendDeps): void {
  const maxBytes = (): number => config().smtp.maxMessageBytes;

  api.post(
    '/v1/messages',
    {
      config: { scope: 'send', bodyBytes: () => Math.ceil(maxBytes() * JSON_FACTOR) + JSON_SLACK_BYTES },
      schema: {
        operationId: 'sendMessage',
        tags: ['messages'],
        summary: 'Send a message',
        headers: sendHeaders,
        body: sendRequest,
        response: { 202: sent, ...problems(...SEND_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { body } = request;
      const refusal = intake.ready();
      if (refusal !== null) return refuseMail(reply, refusal);
      const key = request.headers['idempotency-key'] ?? null;
      const recipients = [...body.to, ...body.cc, ...body.bcc].map(({ address }) => address);
      return submit(request, reply, { mailFrom: body.from.address, recipients }, await compose(body, key));
    },
  );

  api.post(
    '/v1/messages/mime',
    {
      config: { scope: 'send', takes: 'message', bodyBytes: maxBytes },
      schema: {
        operationId: 'sendMimeMessage',
        tags: ['messages'],
        summary: 'Send a message that is built already',
        description:
          'The body is the message as it would follow DATA: lines end in CRLF. Its `X-Leadpush-*` headers count as over SMTP, and its `Bcc` is removed.',
        consumes: ['message/rfc822'],
        headers: sendHeaders,
        querystring: mimeQuery,
        body: z.instanceof(Uint8Array).meta({ type: 'string', format: 'binary' }),
        response: { 202: sent, ...problems(...SEND_PROBLEMS) },
      },
    },
    async (request, reply) => {
      const { query, body } = request;
      const refusal = intake.ready();
      if (refusal !== null) return refuseMail(reply, refusal);
      const key = request.headers['idempotency-key'];
      const content =
        key === undefined || beginsFolded(body)
          ? body
          : Buffer.concat([Buffer.from(`X-Leadpush-Idempotency-Key: ${key}\r\n`), body]);
      return submit(request, reply, { mailFrom: query.from, recipients: query.to }, content);
    },
  );

  async function submit(
    request: Pick<FastifyRequest, 'caller' | 'ip'>,
    reply: FastifyReply,
    envelope: Envelope,
    content: Uint8Array,
  ): Promise<WireSent | FastifyReply> {
    const { caller, ip } = request;
    if (caller === null) throw new Error('a call without a caller');
    const { smtp, credentials } = config();
    const recipients = distinct(envelope.recipients);
    if (recipients.length > smtp.maxRecipients) {
      const errors: readonly ProblemError[] = [
        { pointer: '/to', in: 'body', detail: `more than ${smtp.maxRecipients} recipients (smtp.max_recipients)` },
      ];
      return refuse(reply, 'validation', 'Too many recipients.', errors);
    }
    if (content.length > smtp.maxMessageBytes) {
      return refuse(reply, 'too-large', `A message may have ${smtp.maxMessageBytes} octets (smtp.max_message_size).`);
    }
    const result = await intake.accept({
      submitter: { credential: identityOf(caller, credentials), address: ip, helo: '', tls: null, protocol: 'HTTP' },
      envelope: {
        mailFrom: envelope.mailFrom,
        recipients: recipients.map((address) => ({ address, dsn: null })),
        dsn: { ret: null, envid: null },
        smtpUtf8: [envelope.mailFrom, ...recipients].some((address) => NON_ASCII.test(address)),
        deliverBySeconds: null,
      },
      content,
      paysReport: null,
    });
    if (result.kind === 'refused') return refuseMail(reply, result);
    if (result.kind === 'duplicate') void reply.header('idempotent-replayed', 'true');
    void reply.code(202);
    // A message that is kept is answered without a look at the store, which may be busy or in trouble by now.
    const deliveries = result.kind === 'accepted' ? result.deliveries : await deliveriesOf(result.id);
    // The first answer and every later one to the same key: nothing in it changes with what became of the message.
    const sentOnes = deliveries.map(({ id, recipient }) => ({ id, recipient, state: 'queued' as const }));
    return { id: result.id, deliveries: sentOnes };
  }

  async function deliveriesOf(id: MessageId): Promise<readonly { readonly id: string; readonly recipient: string }[]> {
    return (await history.message(id))?.deliveries ?? [];
  }
}

/** Each mailbox once: who is in To and in Cc gets one copy. */
function distinct(addresses: readonly EnvelopeAddress[]): readonly EnvelopeAddress[] {
  const seen = new Map<string, EnvelopeAddress>();
  for (const address of addresses) {
    const key = addressKey(address);
    if (!seen.has(key)) seen.set(key, address);
  }
  return [...seen.values()];
}

/** A refusal as SMTP would give it, as a problem. Its text is for the client. */
function refuseMail(reply: FastifyReply, refusal: Refusal | Conflict): FastifyReply {
  if ('conflictsWith' in refusal) {
    const detail = `The key was used for another message: ${refusal.conflictsWith}. Use a new key for each new message.`;
    return refuse(reply, 'idempotency-conflict', detail);
  }
  const code = problemOf(refusal);
  if (code === 'unavailable') void reply.header('retry-after', RETRY_AFTER_SECONDS);
  return refuse(reply, code, sentenceOf(refusal.text));
}

/** No message begins so: what is put before it would swallow its first line. It is refused as it stands. */
function beginsFolded(message: Uint8Array): boolean {
  return message[0] === 0x20 || message[0] === 0x09;
}

function sentenceOf(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

function problemOf({ code, enhanced }: Refusal): ProblemCode {
  if (code < 500) return 'unavailable';
  switch (enhanced) {
    case '5.7.0':
      return 'link-policy';
    case '5.7.1':
      return 'not-allowed';
    case '5.7.10':
      return 'no-secure-route';
    default:
      return 'malformed-message';
  }
}
