/**
 * A delivery report of this relay, composed (RFC 3464 in the form of RFC 6522, RFC 3461 for what it owes to whom).
 *
 * Three parts: a few sentences for a person, the machine-readable status, and what was sent. Of recovery mail the third part
 * holds a short list of header fields and nothing else: a report travels in clear to a mailbox that was not meant to have the
 * link, so no subject, no body and no other header of it goes out, whatever RET says. Of other mail `RET=FULL` gives the whole message when it failed
 * and is not too big, else its header (RFC 3461, section 4.3).
 *
 * The report has no Message-ID and no Received: the way in adds them. Its header and status part are ASCII, but for a UTF-8
 * address it is sent to; addresses beyond ASCII stand in the status part as `utf-8;` in the ASCII form of RFC 6533 (section 3),
 * so no `message/global-delivery-status` is needed. Lines keep to 998 octets: long values are folded.
 */
import type { EnvelopeAddress } from '../core/address.ts';
import { type Bounce, BOUNCE_EXPLANATIONS } from '../core/bounce.ts';
import type { DeliveryState } from '../core/delivery.ts';
import type { EventAttempt } from '../core/event.ts';
import type { MessageRecord, RecipientDsn } from '../core/message.ts';
import { formatMailDate } from './date.ts';
import { type HeaderField, scanHeader } from './header.ts';

export interface ReportInput {
  readonly action: 'failed' | 'delayed' | 'relayed' | 'delivered';
  /** When what is reported happened; epoch milliseconds, like all times here. */
  readonly at: number;
  /** When the report is written. */
  readonly now: number;
  /** This relay's name. */
  readonly hostname: string;
  /** The envelope sender of the message. */
  readonly to: EnvelopeAddress;
  readonly record: Pick<MessageRecord, 'acceptedAt' | 'deadline' | 'deadlineSource' | 'dsn' | 'id' | 'priority'>;
  /** It restores access to an account: nothing of it is quoted but what names it. */
  readonly recovery: boolean;
  readonly recipient: EnvelopeAddress;
  readonly recipientDsn: RecipientDsn | null;
  readonly state: DeliveryState;
  /** The last attempt. One that delivered says nothing about a failure that a later server reported. */
  readonly attempt: EventAttempt | null;
  readonly bounce: Bounce | null;
  /** Why, when no attempt tells it; of a late bounce, the `Diagnostic-Code` that was reported to us. */
  readonly reason: string | null;
  /** The message as it was sent; null when it is gone: the report has no third part then. */
  readonly content: Uint8Array | null;
}

/** Octets of a message that goes back whole, and of a header that goes back. */
export const MAX_RETURNED_BYTES: number = 512 * 1024;
const MAX_RETURNED_HEADER_BYTES = 64 * 1024;
const MAX_VALUE_CHARACTERS = 1000;
const FOLD_AT = 76;
const HARD_FOLD_AT = 900;

/** Of recovery mail, what names the message and its way. */
const SHOWN_OF_RECOVERY: ReadonlySet<string> = new Set([
  'date',
  'from',
  'sender',
  'reply-to',
  'to',
  'cc',
  'message-id',
  'received',
  'auto-submitted',
  'mime-version',
]);

const SUBJECTS: Readonly<Record<ReportInput['action'], string>> = {
  failed: 'Your message could not be delivered',
  delayed: 'Your message is delayed',
  relayed: 'Your message was passed on',
  delivered: 'Your message was delivered',
};
/** A diagnostic of type smtp: reply code, and the enhanced code where there is one. */
const REPORTED = /^smtp; {0,5}[45]\d\d(?:[ -]([45]\.\d{1,3}\.\d{1,3}))?(?: |$)/;
const NON_ASCII = /[\u0080-\u{10ffff}]/u;

/** The report as a message with CRLF line ends. */
export function composeReport(given: ReportInput): Uint8Array {
  const input = { ...given, attempt: attemptThatTells(given) };
  const returned = returnedPart(input);
  const parts = [textPart(input), statusPart(input), ...(returned === null ? [] : [returned])];
  const boundary = freeBoundary(input, parts);
  const header = [
    `From: Mail Delivery System <MAILER-DAEMON@${input.hostname}>`,
    `To: <${input.to}>`,
    `Subject: ${SUBJECTS[input.action]}`,
    `Date: ${formatMailDate(input.now)}`,
    'Auto-Submitted: auto-replied',
    'MIME-Version: 1.0',
    'Content-Type: multipart/report; report-type=delivery-status;',
    `\tboundary="${boundary}"`,
    '',
    'This is a delivery report in MIME format.',
    '',
  ].join('\r\n');
  return Buffer.concat([
    Buffer.from(header),
    ...parts.flatMap((part) => [Buffer.from(`--${boundary}\r\n`), part, Buffer.from('\r\n')]),
    Buffer.from(`--${boundary}--\r\n`),
  ]);
}

