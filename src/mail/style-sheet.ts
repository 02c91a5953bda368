/**
 * Which elements the style sheets of an HTML part (`<style>`) hide, turn around, or add text to: as far as it decides what people read on
 * a link. Not a cascade: rules are looked at by what they can do, and what they leave open is said (`doubtful`).
 *
 * A rule counts for an element that its last compound selector fits (`td.a > .b` counts for `.b`). A rule in `@media` that asks
 * for a size or a colour scheme counts for one view of two, as on a phone; one for print for none; any other as if it stood outside.
 * Upper and lower case are one, as in a document without a doctype.
 *
 * Bounded: rules, selectors, and comparisons; over it `whole` is false. Text that is added counts when it has letters or digits in it, or
 * where CSS takes it from elsewhere; arrows and clearing hacks do not.
 *
 * Known limits: floats, positions, `order`, colours, fonts that draw other letters, and style sheets that are loaded (those are links of
 * their own).
 */
import type { Attributes } from './html-attributes.ts';
import { HIDDEN_STYLE, isBlock, TURNED_STYLE } from './shown-text.ts';

/** What the style sheets do with an element. */
export interface SheetEffect {
  /** Hidden outside of `@media`. */
  readonly hidden: boolean;
  /** Rules in `@media` hide it, show it, or leave it as it is. */
  readonly inMedia: 'hidden' | 'shown' | null;
  /** Rules speak against one another, or depend on what is not looked at; or they add, join or turn text. */
  readonly doubtful: boolean;
  /** It puts what stands in the line on a line of its own: always, or in the other view alone. */
  readonly parts: View | null;
  /** It shows what a style attribute hides. */
  readonly forced: boolean;
  /** It says how large letters are, or that they are seen: also within something hidden. */
  readonly reveals: boolean;
}

export interface StyleSheets {
  /** `isLink`: it is the link itself; where a rule may hide it as a whole there is nothing to be read. */
  effectOn(tag: string, attributes: Attributes, isLink: boolean): SheetEffect;
  /** False: there is more than was looked at; known when all elements were asked for. */
  readonly whole: boolean;
}

/** Rules that hide, show, turn or add; a long newsletter has some hundred. */
const MAX_RULES = 1000;
const MAX_SELECTORS = 3000;
/** Rules held against elements. */
const MAX_COMPARISONS = 10_000;
const MAX_SELECTOR_CHARACTERS = 4000;
/** Braces, semicolons and strings. */
const MAX_TOKENS = 12_000;
const MAX_NESTING = 20;
/** Of one element. */
const MAX_CLASSES = 30;
/** Of one rule: custom properties and long lists are no matter of it. */
const MAX_DECLARATIONS_CHARACTERS = 4000;

