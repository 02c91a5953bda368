/**
 * The From header field: exactly one mailbox, and one that every reader finds (RFC 5322, section 3.6.2; RFC 2047).
 *
 * The address decides which sender rules and which DKIM key apply, so a field that another parser could read as another
 * address is refused, even where RFC 5322 would let it pass. Three readings must agree: this file's own grammar, the
 * strict one of `core/address`, and nodemailer's lenient parser.
 *
 * Accepted: `a@b.example`, `Name <a@b.example>`, `"Any, text" <a@b.example>`, `"x@y.example" <a@b.example>`, encoded-words
 * in the name, comments before and after. Refused: none or several mailboxes, groups, routes, quoted local parts, white
 * space, comments or encoded-words inside the address, nested comments, control characters; and names that hold an address
 * for a parser that splits, unquotes or decodes too early: `@` unquoted (`a@b <c@d>`), encoded, in a comment, or quoted
 * together with a comma, semicolon or backslash (unless the name is the address itself); `<` in a name, `<` or `>` in a comment.
 *
 * Known limit: a name in a character set that this runtime does not know is checked octet by octet.
 */
import { isAscii, isUtf8 } from 'node:buffer';
import addressparser from 'nodemailer/lib/addressparser';
import { type EnvelopeAddress, parseEnvelopeAddress } from '../core/address.ts';
import { decodeWords } from './encoded-words.ts';
import { fieldValue, fieldsNamed, type HeaderField } from './header.ts';

export type ParsedFrom =
  /** `name` is the display name with quotes and encoded-words decoded; empty when there is none. */
  | { readonly kind: 'from'; readonly address: EnvelopeAddress; readonly name: string }
  /** `reason` is printable ASCII and repeats nothing of the field. */
  | { readonly kind: 'malformed'; readonly reason: string };

/** Characters in the unfolded value. */
const MAX_LENGTH = 2048;

const CONTROL = /[^\P{Cc}\t]/u;

/** Reads the From field of a message that `parseMessage` has passed. */
export function parseFrom(bytes: Uint8Array, fields: readonly HeaderField[]): ParsedFrom {
  const from = fieldsNamed(fields, 'from');
  const field = from[0];
  if (field === undefined) return malformed('no From header field');
  if (from.length > 1) return malformed('more than one From header field');
  const parsed = parseFromValue(fieldValue(bytes, field));
  if (parsed.kind === 'malformed' || isAscii(Buffer.from(parsed.address))) return parsed;
  // A value that is not UTF-8 was read as ISO-8859-1: good enough for a name, not for an address.
  return isUtf8(bytes.subarray(field.valueStart, field.end))
    ? parsed
    : malformed('From address: octets that are not UTF-8');
}

/** Reads the unfolded value of a From field; `lenient` is the second opinion. */
export function parseFromValue(value: string, lenient: LenientParser = addressparser): ParsedFrom {
  if (value.trim() === '') return malformed('empty From header field');
  if (value.length > MAX_LENGTH) return malformed(`From header field longer than ${MAX_LENGTH} characters`);
  if (CONTROL.test(value)) return malformed('control characters in the From header field');
  const mailbox = readMailbox(value);
  if (mailbox.kind === 'malformed') return mailbox;

  if (mailbox.address.includes('=?')) return malformed('From address: encoded-words are not accepted');
  const parsed = parseEnvelopeAddress(mailbox.address, { smtpUtf8: true });
  if (parsed.kind === 'malformed') return malformed(`From address: ${parsed.reason}`);
  const found = lenient(value);
  if (found.length !== 1 || found[0]?.address !== parsed.address) {
    return malformed('From header field that can be read as another address');
  }
  return { kind: 'from', address: parsed.address, name: mailbox.name };
}

type LenientParser = (value: string) => readonly { readonly address?: string | undefined }[];

interface Mailbox {
  readonly kind: 'mailbox';
  readonly address: string;
  readonly name: string;
}

interface Tokenized {
  readonly kind: 'tokens';
  readonly tokens: readonly Token[];
}

interface Token {
  readonly kind: 'text' | 'quoted' | 'comment' | 'angle';
  /** Without its delimiters, escapes as they stand. */
  readonly text: string;
}

type Malformed = Extract<ParsedFrom, { kind: 'malformed' }>;

