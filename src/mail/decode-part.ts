/**
 * The octets of a text part as text: transfer encoding (RFC 2045, section 6) and character set undone, bounded.
 *
 * Read the way that mail readers do it, which is lenient: base64 goes on after padding in the middle, a wrong `=XY` stays as
 * it stands. What cannot be undone is said (`faults`) and read as well as it can be: a link must not hide behind an unknown
 * name. Every step is one pass over at most a few times `maxOctets` of input.
 *
 * Known limit: a character set named inside of HTML (`<meta charset>`) does not count; mail readers go by the header.
 */
import { isUtf8 } from 'node:buffer';
import { TextDecoder } from 'node:util';

export interface DecodedOctets {
  readonly octets: Buffer;
  /** False: there are more than `maxOctets` of them. */
  readonly whole: boolean;
  readonly fault: 'encoding' | null;
}

export interface DecodedText {
  readonly text: string;
  readonly fault: 'charset' | null;
}

/** Input octets looked at for each octet that is kept: `=41` is three, and white space comes on top. */
const INPUT_FOR_OUTPUT = 4;
/** Runs of base64 that padding may cut a part into; mail has one. */
const MAX_BASE64_RUNS = 1000;

const EQUALS = 0x3d;
const LF = 10;
const CR = 13;
const SPACE = 32;
const TAB = 9;

/** `body` with its transfer encoding (lower case) undone; at most `maxOctets` octets come out. */
export function decodeOctets(body: Buffer, encoding: string, maxOctets: number): DecodedOctets {
  switch (encoding) {
    case '7bit':
    case '8bit':
    case 'binary':
      return cut(body, body.length, maxOctets, null);
    case 'quoted-printable':
      return decodeQuotedPrintable(body, maxOctets);
    case 'base64':
      return decodeBase64(body, maxOctets);
    default:
      return cut(body, body.length, maxOctets, 'encoding');
  }
}

/** `octets` as text; without a character set: UTF-8 where they are valid UTF-8, else windows-1252, as mail readers guess. */
export function decodeCharset(octets: Buffer, charset: string | null): DecodedText {
  const name = charset?.trim().toLowerCase() ?? '';
  const marked = markOf(octets);
  if (marked !== null) return markedText(octets, marked, name);
  // US-ASCII says nothing about octets above 127; what stands there is guessed.
  if (name === '' || name === 'us-ascii' || name === 'ascii' || name === 'unknown-8bit') {
    return { text: guess(octets), fault: null };
  }
  try {
    const decoder = new TextDecoder(name);
    // Without an order or a mark some readers take the one order and some the other (RFC 2781, section 4.3).
    const ordered = !decoder.encoding.startsWith('utf-16') || name === 'utf-16le' || name === 'utf-16be';
    return { text: decoder.decode(octets), fault: ordered ? null : 'charset' };
  } catch {
    // A name that the runtime does not know.
    return { text: guess(octets), fault: 'charset' };
  }
}

/** A byte order mark against the name of the character set is believed by some readers and not by others. */
function markedText(octets: Buffer, marked: 'utf-16le' | 'utf-16be', name: string): DecodedText {
  return {
    text: new TextDecoder(marked).decode(octets),
    fault: name === 'utf-16' || name === marked ? null : 'charset',
  };
}

/** Which UTF-16 a byte order mark in front of `octets` tells of; null: there is none. */
function markOf(octets: Buffer): 'utf-16le' | 'utf-16be' | null {
  const mark = octets.length < 2 ? 0 : octets.readUInt16BE(0);
  if (mark === 0xfffe) return 'utf-16le';
  return mark === 0xfeff ? 'utf-16be' : null;
}

function guess(octets: Buffer): string {
  return isUtf8(octets) ? octets.toString('utf8') : new TextDecoder('windows-1252').decode(octets);
}

function cut(octets: Buffer, length: number, maxOctets: number, fault: 'encoding' | null): DecodedOctets {
  return { octets: octets.subarray(0, maxOctets), whole: length <= maxOctets, fault };
}

function decodeQuotedPrintable(body: Buffer, maxOctets: number): DecodedOctets {
  const input = body.subarray(0, maxOctets * INPUT_FOR_OUTPUT);
  const output = Buffer.allocUnsafe(Math.min(input.length, maxOctets));
  let written = 0;
  let at = 0;
  while (at < input.length && written < output.length) {
    const octet = input[at] ?? 0;
    at++;
    if (octet !== EQUALS) {
      output[written++] = octet;
      continue;
    }
    const afterBreak = softLineBreak(input, at);
    if (afterBreak !== -1) {
      at = afterBreak;
      continue;
    }
    const value = hexValue(input[at]) * 16 + hexValue(input[at + 1]);
    output[written++] = Number.isNaN(value) ? octet : value;
    if (!Number.isNaN(value)) at += 2;
  }
  return { octets: output.subarray(0, written), whole: at >= body.length, fault: null };
}

/** Past the soft line break whose `=` stands in front of `at`, or -1. */
function softLineBreak(input: Buffer, at: number): number {
  let end = at;
  while (input[end] === SPACE || input[end] === TAB) end++;
  if (input[end] === CR) end++;
  if (input[end] === LF) return end + 1;
  return end >= input.length ? end : -1;
}

function hexValue(octet: number | undefined): number {
  if (octet === undefined) return Number.NaN;
  if (octet >= 0x30 && octet <= 0x39) return octet - 0x30;
  const lower = octet | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : Number.NaN;
}

function decodeBase64(body: Buffer, maxOctets: number): DecodedOctets {
  const inputLength = Math.min(body.length, maxOctets * INPUT_FOR_OUTPUT);
  const text = body.toString('latin1', 0, inputLength).replace(/[^A-Za-z0-9+/=]+/g, '');
  const runs = text.split(/=+/, MAX_BASE64_RUNS + 1).filter((run) => run !== '');
  const octets = Buffer.concat(runs.slice(0, MAX_BASE64_RUNS).map((run) => Buffer.from(run, 'base64')));
  const whole = inputLength === body.length && octets.length <= maxOctets;
  return { octets: octets.subarray(0, maxOctets), whole, fault: runs.length > MAX_BASE64_RUNS ? 'encoding' : null };
}
