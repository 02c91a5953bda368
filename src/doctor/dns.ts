/**
 * What the doctor asks of DNS, in its own words: texts, mail hosts, addresses, names of an address.
 *
 * Over the relay's own client, so that it sees what direct delivery would see. Each question is asked once in a run, a few at
 * a time, and never longer than the run may last: from then on every answer is `failed`. "There is none" and "it cannot be
 * learnt now" stay apart: only the first is a fault that somebody can mend in a zone.
 */
import { isIP } from 'node:net';
import { addressOctets } from '../config/network.ts';
import { addressesIn, textIn } from '../delivery/mx/create-lookup.ts';
import type { DnsClient, DnsReply } from '../delivery/mx/dns-client.ts';
import type { DnsType } from '../delivery/mx/dns-message.ts';
import type { AtMost } from '../core/at-most.ts';

export type Failed = { readonly kind: 'failed'; readonly text: string };
/** The name has no such record. `alias`: it is a CNAME of this name, which has none. */
export type None = { readonly kind: 'none'; readonly alias: string | null };

export type Texts = { readonly kind: 'texts'; readonly texts: readonly string[]; readonly alias: string | null };
export type MailHosts = {
  readonly kind: 'hosts';
  /** In order of preference, lower case, without the dot at the end; empty name: null MX (RFC 7505). */
  readonly hosts: readonly { readonly name: string; readonly preference: number }[];
};
export type Addresses = {
  readonly kind: 'addresses';
  readonly addresses: readonly string[];
  readonly alias: string | null;
};
export type Names = { readonly kind: 'names'; readonly names: readonly string[] };

export interface DoctorDns {
  texts(name: string): Promise<Texts | None | Failed>;
  mailHosts(domain: string): Promise<MailHosts | None | Failed>;
  /** Of both families. */
  addresses(host: string): Promise<Addresses | None | Failed>;
  /** The names that the PTR records of an address give (RFC 1035, section 3.5; RFC 3596, section 2.5). */
  namesOf(address: string): Promise<Names | None | Failed>;
  /** Whether the answer about `name` was validated (AD), whatever it says. */
  isAuthentic(name: string): Promise<boolean | Failed>;
}

/** DNS for one run; `signal` ends the run. Nothing here rejects. */
export function createDoctorDns(client: DnsClient, atMost: AtMost, signal: AbortSignal): DoctorDns {
  const asked = new Map<string, Promise<DnsReply>>();

  const ask = (name: string, type: DnsType): Promise<DnsReply> => {
    const key = `${type} ${name.toLowerCase()}`;
    let reply = asked.get(key);
    if (reply === undefined) {
      reply = atMost(() => askOnce(name, type));
      asked.set(key, reply);
    }
    return reply;
  };
  const askOnce = async (name: string, type: DnsType): Promise<DnsReply> => {
    const late: DnsReply = { kind: 'failed', text: `${type} of ${name}: there was no time left to ask` };
    if (signal.aborted) return late;
    try {
      return await client.ask(name, type, signal);
    } catch (error) {
      if (signal.aborted) return late;
      throw error;
    }
  };
  const none = async (name: string): Promise<None> => {
    const alias = await ask(name, 'CNAME');
    const [record] = alias.kind === 'records' ? alias.records : [];
    return { kind: 'none', alias: record?.type === 'CNAME' ? hostText(record.data) : null };
  };

  return {
    async texts(name) {
      const reply = await ask(name, 'TXT');
      if (reply.kind === 'failed') return reply;
      if (reply.kind !== 'records') return none(name);
      return { kind: 'texts', texts: reply.records.flatMap(textIn), alias: aliasIn(reply, name) };
    },
    async mailHosts(domain) {
      const reply = await ask(domain, 'MX');
      if (reply.kind === 'failed') return reply;
      if (reply.kind !== 'records') return none(domain);
      const hosts = reply.records.flatMap((record) =>
        record.type === 'MX' ? [{ name: hostText(record.data.exchange), preference: record.data.preference ?? 0 }] : [],
      );
      return { kind: 'hosts', hosts: hosts.toSorted((a, b) => a.preference - b.preference) };
    },
    async addresses(host) {
      const replies = await Promise.all([ask(host, 'A'), ask(host, 'AAAA')]);
      const addresses = replies.flatMap(addressesIn);
      const [first] = replies.filter((reply) => reply.kind === 'records');
      if (first !== undefined && addresses.length > 0) {
        return { kind: 'addresses', addresses, alias: aliasIn(first, host) };
      }
      const failed = replies.find((reply) => reply.kind === 'failed');
      return failed?.kind === 'failed' ? failed : none(host);
    },
    async namesOf(address) {
      const reply = await ask(reverseName(address), 'PTR');
      if (reply.kind === 'failed') return reply;
      if (reply.kind !== 'records') return { kind: 'none', alias: null };
      const names = reply.records.flatMap((record) => (record.type === 'PTR' ? [hostText(record.data)] : []));
      return { kind: 'names', names: [...new Set(names)] };
    },
    async isAuthentic(name) {
      const reply = await ask(name, 'A');
      return reply.kind === 'failed' ? reply : reply.authentic;
    },
  };
}

/** `192.0.2.7` as `7.2.0.192.in-addr.arpa`, an IPv6 address as its 32 digits below `ip6.arpa`. */
export function reverseName(address: string): string {
  const octets = addressOctets(address) ?? [];
  if (isIP(address) === 4) return `${octets.toReversed().join('.')}.in-addr.arpa`;
  const digits = octets.flatMap((octet) => [octet >> 4, octet & 0xf]).map((digit) => digit.toString(16));
  return `${digits.toReversed().join('.')}.ip6.arpa`;
}

function hostText(name: string): string {
  return name.toLowerCase().replace(/\.$/, '');
}

/** The name that the records stand at, when it is not the one that was asked for. */
function aliasIn(reply: DnsReply, name: string): string | null {
  const [record] = reply.kind === 'records' ? reply.records : [];
  const owner = record === undefined ? null : hostText(record.name);
  return owner === null || owner === name.toLowerCase() ? null : owner;
}
