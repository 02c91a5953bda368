/**
 * The links that mail readers make of plain text: `https://...`, `www.host`, `host.example/path`, and a bare `host.com`.
 *
 * One pass: text is cut at white space, angle brackets, double quotes and back quotes, which end a link for every reader; each
 * word is one link at most, and what follows the authority is dropped unread. So nothing of a path or query can be taken for
 * a host, unless a link was broken by a space or over two lines.
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
const SCHEME_CHARACTER = /^[A-Za-z0-9+.-]$/;
const MAX_SCHEME_CHARACTERS = 32;
const MAX_HOST_CHARACTERS = 260;

/** Top-level domains that make a bare name a link in common readers. */
const COMMON_TLDS: ReadonlySet<string> = new Set(
  (
    'com net org info biz edu gov io co app dev ai me tv xyz top site online shop club link click live store tech cloud ' +
    'page email support help zip mov icu vip work space website fun ru cn de uk fr nl eu us ca au jp br it es pl ch at se'
  ).split(' '),
);

/** The links in `text`, in its order; at most `maxLinks`. */
export function findTextLinks(text: string, maxLinks: number): readonly TextLink[] {
  const links: TextLink[] = [];
  for (const [word] of text.matchAll(WORD)) {
    const link = linkOf(word);
    if (link === null) continue;
    links.push(link);
    if (links.length >= maxLinks) break;
  }
  return links;
}

function linkOf(word: string): TextLink | null {
  return withScheme(word) ?? (word.includes('.') || word.includes('localhost') ? withoutScheme(word) : null);
}

function withScheme(word: string): TextLink | null {
  for (let colon = word.indexOf('://'); colon !== -1; colon = word.indexOf('://', colon + 3)) {
    let start = colon;
    while (start > 0 && colon - start < MAX_SCHEME_CHARACTERS && SCHEME_CHARACTER.test(word.charAt(start - 1))) start--;
    while (start < colon && !/^[A-Za-z]$/.test(word.charAt(start))) start++;
    if (start === colon) continue;
    // Behind a slash or a question mark it may be a piece of another link: the host of that one counts, and without one none is
    // kept. It still counts as a link, because some readers make one of it.
    if (/[/\\?#]/.test(word.slice(0, start))) {
      return withoutScheme(word) ?? { target: hostTarget(word.slice(start, colon).toLowerCase(), ''), bare: false };
    }
    const authority = authorityInText(word, colon + 3);
    const target = readTarget(`${word.slice(start, colon)}://${authority}`, null);
    return target === null ? null : { target, bare: false };
  }
  return null;
}

/** The authority from `start`, without the punctuation of the sentence around it. */
function authorityInText(word: string, start: number): string {
  let end = start;
  while (end < word.length && !'/\\?#'.includes(word.charAt(end))) end++;
  const authority = word.slice(start, end);
  // Anything may stand in front of an @, and browsers believe what stands behind it.
  if (authority.includes('@')) return authority;
  let kept = 0;
  while (kept < authority.length && !"()',;|{}*!~".includes(authority.charAt(kept))) kept++;
  while (kept > 0 && !LETTER_OR_DIGIT.test(characterBefore(authority, kept)) && authority[kept - 1] !== ']') kept--;
  return authority.slice(0, kept);
}

function withoutScheme(word: string): TextLink | null {
  let end = 0;
  while (end < word.length && !'/\\?#'.includes(word.charAt(end))) end++;
  const path = end < word.length;
  if (end > MAX_HOST_CHARACTERS) return null;
  let head = word.slice(0, end);
  if (head.includes('@')) return null;
  if (!path) while (head !== '' && !LETTER_OR_DIGIT.test(characterBefore(head, head.length))) head = head.slice(0, -1);
  const port = /:(\d{1,5})$/.exec(head)?.[1];
  const names = port === undefined ? head : head.slice(0, -port.length - 1);
  const host = nameAtEnd(names);
  const named = path || port !== undefined;
  const labels = host.split('.');
  if (labels.length === 1 ? !(named && host.toLowerCase() === 'localhost') : !looksLikeHost(labels, named)) return null;
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

function looksLikeHost(labels: readonly string[], named: boolean): boolean {
  if (!labels.every((label) => LABEL.test(label))) return false;
  const last = labels.at(-1)?.toLowerCase() ?? '';
  if (COMMON_TLDS.has(last) || last.startsWith('xn--')) return true;
  return (
    (named || labels[0]?.toLowerCase() === 'www') && (/^[a-z]{2}$/.test(last) || /^[^\u0000-\u007f]{2,}$/.test(last))
  );
}

/** The character that ends at `end`, whole when it is a surrogate pair. */
function characterBefore(text: string, end: number): string {
  const low = text.charCodeAt(end - 1);
  return low >= 0xdc00 && low <= 0xdfff && end > 1 ? text.slice(end - 2, end) : text.charAt(end - 1);
}
