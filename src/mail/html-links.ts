/**
 * What an HTML part refers to: every attribute and style that makes a reader open or load an address, and the text that people
 * see on it. Read with htmlparser2's tokenizer alone: its parser keeps a stack that hostile nesting makes slow, and nothing here
 * needs to know what is inside what.
 *
 * Outlook reads the HTML in conditional comments (`<!--[if mso]> ... <![endif]-->`) and browsers what we take for CDATA, so both
 * are read as HTML too, a few levels deep.
 *
 * It collects addresses as they stand; `links.ts` resolves them. Bounded by `maxAddresses` and by attributes in a tag; over it,
 * `whole` is false.
 *
 * Known limits: addresses that a script or SVG animation would put together (scripts are a mark of their own), `cite` and
 * `longdesc`, and elements that a reader adds or removes by its own rules.
 */
import { Tokenizer } from 'htmlparser2';
import { findCssAddresses } from './css-links.ts';

export type HtmlLinkKind =
  | 'a'
  | 'area'
  | 'image'
  | 'background'
  | 'css'
  | 'stylesheet'
  | 'form'
  | 'frame'
  | 'script'
  | 'media'
  | 'refresh'
  | 'base'
  | 'ping'
  | 'other';

/** What is not a link and yet breaks the rules of mail; `refresh` also without an address. */
export type HtmlMark = 'form' | 'frame' | 'script' | 'handler' | 'refresh';

