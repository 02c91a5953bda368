/**
 * What an HTML part refers to: every attribute and style that makes a reader open or load an address (`html-attributes.ts`), and
 * the text that people see on it (`shown-text.ts`). Read with htmlparser2's tokenizer alone: its parser keeps a stack that
 * hostile nesting makes slow.
 *
 * Readers do not agree on what is markup, so whatever some of them read is read: the HTML in conditional comments
 * (`<!--[if mso]> ... <![endif]-->`, Outlook), what looks like CDATA (browsers), and markup in `<style>`, `<title>` and other elements
 * whose content is text, except in SVG or in readers that take the element away. What could be read in two ways, so that one
 * sees a link or its text and the other does not, makes `whole` false: end tags with quotes in them, which this tokenizer
 * and browsers end at different places; CDATA; a comment that is never closed, or holds the end of an element like those.
 *
 * Links may stand in one another, by way of tables: an `</a>` closes none that was opened outside of the cell that it stands in
 * (HTML, section 13.2.4.2). A text belongs to the innermost link that is open.
 *
 * It collects addresses as they stand; `links.ts` resolves them. Bounded: `maxAddresses`, attributes in a tag, open elements,
 * and what is nested in comments or text; over it, `whole` is false.
 *
 * Known limits: those of the two files above, and elements that a reader adds or removes by its own rules.
 */
import { Tokenizer } from 'htmlparser2';
import {
  type Attributes,
  type AttributeSink,
  followedAddress,
  type HtmlLinkKind,
  type HtmlMark,
  readAttributes,
  readCss,
} from './html-attributes.ts';
import { createShownText, displayOf, isBlock, revealsText, type ShownText } from './shown-text.ts';
import { NOTHING, readStyleSheets, type StyleSheets, type View } from './style-sheet.ts';

export interface HtmlAddress {
  readonly kind: HtmlLinkKind;
  readonly raw: string;
  /** What people may see on it, in each way that readers show it; none for all but `a`. */
  readonly shown: readonly string[];
  /** An image of one pixel, or hidden. */
  readonly pixel: boolean;
}

export interface HtmlContent {
  readonly addresses: readonly HtmlAddress[];
  readonly marks: ReadonlyMap<HtmlMark, number>;
  /** Text outside of links, in which readers look for links of their own. */
  readonly text: string;
  readonly whole: boolean;
}

const MAX_ATTRIBUTES = 100;
const MAX_NESTING = 3;
/** Links and cells that are open at one place. */
const MAX_OPEN = 100;
/**
 * Tags, attributes, comments and entities that are looked at. A page that Gmail does not cut (102 KB) has some 10,000. The audit of
 * 256 KB of the worst markup (30 kinds tried: links, cells, comments, entities, styles, what is nested in text) takes 14 ms of
 * the event loop with it; with no such limit and 512 KB it took 630. A usual reset of 3 KB takes 0.3 ms.
 */
const MAX_TOKENS = 15_000;

/** Elements whose content is text: for a browser in HTML, not in SVG, and not for every mail reader. */
const RAW: ReadonlySet<string> = new Set('style script title textarea xmp iframe noembed noframes'.split(' '));
/** An `</a>` in them does not close a link outside of them. */
const SCOPES: ReadonlySet<string> = new Set('table td th caption applet object marquee template'.split(' '));
/** Of no meaning outside of a table. */
const CELLS: ReadonlySet<string> = new Set(['td', 'th', 'caption']);
/** Elements that end without an end tag. */
const IMPLIED_END: ReadonlySet<string> = new Set(
  'p li dt dd tr td th thead tbody tfoot colgroup caption option optgroup rt rp body html head'.split(' '),
);
const FOREIGN: ReadonlySet<string> = new Set(['svg', 'math']);
const LESS_THAN = 0x3c;
const AMPERSAND = 0x26;
const MARKUP = /<[a-z!/?]/i;
const RAW_END = /<\/(?:noscript|style|script|title|textarea|xmp|iframe|noembed|noframes|svg|math|template|select)\b/i;

/** Reads `html`; at most `maxAddresses` addresses are collected. */
export function readHtml(html: string, maxAddresses: number): HtmlContent {
  const end = endOfMarkup(html);
  const markup = html.slice(0, end);
  const reader = new HtmlReader(maxAddresses, readStyleSheets(markup));
  reader.read(markup, 0, false);
  if (end < html.length) return { ...reader.result(), whole: false };
  return reader.result();
}

