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
const EDGE = /^[\s"'`([{<:;,.!?]+|[\s"'`)\]}>:;,.!?]+$/g;

/** `reply` without what it repeats of `content` (a whole message); mostly `reply` itself. */
export function strikeEchoes(reply: string, content: Uint8Array): string {
  const words = reply.split(' ');
  const plain = words.map((word) => word.replace(EDGE, '').toLowerCase());
  const suspicious = plain.some(isCodeLike) || words.length >= WORDS_OF_A_QUOTE;
  if (!suspicious) return reply;
  const text = textOf(content);
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
  if (header.kind === 'malformed') return '';
  const [subject] = fieldsNamed(header.fields, 'subject');
  const body = Buffer.from(bytes.buffer, bytes.byteOffset + header.bodyStart, bytes.length - header.bodyStart);
  const raw: string = body.toString('latin1');
  const unquoted = raw
    .replace(SOFT_BREAK, '')
    .replace(QUOTED_OCTET, (_octet, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  const pieces = [
    subject === undefined ? '' : decodeWords(fieldValue(bytes, subject)),
    body.toString('utf8'),
    Buffer.from(unquoted, 'latin1').toString('utf8'),
    ...[...raw.matchAll(BASE64_LINES)].map(([lines]) => Buffer.from(lines, 'base64').toString('utf8')),
  ];
  const words = pieces.flatMap((piece) => piece.split(/\s+/).map((word) => word.replace(EDGE, '').toLowerCase()));
  return ` ${words.filter((word) => word !== '').join(' ')} `;
}
