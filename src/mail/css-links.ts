/**
 * The addresses in a style sheet or style attribute: `url(...)` and `@import "..."`, escapes undone (CSS Syntax, section 4).
 *
 * Linear: every quantifier is followed by something optional, so no match is tried twice.
 * Known limit: `image-set()` with a bare string is not seen; mail readers drop it.
 */

const ESCAPE = /\\(?:([0-9a-f]{1,6})[ \t\r\n\f]?|([^\r\n\f0-9a-f]))/gi;
const ADDRESS = /(?:\burl\([ \t\r\n\f]*|@import[ \t\r\n\f]+(?!url\())(?:"([^"]*)|'([^']*)|([^"')\s;][^)\s;]*))/gi;

/** The addresses in `css`, as they stand; at most `maxAddresses`. */
export function findCssAddresses(css: string, maxAddresses: number): readonly string[] {
  if (!css.includes('(') && !css.includes('@')) return [];
  const addresses: string[] = [];
  for (const [, double, single, bare] of unescape(css).matchAll(ADDRESS)) {
    addresses.push(double ?? single ?? bare ?? '');
    if (addresses.length >= maxAddresses) break;
  }
  return addresses;
}

function unescape(css: string): string {
  if (!css.includes('\\')) return css;
  return css.replace(ESCAPE, (_escape, hex: string | undefined, character: string | undefined) => {
    if (hex === undefined) return character ?? '';
    const point = Number.parseInt(hex, 16);
    return point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)
      ? '\ufffd'
      : String.fromCodePoint(point);
  });
}
