/**
 * What an answer says about the name that was asked for: its records, found along its aliases, or that there are none.
 *
 * "There is none" is final for a mail, so it is believed only where the answer says so: an answer that merely points to other
 * servers (a referral, RFC 2308, section 2.2), or stops in the middle of a chain of aliases, does not.
 */
import type { Answer } from 'dns-packet';
import type { DnsAnswer, DnsType } from './dns-message.ts';

export type Finding =
  /** Seconds that it may be kept: the least of all records used; for none, of the SOA (RFC 2308), null without one. */
  | { readonly kind: 'records'; readonly records: readonly Answer[]; readonly ttlSeconds: number }
  | { readonly kind: 'nodata' | 'nxdomain'; readonly ttlSeconds: number | null }
  /** The name is an alias of `target`, of which the answer says nothing: it has to be asked for. */
  | { readonly kind: 'cut'; readonly target: string; readonly ttlSeconds: number }
  | { readonly kind: 'useless'; readonly text: string };

/** Longer chains are a mistake or a loop; resolvers give up at about as many. */
const MAX_ALIASES = 12;

/** Follows the aliases of `name` through `answer` to its records of `type`. */
export function findRecords({ exists, answers, authorities }: DnsAnswer, name: string, type: DnsType): Finding {
  let owner = name.toLowerCase();
  let ttlSeconds = Number.POSITIVE_INFINITY;
  for (let aliases = 0; aliases <= MAX_ALIASES; aliases++) {
    const own = answers.filter((record) => record.name.toLowerCase() === owner);
    const records = own.filter((record) => record.type === type);
    if (records.length > 0) {
      return { kind: 'records', records, ttlSeconds: Math.min(ttlSeconds, ...records.map(ttlOf)) };
    }
    const alias = own.find((record) => record.type === 'CNAME');
    if (alias?.type !== 'CNAME') return findNone(exists, authorities, aliases > 0 ? owner : null, ttlSeconds);
    ttlSeconds = Math.min(ttlSeconds, ttlOf(alias));
    owner = alias.data.toLowerCase();
  }
  return { kind: 'useless', text: 'its chain of aliases has no end' };
}

function findNone(exists: boolean, authorities: readonly Answer[], aliasOf: string | null, chainTtl: number): Finding {
  const soa = authorities.find((record) => record.type === 'SOA');
  const ttlSeconds = soa?.type === 'SOA' ? Math.min(chainTtl, ttlOf(soa), soa.data.minimum ?? 0) : null;
  if (!exists) return { kind: 'nxdomain', ttlSeconds };
  if (ttlSeconds === null) {
    if (aliasOf !== null) return { kind: 'cut', target: aliasOf, ttlSeconds: chainTtl };
    if (authorities.some((record) => record.type === 'NS')) {
      return { kind: 'useless', text: 'the server only names other servers: it does not resolve names for us' };
    }
  }
  return { kind: 'nodata', ttlSeconds };
}

/** A TTL with its highest bit set counts as 0 (RFC 2181, section 8). */
function ttlOf(record: Answer): number {
  const ttl = 'ttl' in record ? (record.ttl ?? 0) : 0;
  return ttl > 0x7fffffff ? 0 : ttl;
}
