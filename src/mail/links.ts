/**
 * Every link of a message: where it leads, what kind it is, and the host that its visible text shows. Never its path or query.
 *
 * HTML links and links in text come out alike. Relative addresses are resolved against `<base href>`, the way the few mail
 * readers do that honour it; the base is a link of its own. Links to a place in the same mail (`#top`) are left out.
 *
 * Bounded: `MAX_LINKS` in a message.
 */
import type { HtmlLinkKind, HtmlMark } from './html-attributes.ts';
import { readHtml } from './html-links.ts';
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
  /** Hosts that the visible text of an `a` shows, lower case, A-labels, each once. */
  readonly textHosts: readonly string[];
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

/** Links of a message that are looked at; mail has a dozen. So many different names in other scripts take 20 ms, 1,000 took 50. */
export const MAX_LINKS = 500;
/** Hosts that are looked for in one way of showing a link. */
const MAX_SHOWN_HOSTS = 20;

/** The links in `texts`, as `readParts` gives them. */
export function readLinks(texts: readonly TextPart[]): FoundLinks {
  const links: Link[] = [];
  const marks = new Map<HtmlMark, number>();
  let whole = true;
  for (const part of texts) {
    // One more than fits, so that it shows when there are more.
    const room = MAX_LINKS - links.length + 1;
    if (part.kind === 'text') {
      const found = linksInText(part.unflowed ?? part.text, 'text', room);
      links.push(...found);
      if (part.unflowed !== undefined) links.push(...othersIn(part.text, found, room - found.length));
      continue;
    }
    const html = readHtml(part.text, room);
    whole &&= html.whole;
    for (const [mark, count] of html.marks) marks.set(mark, (marks.get(mark) ?? 0) + count);
    const firstBase = html.addresses.find((address) => address.kind === 'base');
    const base = firstBase === undefined ? null : readTarget(firstBase.raw, null);
    const texts = [html.text];
    for (const { kind, raw, shown, pixel } of html.addresses) {
      const target = readTarget(raw, kind === 'base' ? null : base);
      // A reader that makes no link of it looks for links in the text on it.
      if (target?.form !== 'host') texts.push(...shown);
      if (target === null) continue;
      links.push({ kind, part: 'html', target, textHosts: hostsIn(shown), pixel });
    }
    for (const text of texts) links.push(...linksInText(text, 'html', Math.max(MAX_LINKS - links.length + 1, 0)));
  }
  return { links: links.slice(0, MAX_LINKS), marks, whole: whole && links.length <= MAX_LINKS };
}

/** The links in `text` that lead to where none of `found` leads: a reader that does not join its lines has them. */
function othersIn(text: string, found: readonly Link[], room: number): readonly Link[] {
  const key = ({ kind, target }: Link): string => JSON.stringify([kind, target]);
  const known = new Set(found.map(key));
  return linksInText(text, 'text', room + found.length).filter((link) => !known.has(key(link)));
}

function linksInText(text: string, part: TextPart['kind'], room: number): readonly Link[] {
  if (room <= 0) return [];
  return findTextLinks(text, room).map(({ target, bare }) => ({
    kind: bare ? 'bare' : 'text',
    part,
    target,
    textHosts: [],
    pixel: false,
  }));
}

function hostsIn(shown: readonly string[]): readonly string[] {
  const hosts = new Set<string>();
  for (const text of shown) {
    for (const { target } of findTextLinks(text, MAX_SHOWN_HOSTS, 'shown'))
      if (target.host !== null) hosts.add(target.host);
  }
  return [...hosts];
}
