/**
 * Every link of a message: where it leads, what kind it is, and the host that its visible text shows. Never its path or query.
 *
 * HTML links and links in text come out alike. Relative addresses are resolved against `<base href>`, the way the few mail
 * readers do that honour it; the base is a link of its own. Links to a place in the same mail (`#top`) are left out.
 *
 * Bounded: `MAX_LINKS` in a message.
 */
import { type HtmlLinkKind, type HtmlMark, readHtml } from './html-links.ts';
import { type LinkTarget, readTarget } from './link-target.ts';
import type { TextPart } from './parts.ts';
import { findTextLinks } from './text-links.ts';

/** `text`: an address in text; `bare`: a name in text that only some readers make a link of. */
export type LinkKind = HtmlLinkKind | 'text' | 'bare';

export interface Link {
  readonly kind: LinkKind;
  /** The part that it stands in. */
  readonly part: TextPart['kind'];
  readonly target: LinkTarget;
  /** Host that the visible text of an `a` shows, lower case, A-labels; null when it shows none. */
  readonly textHost: string | null;
  /** An image that nobody sees. */
  readonly pixel: boolean;
}

export interface FoundLinks {
  /** In the order of the message. */
  readonly links: readonly Link[];
  readonly marks: ReadonlyMap<HtmlMark, number>;
  /** False: there are more links, attributes or nested comments than are looked at. */
  readonly whole: boolean;
}

/** Links of a message that are looked at. A thousand different names in other scripts take some 60 ms; mail has a dozen. */
export const MAX_LINKS = 1000;
const INVISIBLE = /[\u00ad\u200b-\u200f\u2060-\u2064\ufeff]/g;

/** The links in `texts`, as `readParts` gives them. */
export function readLinks(texts: readonly TextPart[]): FoundLinks {
  const links: Link[] = [];
  const marks = new Map<HtmlMark, number>();
  let whole = true;
  for (const part of texts) {
    // One more than fits, so that it shows when there are more.
    const room = MAX_LINKS - links.length + 1;
    if (part.kind === 'text') {
      links.push(...linksInText(part.text, 'text', room));
      continue;
    }
    const html = readHtml(part.text, room);
    whole &&= html.whole;
    for (const [mark, count] of html.marks) marks.set(mark, (marks.get(mark) ?? 0) + count);
    const firstBase = html.addresses.find((address) => address.kind === 'base');
    const base = firstBase === undefined ? null : readTarget(firstBase.raw, null);
    for (const { kind, raw, text, pixel } of html.addresses) {
      const target = readTarget(raw, kind === 'base' ? null : base);
      if (target === null) continue;
      links.push({ kind, part: 'html', target, textHost: text === '' ? null : hostInText(text), pixel });
    }
    links.push(...linksInText(html.text, 'html', Math.max(MAX_LINKS - links.length + 1, 0)));
  }
  return { links: links.slice(0, MAX_LINKS), marks, whole: whole && links.length <= MAX_LINKS };
}

function linksInText(text: string, part: TextPart['kind'], room: number): readonly Link[] {
  if (room <= 0) return [];
  return findTextLinks(text, room).map(({ target, bare }) => ({
    kind: bare ? 'bare' : 'text',
    part,
    target,
    textHost: null,
    pixel: false,
  }));
}

function hostInText(text: string): string | null {
  const [first] = findTextLinks(text.replace(INVISIBLE, ''), 1);
  return first?.target.host ?? null;
}
