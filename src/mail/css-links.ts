/**
 * The addresses in a style sheet or style attribute (CSS Syntax, section 4): `url(...)`, `src(...)`, `@import "..."`, the strings of
 * `image-set(...)` and its kin, and `src='...'` of old filters.
 *
 * Comments and strings are not told apart from the rest: what stands in one is found as well. So nothing can hide behind a quote
 * or comment that a reader sees otherwise. Escapes (`\75rl(`) are undone, and what is found before and after that counts.
 *
 * Linear: every quantifier is bounded or followed by something optional, so no match is tried twice.
 * Known limit: addresses put together by variables, `attr()` or scripts.
 */

export interface CssAddresses {
  /** As they stand. */
  readonly addresses: readonly string[];
  /** False: there are more, or one that could not be made out. */
  readonly whole: boolean;
}

/** Escapes that are undone; icons in a style sheet take some dozen. */
const MAX_ESCAPES = 1000;
const ESCAPE = /\\(?:([0-9a-f]{1,6})(?:\r\n|[ \t\r\n\f])?|([^\r\n\f0-9a-f]))/gi;
const QUOTED_OR_BARE = String.raw`(?:"([^"]*)|'([^']*)|([^"')\s;][^)\s;]*))`;
const FUNCTION: RegExp = new RegExp(String.raw`\b(?:url|src)\([ \t\r\n\f]*${QUOTED_OR_BARE}`, 'gi');
const IMPORT = /@import(?![\w-])[^"'(;]{0,200}(?:"([^"]*)|'([^']*)|(\())?/gi;
const FILTER = /\bsrc[ \t]{0,20}=[ \t]{0,20}(?:"([^"]*)|'([^']*))/gi;
/** Functions in which a bare string is an address. */
const IMAGE_FUNCTION = /(?:image-set|cross-fade|\bimage)\(/i;
const STRING_ADDRESS = /["']\s{0,100}((?:[a-z][a-z0-9+.-]{0,30}:)?[/\\]{2}[^"'\s]{1,4000})/gi;

/** The addresses in `css`, each once; at most `maxAddresses`. */
export function findCssAddresses(css: string, maxAddresses: number): CssAddresses {
  if (!/[(@=\\]/.test(css)) return { addresses: [], whole: true };
  const addresses = new Set<string>();
  let whole = true;
  const add = (address: string): boolean => {
    if (addresses.size < maxAddresses) addresses.add(address);
    else if (!addresses.has(address)) whole = false;
    return whole;
  };
  if (css.split('\\', MAX_ESCAPES + 2).length > MAX_ESCAPES + 1) whole = false;
  for (const text of whole ? variants(css) : [css]) {
    for (const [, double, single, opened] of text.matchAll(IMPORT)) {
      // With a bracket it is `url(...)`, which is found below.
      const address = double ?? single;
      if (address !== undefined) add(address);
      else if (opened === undefined) whole = false;
      if (!whole) break;
    }
    for (const [, double, single, bare] of text.matchAll(FUNCTION)) if (!add(double ?? single ?? bare ?? '')) break;
    for (const [, double, single] of text.matchAll(FILTER)) if (!add(double ?? single ?? '')) break;
    if (!IMAGE_FUNCTION.test(text)) continue;
    for (const [, address] of text.matchAll(STRING_ADDRESS)) if (!add(address ?? '')) break;
  }
  return { addresses: [...addresses], whole };
}

/** `css` as it stands and, when that is another text, with its escapes undone. */
function variants(css: string): readonly string[] {
  if (!css.includes('\\')) return [css];
  const plain = css.replace(ESCAPE, (_escape, hex: string | undefined, character: string | undefined) => {
    if (hex === undefined) return character ?? '';
    const point = Number.parseInt(hex, 16);
    return point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)
      ? '\ufffd'
      : String.fromCodePoint(point);
  });
  return [css, plain];
}
