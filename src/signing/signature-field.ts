/**
 * The text of a DKIM-Signature header field (RFC 6376, section 3.5), folded under 78 characters.
 *
 * It has no `l=` (nothing may be appended to a signed body) and no `i=` (the domain is the identity).
 * Known limit: a domain or selector of more than 70 characters makes its line longer; names cannot be folded.
 */
import type { DkimAlgorithm } from './keys.ts';

export interface SignatureTags {
  readonly algorithm: DkimAlgorithm;
  readonly domain: string;
  readonly selector: string;
  /** Whole seconds since the epoch. */
  readonly timestamp: number;
  /** Names in the order of the hash. */
  readonly signedNames: readonly string[];
  /** Base64. */
  readonly bodyHash: string;
}

const FOLD = '\r\n\t';
/** Characters in a folded line behind its tab. */
const LINE_LENGTH = 72;

/** The field up to `b=`, without the signature and without a CRLF. */
export function unsignedField(tags: SignatureTags): string {
  return [
    `DKIM-Signature: v=1; a=${tags.algorithm}; c=relaxed/relaxed;`,
    `d=${tags.domain};`,
    `s=${tags.selector}; t=${tags.timestamp};`,
    `h=${foldNames(tags.signedNames)};`,
    `bh=${tags.bodyHash};`,
    'b=',
  ].join(FOLD);
}

/** The whole field with `signature` (base64) and its CRLF. */
export function signedField(unsigned: string, signature: string): string {
  let text = unsigned;
  for (let i = 0; i < signature.length; i += LINE_LENGTH) {
    text += (i === 0 ? '' : FOLD) + signature.slice(i, i + LINE_LENGTH);
  }
  return `${text}\r\n`;
}

function foldNames(names: readonly string[]): string {
  let text = '';
  // `h=` stands in the first line.
  let lineLength = 2;
  for (const [index, name] of names.entries()) {
    const piece = index === 0 ? name : `:${name}`;
    if (lineLength + piece.length > LINE_LENGTH) {
      text += FOLD;
      lineLength = 0;
    }
    text += piece;
    lineLength += piece.length;
  }
  return text;
}