/** The last attempt when it is what the report is about. */
function attemptThatTells({ action, attempt }: ReportInput): EventAttempt | null {
  const troubled = action === 'failed' || action === 'delayed';
  return troubled && attempt?.outcome === 'delivered' ? null : attempt;
}

// ------------------------------------------------------ for a person

function textPart(input: ReportInput): Buffer {
  const { action, recipient, record, attempt, bounce, reason } = input;
  const lines = [
    `This is the mail relay at ${input.hostname}.`,
    '',
    `${OPENINGS[action]} <${recipient}>`,
    '',
    ...(attempt === null ? [] : [`  ${answerOf(attempt)}`, '']),
    ...(reason === null ? [] : [`  ${plain(reason)}`, '']),
    ...(bounce === null ? [] : [BOUNCE_EXPLANATIONS[bounce.class].replaceAll('\u2019', "'"), '']),
    ...(action === 'delayed'
      ? [`It will be tried again until ${formatMailDate(record.deadline)}. You need not send it again.`, '']
      : []),
    `Accepted: ${formatMailDate(record.acceptedAt)}`,
    `Reference: ${record.id}`,
  ];
  const text = lines.flatMap((line) => wrap(line)).join('\r\n');
  const encoding = NON_ASCII.test(text) ? '8bit' : '7bit';
  return Buffer.from(
    `Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: ${encoding}\r\n` +
      `Content-Description: Notification\r\n\r\n${text}\r\n`,
  );
}

const OPENINGS: Readonly<Record<ReportInput['action'], string>> = {
  failed: 'Your message could not be delivered and will not be tried again:',
  delayed: 'Your message has not been delivered yet:',
  relayed: 'Your message was handed to the next server, and no report of its delivery will follow:',
  delivered: 'Your message was delivered:',
};

function answerOf(attempt: EventAttempt): string {
  const codes = [attempt.code, attempt.enhanced].filter((code) => code !== null).join(' ');
  const host = attempt.next_hop === null ? '' : `${hostOf(attempt.next_hop)} answered: `;
  return plain(`${codes === '' ? '' : host}${codes} ${attempt.response}`.trim());
}

// ------------------------------------------------- machine-readable

function statusPart(input: ReportInput): Buffer {
  const { record, recipient, recipientDsn, action, attempt } = input;
  const diagnostic = diagnosticOf(input);
  const lines = [
    ...(record.dsn.envid === null ? [] : [field('Original-Envelope-Id', record.dsn.envid)]),
    field('Reporting-MTA', `dns; ${input.hostname}`),
    field('Arrival-Date', formatMailDate(record.acceptedAt)),
    '',
    ...(recipientDsn?.orcpt == null ? [] : [field('Original-Recipient', typedOrcpt(recipientDsn.orcpt))]),
    field('Final-Recipient', typedAddress(recipient)),
    field('Action', action),
    field('Status', statusOf(input)),
    ...(attempt?.next_hop == null ? [] : [field('Remote-MTA', `dns; ${hostOf(attempt.next_hop)}`)]),
    ...(diagnostic === null ? [] : [field('Diagnostic-Code', diagnostic)]),
    ...(attempt === null ? [] : [field('Last-Attempt-Date', formatMailDate(input.at))]),
    ...(action === 'delayed' ? [field('Will-Retry-Until', formatMailDate(record.deadline))] : []),
    '',
  ];
  return Buffer.from(
    'Content-Type: message/delivery-status\r\nContent-Description: Delivery report\r\n\r\n' + lines.join('\r\n'),
  );
}

/** The status (RFC 3463): its first digit says what `action` says, so a code of another class is not taken over. */
function statusOf({ action, state, attempt, reason }: ReportInput): string {
  const digit = action === 'failed' ? '5' : action === 'delayed' ? '4' : '2';
  // The message ran out of time, whatever the last answer was.
  if (action === 'failed' && state === 'expired') return '5.4.7';
  const enhanced = attempt?.enhanced ?? REPORTED.exec(reason ?? '')?.[1] ?? '';
  return enhanced.startsWith(`${digit}.`) ? enhanced : `${digit}.0.0`;
}

/** `Diagnostic-Code` (RFC 3464, section 2.3.6) of the last answer, or as a later server gave it; null: there was no answer. */
function diagnosticOf({ attempt, reason }: ReportInput): string | null {
  if (attempt === null) return reason !== null && REPORTED.test(reason) ? reason : null;
  if (attempt.code === null) return null;
  const enhanced = attempt.enhanced === null ? '' : `${attempt.enhanced} `;
  return `smtp; ${attempt.code} ${enhanced}${attempt.response}`;
}