/** An open link, or an element that keeps links outside of it open. */
interface Open {
  readonly tag: string;
  /** Of the innermost link with an address: this one, or one around it. */
  readonly shown: ShownText | null;
  /** A link without an address is none to follow, and yet is what the next `</a>` closes. */
  readonly isLink: boolean;
  /** What hid and turned the text around it. */
  readonly around: Styling;
}

/** An element that hides or turns around what is in it, and how many of its name are open. */
interface Styled {
  readonly tag: string;
  readonly depth: number;
}

interface Styling {
  readonly hidden: Styled | null;
  /** In the view of `@media`. */
  readonly inMedia: Styled | null;
  readonly turned: Styled | null;
}

const PLAIN: Styling = { hidden: null, inMedia: null, turned: null };

interface Found extends Omit<HtmlAddress, 'shown'> {
  readonly shown: ShownText | null;
}

class HtmlReader {
  readonly #maxAddresses: number;
  readonly #sheets: StyleSheets;
  readonly #addresses: Found[] = [];
  readonly #marks = new Map<HtmlMark, number>();
  readonly #text: string[] = [];
  readonly #sink: AttributeSink;
  #whole = true;
  #open: Open[] = [];
  /** In SVG or MathML, once: what is text in HTML may be markup from there on. */
  #foreign = false;
  /** Since the innermost link began. */
  #styling: Styling = PLAIN;
  /** Elements of which a style sheet has made a block: an end of one of that name may part. */
  readonly #parted = new Map<string, View>();
  /** How many of each block are open. */
  readonly #blocks = new Map<string, number>();
  #tokens = 0;
  /** In a part that only some readers show. */
  #aside = false;

