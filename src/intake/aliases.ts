/**
 * Other services' header names that stand for ours, for apps that were written for them.
 *
 * Read only for a credential that lists the family in `headers.aliases`, and taken out then, as our own are; all others are
 * passed on as they came. A tag becomes lower case with `-` for spaces, which is safe: two tags that differ in nothing else are
 * one kind of mail. A value that is no tag even then is a refusal that names the header. Our own header always goes first.
 *
 * Decided: of several aliases that give a tag, the first in the message counts, and a different one becomes a warning.
 * `X-SES-MESSAGE-TAGS` holds pairs: `tag` is the tag, the others are metadata; without that pair, `X-SES-Configuration-Set`
 * gives the tag, which is one of the two headers that Auth0 lets a customer set.
 */
import type { AliasFamily, Identity } from '../config/types.ts';
import { TAG_GRAMMAR } from '../core/message.ts';
import { decodeWords } from '../mail/encoded-words.ts';
import { fieldValue, type HeaderField } from '../mail/header.ts';

/** What the aliases of a message say. */
export interface AliasWishes {
  readonly kind: 'aliases';
  readonly tag: string | null;
  readonly metadata: readonly AliasMetadata[];
  readonly warnings: readonly string[];
}

export interface AliasMetadata {
  /** Of the header, for messages. */
  readonly title: string;
  /** Lower case; not checked yet. */
  readonly key: string;
  readonly value: string;
}

/** A header whose value cannot be used; `expectation` completes "Bad header X: it ...". */
export interface BadAlias {
  readonly kind: 'bad';
  readonly title: string;
  readonly expectation: string;
}

interface TagAlias {
  readonly kind: 'tag';
  readonly family: AliasFamily;
  readonly title: string;
}

type Alias =
  | TagAlias
  | { readonly kind: 'pairs' | 'set'; readonly family: AliasFamily; readonly title: string }
  | { readonly kind: 'metadata'; readonly family: AliasFamily; readonly title: string; readonly key: string };

const ALIASES: ReadonlyMap<string, Exclude<Alias, { kind: 'metadata' }>> = new Map([
  ['x-pm-tag', { kind: 'tag', family: 'postmark', title: 'X-PM-Tag' }],
  ['x-ses-message-tags', { kind: 'pairs', family: 'ses', title: 'X-SES-MESSAGE-TAGS' }],
  ['x-ses-configuration-set', { kind: 'set', family: 'ses', title: 'X-SES-Configuration-Set' }],
  ['x-mailgun-tag', { kind: 'tag', family: 'mailgun', title: 'X-Mailgun-Tag' }],
  ['x-tag', { kind: 'tag', family: 'symfony', title: 'X-Tag' }],
  ['x-postal-tag', { kind: 'tag', family: 'postal', title: 'X-Postal-Tag' }],
]);

const METADATA_PREFIXES: readonly { readonly prefix: string; readonly family: AliasFamily; readonly title: string }[] =
  [
    { prefix: 'x-pm-metadata-', family: 'postmark', title: 'X-PM-Metadata-' },
    { prefix: 'x-metadata-', family: 'symfony', title: 'X-Metadata-' },
  ];

const MAX_VALUE_CHARS = 1024;
const NOT_A_TAG = 'must be a tag: 1 to 64 letters, digits, spaces and . _ -, the first a letter or digit';

/** Whether `field` is one that the relay reads for `credential`, and takes out. */
export function isAcceptedAlias(field: HeaderField, credential: Identity | null): boolean {
  return aliasOf(field.key, credential) !== null;
}

/** Reads the aliases among `fields` that `credential` may use; a client without a credential has none. */
export function readAliases(
  bytes: Uint8Array,
  fields: readonly HeaderField[],
  credential: Identity | null,
): AliasWishes | BadAlias {
  const tags: { readonly title: string; readonly tag: string }[] = [];
  const sets: typeof tags = [];
  const metadata: AliasMetadata[] = [];
  for (const field of fields) {
    const alias = aliasOf(field.key, credential);
    if (alias === null) continue;
    const { title } = alias;
    const raw = fieldValue(bytes, field);
    if (raw.length > MAX_VALUE_CHARS) {
      return { kind: 'bad', title, expectation: `must be at most ${MAX_VALUE_CHARS} characters` };
    }
    const value = decodeWords(raw).trim();
    if (alias.kind === 'metadata') {
      metadata.push({ title, key: alias.key, value });
      continue;
    }
    if (alias.kind === 'pairs') {
      const pairs = readPairs(value);
      if (pairs === null)
        return { kind: 'bad', title, expectation: 'must be pairs such as tag=password-reset, user=42' };
      for (const [name, text] of pairs) {
        if (name !== 'tag') {
          metadata.push({ title, key: name, value: text });
          continue;
        }
        const tag = toTag(text);
        if (tag === null) return { kind: 'bad', title, expectation: `has a pair "tag" that ${NOT_A_TAG}` };
        tags.push({ title, tag });
      }
      continue;
    }
    const tag = toTag(value);
    if (tag === null) return { kind: 'bad', title, expectation: NOT_A_TAG };
    (alias.kind === 'set' ? sets : tags).push({ title, tag });
  }
  const [first, ...others] = tags.length > 0 ? tags : sets;
  const warnings = others
    .filter(({ tag }) => tag !== first?.tag)
    .map(({ title, tag }) => `${title} says ${tag}: not used, ${first?.title ?? ''} came before it`);
  return { kind: 'aliases', tag: first?.tag ?? null, metadata, warnings };
}

function aliasOf(key: string, credential: Identity | null): Alias | null {
  if (credential === null || credential.headers.aliases.size === 0 || !key.startsWith('x-')) return null;
  const { aliases } = credential.headers;
  const single = ALIASES.get(key);
  if (single !== undefined) return aliases.has(single.family) ? single : null;
  const family = METADATA_PREFIXES.find(({ prefix }) => key.startsWith(prefix));
  if (family === undefined || !aliases.has(family.family)) return null;
  const name = key.slice(family.prefix.length);
  return { kind: 'metadata', family: family.family, title: `${family.title}${name.slice(0, 64)}`, key: name };
}

/** `Password Reset` -> `password-reset`; null when that gives no tag. */
function toTag(value: string): string | null {
  const tag = value.toLowerCase().replace(/\s+/g, '-');
  return TAG_GRAMMAR.test(tag) ? tag : null;
}

/** `a=b, c=d` with names in lower case, or null when it is not that. */
function readPairs(value: string): readonly (readonly [name: string, text: string])[] | null {
  const pairs: (readonly [string, string])[] = [];
  for (const part of value.split(',')) {
    const at = part.indexOf('=');
    if (at === -1) return null;
    pairs.push([part.slice(0, at).trim().toLowerCase(), part.slice(at + 1).trim()]);
  }
  return pairs;
}