const STYLE_START = /<style(?=[\s/>])/gi;
const MAX_TAG_CHARACTERS = 500;
const QUOTED = /"[^"]*"|'[^']*'/g;
const MEDIA_ATTRIBUTE = /[\s"'/]media\s*=\s*(?:"([^"]*)|'([^']*)|([^\s>]+))/i;
const STYLE_END = /<\/style/gi;
const COMMENT = /\/\*[^]*?(?:\*\/|$)|<!--|-->/g;
/** No style sheet has anything to do with it. */
export const NOTHING: SheetEffect = {
  hidden: false,
  inMedia: null,
  doubtful: false,
  parts: null,
  forced: false,
  reveals: false,
};
const NO_CLASSES: readonly string[] = [];
const NO_SHEETS: StyleSheets = { effectOn: () => NOTHING, whole: true };

/** Properties that hide, each a bit; with `!important` one that is `IMPORTANT` times as high as well. */
const PROPERTIES: ReadonlyMap<string, number> = new Map([
  ['display', 1],
  ['visibility', 2],
  ['opacity', 4],
  ['font-size', 8],
  ['font', 8],
  ['width', 16],
  ['max-width', 16],
  ['height', 32],
  ['max-height', 32],
  ['text-indent', 64],
]);
const IMPORTANT = 256;
const PLAIN_BITS = IMPORTANT - 1;
const SIZE_BITS = 16 | 32 | 64;
/** Visibility and size of letters: an element within may have its own. */
const REVEALING_BITS = 2 | 8;
const HIDING_VALUE = /^(?:font:(?:.*\s)?0(?:px|pt|em|rem|%)?(?:\/|\s)|text-indent:\s*-\d{3})/i;
/** Strings without a letter or digit, and what clears or draws quotes. */
const EMPTY_CONTENT =
  /^(?:(?:none|normal|initial|inherit|unset|(?:no-)?(?:open|close)-quote|"[^"\p{L}\p{N}]*"|'[^'\p{L}\p{N}]*')\s*)*$/iu;
const TOKEN = /"(?:[^"\\\n]|\\[^])*"|'(?:[^'\\\n]|\\[^])*'|\\[^]|[{};]/g;
const OTHER_MEDIA = /\b(?:print|speech|tty)\b/i;
const NOT = /\bnot\b/i;
const PSEUDO_TEXT = /:(?:before|after|marker)\b/i;
const SIMPLE = /([.#]?)((?:[\w\u0080-\uffff-]|\\[0-9a-f]{1,6}\s?|\\[^0-9a-f])+)/giy;
const CLASS_ATTRIBUTE = /\[\s*class\s*~?=\s*["']?([\w-]+)["']?\s*\]/gi;
/** What Outlook on the web adds in a dark theme. */
const DARK_THEME = /\[\s*data-ogs[bc]\s*\]/i;
const ESCAPE = /\\(?:([0-9a-f]{1,6})\s?|([^]))/gi;

export type View = 'always' | 'media';

interface Block {
  /** null: what is in it is not for elements, or not for mail. */
  readonly view: View | null;
  /** null: it holds rules, not declarations. */
  readonly selector: string | null;
  body: string;
}

interface Rule {
  readonly view: View;
  readonly hides: number;
  readonly shows: number;
  /** It turns letters around, or adds text. */
  readonly alters: boolean;
  /** It puts a block into the line. */
  readonly joins: boolean;
  /** It makes a block. */
  readonly parts: boolean;
}

interface Entry extends Rule {
  readonly type: string;
  readonly id: string;
  readonly classes: readonly string[];
  /** Nothing else is asked for: no element around, no attribute, no state. */
  readonly exact: boolean;
}

/** The style sheets of `html`, wherever they stand in it. */
export function readStyleSheets(html: string): StyleSheets {
  let reader: SheetReader | null = null;
  STYLE_START.lastIndex = 0;
  for (let start = STYLE_START.exec(html); start !== null; start = STYLE_START.exec(html)) {
    const tagEnd = html.indexOf('>', start.index);
    if (tagEnd === -1) break;
    reader ??= new SheetReader();
    const attributes = html.slice(start.index, Math.min(tagEnd, start.index + MAX_TAG_CHARACTERS));
    // The tag may end at another place.
    if (/["']/.test(attributes.replace(QUOTED, ''))) reader.whole = false;
    const media = MEDIA_ATTRIBUTE.exec(attributes);
    const view = viewOf(media?.[1] ?? media?.[2] ?? media?.[3] ?? '');
    STYLE_END.lastIndex = tagEnd;
    const end = STYLE_END.exec(html)?.index ?? html.length;
    if (view !== null && tagEnd + 1 < end) reader.read(html.slice(tagEnd + 1, end).replace(COMMENT, ' '), view);
    STYLE_START.lastIndex = end;
  }
  return reader ?? NO_SHEETS;
}

/** Null: nobody reads mail in it. */
function viewOf(query: string): View | null {
  if (OTHER_MEDIA.test(query) && !query.includes(',') && !NOT.test(query)) return null;
  return query.includes('(') ? 'media' : 'always';
}

class SheetReader implements StyleSheets {
  /** By the id, class or type that an element must have; `*` for all. */
  readonly #entries = new Map<string, Entry[]>();
  #tokens = 0;
  #rules = 0;
  #selectors = 0;
  #comparisons = 0;
  whole = true;

  read(css: string, view: View): void {
    const outside: Block = { view, selector: null, body: '' };
    const open: Block[] = [];
    let block = outside;
    let start = 0;
    for (const { 0: sign, index } of css.matchAll(TOKEN)) {
      if (++this.#tokens > MAX_TOKENS || open.length > MAX_NESTING) this.whole = false;
      if (!this.whole) return;
      // A string, or an escape.
      if (sign.length > 1) continue;
      const text = css.slice(start, index);
      start = index + 1;
      if (sign === '{') {
        open.push(block);
        block = blockOf(text.trim(), block);
        continue;
      }
      if (block.selector !== null && block.body.length < MAX_DECLARATIONS_CHARACTERS) block.body += `${text};`;
      if (sign === ';') continue;
      this.#declare(block);
      block = open.pop() ?? outside;
    }
    block.body += css.slice(start);
    this.#declare(block);
  }

  effectOn(tag: string, attributes: Attributes, isLink: boolean): SheetEffect {
    if (this.#entries.size === 0) return NOTHING;
    const named = attributes.get('class');
    const classes =
      named === undefined
        ? NO_CLASSES
        : named
            .toLowerCase()
            .trim()
            .split(/\s+/, MAX_CLASSES + 1);
    if (classes.length > MAX_CLASSES) this.whole = false;
    if (!this.whole) return NOTHING;
    const id = attributes.get('id')?.trim().toLowerCase() ?? '';
    const keys = ['*', tag, `#${id}`, ...classes.map((name) => `.${name}`)].filter((key) => this.#entries.has(key));
    if (keys.length === 0) return NOTHING;
    const sums = { always: { hides: 0, shows: 0 }, media: { hides: 0, shows: 0 } };
    let doubtful = false;
    let parts: View | null = null;
    for (const key of new Set(keys)) {
      for (const entry of this.#entries.get(key) ?? []) {
        if (++this.#comparisons > MAX_COMPARISONS) {
          this.whole = false;
          return NOTHING;
        }
        if (isLink && !entry.exact && entry.view === 'media') continue;
        if (entry.type !== '' && entry.type !== tag) continue;
        if (entry.id !== '' && entry.id !== id) continue;
        if (!entry.classes.every((name) => classes.includes(name))) continue;
        doubtful ||=
          entry.alters ||
          (entry.joins && isBlock(tag)) ||
          (!entry.exact && entry.hides !== 0 && entry.view === 'always');
        if (entry.parts && parts !== 'always') parts = entry.view;
        const sum = sums[entry.view];
        sum.hides |= entry.hides;
        sum.shows |= entry.shows;
      }
    }
    const { always, media } = sums;
    const hidden = left(always.hides, always.shows);
    if (!hidden && always.hides !== 0) doubtful = true;
    // Without a size text flows over, or it does not.
    if (always.hides !== 0 && (always.hides & PLAIN_BITS & ~SIZE_BITS) === 0) doubtful = true;
    const isShown = (always.hides & PLAIN_BITS & ~media.shows) === 0 && media.shows !== 0;
    return {
      hidden,
      inMedia: left(media.hides, media.shows) ? 'hidden' : isShown ? 'shown' : null,
      doubtful,
      parts,
      forced: always.shows >= IMPORTANT,
      reveals: ((always.shows | media.shows) & REVEALING_BITS) !== 0,
    };
  }

  #declare({ view, selector, body }: Block): void {
    if (view === null || selector === null) return;
    const { hides, shows, turns, joins, parts, adds } = effectOf(body);
    if (!adds && !turns && hides + shows === 0) return;
    if (++this.#rules > MAX_RULES || selector.length > MAX_SELECTOR_CHARACTERS) {
      this.whole = false;
      return;
    }
    for (const each of selector.split(',')) {
      // Of a rule for added text only the text counts.
      const isAdded = PSEUDO_TEXT.test(each);
      if (isAdded ? !adds && !parts : !turns && hides + shows === 0) continue;
      if (++this.#selectors > MAX_SELECTORS) this.whole = false;
      else
        this.#enter(
          each.trim(),
          isAdded
            ? { view, hides: 0, shows: 0, alters: adds, joins: false, parts }
            : { view, hides, shows, alters: turns, joins, parts },
        );
    }
  }

  #enter(selector: string, rule: Rule): void {
    const subject = selector.slice(lastCombinator(selector) + 1).replace(CLASS_ATTRIBUTE, '.$1');
    const view = DARK_THEME.test(selector) ? 'media' : rule.view;
    let type = '';
    let id = '';
    const classes: string[] = [];
    SIMPLE.lastIndex = 0;
    if (subject.startsWith('*')) SIMPLE.lastIndex = 1;
    let end = SIMPLE.lastIndex;
    for (let simple = SIMPLE.exec(subject); simple !== null; simple = SIMPLE.exec(subject)) {
      end = SIMPLE.lastIndex;
      const name = unescaped(simple[2] ?? '').toLowerCase();
      if (simple[1] === '.') classes.push(name);
      else if (simple[1] === '#') id = name;
      else type = name;
    }
    const exact = end === subject.length && lastCombinator(selector) === -1;
    const key = id !== '' ? `#${id}` : classes[0] !== undefined ? `.${classes[0]}` : type !== '' ? type : '*';
    // What it is about in the other view is not known; for all elements it is not.
    if (key === '*' && end < subject.length && view === 'media') return;
    const entry: Entry = { ...rule, view, type, id, classes, exact };
    const known = this.#entries.get(key);
    if (known === undefined) this.#entries.set(key, [entry]);
    else known.push(entry);
  }
}

/** Whether something hides that nothing shows. */
function left(hides: number, shows: number): boolean {
  const important = Math.trunc(hides / IMPORTANT) & ~Math.trunc(shows / IMPORTANT);
  return (important | (hides & PLAIN_BITS & ~shows)) !== 0;
}

function blockOf(prelude: string, around: Block): Block {
  if (!prelude.startsWith('@')) {
    // A rule in a rule counts for the elements that its own selector names, if those around are there.
    const selector = around.selector === null ? prelude : prelude.replace(/(^|,)\s*&?/g, '$1 & ');
    return { view: around.view, selector, body: '' };
  }
  const [, name = '', query = ''] = /^@([\w-]+)([^]*)$/.exec(prelude) ?? [];
  const { view, selector } = around;
  switch (name.toLowerCase()) {
    case 'media': {
      const asked = viewOf(query);
      return { view: asked === 'always' ? view : view === null ? null : asked, selector, body: '' };
    }
    case 'supports':
    case 'layer':
    case 'container':
    case 'scope':
    case '-moz-document':
      return { view, selector, body: '' };
    default:
      return { view: null, selector: null, body: '' };
  }
}

interface Effect {
  readonly hides: number;
  readonly shows: number;
  readonly turns: boolean;
  readonly joins: boolean;
  readonly parts: boolean;
  readonly adds: boolean;
}

function effectOf(body: string): Effect {
  let hides = 0;
  let shows = 0;
  let adds = false;
  let joins = false;
  let parts = false;
  const text = body.includes('\\') ? unescaped(body) : body;
  for (const declaration of text.slice(0, MAX_DECLARATIONS_CHARACTERS).split(';')) {
    const colon = declaration.indexOf(':');
    const name = declaration.slice(0, Math.max(colon, 0)).trim().toLowerCase();
    const value = declaration.slice(colon + 1).trim();
    if (name === 'content') adds ||= !EMPTY_CONTENT.test(value.replace(/\s*!\s*important$/i, ''));
    if (name === 'display') {
      if (/^(?:inline|contents)/i.test(value)) joins = true;
      else if (!/^none/i.test(value)) parts = true;
    }
    const bit = PROPERTIES.get(name);
    if (bit === undefined) continue;
    const bits = /!\s*important$/i.test(value) ? bit * (1 + IMPORTANT) : bit;
    const line = `${name}:${value}`;
    if (HIDDEN_STYLE.test(line) || HIDING_VALUE.test(line)) hides |= bits;
    else shows |= bits;
  }
  return { hides, shows, turns: TURNED_STYLE.test(text), joins, parts, adds };
}

/** Where the last compound selector begins, less one. */
function lastCombinator(selector: string): number {
  let depth = 0;
  for (let at = selector.length - 1; at >= 0; at--) {
    const character = selector.charAt(at);
    if (character === ')' || character === ']') depth++;
    else if (character === '(' || character === '[') depth--;
    else if (depth <= 0 && /[\s>+~]/.test(character) && selector.charAt(at - 1) !== '\\') return at;
  }
  return -1;
}

function unescaped(text: string): string {
  return text.replace(ESCAPE, (_escape, hex: string | undefined, character: string | undefined) => {
    const point = hex === undefined ? 0 : Number.parseInt(hex, 16);
    return hex === undefined
      ? (character ?? '')
      : point > 0x10ffff || point === 0
        ? '\ufffd'
        : String.fromCodePoint(point);
  });
}