export interface HtmlAddress {
  readonly kind: HtmlLinkKind;
  readonly raw: string;
  /** What people see on it; empty for all but `a`. */
  readonly text: string;
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
const MAX_NESTING = 4;
/** Characters seen on one link; what is beyond counts as text outside of it. */
const MAX_LINK_TEXT = 1000;
const MAX_STYLE_CHARACTERS = 4000;
const MAX_SRCSET = 100;

const INLINE: ReadonlySet<string> = new Set(
  'a b strong i em u s span font wbr small big sub sup code tt bdi bdo ins del mark abbr label'.split(' '),
);
/** Elements that run, load another document, or turn off markup in some readers and not in others. */
const FRAMES: ReadonlySet<string> = new Set(
  'iframe frame object embed applet portal plaintext xmp noembed noframes'.split(' '),
);
const PIXEL_SIZE = /^\s*\+?[01](?:\.\d+)?\s*(?:px)?\s*$/i;
const PIXEL_STYLE = /(?:^|[;\s])(?:max-)?(?:width|height)\s*:\s*[01](?:\.\d+)?(?:px)?\s*(?:$|[;!])/i;
const HIDDEN_STYLE = /(?:display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:$|[;!]))/i;
const REFRESH_ADDRESS = /url[\t\n\r\f ]*=[\t\n\r\f ]*["']?/i;

type Attributes = ReadonlyMap<string, string>;

/** Reads `html`; at most `maxAddresses` addresses are collected. */
export function readHtml(html: string, maxAddresses: number): HtmlContent {
  const reader = new HtmlReader(maxAddresses);
  reader.read(html, 0);
  return reader.result();
}

class HtmlReader {
  readonly #maxAddresses: number;
  readonly #addresses: HtmlAddress[] = [];
  readonly #marks = new Map<HtmlMark, number>();
  readonly #text: string[] = [];
  #whole = true;
  /** The open link and what was seen on it. */
  #link: { readonly raw: string; text: string } | null = null;
  /** The element whose text is no text for people. */
  #special: 'style' | 'script' | null = null;
  #css = '';

  constructor(maxAddresses: number) {
    this.#maxAddresses = maxAddresses;
  }

  read(html: string, nesting: number): void {
    let tag = '';
    let name = '';
    let value = '';
    let attributes = new Map<string, string>();
    const nested = (start: number, end: number): void => {
      if (nesting < MAX_NESTING) this.read(html.slice(start, end), nesting + 1);
      else this.#whole = false;
    };
    const tokenizer = new Tokenizer(
      {},
      {
        onopentagname: (start, end) => {
          tag = html.slice(start, end).toLowerCase();
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
          value += characterOf(point);
        },
        onattribend: () => {
          if (attributes.size >= MAX_ATTRIBUTES) this.#whole = false;
          // Of two attributes of one name the first counts.
          else if (!attributes.has(name)) attributes.set(name, value);
        },
        onopentagend: () => this.#openTag(tag, attributes),
        onselfclosingtag: () => this.#openTag(tag, attributes),
        onclosetag: (start, end) => this.#closeTag(html.slice(start, end).toLowerCase()),
        ontext: (start, end) => this.#seeText(html.slice(start, end)),
        ontextentity: (point) => this.#seeText(characterOf(point)),
        oncomment: (start, end) => {
          if (/^\s*\[if/i.test(html.slice(start, start + 50))) nested(html.indexOf('>', start) + 1, end);
        },
        oncdata: nested,
        ondeclaration: () => undefined,
        onprocessinginstruction: () => undefined,
        onend: () => undefined,
      },
    );
    tokenizer.write(html);
    tokenizer.end();
    // What is open at the end of the outermost document ends there; comments stand in the middle of something.
    if (nesting === 0) {
      this.#endLink();
      this.#endStyle();
    }
  }

  result(): HtmlContent {
    return { addresses: this.#addresses, marks: this.#marks, text: this.#text.join(''), whole: this.#whole };
  }

  #openTag(tag: string, attributes: Attributes): void {
    this.#separate(tag);
    if (tag === 'style' || tag === 'script') this.#special = tag;
    if (tag === 'script') this.#mark('script');
    if (tag === 'form' || tag === 'isindex') this.#mark('form');
    if (FRAMES.has(tag)) this.#mark('frame');
    if (tag === 'meta') this.#readMeta(attributes);
    for (const [name, value] of attributes) this.#readAttribute(tag, name, value, attributes);
  }

  #closeTag(tag: string): void {
    if (tag === 'a') this.#endLink();
    if (tag === 'style') this.#endStyle();
    if (tag === this.#special) this.#special = null;
    this.#separate(tag);
  }

  #readAttribute(tag: string, name: string, value: string, attributes: Attributes): void {
    switch (name) {
      case 'href':
      case 'xlink:href':
        if (tag === 'a') {
          this.#endLink();
          this.#link = { raw: value, text: '' };
        } else this.#add(hrefKind(tag), value);
        return;
      case 'src':
      case 'lowsrc':
      case 'dynsrc':
        this.#add(sourceKind(tag, attributes), value, tag === 'img' && isPixel(attributes));
        return;
      case 'srcset':
      case 'imagesrcset':
        this.#addSet(srcsetAddresses(value), isPixel(attributes));
        return;
      case 'background':
        this.#add('background', value);
        return;
      case 'poster':
        this.#add('image', value);
        return;
      case 'action':
      case 'formaction':
        this.#add('form', value);
        return;
      case 'data':
      case 'codebase':
      case 'classid':
      case 'archive':
        if (tag === 'object' || tag === 'applet') this.#add('frame', value);
        return;
      case 'srcdoc':
        this.#mark('frame');
        return;
      case 'ping':
        for (const address of value.split(/\s+/, MAX_SRCSET)) if (address !== '') this.#add('ping', address);
        return;
      case 'manifest':
        this.#add('other', value);
        return;
      case 'style':
        this.#addCss(value);
        return;
      default:
        if (name.startsWith('on') && /^on[a-z]{3,30}$/.test(name)) this.#mark('handler');
    }
  }

  #readMeta(attributes: Attributes): void {
    if (attributes.get('http-equiv')?.trim().toLowerCase() !== 'refresh') return;
    this.#mark('refresh');
    const content = attributes.get('content') ?? '';
    const found = REFRESH_ADDRESS.exec(content);
    if (found !== null) this.#add('refresh', content.slice(found.index + found[0].length));
  }

  #seeText(text: string): void {
    if (this.#special === 'style') this.#css += text;
    else if (this.#special === 'script') return;
    else if (this.#link !== null && this.#link.text.length < MAX_LINK_TEXT) {
      const room = MAX_LINK_TEXT - this.#link.text.length;
      this.#link.text += text.slice(0, room);
      if (text.length > room) this.#text.push(text.slice(room));
    } else this.#text.push(text);
  }

  /** Text on both sides of a block is not one word. */
  #separate(tag: string): void {
    if (!INLINE.has(tag) && this.#special === null) this.#seeText(' ');
  }

  #addSet(addresses: readonly string[], pixel: boolean): void {
    for (const address of addresses) this.#add('image', address, pixel);
  }

  #endLink(): void {
    if (this.#link === null) return;
    const { raw, text } = this.#link;
    this.#link = null;
    this.#add('a', raw, false, text);
    this.#text.push(' ');
  }

  #endStyle(): void {
    this.#addCss(this.#css);
    this.#css = '';
  }

  #addCss(css: string): void {
    const room = this.#maxAddresses - this.#addresses.length;
    for (const address of findCssAddresses(css, room + 1)) this.#add('css', address);
  }

  #add(kind: HtmlLinkKind, raw: string, pixel = false, text = ''): void {
    if (this.#addresses.length < this.#maxAddresses) this.#addresses.push({ kind, raw, text, pixel });
    else this.#whole = false;
  }

  #mark(mark: HtmlMark): void {
    this.#marks.set(mark, (this.#marks.get(mark) ?? 0) + 1);
  }
}

