/**
 * The links that mail readers make of plain text: `https://...`, `www.host`, `host.example/path`, and a bare `host.com`.
 *
 * One pass: text is cut at white space, angle brackets, double quotes and back quotes, which end a link for every reader, and at
 * punctuation in front of a scheme (`https://a.example,https://b.example`), which ends it for some. What follows the authority
 * is dropped unread, so nothing of a path or query can be taken for a host, unless a link was broken by a space or over two lines.
 *
 * Where readers end the host at different places (`https://a.example~.b.example`, a letter without width in it), it is a link to
 * each of the hosts that they may read.
 *
 * Readers differ in what they make a link of. Here: any scheme followed by `://`; names without a scheme when they begin with
 * `www.`, or end in a top-level domain that is known and have a path or a port; else only those in the most common ones, which
 * are marked `bare`: they may be a file name (`setup.py`) or two words without a space.
 *
 * Known limit: a host followed by letters of a script without spaces, with no slash between, is read as one name.
 */
import { hostTarget, type LinkTarget, readTarget } from './link-target.ts';

export interface TextLink {
  readonly target: LinkTarget;
  /** A name with neither scheme nor path: some readers make a link of it. */
  readonly bare: boolean;
}

const WORD = /[^\s<>"`\u0000-\u001f\u007f-\u009f]+/g;
const LABEL = /^[\p{L}\p{N}](?:[\p{L}\p{N}_-]{0,61}[\p{L}\p{N}])?$/u;
const LETTER_OR_DIGIT = /^[\p{L}\p{N}]$/u;
/** Punctuation that ends a link for some readers, in front of the next one. */
const BEFORE_SCHEME = /[,;|()[\]{}'*!~^](?=[a-z][a-z0-9+.-]{0,31}:\/\/)/gi;
/** Names without a scheme, one beside the other. */
const BETWEEN_NAMES = /[,;|()[\]{}'*!~^&+=$]+/;
/** What no reader takes out of a host. */
const IN_HOST = /^[\p{L}\p{M}\p{N}._:%[\]-]$/u;
const NO_WIDTH = /\p{Default_Ignorable_Code_Point}/u;
const SCHEME_CHARACTER = /^[A-Za-z0-9+.-]$/;
const MAX_SCHEME_CHARACTERS = 32;
/** Names without a scheme in one word. */
const MAX_NAMES = 20;
const MAX_HOST_CHARACTERS = 260;

/** Top-level domains that make a bare name a link in common readers. */
const COMMON_TLDS: ReadonlySet<string> = new Set(
  (
    'com net org info biz edu gov io co app dev ai me tv xyz top site online shop club link click live store tech cloud ' +
    'page email support help zip mov icu vip work space website fun ru cn de uk fr nl eu us ca au jp br it es pl ch at se'
  ).split(' '),
);

/** Endings of files that are countries, too. */
const FILE_ENDINGS: ReadonlySet<string> = new Set('md py rs sh pl ps cc so'.split(' '));

/**
 * `link`: what readers make a link of. `shown`: what a person who sees it takes for the name of a site, which is any name in a
 * country's domain as well.
 */
export type TextUse = 'link' | 'shown';

/** The links in `text`, in its order; at most `maxLinks`. */
export function findTextLinks(text: string, maxLinks: number, use: TextUse = 'link'): readonly TextLink[] {
  const links: TextLink[] = [];
  for (const [word] of text.matchAll(WORD)) {
    if (!/\.|:\/\/|localhost/i.test(word)) continue;
    for (const piece of piecesOf(word)) {
      for (const link of linksOf(piece, use)) {
        links.push(link);
        if (links.length >= maxLinks) return links;
      }
    }
  }
  return links;
}

/** `word`, cut where a scheme follows punctuation. */
function piecesOf(word: string): readonly string[] {
  return word.includes('://') ? word.split(BEFORE_SCHEME) : [word];
}

function linksOf(word: string, use: TextUse): readonly TextLink[] {
  const links = withScheme(word, use);
  if (links !== null) return links;
  return withoutScheme(word, use);
}

/** null: there is no scheme in it. */
function withScheme(word: string, use: TextUse): readonly TextLink[] | null {
  for (let colon = word.indexOf('://'); colon !== -1; colon = word.indexOf('://', colon + 3)) {
    let start = colon;
    while (start > 0 && colon - start < MAX_SCHEME_CHARACTERS && SCHEME_CHARACTER.test(word.charAt(start - 1))) start--;
    while (start < colon && !/^[A-Za-z]$/.test(word.charAt(start))) start++;
    if (start === colon) continue;
    // Behind a slash or a question mark it may be a piece of another link: the host of that one counts, and without one none is
    // kept. It still counts as a link, because some readers make one of it.
    if (/[/\\?#]/.test(word.slice(0, start))) {
      const outer = withoutScheme(word, use);
      const piece = { target: hostTarget(word.slice(start, colon).toLowerCase(), ''), bare: false };
      return outer.length > 0 ? outer : [piece];
    }
    return authoritiesInText(word, colon + 3).flatMap((authority, index) => {
      const target = readTarget(`${word.slice(start, colon)}://${authority}`, null);
      // The longer one is a guess: most of what it might be is a word that followed without a space.
      return target === null || (index > 0 && target.form !== 'host') ? [] : [{ target, bare: false }];
    });
  }
  return null;
}

/** The authority from `start`, in each way that readers may cut it: without the punctuation of the sentence around it, and as far as it goes. */
function authoritiesInText(word: string, start: number): readonly string[] {
  let end = start;
  while (end < word.length && !'/\\?#'.includes(word.charAt(end))) end++;
  const authority = word.slice(start, end);
  // Anything may stand in front of an @, and browsers believe what stands behind it.
  if (authority.includes('@')) return [authority];
  let kept = 0;
  for (const character of authority) {
    if (!IN_HOST.test(character)) break;
    kept += character.length;
  }
  const short = withoutPunctuation(authority.slice(0, kept));
  if (kept === authority.length) return [short];
  const long = withoutPunctuation(authority);
  return long.length > kept && mayBeHost(long) ? [short, long] : [short];
}

/** A name that ends in what may be a top-level domain. */
function mayBeHost(text: string): boolean {
  return /\.(?:xn--[a-z0-9-]+|\p{L}{2,24})(?::\d{1,5})?$/u.test(text) || NO_WIDTH.test(text);
}

function withoutPunctuation(authority: string): string {
  let kept = authority.length;
  while (kept > 0 && !LETTER_OR_DIGIT.test(characterBefore(authority, kept)) && authority[kept - 1] !== ']') {
    kept -= characterBefore(authority, kept).length;
  }
  return authority.slice(0, kept);
}

function withoutScheme(word: string, use: TextUse): readonly TextLink[] {
  let end = 0;
  while (end < word.length && !'/\\?#'.includes(word.charAt(end))) end++;
  if (end > MAX_NAMES * MAX_HOST_CHARACTERS) return [];
  const names = word.slice(0, end).split(BETWEEN_NAMES, MAX_NAMES);
  return names.flatMap((name, index) => {
    const link = nameLink(name, end < word.length && index === names.length - 1, use);
    return link === null ? [] : [link];
  });
}

/** `path`: one follows. */
function nameLink(text: string, path: boolean, use: TextUse): TextLink | null {
  if (text.length > MAX_HOST_CHARACTERS || text.includes('@')) return null;
  const head = path ? text : withoutPunctuation(text);
  const port = /:(\d{1,5})$/.exec(head)?.[1];
  const host = nameAtEnd(port === undefined ? head : head.slice(0, -port.length - 1));
  const named = path || port !== undefined;
  const labels = host.split('.');
  if (labels.length === 1 ? !(named && host.toLowerCase() === 'localhost') : !looksLikeHost(labels, named, use)) {
    return null;
  }
  const target = hostTarget('', port === undefined ? host : `${host}:${port}`);
  if (target.form !== 'host') return null;
  return { target, bare: !named && labels[0]?.toLowerCase() !== 'www' };
}

/** The longest name at the end of `text`, without punctuation in front. */
function nameAtEnd(text: string): string {
  let start = text.length;
  while (start > 0) {
    const character = characterBefore(text, start);
    if (!LETTER_OR_DIGIT.test(character) && !'._-'.includes(character)) break;
    start -= character.length;
  }
  while ('._-'.includes(text.charAt(start)) && start < text.length) start++;
  return text.slice(start);
}

function looksLikeHost(labels: readonly string[], named: boolean, use: TextUse): boolean {
  if (!labels.every((label) => LABEL.test(label))) return false;
  const last = labels.at(-1)?.toLowerCase() ?? '';
  if (COMMON_TLDS.has(last) || last.startsWith('xn--')) return true;
  if (use === 'shown' && /^[a-z]{2}$/.test(last)) return !FILE_ENDINGS.has(last);
  return (
    (named || labels[0]?.toLowerCase() === 'www') && (/^[a-z]{2}$/.test(last) || /^[^\u0000-\u007f]{2,}$/.test(last))
  );
}

/** The character that ends at `end`, whole when it is a surrogate pair. */
function characterBefore(text: string, end: number): string {
  const low = text.charCodeAt(end - 1);
  return low >= 0xdc00 && low <= 0xdfff && end > 1 ? text.slice(end - 2, end) : text.charAt(end - 1);
}
