/** Encoded-words: text outside ASCII in header fields (RFC 2047). */
import { TextDecoder } from 'node:util';

const BETWEEN_ENCODED_WORDS = /(\?=)[ \t]+(?==\?)/g;
/** charset, optionally with a language (RFC 2231); encoding; text. */
const ENCODED_WORD = /=\?([^?*\s]{1,40})(?:\*[^?\s]{1,40})?\?([BQ])\?([^?]*)\?=/gi;

/** `text` with its encoded-words decoded (RFC 2047), also where the RFC would not have them. */
export function decodeWords(text: string): string {
  return text
    .replace(BETWEEN_ENCODED_WORDS, '$1')
    .replace(ENCODED_WORD, (_word, charset: string, encoding: string, encoded: string) => {
      const octets = encoding.toUpperCase() === 'B' ? Buffer.from(encoded, 'base64') : decodeQ(encoded);
      return decodeCharset(octets, charset);
    });
}

function decodeQ(encoded: string): Buffer {
  const latin1 = encoded
    .replaceAll('_', ' ')
    .replace(/=([0-9A-F]{2})/gi, (_escape, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
  return Buffer.from(latin1, 'latin1');
}

function decodeCharset(octets: Buffer, charset: string): string {
  let decoder: TextDecoder;
  try {
    decoder = new TextDecoder(charset);
  } catch {
    // A name that the runtime does not know.
    return octets.toString('latin1');
  }
  return decoder.decode(octets);
}
