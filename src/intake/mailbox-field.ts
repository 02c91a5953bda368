/**
 * A header field with one mailbox, written so that every reader finds the same name and address (RFC 5322, section 3.4;
 * RFC 2047, section 5): printable ASCII names as a quoted string where they need it, all others as encoded-words.
 */

/** Names of these characters need no quotes (RFC 5322, `atext` and space). */
const PLAIN_NAME = /^[A-Za-z0-9!#$%&'*+\-/=?^_`{|}~ ]+$/;
const PRINTABLE = /^[\x20-\x7e]+$/;
/** Octets of UTF-8 in one encoded-word: 60 characters of base64, and 75 with `=?UTF-8?B?` and `?=`. */
const MAX_WORD_OCTETS = 45;
/** A folded line stays well below 78 characters. */
const MAX_LINE_CHARS = 76;

/** The whole field with its CRLF, folded where it is long. `name` holds no control characters; `address` is an addr-spec. */
export function mailboxField(field: string, name: string, address: string): string {
  const words = name === '' ? [] : nameWords(name);
  const angle = name === '' ? address : `<${address}>`;
  let text = `${field}:`;
  let lineChars = text.length;
  for (const word of [...words, angle]) {
    const fold = lineChars + 1 + word.length > MAX_LINE_CHARS && lineChars > field.length + 1;
    text += fold ? `\r\n ${word}` : ` ${word}`;
    lineChars = fold ? 1 + word.length : lineChars + 1 + word.length;
  }
  return `${text}\r\n`;
}

function nameWords(name: string): readonly string[] {
  // What looks like an encoded-word would be decoded by readers.
  if (!PRINTABLE.test(name) || name.includes('=?')) return encodedWords(name);
  if (PLAIN_NAME.test(name)) return [name];
  return [`"${name.replace(/["\\]/g, String.raw`\$&`)}"`];
}

/** Encoded-words of at most 75 characters, never cut inside a character. */
function encodedWords(name: string): readonly string[] {
  const words: string[] = [];
  let part = '';
  for (const character of name) {
    if (Buffer.byteLength(part + character) > MAX_WORD_OCTETS) {
      words.push(part);
      part = '';
    }
    part += character;
  }
  words.push(part);
  return words.map((text) => `=?UTF-8?B?${Buffer.from(text).toString('base64')}?=`);
}