/** ORCPT is kept decoded, as `type;address`. */
function typedOrcpt(orcpt: string): string {
  const semicolon = orcpt.indexOf(';');
  return `${orcpt.slice(0, semicolon)}; ${orcpt.slice(semicolon + 1)}`;
}

function typedAddress(address: EnvelopeAddress): string {
  return NON_ASCII.test(address) ? `utf-8; ${utf8Xtext(address)}` : `rfc822; ${address}`;
}

/** utf-8-addr-xtext (RFC 6533, section 3): what is not plain ASCII as `\x{...}`. */
function utf8Xtext(address: string): string {
  let text = '';
  for (const character of address) {
    const point = character.codePointAt(0) ?? 0;
    const embedded = point > 0x7e || point < 0x21 || character === '+' || character === '=' || character === '\\';
    text += embedded ? `\\x{${point.toString(16).toUpperCase().padStart(2, '0')}}` : character;
  }
  return text;
}

/** `host:port` without its port; an address as a literal. */
function hostOf(nextHop: string): string {
  const colon = nextHop.lastIndexOf(':');
  const host = /^\d{1,5}$/.test(nextHop.slice(colon + 1)) && colon !== -1 ? nextHop.slice(0, colon) : nextHop;
  return /^\d{1,3}(?:\.\d{1,3}){3}$/.test(host) ? `[${host}]` : plain(host);
}

// ----------------------------------------------------- what was sent

function returnedPart(input: ReportInput): Buffer | null {
  const { content, record, action } = input;
  if (content === null) return null;
  const header = scanHeader(content);
  // Cannot be: it was parsed when it was accepted.
  if (header.kind === 'malformed') return null;
  // Codes and links of other tags are as secret: whoever hurries, or says how long it is worth something, sends such mail.
  const recovery = input.recovery || record.priority === 'critical' || record.deadlineSource !== 'give-up';
  if (!recovery && action === 'failed' && record.dsn.ret === 'FULL' && content.length <= MAX_RETURNED_BYTES) {
    return returned('message/rfc822', 'Undelivered message', content);
  }
  return returned('text/rfc822-headers', 'Header of the message', headerOf(content, header.fields, recovery));
}

function returned(type: string, description: string, content: Uint8Array): Buffer {
  const encoding = content.some((octet) => octet > 127) ? '8bit' : '7bit';
  const header = `Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\nContent-Description: ${description}\r\n\r\n`;
  return Buffer.concat([Buffer.from(header), content]);
}

function headerOf(content: Uint8Array, fields: readonly HeaderField[], recovery: boolean): Buffer {
  const kept: Uint8Array[] = [];
  let size = 0;
  for (const found of fields) {
    if (recovery && !SHOWN_OF_RECOVERY.has(found.key)) continue;
    size += found.end - found.start;
    if (size > MAX_RETURNED_HEADER_BYTES) break;
    kept.push(content.subarray(found.start, found.end));
  }
  return Buffer.concat(kept);
}

// ------------------------------------------------------------- lines

/** A boundary that no part holds. `=_` is in no base64 and no quoted-printable text. */
function freeBoundary(input: ReportInput, parts: readonly Buffer[]): string {
  for (let number = 0; ; number++) {
    const boundary = `=_report_${input.record.id}_${input.now.toString(36)}_${number}`;
    if (!parts.some((part) => part.includes(boundary))) return boundary;
  }
}

function field(name: string, value: string): string {
  return wrap(`${name}: ${plain(value)}`).join('\r\n\t');
}

/** One line of printable ASCII, cut. */
function plain(text: string): string {
  return text
    .slice(0, MAX_VALUE_CHARACTERS)
    .replaceAll('\u2026', '...')
    .replace(/[^\x20-\x7e]/g, '?');
}

/** `line` in pieces of some 76 characters, cut at spaces; a word longer than a line may be is cut too. */
function wrap(line: string): readonly string[] {
  const pieces: string[] = [];
  let rest = line;
  while (rest.length > FOLD_AT) {
    const before = rest.lastIndexOf(' ', FOLD_AT);
    // Not inside of an indent, and not so that a piece is blank.
    const indent = rest.length - rest.trimStart().length;
    const space = before > indent ? before : rest.indexOf(' ', FOLD_AT);
    const at = space === -1 || space > HARD_FOLD_AT ? Math.min(HARD_FOLD_AT, rest.length) : space;
    pieces.push(rest.slice(0, at));
    rest = rest.slice(rest[at] === ' ' ? at + 1 : at);
  }
  if (rest !== '' || pieces.length === 0) pieces.push(rest);
  return pieces;
}
