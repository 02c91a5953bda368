/**
 * What direct delivery asks of DNS, carried out over `dns-client.ts` and `dns-cache.ts`.
 *
 * MX as RFC 5321, section 5.1: aliases are followed, a domain without MX records that has an address is its own host, null MX
 * (RFC 7505) is heard. Names that are no host names are dropped from an answer, addresses in the place of names too; a domain
 * may not make us try more than `MAX_HOSTS` hosts or `MAX_ADDRESSES` addresses of one.
 *
 * Nothing is authentic unless `dane` is on: then the config says that the DNS servers validate and the way to them is safe.
 *
 * Known limit: TLSA records are looked up at the name of the MX host itself; of a host that is an alias (which RFC 5321
 * forbids) they are found there only, not at the name that it stands for (RFC 7672, section 2.2.2).
 */
import { isIP } from 'node:net';
import type { Answer } from 'dns-packet';
import { parseDomain, parseHost } from '../../config/network.ts';
import type { Clock } from '../../core/time.ts';
import { createDnsCache } from './dns-cache.ts';
import { createDnsClient, type DnsReply } from './dns-client.ts';
import { createServerList } from './dns-server.ts';
import type { AddressAnswer, MxAnswer, MxHost, MxLookup, TlsaRecord } from './lookup.ts';

export interface MxLookupDeps {
  /** `address:port`, `[address]:port`, or an address alone (port 53); null: the system's. */
  readonly servers: readonly string[] | null;
  /** The servers validate, and their word counts (RFC 7672). */
  readonly dane: boolean;
  readonly clock: Clock;
  /** For one server; default 2 s. */
  readonly tryMs?: number;
  /** For one look-up in all; default 8 s. */
  readonly timeoutMs?: number;
}

const MAX_HOSTS = 20;
const MAX_ADDRESSES = 16;
const ASCII = /^[\x21-\x7e]+$/;

