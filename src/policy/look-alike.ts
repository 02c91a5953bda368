/**
 * Domain names that look like others (UTS 39, cut down to what mail meets). Pure; for links and for From domains.
 *
 * Three questions. Does a label mix scripts that no language mixes (`аpple` with a Cyrillic а)? Is it written whole in Cyrillic
 * or Greek letters that all look like ASCII ones (`сор`), under a domain that is not of that script? Does the name, with accents
 * taken off and 0 read as o, look the same as one of the names that are trusted (`examp1e.com`, `exämple.com`)?
 *
 * Names come in as A-labels or as people write them. A label in one script, its own (`bücher.example`, `почта.рф`), is fine.
 * Known limits: the table holds letters that look like ASCII in common fonts, not all of Unicode's confusables; two names
 * in the same non-Latin script are not compared.
 */
import { domainToASCII, domainToUnicode } from 'node:url';

export type LookAlike =
  /** `scripts` by their Unicode names. */
  | { readonly kind: 'mixed-scripts'; readonly scripts: readonly string[] }
  /** `looksLike`: the label in ASCII. */
  | { readonly kind: 'whole-script'; readonly script: string; readonly looksLike: string }
  /** A letter or mark that no language writes in names: phonetic letters, small capitals, slashes of other scripts. */
  | { readonly kind: 'odd-letter' }
  /** An `xn--` label that does not decode. */
  | { readonly kind: 'unreadable' };

const SCRIPTS: readonly (readonly [name: string, letters: RegExp])[] =
  'Latin Cyrillic Greek Armenian Hebrew Arabic Georgian Cherokee Devanagari Thai Hangul Hiragana Katakana Bopomofo Han'
    .split(' ')
    .map((name) => [name, new RegExp(`\\p{Script=${name}}`, 'u')]);
const ANY_LETTER = /\p{L}/u;
/** What one language mixes (UTS 39, section 5.2, highly restrictive). */
const MIXES: readonly ReadonlySet<string>[] = [
  new Set(['Latin', 'Han', 'Hiragana', 'Katakana']),
  new Set(['Latin', 'Han', 'Bopomofo']),
  new Set(['Latin', 'Han', 'Hangul']),
];
/** Phonetic extensions, modifier letters, click letters; and strokes of Han and kana that pass for `/` or `.` next to Latin. */
const ODD =
  /[\u0180\u01c0-\u01c3\u0250-\u02af\u02b0-\u02ff\u1d00-\u1dbf\ua720-\ua7ff\uab30-\uab6f]|[a-z0-9][\u30ce\u30bd\u30f3\u30fb\u4e36\u4e3f\u3033]|[\u30ce\u30bd\u30f3\u30fb\u4e36\u4e3f\u3033][a-z0-9]/u;

/** Lower-case letters that look like ASCII, each with what it looks like: Cyrillic, Greek, Armenian, Latin. */
const CONFUSABLES: ReadonlyMap<string, string> = new Map(
  (
    'аa еe оo рp сc уy хx ѕs іi їi јj ӏl ԁd ԛq ԝw һh ѵv кk гr пn үy ґr ԍg ьb ' +
    'αa εe ηn ιi κk νv οo ρp τt υu χx ωw γy ϲc ϳj όo άa έe ίi ύu ' +
    'աw գq հh յj ոn սu ցg օo ' +
    'ıi ȷj øo đd łl ħh ŧt'
  )
    .split(' ')
    .map((pair): [string, string] => [pair.slice(0, -1), pair.slice(-1)]),
);

/** What is wrong with the letters of `domain`; null when nothing is. */
export function findLookAlike(domain: string): LookAlike | null {
  const lower = domain.toLowerCase().replace(/\.$/, '');
  if (!lower.includes('xn--') && !/[^\u0000-\u007f]/.test(lower)) return null;
  const decoded = domainToUnicode(domainToASCII(lower));
  if (decoded === '') return { kind: 'unreadable' };
  const labels = decoded.split('.');
  const topLevel = labels.at(-1) ?? '';
  for (const label of labels) {
    const found = judgeLabel(label, scriptsOf(topLevel));
    if (found !== null) return found;
  }
  return null;
}

/**
 * A function that says which of `trusted` a domain looks like: the first, as A-labels; null when there is none, or when the domain
 * is one of them or a name below one.
 */
export function createImitationFinder(trusted: readonly string[]): (domain: string) => string | null {
  const entries = trusted
    .map((entry) => ({ name: toAscii(entry), skeleton: skeletonOf(entry) }))
    .filter(({ name }) => name !== '');
  return (domain) => {
    const name = toAscii(domain);
    if (entries.some((entry) => name === entry.name || name.endsWith(`.${entry.name}`))) return null;
    const skeleton = skeletonOf(name);
    const found = entries.find((entry) => skeleton === entry.skeleton || skeleton.endsWith(`.${entry.skeleton}`));
    return found?.name ?? null;
  };
}

function judgeLabel(label: string, topLevelScripts: readonly string[]): LookAlike | null {
  if (label.startsWith('xn--')) return { kind: 'unreadable' };
  if (!/[^\u0000-\u007f]/.test(label)) return null;
  if (ODD.test(label)) return { kind: 'odd-letter' };
  const scripts = scriptsOf(label);
  const mixed = scripts.length > 1 && !MIXES.some((mix) => scripts.every((script) => mix.has(script)));
  if (mixed) return { kind: 'mixed-scripts', scripts };
  const script = scripts[0] ?? 'Latin';
  if (script === 'Latin' || topLevelScripts.includes(script)) return null;
  const looksLike = mapConfusables(label);
  return /^[a-z0-9-]+$/.test(looksLike) ? { kind: 'whole-script', script, looksLike } : null;
}

/** The scripts of the letters in `text`; `Other` for one that is not in the list. */
function scriptsOf(text: string): readonly string[] {
  const found = new Set<string>();
  for (const character of text) {
    if (!ANY_LETTER.test(character)) continue;
    found.add(SCRIPTS.find(([, letters]) => letters.test(character))?.[0] ?? 'Other');
  }
  return [...found];
}

function mapConfusables(text: string): string {
  return Array.from(text, (character) => CONFUSABLES.get(character) ?? character).join('');
}

/** What is left of a name for a hasty reader. */
function skeletonOf(domain: string): string {
  const ascii = toAscii(domain);
  const decoded = domainToUnicode(ascii) || ascii;
  return mapConfusables(mapConfusables(decoded).normalize('NFD').replace(/\p{M}/gu, ''))
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replaceAll('0', 'o')
    .replace(/[1i]/g, 'l');
}

function toAscii(domain: string): string {
  const lower = domain.toLowerCase().replace(/\.$/, '');
  return /[^\u0000-\u007f]/.test(lower) ? domainToASCII(lower) : lower;
}
