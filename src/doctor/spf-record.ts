/**
 * The text of an SPF record (RFC 7208, sections 4.5, 4.6 and 12). Pure, in one pass, and it never throws.
 *
 * Macros are recognised, not expanded: what they stand for depends on the mail.
 */
import { isIP } from 'node:net';
import { isDnsName } from '../delivery/mx/dns-message.ts';
import { quote } from './tag-list.ts';

export type SpfQualifier = '+' | '-' | '~' | '?';

export type SpfMechanismName = 'all' | 'include' | 'a' | 'mx' | 'ptr' | 'ip4' | 'ip6' | 'exists';

export interface SpfMechanism {
  readonly kind: 'mechanism';
  readonly name: SpfMechanismName;
  readonly qualifier: SpfQualifier;
  /** The domain or, for `ip4` and `ip6`, the address; null: the domain of the record itself. */
  readonly target: string | null;
  /** Bits that count, by family. */
  readonly prefix4: number;
  readonly prefix6: number;
  /** The target holds a macro: nothing can be said of it without a mail. */
  readonly hasMacro: boolean;
  /** As it stands in the record. */
  readonly text: string;
}

export interface SpfModifier {
  readonly kind: 'modifier';
  /** Lower case; only `redirect` means something to us. */
  readonly name: string;
  readonly target: string;
  readonly hasMacro: boolean;
  readonly text: string;
}

export interface SpfRecord {
  readonly terms: readonly (SpfMechanism | SpfModifier)[];
  /** Each makes a receiver give up with `permerror`. */
  readonly problems: readonly string[];
}

const MECHANISM = /^([-+~?]?)([a-z0-9]+)(?::([^/]*))?((?:\/.*)?)$/i;
const MODIFIER = /^([a-z][a-z0-9._-]*)=(.*)$/i;
const NAMES: readonly SpfMechanismName[] = ['all', 'include', 'a', 'mx', 'ptr', 'ip4', 'ip6', 'exists'];

/** Whether a TXT record is an SPF record (section 4.5). */
export function isSpfRecord(text: string): boolean {
  return /^v=spf1(?: |$)/i.test(text);
}

/** Reads a text for which `isSpfRecord` holds. */
export function parseSpfRecord(text: string): SpfRecord {
  const terms: (SpfMechanism | SpfModifier)[] = [];
  const problems: string[] = [];
  for (const word of text.split(/ +/).slice(1)) {
    if (word === '') continue;
    const term = parseTerm(word);
    if (typeof term === 'string') problems.push(`"${quote(word)}" ${term}`);
    else terms.push(term);
  }
  for (const name of ['redirect', 'exp']) {
    if (terms.filter((term) => term.kind === 'modifier' && term.name === name).length > 1) {
      problems.push(`${name}= is there twice`);
    }
  }
  return { terms, problems };
}

/** A term, or what is wrong with it. */
function parseTerm(word: string): SpfMechanism | SpfModifier | string {
  const modifier = MODIFIER.exec(word);
  if (modifier !== null) {
    const [, name = '', target = ''] = modifier;
    const hasMacro = target.includes('%');
    if (/^(?:redirect|exp)$/i.test(name) && !hasMacro && !isDomain(target)) return 'does not name a domain';
    return { kind: 'modifier', name: name.toLowerCase(), target: target.toLowerCase(), hasMacro, text: word };
  }
  const mechanism = MECHANISM.exec(word);
  const name = NAMES.find((known) => known === mechanism?.[2]?.toLowerCase());
  if (mechanism === null || name === undefined) return 'is no mechanism of SPF';
  const [, sign = '', , target = null, lengths = ''] = mechanism;
  const base = { kind: 'mechanism', name, qualifier: qualifierOf(sign), text: word } as const;
  switch (name) {
    case 'all':
      if (target !== null || lengths !== '') return 'takes nothing behind `all`';
      return { ...base, target: null, prefix4: 32, prefix6: 128, hasMacro: false };
    case 'ip4':
    case 'ip6':
      return addressTerm(base, target, lengths);
    case 'include':
    case 'exists':
    case 'ptr':
    case 'a':
    case 'mx':
      return domainTerm(base, target, lengths);
  }
}

type Base = Pick<SpfMechanism, 'kind' | 'name' | 'qualifier' | 'text'>;

function addressTerm(base: Base, target: string | null, lengths: string): SpfMechanism | string {
  const family = base.name === 'ip4' ? 4 : 6;
  const bits = family === 4 ? 32 : 128;
  if (isIP(target ?? '') !== family) return `has no IPv${family} address`;
  const prefix = lengths === '' ? bits : prefixOf(lengths, bits);
  if (prefix === null) return 'has a network length that cannot be';
  return {
    ...base,
    target,
    prefix4: family === 4 ? prefix : 32,
    prefix6: family === 6 ? prefix : 128,
    hasMacro: false,
  };
}

function domainTerm(base: Base, target: string | null, lengths: string): SpfMechanism | string {
  const mayHaveLengths = base.name === 'a' || base.name === 'mx';
  const mayLackTarget = mayHaveLengths || base.name === 'ptr';
  const hasMacro = target?.includes('%') === true;
  if (target === null && !mayLackTarget) return 'names no domain';
  if (target !== null && !hasMacro && !isDomain(target)) return 'does not name a domain';
  // A macro may hold slashes: then where the network length begins cannot be told.
  if (hasMacro) return { ...base, target, prefix4: 32, prefix6: 128, hasMacro };
  if (lengths !== '' && !mayHaveLengths) return 'takes no network length';
  const [four = '', six] = lengths.split('//');
  const prefix4 = four === '' ? 32 : prefixOf(four, 32);
  const prefix6 = six === undefined ? 128 : prefixOf(`/${six}`, 128);
  if (prefix4 === null || prefix6 === null) return 'has a network length that cannot be';
  return { ...base, target: target?.toLowerCase() ?? null, prefix4, prefix6, hasMacro };
}

function prefixOf(text: string, bits: number): number | null {
  const [, digits] = /^\/(0|[1-9]\d{0,2})$/.exec(text) ?? [];
  const prefix = Number(digits);
  return digits === undefined || prefix > bits ? null : prefix;
}

function isDomain(text: string): boolean {
  return isDnsName(text.replace(/\.$/, '')) && text.includes('.');
}

function qualifierOf(sign: string): SpfQualifier {
  return sign === '-' || sign === '~' || sign === '?' ? sign : '+';
}