function readMailbox(value: string): Mailbox | Malformed {
  const tokenized = tokenize(value);
  if (tokenized.kind === 'malformed') return tokenized;
  const { tokens } = tokenized;
  const comments = tokens.filter((token) => token.kind === 'comment');
  const rest = tokens.filter(
    (token) => token.kind !== 'comment' && (token.kind !== 'text' || token.text.trim() !== ''),
  );
  const last = rest.at(-1);
  if (last?.kind === 'angle') {
    const words = rest.slice(0, -1);
    if (words.some((token) => token.kind === 'angle')) return malformed('several addresses in the From header field');
    return withName(last.text, words.length > 0 ? words : comments, [...words, ...comments]);
  }
  if (rest.some((token) => token.kind === 'angle')) return malformed('text after the address in the From header field');
  if (rest.some((token) => token.kind === 'quoted'))
    return malformed('From address: quoted local parts are not accepted');
  if (rest.length > 1) return malformed('From address: comments are not accepted inside');
  if (last === undefined) return malformed('no address in the From header field');
  return withName(trimBlank(last.text), comments, comments);
}

/** The mailbox, unless one of the display parts could be taken for an address. */
function withName(address: string, name: readonly Token[], display: readonly Token[]): Mailbox | Malformed {
  for (const token of display) {
    const fault = findDisplayFault(token, address);
    if (fault !== null) return malformed(fault);
  }
  const text = name.map((token) => decodeWords(unescape(token))).join(' ');
  return { kind: 'mailbox', address, name: text.replace(/\s+/g, ' ').trim() };
}

function findDisplayFault(token: Token, address: string): string | null {
  const plain = unescape(token);
  const decoded = decodeWords(plain);
  if (CONTROL.test(decoded)) return 'control characters in the name of the From header field';
  // Behind the address only a comment may stand: one that closes a bracket would end the address there for a greedy parser.
  if (decoded.includes('<') || (token.kind === 'comment' && decoded.includes('>'))) {
    return 'angle bracket in the name of the From header field';
  }
  if (!/[@\uff20\ufe6b]/.test(decoded) || decoded.trim() === address) return null;
  const harmless = token.kind === 'quoted' && decoded === plain && !/[,;\\]/.test(token.text);
  return harmless ? null : 'an address in the name of the From header field';
}

/** Takes `value` apart at quotes, comments and angle brackets; escapes hide a delimiter inside of quotes and comments. */
function tokenize(value: string): Tokenized | Malformed {
  const tokens: Token[] = [];
  let position = 0;
  while (position < value.length) {
    const delimited = DELIMITED.get(value.charAt(position));
    const from = position + (delimited === undefined ? 0 : 1);
    let end = from;
    while (end < value.length && !(delimited?.until ?? ENDS_TEXT).includes(value.charAt(end))) {
      end += delimited?.escapes === true && value.charAt(end) === '\\' ? 2 : 1;
    }
    const text = value.slice(from, end);
    if (delimited === undefined) {
      const fault = findTextFault(text);
      if (fault !== null) return malformed(fault);
      tokens.push({ kind: 'text', text });
      position = end;
      continue;
    }
    if (value.charAt(end) !== delimited.close) return malformed(`From header field with ${delimited.fault}`);
    tokens.push({ kind: delimited.kind, text });
    position = end + 1;
  }
  return { kind: 'tokens', tokens };
}

interface Delimited {
  readonly kind: Token['kind'];
  readonly close: string;
  /** Characters that end it, rightly or not. */
  readonly until: string;
  readonly escapes: boolean;
  readonly fault: string;
}

const ENDS_TEXT = '"(<';
const DELIMITED: ReadonlyMap<string, Delimited> = new Map([
  ['"', { kind: 'quoted', close: '"', until: '"', escapes: true, fault: 'a quote that does not end' }],
  ['(', { kind: 'comment', close: ')', until: '()', escapes: true, fault: 'a comment that is nested or does not end' }],
  ['<', { kind: 'angle', close: '>', until: '<>', escapes: false, fault: 'an angle bracket that is not closed' }],
]);

function findTextFault(text: string): string | null {
  const found = /[,;:>)\\]/.exec(text)?.[0];
  switch (found) {
    case undefined:
      return null;
    case ',':
      return 'several addresses in the From header field';
    case ':':
    case ';':
      return 'a group or route in the From header field';
    default:
      return 'a misplaced bracket or backslash in the From header field';
  }
}

function unescape(token: Token): string {
  return token.kind === 'quoted' || token.kind === 'comment' ? token.text.replace(/\\(.)/gsu, '$1') : token.text;
}

/** Space and tab are the only blanks of a header; other white space belongs to the address, and makes it a bad one. */
function trimBlank(text: string): string {
  return text.replace(/^[ \t]+|[ \t]+$/g, '');
}

function malformed(reason: string): Malformed {
  return { kind: 'malformed', reason };
}
