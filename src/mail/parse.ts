/**
 * The door through which message bytes come in: what is malformed is refused here, before policy and signing see it.
 *
 * It never repairs a line end and never changes an octet; it adds a CRLF when the last line has none, because SMTP sends
 * lines. Two mail programs that split the same bytes differently are what SMTP smuggling lives on, so whatever is not
 * plain CRLF lines is refused (RFC 5321, section 2.3.8; RFC 5322, section 2.1.1), and so are a second From, Date,
 * Message-ID, Subject, To, Reply-To or Sender (RFC 5322, section 3.6), of which every reader shows another one.
 *
 * Known limits: MIME structure is not looked at. Header values may hold octets above 127 in any character set.
 */
import { type HeaderField, type MessageLayout, scanHeader } from './header.ts';

export interface ParsedMessage extends MessageLayout {
  readonly kind: 'message';
  /** The input, or a copy with CRLF at its end. */
  readonly bytes: Uint8Array;
  /** True when any octet is above 127 (8BITMIME, RFC 6152). */
  readonly eightBit: boolean;
}

export interface MalformedMessage {
  readonly kind: 'malformed';
  readonly code: 550 | 554;
  /** Enhanced status code (RFC 3463). */
  readonly enhanced: string;
  /** Printable ASCII, one line; repeats nothing of the message. */
  readonly reason: string;
}

/** Octets in a line without its CRLF (RFC 5322, section 2.1.1). */
export const MAX_LINE_OCTETS = 998;
/** More hops than this are a loop (RFC 5321, section 6.3). */
export const MAX_RECEIVED_FIELDS = 50;

const SINGLE_FIELDS: ReadonlyMap<string, string> = new Map(
  ['From', 'Date', 'Message-ID', 'Subject', 'To', 'Reply-To', 'Sender'].map((name) => [name.toLowerCase(), name]),
);

const LF = 10;
const CR = 13;

/** Checks `bytes`, dots already unstuffed, and finds the header fields. */
export function parseMessage(bytes: Uint8Array): ParsedMessage | MalformedMessage {
  const lines = scanLines(bytes);
  if (lines.fault !== null) return malformed(lines.fault);
  const whole = lines.endsInCrlf ? bytes : withCrlf(bytes);
  const header = scanHeader(whole);
  if (header.kind === 'malformed') return malformed(header.reason);
  return (
    checkFields(header.fields) ?? {
      kind: 'message',
      bytes: whole,
      fields: header.fields,
      bodyStart: header.bodyStart,
      eightBit: lines.eightBit,
    }
  );
}

interface LineScan {
  readonly fault: string | null;
  readonly eightBit: boolean;
  readonly endsInCrlf: boolean;
}

/** One pass over every octet. */
function scanLines(bytes: Uint8Array): LineScan {
  const length = bytes.length;
  let highBits = 0;
  let lineStart = 0;
  for (let i = 0; i < length; i++) {
    const octet = bytes[i] ?? 0;
    highBits |= octet;
    if (octet > CR) continue;
    if (octet === 0) return lineFault('NUL octet in the message');
    if (octet === LF) return lineFault('bare LF in the message (lines must end in CRLF; with curl: --crlf)');
    if (octet !== CR) continue;
    if (bytes[i + 1] !== LF) return lineFault('bare CR in the message (lines must end in CRLF; with curl: --crlf)');
    if (i - lineStart > MAX_LINE_OCTETS) return lineFault(LONG_LINE);
    i++;
    lineStart = i + 1;
  }
  if (length - lineStart > MAX_LINE_OCTETS) return lineFault(LONG_LINE);
  return { fault: null, eightBit: highBits > 127, endsInCrlf: lineStart === length };
}

const LONG_LINE = `line longer than ${MAX_LINE_OCTETS} octets`;

function lineFault(fault: string): LineScan {
  return { fault, eightBit: false, endsInCrlf: false };
}

function withCrlf(bytes: Uint8Array): Uint8Array {
  const whole = Buffer.allocUnsafeSlow(bytes.length + 2);
  whole.set(bytes);
  whole[bytes.length] = CR;
  whole[bytes.length + 1] = LF;
  return whole;
}

function checkFields(fields: readonly HeaderField[]): MalformedMessage | null {
  const seen = new Set<string>();
  let received = 0;
  for (const { key } of fields) {
    if (key === 'received') received++;
    const name = SINGLE_FIELDS.get(key);
    if (name === undefined) continue;
    if (seen.has(key)) return malformed(`more than one ${name} header field`);
    seen.add(key);
  }
  if (received > MAX_RECEIVED_FIELDS) {
    return {
      kind: 'malformed',
      code: 554,
      enhanced: '5.4.6',
      reason: `mail loop: more than ${MAX_RECEIVED_FIELDS} Received header fields`,
    };
  }
  return seen.has('from') ? null : malformed('no From header field');
}

function malformed(reason: string): MalformedMessage {
  return { kind: 'malformed', code: 550, enhanced: '5.6.0', reason };
}
