/**
 * A report about mail that was sent before: a bounce (RFC 3464) or a complaint (RFC 5965) in a message of the form of RFC 6522.
 *
 * Any bytes may come in: what is no report gives null, nothing throws, and time and memory are linear in the message. Of the
 * message that was sent back only its Message-ID and Return-Path are read and kept; its body is looked at for one thing, to
 * strike what the diagnostic text repeats of it, because texts of servers are shown and subjects hold codes.
 *
 * The machine-readable part counts wherever it stands outside of a returned message, at most `MAX_DEPTH` multiparts deep: some
 * gateways wrap a report into a `multipart/mixed` with a disclaimer. An automatic reply has no such part and is no report.
 */
import { type FeedbackFields, readFeedbackFields } from './arf.ts';
import { type DeliveryStatus, readDeliveryStatus } from './dsn.ts';
import { createEchoStriker } from './echo.ts';
import { decodeBody, decodeText, type MimePart, readPart, splitMultipart } from './multipart.ts';
import { addressIn, firstValue, readFieldGroups } from './report-fields.ts';

/** What a report says of the message that it is about. */
export interface ReturnedMessage {
  /** With angle brackets where it has them; null: the report does not hold it. */
  readonly messageId: string | null;
  readonly returnPath: string | null;
}

export type MailReport =
  | ({ readonly kind: 'dsn'; readonly returned: ReturnedMessage } & DeliveryStatus)
  | ({ readonly kind: 'arf'; readonly returned: ReturnedMessage } & FeedbackFields);

const MAX_DEPTH = 4;
const MAX_LEAVES = 64;
/** Octets of the machine-readable part, and of a returned header, that are looked at. */
const MAX_STATUS_BYTES = 64 * 1024;
const MAX_HEADER_BYTES = 64 * 1024;
/** Octets of the returned message that diagnostics are compared with, and characters of a diagnostic that are kept. */
const MAX_ECHO_BYTES = 32 * 1024;
const MAX_DIAGNOSTIC_CHARACTERS = 500;

const STATUS_TYPES: ReadonlySet<string> = new Set(['message/delivery-status', 'message/global-delivery-status']);
const FEEDBACK_TYPE = 'message/feedback-report';
const RETURNED_TYPES: ReadonlySet<string> = new Set([
  'message/rfc822',
  'message/global',
  'text/rfc822-headers',
  'message/rfc822-headers',
  'message/global-headers',
]);
const MESSAGE_ID = /^<[^<>\s\p{C}]{1,900}>$/u;

/** Reads `bytes` (a whole message); null when it is no report. */
export function readReport(bytes: Uint8Array): MailReport | null {
  const leaves: MimePart[] = [];
  collectLeaves(readPart(bytes), 0, leaves);
  const returnedPart = leaves.find((leaf) => RETURNED_TYPES.has(leaf.contentType.type));
  const returned = readReturned(returnedPart);
  for (const leaf of leaves) {
    const { type } = leaf.contentType;
    if (type === FEEDBACK_TYPE) {
      const fields = readFeedbackFields(decodeText(leaf, MAX_STATUS_BYTES));
      if (fields !== null) return { kind: 'arf', returned, ...fields };
    } else if (STATUS_TYPES.has(type)) {
      const status = readDeliveryStatus(decodeText(leaf, MAX_STATUS_BYTES));
      if (status !== null) return { kind: 'dsn', returned, ...withoutEchoes(status, returnedPart) };
    }
  }
  return null;
}

function collectLeaves(part: MimePart, depth: number, leaves: MimePart[]): void {
  if (leaves.length >= MAX_LEAVES) return;
  if (!part.contentType.type.startsWith('multipart/')) {
    leaves.push(part);
    return;
  }
  if (depth >= MAX_DEPTH) return;
  for (const bytes of splitMultipart(part)) collectLeaves(readPart(bytes), depth + 1, leaves);
}

function readReturned(part: MimePart | undefined): ReturnedMessage {
  if (part === undefined) return { messageId: null, returnPath: null };
  const [header] = readFieldGroups(decodeText(part, MAX_HEADER_BYTES).trimStart(), 1);
  const messageId = firstValue(header, 'message-id');
  return {
    messageId: messageId !== null && MESSAGE_ID.test(messageId) ? messageId : null,
    returnPath: addressIn(firstValue(header, 'return-path')),
  };
}

/**
 * The diagnostics without what they repeat of the message. Where the report brings no subject to compare with, what a
 * diagnostic quotes cannot be told from the server's own words: then its codes alone are kept.
 */
function withoutEchoes(status: DeliveryStatus, returned: MimePart | undefined): DeliveryStatus {
  const content = returned === undefined ? null : comparable(returned);
  const striker = content === null ? codesAlone : createEchoStriker(content);
  const strike = (text: string): string => striker(text.slice(0, MAX_DIAGNOSTIC_CHARACTERS));
  return {
    ...status,
    recipients: status.recipients.map((recipient) => ({
      ...recipient,
      diagnostic: recipient.diagnostic === null ? null : strike(recipient.diagnostic),
    })),
  };
}

/** The returned message, or null when it has no subject: `text/rfc822-headers` may end without the line end of its last field. */
function comparable(returned: MimePart): Uint8Array | null {
  const bytes = Buffer.concat([decodeBody(returned, MAX_ECHO_BYTES), Buffer.from('\r\n\r\n')]);
  return /^subject[ \t]*:/im.test(bytes.toString('latin1')) ? bytes : null;
}

/** `smtp; 550 5.7.1 Message with subject ...` -> `smtp; 550 5.7.1 (text withheld ...)`. */
function codesAlone(diagnostic: string): string {
  const codes = /^(?:[a-z0-9-]{1,20};\s*)?(?:\d{3}(?:[ -]\d\.\d{1,3}\.\d{1,3})?|\d\.\d{1,3}\.\d{1,3})(?=[\s:]|$)/i.exec(
    diagnostic.trim(),
  );
  const kept = codes?.[0] ?? '';
  if (kept.length === diagnostic.trim().length) return kept;
  return `${kept} (text withheld: the report does not bring the message that it may quote)`.trim();
}