  constructor(maxAddresses: number, sheets: StyleSheets) {
    this.#maxAddresses = maxAddresses;
    this.#sheets = sheets;
    this.#sink = {
      room: () => this.#maxAddresses - this.#addresses.length,
      add: (kind, raw, pixel = false) => this.#add({ kind, raw, pixel, shown: null }),
      mark: (mark) => void this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1),
      doubtful: () => {
        this.#whole = false;
      },
    };
  }

  read(html: string, nesting: number, aside: boolean): void {
    let tag = '';
    let inTag = false;
    let name = '';
    let value = '';
    let attributes = new Map<string, string>();
    /** Where the content of an element like `<style>` begins. */
    let raw: { readonly tag: string; readonly start: number } | null = null;
    const wasAside = this.#aside;
    this.#aside = aside;

    const nested = (start: number, end: number): void => {
      if (start >= end) return;
      // A style counts for those alone who see the element.
      const styling = this.#styling;
      if (nesting < MAX_NESTING) this.read(html.slice(start, end), nesting + 1, true);
      else this.#whole = false;
      this.#styling = styling;
    };
    /** False: there are more tokens than are looked at, and the tokenizer stops. */
    const spend = (): boolean => {
      if (++this.#tokens <= MAX_TOKENS) return true;
      this.#whole = false;
      tokenizer.pause();
      return false;
    };
    const beginContent = (end: number): void => {
      inTag = false;
      if (!spend()) return;
      this.#openTag(tag, attributes);
      if (RAW.has(tag)) raw = { tag, start: end + 1 };
    };
    const endContent = (end: number): void => {
      if (raw === null) return;
      const { tag: element, start } = raw;
      raw = null;
      const content = html.slice(start, Math.max(start, end));
      if (element === 'style') readCss(content, this.#sink);
      if (!MARKUP.test(content)) return;
      if (this.#foreign) this.#whole = false;
      // For those who see markup there. What it opens or closes counts in it alone: for all others it is text.
      const open = this.#open;
      this.#open = [...open];
      nested(start, end);
      this.#open = open;
    };
    const see = (text: string): void => {
      if (raw?.tag !== 'style' && raw?.tag !== 'script') this.#seeText(text);
    };
    const tokenizer: Tokenizer = new Tokenizer(
      {},
      {
        onopentagname: (start, end) => {
          tag = html.slice(start, end).toLowerCase();
          inTag = true;
          attributes = new Map();
        },
        onattribname: (start, end) => {
          name = html.slice(start, end).toLowerCase();
          value = '';
        },
        onattribdata: (start, end) => {
          value += html.slice(start, end);
        },
        onattribentity: (point) => {
          if (spend()) value += characterOf(point);
        },
        onattribend: () => {
          if (!spend()) return;
          if (attributes.size >= MAX_ATTRIBUTES) this.#whole = false;
          // Of two attributes of one name the first counts.
          else if (!attributes.has(name)) attributes.set(name, value);
        },
        onopentagend: beginContent,
        onselfclosingtag: beginContent,
        onclosetag: (start, end) => {
          if (!spend()) return;
          const closed = html.slice(start, end).toLowerCase();
          if (raw?.tag === closed) endContent(start - 2);
          if (hasQuote(html, end)) this.#whole = false;
          this.#closeTag(closed);
        },
        ontext: (start, end) => see(html.slice(start, end)),
        ontextentity: (point) => {
          if (spend()) see(characterOf(point));
        },
        oncomment: (start, last, dashes) => {
          if (!spend()) return;
          const end = last - dashes;
          // Of a comment for Outlook its own marks are left: `<!` of `<!-->`, `<![endif]` of its end.
          const isClosed = last < html.length || start >= end || html.startsWith('[endif]', start);
          if (isConditional(html, start)) {
            const content = html.indexOf('>', start) + 1;
            if (content > 0) nested(content, end);
            if (!isClosed) this.#whole = false;
          } else if (!isClosed || RAW_END.test(html.slice(start, end))) {
            this.#whole = false;
            nested(start, end);
          }
        },
        oncdata: (start, end) => {
          this.#whole = false;
          nested(start, end);
        },
        ondeclaration: () => undefined,
        onprocessinginstruction: () => undefined,
        onend: () => undefined,
      },
    );
    tokenizer.write(html);
    tokenizer.end();
    endContent(html.length);
    // It ends in the middle of a tag.
    if (inTag) this.#whole = false;
    this.#aside = wasAside;
  }

  result(): HtmlContent {
    const addresses = this.#addresses.map((found): HtmlAddress => {
      const { shown, ...address } = found;
      if (shown?.whole === false) this.#whole = false;
      return { ...address, shown: shown?.variants ?? [] };
    });
    return { addresses, marks: this.#marks, text: this.#text.join(''), whole: this.#whole && this.#sheets.whole };
  }

  #openTag(tag: string, attributes: Attributes): void {
    const { block, hidden: hiddenHere, turned, open } = displayOf(tag, attributes);
    if (FOREIGN.has(tag)) this.#foreign = true;
    // Markup ends there for a browser, but not in MathML, and not for every reader.
    if (tag === 'plaintext') this.#whole = false;
    const address = followedAddress(tag, attributes);
    const inLink = this.#innermost() !== null;
    const sheet = inLink || address !== null ? this.#sheets.effectOn(tag, attributes, address !== null) : NOTHING;
    const hidden = hiddenHere || sheet.hidden;
    const inMedia = sheet.inMedia === null ? hidden : sheet.inMedia === 'hidden';
    const { hidden: hider, inMedia: mediaHider, turned: turner } = this.#styling;
    // What is small or unseen may have something in it that is neither.
    const isRevealed = inLink && (hider ?? mediaHider) !== null && (sheet.reveals || revealsText(attributes));
    if (open && (sheet.doubtful || isRevealed || (hiddenHere && sheet.forced))) this.#whole = false;
    if (open && (hidden || inMedia || turned || this.#styling !== PLAIN)) {
      this.#styling = {
        hidden: deeper(hider, tag, hidden),
        inMedia: deeper(mediaHider, tag, inMedia),
        turned: deeper(turner, tag, turned),
      };
      // It may end where nobody has written an end: what it hides is not known.
      if ((hidden || inMedia) && IMPLIED_END.has(tag) && inLink) this.#whole = false;
    }
    if (open && isBlock(tag)) this.#blocks.set(tag, (this.#blocks.get(tag) ?? 0) + 1);
    // A line break that is hidden is none.
    if (block && !open && (hidden || inMedia)) this.#innermost()?.mayPart();
    else if (block) this.#separate();
    else if (inLink && open && sheet.parts !== null) {
      this.#part(sheet.parts);
      this.#parted.set(tag, sheet.parts);
    }

    if (address !== null || tag === 'a') {
      const shown = createShownText(
        () => ({
          hidden: this.#styling.hidden !== null || this.#aside,
          inMedia: this.#styling.inMedia !== null || this.#aside,
        }),
        () => this.#styling.turned !== null,
      );
      if (address !== null) this.#add({ kind: 'a', raw: address, pixel: false, shown });
      // For a browser a link ends where the next one begins.
      this.#separate();
      this.#push(tag, address === null ? null : shown, true);
      if (address !== null && (hidden || inMedia)) {
        this.#styling = { ...PLAIN, hidden: deeper(null, tag, hidden), inMedia: deeper(null, tag, inMedia) };
      }
    } else if (SCOPES.has(tag) && (!CELLS.has(tag) || this.#open.some((open) => open.tag === 'table'))) {
      this.#push(tag, null, false);
    }
    readAttributes(tag, attributes, this.#sink);
    // Shown in its place while images are not loaded, which is the rule in many readers.
    if (tag !== 'img' && tag !== 'input' && tag !== 'image') return;
    const instead = attributes.get('alt') ?? '';
    if (instead === '') {
      // One that can be seen parts two words, one without size does not.
      this.#innermost()?.mayPart();
      return;
    }
    this.#separate();
    this.#seeText(instead);
    this.#separate();
  }

  #closeTag(tag: string): void {
    // A block that is hidden parts no words.
    const open = this.#blocks.get(tag) ?? 0;
    if (open > 0) this.#blocks.set(tag, open - 1);
    if (isBlock(tag) && (open > 0 || tag === 'p' || tag === 'br')) this.#separate();
    else if (isBlock(tag)) {
      // For a browser an end of what was never begun is nothing.
      this.#part('always');
    } else {
      const parts = this.#parted.get(tag);
      if (parts !== undefined) this.#part(parts);
    }
    const { hidden, inMedia, turned } = this.#styling;
    if (hidden?.tag === tag || inMedia?.tag === tag || turned?.tag === tag) {
      this.#styling = {
        hidden: shallower(hidden, tag),
        inMedia: shallower(inMedia, tag),
        turned: shallower(turned, tag),
      };
    }
    if (tag === 'a' || tag.includes(':') || SCOPES.has(tag)) this.#closeOpen(tag);
  }

  #closeOpen(tag: string): void {
    for (let at = this.#open.length - 1; at >= 0; at--) {
      const open = this.#open[at];
      if (open?.tag === tag) {
        this.#open.length = at;
        this.#styling = open.around;
        if (open.isLink) this.#separate();
        return;
      }
      // What a table or cell stands in is not closed from within.
      if (open?.isLink === false && !SCOPES.has(tag)) return;
    }
  }

  #push(tag: string, shown: ShownText | null, isLink: boolean): void {
    if (this.#open.length >= MAX_OPEN) {
      this.#whole = false;
      return;
    }
    this.#open.push({ tag, shown: shown ?? this.#innermost(), isLink, around: this.#styling });
    if (shown !== null) this.#styling = PLAIN;
  }

  #seeText(text: string): void {
    const link = this.#innermost();
    if (link === null) this.#text.push(text);
    else link.add(text);
  }

  #part(view: View): void {
    const link = this.#innermost();
    if (view === 'always') link?.isParted();
    else link?.mayPart();
  }

  #separate(): void {
    const link = this.#innermost();
    if (link === null) this.#text.push(' ');
    else link.separate();
  }

  #innermost(): ShownText | null {
    return this.#open.at(-1)?.shown ?? null;
  }

  #add(found: Found): void {
    if (this.#addresses.length < this.#maxAddresses) this.#addresses.push(found);
    else this.#whole = false;
  }
}

