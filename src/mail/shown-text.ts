/**
 * The text that people see on a link, as far as it can tell where the link seems to lead.
 *
 * Readers show more or less of it: text that is hidden by its style or stands in a comment for Outlook alone, alternative texts of
 * images, letters that are turned around. So it is kept in several ways (`variants`), and whoever looks for a host looks in
 * all. White space is one space; letters that have no width are left out.
 *
 * Bounded: `MAX_CHARACTERS`. Known limits: those of `style-sheet.ts`, and letters that only look alike
 * (`policy/look-alike.ts` knows those in hosts).
 */
import type { Attributes } from './html-attributes.ts';

/** Where a piece of text is hidden. */
export interface Hidden {
  readonly hidden: boolean;
  /** In the other view: on a phone, or in the dark. */
  readonly inMedia: boolean;
}

export interface ShownText {
  add(text: string): void;
  /** What follows is not one word with what was. */
  separate(): void;
  /** What follows may be one word with what was: it is in one way and not in the other. */
  mayPart(): void;
  /** As `mayPart`, for a style sheet says so; beside something that is hidden there are more ways than are kept. */
  isParted(): void;
  /** Each way in which it may be shown; none when there is no text. */
  readonly variants: readonly string[];
  /** False: there is more than is kept. */
  readonly whole: boolean;
}

/** Characters seen on one link; a table for a button, indented, has some hundred. */
const MAX_CHARACTERS = 10_000;
const MAX_STYLE_CHARACTERS = 4000;
const INVISIBLE = /\p{Default_Ignorable_Code_Point}+/gu;
const TURNED = /[\u202d\u202e\u2067]/;
/** A style that hides what is in an element. */
export const HIDDEN_STYLE: RegExp =
  /(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse)|opacity\s*:\s*0(?:\.0+)?\s*(?:$|[;!])|font-size\s*:\s*0(?:\.0+)?(?:px|pt|em|rem|%)?\s*(?:$|[;!])|(?:max-)?(?:width|height)\s*:\s*0(?:px)?\s*(?:$|[;!]))/i;
/** A style that turns letters around. */
export const TURNED_STYLE: RegExp = /bidi-override|isolate-override/i;
const REVEALING_STYLE = /(?:^|[;\s])(?:font(?:-size)?|visibility)\s*:/i;
const DISPLAY = /display\s*:\s*([a-z-]{1,20})/i;
/** Elements that begin a line of their own, unless a style says otherwise. */
const BLOCKS: ReadonlySet<string> = new Set(
  (
    'address article aside blockquote body br caption center col colgroup dd details dialog dir div dl dt fieldset figcaption ' +
    'figure footer form h1 h2 h3 h4 h5 h6 head header hgroup hr html legend li listing main menu nav noscript ol optgroup ' +
    'option p pre search section select style script summary table tbody td template textarea tfoot th thead title tr ul xmp'
  ).split(' '),
);
/** Elements without an end. */
const VOIDS: ReadonlySet<string> = new Set(
  'area base basefont bgsound br col command embed hr image img input isindex keygen link meta param source track wbr'.split(
    ' ',
  ),
);

/** An empty text; `hidden` and `isTurned` are asked for each piece that is added. */
export function createShownText(hidden: () => Hidden, isTurned: () => boolean): ShownText {
  return new CollectedText(hidden, isTurned);
}

class CollectedText implements ShownText {
  readonly #hidden: () => Hidden;
  readonly #isTurned: () => boolean;
  readonly #all: string[] = [];
  readonly #visible: string[] = [];
  readonly #inMedia: string[] = [];
  #length = 0;
  #turned = false;
  #parted = false;
  #hides = false;
  #fits = true;

  constructor(hidden: () => Hidden, isTurned: () => boolean) {
    this.#hidden = hidden;
    this.#isTurned = isTurned;
  }

  add(text: string): void {
    if (text.length > MAX_CHARACTERS && text.slice(MAX_CHARACTERS).trim() !== '') this.#fits = false;
    const [seen, turns] = readable(text.slice(0, MAX_CHARACTERS));
    this.#turned ||= turns || this.#isTurned();
    this.#append(seen);
  }

  separate(): void {
    this.#append(' ');
  }

  mayPart(): void {
    if (this.#all.at(-1) !== ' ') this.#all.push(' ');
  }

  isParted(): void {
    this.#parted = true;
    this.mayPart();
  }

  get whole(): boolean {
    return this.#fits && !(this.#parted && this.#hides);
  }

  get variants(): readonly string[] {
    const found = new Set([this.#all, this.#visible, this.#inMedia].map((pieces) => pieces.join('')));
    if (this.#turned) for (const text of found) found.add([...text].reverse().join(''));
    return [...found].filter((text) => text.trim() !== '');
  }

  #append(text: string): void {
    const ways = [this.#all, this.#visible, this.#inMedia];
    if (text === ' ' && ways.every((pieces) => pieces.at(-1) === ' ')) return;
    this.#length += text.length;
    if (this.#length > MAX_CHARACTERS) {
      this.#fits = false;
      return;
    }
    this.#all.push(text);
    const { hidden, inMedia } = this.#hidden();
    if ((hidden || inMedia) && text.trim() !== '') this.#hides = true;
    if (!hidden) this.#visible.push(text);
    if (!inMedia) this.#inMedia.push(text);
  }
}

/** How the element `tag` stands in the text around it. */
export function displayOf(
  tag: string,
  attributes: Attributes,
): { readonly block: boolean; readonly hidden: boolean; readonly turned: boolean; readonly open: boolean } {
  const style = attributes.get('style')?.slice(0, MAX_STYLE_CHARACTERS) ?? '';
  const display = style === '' ? undefined : DISPLAY.exec(style)?.[1]?.toLowerCase();
  return {
    block: display === undefined || display === 'none' ? BLOCKS.has(tag) : !display.startsWith('inline'),
    hidden: attributes.has('hidden') || (style !== '' && HIDDEN_STYLE.test(style)),
    turned: tag === 'bdo' || (style !== '' && TURNED_STYLE.test(style)),
    open: !VOIDS.has(tag),
  };
}

/** Whether an element says of itself how large its letters are, or that they are seen. */
export function revealsText(attributes: Attributes): boolean {
  const style = attributes.get('style');
  return style !== undefined && REVEALING_STYLE.test(style.slice(0, MAX_STYLE_CHARACTERS)) && !HIDDEN_STYLE.test(style);
}

/** Whether text on both sides of an end of `tag` is two words. */
export function isBlock(tag: string): boolean {
  return BLOCKS.has(tag);
}

/** `text` in plain letters, and whether it turns them around. */
function readable(text: string): readonly [text: string, turned: boolean] {
  const spaced = text.replace(/\s+/g, ' ');
  if (/^[\u0020-\u007e]*$/.test(spaced)) return [spaced, false];
  // Full-width letters and leaders in place of dots are read as what they look like.
  const plain = spaced
    .replace(INVISIBLE, '')
    .normalize('NFKC')
    .replace(/[\u3002\uff61]/g, '.')
    .replace(/\s+/g, ' ');
  return [plain, TURNED.test(text)];
}
