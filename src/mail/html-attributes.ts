/**
 * Which attributes of which HTML elements make a reader open, load or offer an address, and which break the rules of mail.
 *
 * One element at a time, and nothing is resolved. Lists of addresses (`srcset`, `ping`, `archive`) are read to their end: it is the
 * caller that counts.
 *
 * Besides HTML: the attributes of SVG and MathML, the buttons of Outlook (VML), microdata and RDFa, which some readers make buttons
 * of (`itemprop` with `content`), and AMP forms.
 *
 * Known limits: addresses that a script would put together (scripts are a mark of their own), and `data-` attributes, which do
 * nothing by themselves.
 */
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

/** By their names in lower case; of two attributes of one name the first. */
export type Attributes = ReadonlyMap<string, string>;

export interface AttributeSink {
  /** How many more addresses are wanted. */
  room(): number;
  add(kind: HtmlLinkKind, raw: string, pixel?: boolean): void;
  mark(mark: HtmlMark): void;
  /** There is more than is looked at, or something that readers see differently. */
  doubtful(): void;
}

const MAX_STYLE_CHARACTERS = 4000;

/** Elements that run, load another document, or turn off markup in some readers and not in others. */
const FRAMES: ReadonlySet<string> = new Set(
  'iframe frame frameset object embed applet portal fencedframe plaintext xmp noembed noframes'.split(' '),
);
/** A select also keeps browsers from seeing most of the markup in it. */
const FORMS: ReadonlySet<string> = new Set('form isindex select'.split(' '));
const ANIMATIONS: ReadonlySet<string> = new Set('animate set animatemotion animatetransform animatecolor'.split(' '));
const ADDRESS = /^\s*(?:[a-z][a-z0-9+.-]{0,30}:[/\\]{2}|[/\\]{2}|www\.)/i;
const PIXEL_SIZE = /^\s*\+?[01](?:\.\d+)?\s*(?:px)?\s*$/i;
const PIXEL_STYLE = /(?:^|[;\s])(?:max-)?(?:width|height)\s*:\s*[01](?:\.\d+)?(?:px)?\s*(?:$|[;!])/i;
const HIDDEN_STYLE = /(?:display\s*:\s*none|visibility\s*:\s*hidden|opacity\s*:\s*0(?:\.0+)?\s*(?:$|[;!]))/i;
const REFRESH_ADDRESS = /^[\s\d.]*[;,]?\s*(?:url[\t\n\r\f ]*=[\t\n\r\f ]*)?["']?/i;
/** The end of an element whose content some readers take for text and others for markup. */
const RAW_END = /<\/(?:noscript|style|script|title|textarea|xmp|iframe|noembed|noframes|svg|math|template|select)\b/i;

/** Tells `sink` what the start tag `tag` (lower case) with `attributes` refers to; `href` of a link that people follow is not among it. */
export function readAttributes(tag: string, attributes: Attributes, sink: AttributeSink): void {
  if (tag === 'script') sink.mark('script');
  if (FORMS.has(tag)) sink.mark('form');
  if (FRAMES.has(tag)) sink.mark('frame');
  if (tag === 'meta') readRefresh(attributes, sink);
  for (const [name, value] of attributes) {
    readAttribute(tag, name, value, attributes, sink);
    if (RAW_END.test(value)) sink.doubtful();
  }
}

/** The address that people follow when they click on `tag`, which may be empty; null: it is no link of that kind. */
export function followedAddress(tag: string, attributes: Attributes): string | null {
  // `v:roundrect` and its kin are the buttons of Outlook; `svg:a` a link in XHTML.
  if (tag !== 'a' && !tag.includes(':')) return null;
  for (const [name, value] of attributes) if (isHref(name)) return value;
  return null;
}

/** Addresses in `css`, as `sink` wants them. */
export function readCss(css: string, sink: AttributeSink): void {
  const { addresses, whole } = findCssAddresses(css, sink.room() + 1);
  for (const address of addresses) sink.add('css', address);
  if (!whole) sink.doubtful();
}

function isHref(name: string): boolean {
  return name === 'href' || name.endsWith(':href');
}

function readAttribute(tag: string, name: string, value: string, attributes: Attributes, sink: AttributeSink): void {
  if (isHref(name)) {
    if (tag !== 'a' && !tag.includes(':')) sink.add(hrefKind(tag), value);
    return;
  }
  switch (name) {
    case 'src':
    case 'lowsrc':
    case 'dynsrc':
      sink.add(sourceKind(tag, attributes), value, tag === 'img' && isPixel(attributes));
      return;
    case 'srcset':
    case 'imagesrcset':
      for (const address of srcsetAddresses(value)) {
        if (sink.room() < 0) return;
        sink.add('image', address, isPixel(attributes));
      }
      return;
    case 'background':
      sink.add('background', value);
      return;
    case 'poster':
      sink.add('image', value);
      return;
    case 'action':
    case 'formaction':
    case 'action-xhr':
    case 'verify-xhr':
      sink.add('form', value);
      return;
    case 'data':
    case 'codebase':
    case 'classid':
    case 'archive':
      if (tag === 'object' || tag === 'applet') sink.add('frame', value);
      return;
    case 'srcdoc':
      sink.mark('frame');
      return;
    case 'ping':
      for (const [address] of value.matchAll(/\S+/g)) {
        if (sink.room() < 0) return;
        sink.add('ping', address);
      }
      return;
    case 'manifest':
    case 'cite':
    case 'longdesc':
      sink.add('other', value);
      return;
    case 'content':
      // Microdata and RDFa: a reader may make a button of it.
      if ((attributes.has('itemprop') || attributes.has('property')) && ADDRESS.test(value)) sink.add('other', value);
      return;
    case 'resource':
    case 'about':
      if (ADDRESS.test(value)) sink.add('other', value);
      return;
    case 'to':
    case 'from':
    case 'by':
    case 'values':
      // An animation may put an address into the link around it.
      if (!ANIMATIONS.has(tag)) return;
      for (const piece of value.split(';')) if (ADDRESS.test(piece)) sink.add('other', piece);
      return;
    case 'style':
      readCss(value, sink);
      return;
    default:
      if (/^on[a-z]{3,30}$/.test(name)) sink.mark('handler');
  }
}

function readRefresh(attributes: Attributes, sink: AttributeSink): void {
  if (attributes.get('http-equiv')?.trim().toLowerCase() !== 'refresh') return;
  sink.mark('refresh');
  const address = (attributes.get('content') ?? '').replace(REFRESH_ADDRESS, '');
  if (address !== '') sink.add('refresh', address);
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
      return 'other';
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
function* srcsetAddresses(value: string): Iterable<string> {
  let expected = true;
  for (const [piece] of value.matchAll(/[^\t\n\r\f ]+/g)) {
    const address = piece.replace(/^,/, '');
    if (expected && address !== '') {
      yield address.endsWith(',') ? address.slice(0, -1) : address;
      expected = false;
    }
    if (piece.endsWith(',')) expected = true;
  }
}