/** Makes the look-up of one route; it has a cache of its own. */
export function createMxLookup({ servers, dane, clock, tryMs, timeoutMs }: MxLookupDeps): MxLookup {
  const client = createDnsClient({
    servers: createServerList(servers, clock),
    clock,
    ...(tryMs === undefined ? {} : { tryMs }),
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  const dns = createDnsCache(client, clock);

  const addresses = async (host: string, signal: AbortSignal): Promise<AddressAnswer> => {
    const [v6, v4] = await Promise.all([dns.ask(host, 'AAAA', signal), dns.ask(host, 'A', signal)]);
    const found = interleave(addressesIn(v6), addressesIn(v4)).slice(0, MAX_ADDRESSES);
    if (found.length > 0) {
      const used = [v6, v4].filter((reply) => reply.kind === 'records');
      return { kind: 'addresses', authentic: dane && used.every((reply) => reply.authentic), addresses: found };
    }
    // One family that cannot be learnt now is enough for not knowing.
    const failure = [v6, v4].find((reply) => reply.kind === 'failed');
    if (failure?.kind === 'failed') return failure;
    return { kind: 'none', text: `${host} has no address` };
  };

  const implicitMx = async (domain: string, authentic: boolean, signal: AbortSignal): Promise<MxAnswer> => {
    const own = await addresses(domain, signal);
    switch (own.kind) {
      case 'addresses':
        return { kind: 'hosts', authentic: authentic && own.authentic, hosts: [{ name: domain, preference: 0 }] };
      case 'none':
        return { kind: 'none', enhanced: '5.4.4', text: `${domain} has neither a mail host (MX) nor an address` };
      case 'failed':
        return own;
    }
  };

  return {
    async mx(recipientDomain, signal) {
      signal.throwIfAborted();
      const domain = parseDomain(recipientDomain.replace(/\.$/, ''));
      if (domain === null) return { kind: 'none', enhanced: '5.1.2', text: 'the domain is not a name that can exist' };
      const reply = await dns.ask(domain, 'MX', signal);
      switch (reply.kind) {
        case 'failed':
          return reply;
        case 'nxdomain':
          return { kind: 'none', enhanced: '5.1.2', text: `${domain} does not exist` };
        case 'nodata':
          return implicitMx(domain, dane && reply.authentic, signal);
        case 'records':
          return hostsIn(reply.records, domain, dane && reply.authentic);
      }
    },

    async addresses(host, signal) {
      signal.throwIfAborted();
      const name = hostName(host);
      return name === null ? { kind: 'none', text: 'not a host name' } : addresses(name, signal);
    },

    async tlsa(host, port, signal) {
      signal.throwIfAborted();
      const name = hostName(host);
      if (!dane || name === null) return { kind: 'none' };
      const reply = await dns.ask(`_${port}._tcp.${name}`, 'TLSA', signal);
      if (reply.kind === 'failed') return reply;
      // Where nothing was validated, anybody may have written the records: they prove nothing.
      if (reply.kind !== 'records' || !reply.authentic) return { kind: 'none' };
      return { kind: 'records', records: reply.records.flatMap(tlsaIn) };
    },

    async txt(name, signal) {
      const reply = await dns.ask(name.toLowerCase().replace(/\.$/, ''), 'TXT', signal);
      if (reply.kind === 'failed') return reply;
      return reply.kind === 'records' ? { kind: 'texts', texts: reply.records.flatMap(textIn) } : { kind: 'none' };
    },
  };
}

/** A host name as DNS has it, lower case; null for an address and for what no host is called. */
function hostName(text: string): string | null {
  return isIP(text) === 0 && ASCII.test(text) ? parseHost(text.replace(/\.$/, '')) : null;
}

function hostsIn(records: readonly Answer[], domain: string, authentic: boolean): MxAnswer {
  const named = records.flatMap((record) => (record.type === 'MX' ? [record.data] : []));
  if (named.every(({ exchange }) => exchange === '.')) {
    return { kind: 'none', enhanced: '5.1.10', text: `${domain} takes no mail (null MX)` };
  }
  const hosts = new Map<string, MxHost>();
  for (const { exchange, preference = 0 } of named.toSorted((a, b) => (a.preference ?? 0) - (b.preference ?? 0))) {
    const name = hostName(exchange);
    if (name !== null && !hosts.has(name) && hosts.size < MAX_HOSTS) hosts.set(name, { name, preference });
  }
  if (hosts.size > 0) return { kind: 'hosts', authentic, hosts: [...hosts.values()] };
  return { kind: 'none', enhanced: '5.4.4', text: `the mail hosts (MX) of ${domain} are not names of hosts` };
}

/** The addresses in an answer to A or AAAA, each once; empty when it has none. */
export function addressesIn(reply: DnsReply): readonly string[] {
  if (reply.kind !== 'records') return [];
  const found = reply.records.flatMap((record) =>
    (record.type === 'A' || record.type === 'AAAA') && isIP(record.data) !== 0 ? [record.data] : [],
  );
  return [...new Set(found)];
}

function interleave(first: readonly string[], second: readonly string[]): string[] {
  const pairs = Array.from({ length: Math.max(first.length, second.length) }, (_, index) => [
    first[index],
    second[index],
  ]);
  return pairs.flat().filter((address) => address !== undefined);
}

function tlsaIn(record: Answer): readonly TlsaRecord[] {
  if (record.type !== 'TLSA') return [];
  const { usage, selector, matchingType, certificate } = record.data;
  return [{ usage, selector, matchingType, data: Uint8Array.from(certificate) }];
}

/** The text of a TXT record, its strings joined; empty for a record of another type. */
export function textIn(record: Answer): readonly string[] {
  if (record.type !== 'TXT') return [];
  const strings = Array.isArray(record.data) ? record.data : [record.data];
  return [Buffer.concat(strings.map((part) => Buffer.from(part))).toString('utf8')];
}
