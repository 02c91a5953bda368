/**
 * What a next hop's reply repeats of the message it was given: subject, codes, words of the body, pieces of a link.
 *
 * A filter that refuses a mail likes to quote it, and reply texts are kept and shown. Only here are both at hand, so only here
 * can a quote be told from the server's own words. Struck out: three or more words in a row that stand so in the subject or
 * the body; a word with a digit of four or more characters, or with a slash, that stands there.
 *
 * Known limits: the first 256 KB of the message are looked at; a quote of one or two plain words passes, for such words
 * (`unknown user`) are the server's own more often than not.
 */
import { decodeWords } from './encoded-words.ts';
import { fieldsNamed, fieldValue, scanHeader } from './header.ts';

const MAX_OCTETS = 256 * 1024;
const WORDS_OF_A_QUOTE = 3;
const MIN_CODE_CHARACTERS = 4;
const ELLIPSIS = '\u2026';

/** Octets of quoted-printable (RFC 2045, section 6.7). */
const SOFT_BREAK = /=\r\n/g;
const QUOTED_OCTET = /=([0-9A-F]{2})/gi;
/** Lines of base64 in a row (RFC 2045, section 6.8). */
const BASE64_LINES = /(?:^[A-Za-z0-9+/]{20,76}={0,2}\r\n)+/gm;
/** What may stand around a word without being part of it. Taken off by hand: a pattern with `$` would try every run of them. */
const BEFORE: ReadonlySet<string> = new Set('"\'`([{<:;,.!?');
const AFTER: ReadonlySet<string> = new Set('"\'`)]}>:;,.!?');
const ENHANCED_CODE = /^\d\.\d{1,3}\.\d{1,3}$/;
/** What servers say when all is well. */
const PLEASANTRIES: ReadonlySet<string> = new Set(
  `a accepted action and as bytes completed complete data delivered delivery done for from has id in is it mail message
  messages ok okay proceed queue queued received requested sent smtp stored success successful successfully thank thanks
  the this to with you your`.split(/\s+/),
);

/** `reply` without what it repeats of `content` (a whole message); mostly `reply` itself. */
export function strikeEchoes(reply: string, content: Uint8Array): string {
  return createEchoStriker(content)(reply);
}

/**
 * Whether `reply`, the answer of a server that took the message, is of its own words and a queue id alone. Almost all are, and
 * then the message need not be read: that costs more than all else of a delivery.
 */
export function isPlainThanks(reply: string, content: Uint8Array): boolean {
  const bytes = Buffer.from(content.buffer, content.byteOffset, content.byteLength);
  return reply.split(' ').every((given) => {
    const word = trimmed(given);
    const key = word.toLowerCase();
    if (word === '' || PLEASANTRIES.has(key) || ENHANCED_CODE.test(word)) return true;
    return isCodeLike(key) && !bytes.includes(word) && !bytes.includes(key);
  });
}

/** As `strikeEchoes`, for several texts about one message, which is read once and only when a text gives reason to. */
export function createEchoStriker(content: Uint8Array): (reply: string) => string {
  let text: string | null = null;
  return (reply) => strike(reply, () => (text ??= textOf(content)));
}

function strike(reply: string, textOfMessage: () => string): string {
  const words = reply.split(' ');
  const plain = words.map((word) => trimmed(word).toLowerCase());
  const suspicious = plain.some(isCodeLike) || words.length >= WORDS_OF_A_QUOTE;
  if (!suspicious) return reply;
  const text = textOfMessage();
  const struck = plain.map((word) => isCodeLike(word) && repeats(word, text));
  for (let from = 0; from + WORDS_OF_A_QUOTE <= words.length; from++) {
    const quote = plain.slice(from, from + WORDS_OF_A_QUOTE);
    if (quote.every((word) => word !== '') && text.includes(` ${quote.join(' ')} `)) {
      struck.fill(true, from, from + WORDS_OF_A_QUOTE);
    }
  }
  if (!struck.includes(true)) return reply;
  return words
    .flatMap((word, index) => (struck[index] === true ? (struck[index - 1] === true ? [] : [ELLIPSIS]) : [word]))
    .join(' ');
}

function isCodeLike(word: string): boolean {
  return word.length >= MIN_CODE_CHARACTERS && (/\d/.test(word) || word.includes('/'));
}

/** Whether `word`, or a piece of it that could be a code, stands in `text`. */
function repeats(word: string, text: string): boolean {
  if (text.includes(word)) return true;
  return word
    .split(/[/?=&]/)
    .some((piece) => /\d/.test(piece) && piece.length >= MIN_CODE_CHARACTERS && text.includes(piece));
}

/** Subject and body as lower-case words with single spaces between and around them, encoded forms decoded beside them. */
function textOf(content: Uint8Array): string {
  const bytes = content.subarray(0, MAX_OCTETS);
  const header = scanHeader(bytes);
  // A header that is none: all of it counts, for nothing may pass because it could not be read.
  const bodyStart = header.kind === 'malformed' ? 0 : header.bodyStart;
  const [subject] = header.kind === 'malformed' ? [] : fieldsNamed(header.fields, 'subject');
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + bodyStart, bytes.length - bodyStart);
  const raw: string = body.toString('latin1');
  const unquoted = raw
    .replace(SOFT_BREAK, '')
    .replace(QUOTED_OCTET, (_octet, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const pieces = [
    subject === undefined ? '' : decodeWords(fieldValue(bytes, subject)),
    ...(header.kind === 'malformed' ? [decodeWords(body.toString('utf8'))] : []),
    body.toString('utf8'),
    Buffer.from(unquoted, 'latin1').toString('utf8'),
    ...[...raw.matchAll(BASE64_LINES)].map(([lines]) => Buffer.from(lines, 'base64').toString('utf8')),
  ];
  const words = pieces.flatMap((piece) => piece.split(/\s+/).map((word) => trimmed(word).toLowerCase()));
  return ` ${words.filter((word) => word !== '').join(' ')} `;
}

function trimmed(word: string): string {
  let from = 0;
  let to = word.length;
  while (from < to && BEFORE.has(word.charAt(from))) from++;
  while (to > from && AFTER.has(word.charAt(to - 1))) to--;
  return word.slice(from, to);
}