/** Where there is more markup than is looked at: past so many `<` and `&`, of which the tokenizer makes work also when nothing comes of it. */
function endOfMarkup(html: string): number {
  let left = MAX_TOKENS;
  for (let at = 0; at < html.length; at++) {
    const code = html.charCodeAt(at);
    if ((code === LESS_THAN || code === AMPERSAND) && --left < 0) return at;
  }
  return html.length;
}

function deeper(styled: Styled | null, tag: string, begins: boolean): Styled | null {
  if (styled === null) return begins ? { tag, depth: 1 } : null;
  return styled.tag === tag ? { tag, depth: styled.depth + 1 } : styled;
}

function shallower(styled: Styled | null, tag: string): Styled | null {
  if (styled?.tag !== tag) return styled;
  return styled.depth === 1 ? null : { tag, depth: styled.depth - 1 };
}

function characterOf(point: number): string {
  return point >= 0 && point <= 0x10ffff ? String.fromCodePoint(point) : '\ufffd';
}

function isConditional(html: string, start: number): boolean {
  return /^\s*\[if/i.test(html.slice(start, start + 50));
}

/** Whether there is a quote between `from` and the next `>`. */
function hasQuote(html: string, from: number): boolean {
  for (let at = from; at < html.length; at++) {
    const character = html.charAt(at);
    if (character === '>') return false;
    if (character === '"' || character === "'") return true;
  }
  return false;
}
