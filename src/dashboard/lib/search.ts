/**
 * The search box: one line that understands every key, and the address that stands for it.
 *
 *   ann@example.net                       recipient, or Message-ID
 *   ann.s       ann.s*      ann@exa       the beginning of a recipient
 *   msg_01...   <id@host>   flow-17       message, Message-ID, flow
 *   tag:password-reset state:deferred since:2h before:2026-11-28T09:00
 *   deferred   password-reset             a state by its bare name
 *
 * What is no filter is the key; the relay looks under recipient, ids and flow for it. Pure, and tested as such.
 */
import { STATES } from './states.ts';

export interface Search {
  /** Recipient, message id, delivery id, Message-ID or flow; empty: none. */
  readonly key: string;
  readonly recipient: string;
  readonly flow: string;
  readonly tag: string;
  readonly state: string;
  /** `15m`, `2h`, `7d`, or a time. */
  readonly since: string;
  readonly until: string;
}

export const NO_SEARCH: Search = { key: '', recipient: '', flow: '', tag: '', state: '', since: '', until: '' };

const FILTERS: Readonly<Record<string, keyof Search>> = {
  to: 'recipient',
  recipient: 'recipient',
  flow: 'flow',
  tag: 'tag',
  state: 'state',
  is: 'state',
  since: 'since',
  after: 'since',
  until: 'until',
  before: 'until',
};

/** Reads what was typed. A filter without a value is taken as part of the key. */
export function parseSearch(text: string): Search {
  const found: Record<keyof Search, string> = { ...NO_SEARCH };
  const rest: string[] = [];
  for (const word of text.trim().split(/\s+/)) {
    const [, name = '', value = ''] = /^([a-z]+):(.+)$/i.exec(word) ?? [];
    const filter = Object.hasOwn(FILTERS, name.toLowerCase()) ? FILTERS[name.toLowerCase()] : undefined;
    if (filter !== undefined) found[filter] = value;
    else if (isState(word) && found.state === '') found.state = word.toLowerCase();
    else if (word !== '') rest.push(word);
  }
  return { ...found, key: rest.join(' ') };
}

function isState(word: string): boolean {
  return STATES.some((state) => state === word.toLowerCase());
}

/** The filters of the API that a bare key may stand for, the likeliest first; the next one is asked when one finds nothing. */
export function filtersOf(key: string): readonly Readonly<Record<string, string>>[] {
  if (key === '') return [{}];
  if (key.startsWith('<')) return [{ message_id: key }];
  if (key.endsWith('*')) return [{ recipient: key }];
  const begins = /\s|^@/.test(key) ? [] : [{ recipient: `${key}*` }];
  if (key.includes('@')) return [{ recipient: key }, { message_id: key }, { flow: key }, ...begins];
  return [{ flow: key }, ...begins];
}

/** What is wrong with a key that is the end of an address, which no index finds; empty: nothing. */
export function faultOf({ key, recipient }: Search): string {
  return [key, recipient].some((text) => text.startsWith('@') || text.startsWith('*'))
    ? 'An address is found by how it begins: ann@example.net, or ann.s for all that begin so. A domain alone is not searched.'
    : '';
}

/** What stands in the box for `search`. */
export function searchText({ key, recipient, flow, tag, state, since, until }: Search): string {
  const filters: readonly (readonly [string, string])[] = [
    ['to', recipient],
    ['flow', flow],
    ['tag', tag],
    ['state', state],
    ['since', since],
    ['until', until],
  ];
  return [key, ...filters.flatMap(([name, value]) => (value === '' ? [] : [`${name}:${value}`]))]
    .filter((part) => part !== '')
    .join(' ');
}

/** The search that an address's query stands for. */
export function searchOf(query: URLSearchParams): Search {
  const of = (name: string): string => query.get(name) ?? '';
  return {
    key: of('q'),
    recipient: of('recipient'),
    flow: of('flow'),
    tag: of('tag'),
    state: of('state'),
    since: of('since'),
    until: of('until'),
  };
}

/** The query that stands for `search`. */
export function queryOf({ key, ...rest }: Search): Readonly<Record<string, string>> {
  return { q: key, ...rest };
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `2h` as the time two hours before `nowMs`, a time as it is, both in RFC 3339; null when it is neither. */
export function momentOf(text: string, nowMs: number): string | null {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (amount !== undefined && unit !== undefined) {
    return new Date(nowMs - Number(amount) * (UNITS[unit] ?? 0)).toISOString();
  }
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text.includes('T') ? text : `${text}T00:00`) : Number.NaN;
  return Number.isNaN(at) ? null : new Date(at).toISOString();
}