function characterOf(point: number): string {
  return point >= 0 && point <= 0x10ffff ? String.fromCodePoint(point) : '\ufffd';
}

function hrefKind(tag: string): HtmlLinkKind {
  switch (tag) {
    case 'area':
      return 'area';
    case 'base':
      return 'base';
    case 'link':
      return 'stylesheet';
    case 'image':
    case 'feimage':
    case 'use':
      return 'image';
    default:
      // `v:roundrect` and its kin: the buttons of Outlook.
      return tag.includes(':') ? 'a' : 'other';
  }
}

function sourceKind(tag: string, attributes: Attributes): HtmlLinkKind {
  if (tag === 'script') return 'script';
  if (FRAMES.has(tag)) return 'frame';
  if (tag.includes('img') || tag === 'image' || tag === 'v:fill' || tag === 'v:imagedata' || tag === 'bgsound')
    return 'image';
  if (tag === 'input') return attributes.get('type')?.trim().toLowerCase() === 'image' ? 'image' : 'other';
  return tag === 'audio' || tag === 'video' || tag === 'source' || tag === 'track' ? 'media' : 'other';
}

/** An image that nobody sees: every size it gives is a pixel or nothing, or it is hidden. */
function isPixel(attributes: Attributes): boolean {
  if (attributes.has('hidden')) return true;
  const sizes = [attributes.get('width'), attributes.get('height')].filter((size) => size !== undefined);
  if (sizes.length > 0 && sizes.every((size) => PIXEL_SIZE.test(size.slice(0, 20)))) return true;
  const style = attributes.get('style')?.slice(0, MAX_STYLE_CHARACTERS) ?? '';
  if (HIDDEN_STYLE.test(style)) return true;
  const sized = style.split(';').filter((rule) => /^\s*(?:max-)?(?:width|height)\s*:/i.test(rule));
  return sized.length > 0 && sizes.length === 0 && sized.every((rule) => PIXEL_STYLE.test(rule));
}

/** The addresses of `a.png 1x, b.png 2x` (HTML, section 4.8.4.2.1): commas inside of an address belong to it. */
function srcsetAddresses(value: string): readonly string[] {
  const addresses: string[] = [];
  let expected = true;
  for (const [piece] of value.matchAll(/[^\t\n\r\f ]+/g)) {
    const address = piece.replace(/^,/, '');
    if (expected && address !== '') {
      addresses.push(address.endsWith(',') ? address.slice(0, -1) : address);
      expected = false;
    }
    if (piece.endsWith(',')) expected = true;
    if (addresses.length >= MAX_SRCSET) break;
  }
  return addresses;
}
