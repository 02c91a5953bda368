/**
 * An SPF record with everything that it refers to, asked for once; then what it costs and whom it covers is arithmetic
 * (RFC 7208, sections 4.6.4 and 5).
 *
 * Bounded: a record that leads to more than `MAX_TERMS` look-ups is not followed further, which is far beyond the 10 that a
 * receiver makes. What depends on the mail (macros, `ptr`, `exists`) or could not be asked makes an answer `unknown`.
 */
import { isIP } from 'node:net';
import type { DoctorDns } from './dns.ts';
import { isInNetwork } from './networks.ts';
import { isSpfRecord, parseSpfRecord, type SpfMechanism, type SpfModifier } from './spf-record.ts';

export type SpfState =
  | { readonly kind: 'record'; readonly text: string; readonly problems: readonly string[] }
  | { readonly kind: 'none' }
  | { readonly kind: 'several'; readonly texts: readonly string[] }
  | { readonly kind: 'failed'; readonly text: string }
  /** It includes itself, or is deeper than any receiver goes. */
  | { readonly kind: 'cut' };

export interface SpfNode {
  readonly domain: string;
  readonly state: SpfState;
  readonly terms: readonly SpfTerm[];
}

export interface SpfTerm {
  readonly term: SpfMechanism | SpfModifier;
  /** What `a` and `mx` stand for. */
  readonly addresses: readonly string[];
  /** What `include` and `redirect` lead to. */
  readonly node: SpfNode | null;
  /** Its look-up found nothing at all: a receiver allows two of those. */
  readonly isVoid: boolean;
  /** Why it could not be asked; null: it was. */
  readonly failed: string | null;
}

export type SpfResult = 'pass' | 'fail' | 'softfail' | 'neutral' | 'permerror' | 'unknown';

/** Look-ups that a receiver makes for one mail (section 4.6.4). */
export const MAX_LOOKUPS = 10;
const MAX_TERMS = 40;
const MAX_MX_HOSTS = 10;
const ASKING: ReadonlySet<string> = new Set(['include', 'a', 'mx', 'ptr', 'exists', 'redirect']);

/** Asks for the SPF record of `domain` and for all that it refers to. */
export function loadSpf(domain: string, dns: DoctorDns): Promise<SpfNode> {
  const budget = { left: MAX_TERMS };
  return load(domain.toLowerCase(), []);

  async function load(name: string, path: readonly string[]): Promise<SpfNode> {
    const without = (state: SpfState): SpfNode => ({ domain: name, state, terms: [] });
    if (path.includes(name) || path.length > MAX_LOOKUPS) return without({ kind: 'cut' });
    const answer = await dns.texts(name);
    if (answer.kind === 'failed') return without(answer);
    const texts = answer.kind === 'texts' ? answer.texts.filter(isSpfRecord) : [];
    const [text] = texts;
    if (text === undefined) return without({ kind: 'none' });
    if (texts.length > 1) return without({ kind: 'several', texts });
    const { terms, problems } = parseSpfRecord(text);
    const inForce = terms.filter((term) => !isIdle(term, terms));
    const loaded: SpfTerm[] = [];
    // In turn: the budget is spent in the order in which a receiver would.
    for (const term of inForce) loaded.push(await loadTerm(term, name, [...path, name]));
    return { domain: name, state: { kind: 'record', text, problems }, terms: loaded };
  }

  async function loadTerm(term: SpfMechanism | SpfModifier, owner: string, path: readonly string[]): Promise<SpfTerm> {
    const bare: SpfTerm = { term, addresses: [], node: null, isVoid: false, failed: null };
    if (!ASKING.has(term.name) || term.hasMacro || budget.left-- <= 0) return bare;
    const target = (term.target ?? owner).replace(/\.$/, '');
    switch (term.name) {
      case 'include':
      case 'redirect': {
        const node = await load(target, path);
        return { ...bare, node, failed: node.state.kind === 'failed' ? node.state.text : null };
      }
      case 'a':
        return { ...bare, ...(await addressesOf([target])) };
      case 'mx': {
        const hosts = await dns.mailHosts(target);
        if (hosts.kind === 'failed') return { ...bare, failed: hosts.text };
        if (hosts.kind === 'none') return { ...bare, isVoid: true };
        return { ...bare, ...(await addressesOf(hosts.hosts.slice(0, MAX_MX_HOSTS).map(({ name }) => name))) };
      }
      default:
        return bare;
    }
  }

  async function addressesOf(hosts: readonly string[]): Promise<Pick<SpfTerm, 'addresses' | 'isVoid' | 'failed'>> {
    const answers = await Promise.all(hosts.map((host) => dns.addresses(host)));
    const addresses = answers.flatMap((answer) => (answer.kind === 'addresses' ? answer.addresses : []));
    const failed = answers.find((answer) => answer.kind === 'failed');
    return {
      addresses,
      isVoid: addresses.length === 0 && failed === undefined,
      failed: failed?.kind === 'failed' ? failed.text : null,
    };
  }
}

