/**
 * Plain text whose paragraphs are broken into lines for transport, put together again (RFC 3676, section 4: `format=flowed`).
 *
 * A line that ends in a space goes on in the next one, when both are quoted as deeply; with `delsp=yes` that space is not part of the
 * text, so a link may be cut anywhere. Quote marks and the space that stuffs a line are left out. Never cut: the line `-- ` in front of a
 * signature. One pass.
 */

/** Whether a text flows, and what becomes of the space at the end of a line: `delete` is `delsp=yes`. */
export type Flow = 'fixed' | 'keep' | 'delete';

/** `text` as a reader that knows the format shows it; lines end in LF. */
export function unflow(text: string, flow: Exclude<Flow, 'fixed'>): string {
  const paragraphs: string[] = [];
  let open: { readonly depth: number; readonly lines: string[] } | null = null;
  for (const raw of text.split(/\r?\n/)) {
    let depth = 0;
    while (raw.charAt(depth) === '>') depth++;
    const line = raw.slice(raw.charAt(depth) === ' ' ? depth + 1 : depth);
    const signs = line === '-- ';
    if (open !== null && (open.depth !== depth || signs)) {
      paragraphs.push(open.lines.join(''));
      open = null;
    }
    const flows = line.endsWith(' ') && !signs;
    const kept = flows && flow === 'delete' ? line.slice(0, -1) : line;
    if (flows) {
      open ??= { depth, lines: [] };
      open.lines.push(kept);
    } else {
      paragraphs.push(open === null ? kept : open.lines.join('') + kept);
      open = null;
    }
  }
  if (open !== null) paragraphs.push(open.lines.join(''));
  return paragraphs.join('\n');
}
