/**
 * Text from outside made harmless for a terminal.
 *
 * Replies of next hops, recipients, tags and names are other people's text: without this, one of them could move the
 * cursor, recolour, retitle or, on some terminals, type. ANSI sequences go as a whole, other control and format characters
 * one by one, line ends become spaces.
 */
import { stripVTControlCharacters } from 'node:util';

/** `text` on one line, without control characters, ANSI sequences and marks that turn the direction of writing. */
export function clean(text: string): string {
  return stripVTControlCharacters(text)
    .replace(/[\s\p{Zl}\p{Zp}]+/gu, ' ')
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/gu, '')
    .trim();
}

/** `text` cut to `max` characters, with an ellipsis where something is missing. */
export function cut(text: string, max: number): string {
  const characters = [...text];
  return characters.length <= max ? text : `${characters.slice(0, Math.max(0, max - 1)).join('')}…`;
}