/** What stands behind `all`, and `redirect` beside `all`, is never looked at (sections 5.1 and 6.1). */
function isIdle(term: SpfMechanism | SpfModifier, terms: readonly (SpfMechanism | SpfModifier)[]): boolean {
  const all = terms.findIndex((other) => other.kind === 'mechanism' && other.name === 'all');
  if (all === -1) return term.kind === 'modifier' && term.name !== 'redirect';
  return term.kind === 'modifier' || terms.indexOf(term) > all;
}

export interface SpfCost {
  readonly lookups: number;
  /** Look-ups that found nothing. */
  readonly voids: number;
  /** By term of the record itself, dearest first: `include:_spf.example.net` 4. */
  readonly byTerm: readonly { readonly text: string; readonly lookups: number }[];
}

/** What a receiver spends on `node` at most. */
export function costOf(node: SpfNode): SpfCost {
  const byTerm = node.terms
    .map((loaded) => ({ text: loaded.term.text, lookups: lookupsOf(loaded) }))
    .filter(({ lookups }) => lookups > 0)
    .toSorted((a, b) => b.lookups - a.lookups);
  return { lookups: byTerm.reduce((sum, { lookups }) => sum + lookups, 0), voids: voidsOf(node), byTerm };
}

function lookupsOf({ term, node }: SpfTerm): number {
  const own = ASKING.has(term.name) ? 1 : 0;
  return own + (node?.terms.reduce((sum, loaded) => sum + lookupsOf(loaded), 0) ?? 0);
}

function voidsOf(node: SpfNode): number {
  return node.terms.reduce((sum, { isVoid, node: inner }) => sum + (isVoid ? 1 : 0) + (inner ? voidsOf(inner) : 0), 0);
}

/** Nodes below `node` that a receiver would stumble over, each once; `node` itself is not among them. */
export function brokenBelow(node: SpfNode): readonly SpfNode[] {
  const found = new Map<string, SpfNode>();
  const visit = ({ terms }: SpfNode): void => {
    for (const { node: inner } of terms) {
      if (inner === null) continue;
      const { state } = inner;
      if (state.kind !== 'record' || state.problems.length > 0) found.set(inner.domain, inner);
      visit(inner);
    }
  };
  visit(node);
  return [...found.values()];
}

/** Whether `domain` is included somewhere below `node`, or is `node` itself. */
export function includes(node: SpfNode, domain: string): boolean {
  return node.domain === domain || node.terms.some(({ node: inner }) => inner !== null && includes(inner, domain));
}

/** How the record ends for whoever no other term fits: the qualifier of `all`, also behind `redirect`; null: it has no `all`. */
export function endOf(node: SpfNode): SpfMechanism['qualifier'] | null {
  for (const { term, node: inner } of node.terms) {
    if (term.kind === 'mechanism' && term.name === 'all') return term.qualifier;
    if (term.kind === 'modifier' && inner !== null) return endOf(inner);
  }
  return null;
}

/** What a receiver that gets mail from `address` would make of the record. */
export function evaluate(node: SpfNode, address: string): SpfResult {
  const { state } = node;
  if (state.kind === 'failed') return 'unknown';
  if (state.kind !== 'record' || state.problems.length > 0) return 'permerror';
  for (const loaded of node.terms) {
    const { term } = loaded;
    if (term.kind === 'modifier') return loaded.node === null ? 'unknown' : evaluate(loaded.node, address);
    const match = matches(loaded, term, address);
    if (match === 'unknown' || match === 'permerror') return match;
    if (match === 'yes') return RESULTS[term.qualifier];
  }
  return 'neutral';
}

const RESULTS: Readonly<Record<SpfMechanism['qualifier'], SpfResult>> = {
  '+': 'pass',
  '-': 'fail',
  '~': 'softfail',
  '?': 'neutral',
};

function matches(loaded: SpfTerm, term: SpfMechanism, address: string): 'yes' | 'no' | 'unknown' | 'permerror' {
  if (loaded.failed !== null || term.hasMacro) return 'unknown';
  switch (term.name) {
    case 'all':
      return 'yes';
    case 'ip4':
    case 'ip6':
      return isWithin(address, [term.target ?? ''], term) ? 'yes' : 'no';
    case 'a':
    case 'mx':
      return isWithin(address, loaded.addresses, term) ? 'yes' : 'no';
    case 'include': {
      if (loaded.node === null) return 'unknown';
      const inner = evaluate(loaded.node, address);
      if (inner === 'unknown' || inner === 'permerror') return inner;
      return inner === 'pass' ? 'yes' : 'no';
    }
    case 'ptr':
    case 'exists':
      return 'unknown';
  }
}

function isWithin(address: string, networks: readonly string[], { prefix4, prefix6 }: SpfMechanism): boolean {
  return networks.some((network) => isInNetwork(address, network, isIP(network) === 4 ? prefix4 : prefix6));
}
