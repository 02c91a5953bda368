/**
 * Names and addresses of machines and networks: domains, hosts, CIDR networks, and which of them are this machine.
 *
 * Nothing here asks DNS: `localhost` and the loopback ranges count as loopback, any other name does not.
 */
import { isIP } from 'node:net';
import { domainToASCII } from 'node:url';

const NON_ASCII = /[^\0-\x7f]/;
/** What a URL parser would take apart; a domain that has one of these is none. */
const URL_SYNTAX = /[\s%/?#:@\\[\]]/;
const DOMAIN_LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Host names in private networks have underscores although RFC 1123 has none (`my_smtp` in a compose file). */
const HOST_LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const MAX_NAME_CHARS = 253;
const MAX_PORT = 65_535;
/** The first 96 bits of `::ffff:0:0/96` (RFC 4291, section 2.5.5.2). */
const MAPPED_IPV4: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];

/** `text` in lower case as A-labels (RFC 5890), or null when it is not a domain name. */
export function parseDomain(text: string): string | null {
  return parseName(text, DOMAIN_LABEL);
}

/** A domain, or `*.` and a domain, which stands for every domain below it. */
export function parseDomainPattern(text: string): string | null {
  if (!text.startsWith('*.')) return parseDomain(text);
  const domain = parseDomain(text.slice(2));
  return domain === null ? null : `*.${domain}`;
}

/** A host name (lower case, A-labels) or an IP address without brackets, or null. */
export function parseHost(text: string): string | null {
  if (isIP(text) !== 0) return text.includes('%') ? null : text.toLowerCase();
  return parseName(text, HOST_LABEL);
}

function parseName(text: string, label: RegExp): string | null {
  if (text.length > MAX_NAME_CHARS || URL_SYNTAX.test(text)) return null;
  const ascii = NON_ASCII.test(text) ? domainToASCII(text) : text.toLowerCase();
  if (ascii.length > MAX_NAME_CHARS) return null;
  const labels = ascii.split('.');
  if (!labels.every((part) => label.test(part))) return null;
  // A name that ends in a number reads as an IPv4 address somewhere (127.1, 0x7f.1).
  return /^(?:\d+|0x[0-9a-f]*)$/.test(labels.at(-1) ?? '') ? null : ascii;
}

/**
 * An IPv4 address or an IPv6 address in brackets, with or without a port; null when it is none. Without brackets, `::1:53` is
 * an address too, and hardly the one that was meant. Names are not taken: who would look them up?
 */
export function parseServer(
  text: string,
  defaultPort: number,
): { readonly address: string; readonly text: string } | null {
  const [, bracketed, plain, portText] = /^(?:\[([0-9a-f:.]+)\]|([0-9.]+))(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const address = (bracketed ?? plain ?? '').toLowerCase();
  const port = portText === undefined ? defaultPort : Number(portText);
  if (isIP(address) !== (bracketed === undefined ? 4 : 6) || port < 1 || port > MAX_PORT) return null;
  return { address, text: bracketed === undefined ? `${address}:${port}` : `[${address}]:${port}` };
}

export type ParsedNetwork =
  | {
      readonly kind: 'network';
      readonly cidr: string;
      /** Larger than anybody's own network: a /7 of IPv4 addresses, a /6 of IPv6 ones, or more. */
      readonly isPublic: boolean;
    }
  | { readonly kind: 'malformed' }
  /** Bits are set behind the prefix: `10.0.0.1/8`. Whether the address or the prefix is wrong cannot be known. */
  | { readonly kind: 'host-bits' };

/** Parses `10.0.0.0/8`, `::1/128`; a bare address is a network of one (`/32`, `/128`). */
export function parseNetwork(text: string): ParsedNetwork {
  const [address = '', prefixText, ...rest] = text.split('/');
  const octets = addressOctets(address);
  if (octets === null || rest.length > 0) return { kind: 'malformed' };
  const bits = octets.length * 8;
  if (prefixText !== undefined && !/^(?:0|[1-9]\d{0,2})$/.test(prefixText)) return { kind: 'malformed' };
  const prefix = prefixText === undefined ? bits : Number(prefixText);
  if (prefix > bits) return { kind: 'malformed' };
  for (let bit = prefix; bit < bits; bit++) {
    if (((octets[bit >> 3] ?? 0) & (0x80 >> (bit & 7))) !== 0) return { kind: 'host-bits' };
  }
  return { kind: 'network', cidr: `${address.toLowerCase()}/${prefix}`, isPublic: isPublic(octets, prefix) };
}

/** 10.0.0.0/8 and fc00::/7 are the largest networks that are meant for private use (RFC 1918, RFC 4193). */
function isPublic(octets: readonly number[], prefix: number): boolean {
  if (octets.length === 4) return prefix < 8;
  if (prefix < 7) return true;
  // IPv4 clients may show as `::ffff:192.0.2.1`: a network that holds such addresses counts by how many.
  const shared = Math.min(prefix, 96);
  const holdsIpv4 = MAPPED_IPV4.every((octet, index) => {
    const mask = 0xff00 >> Math.min(Math.max(shared - index * 8, 0), 8);
    return ((octet ^ (octets[index] ?? 0)) & mask & 0xff) === 0;
  });
  return holdsIpv4 && prefix < 96 + 8;
}

/** True when `host`, an address in any spelling or a name, can only mean this machine: `127.0.0.0/8`, `::1`, `localhost`. */
export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === 'localhost') return true;
  const octets = addressOctets(host);
  if (octets === null) return false;
  if (octets.length === 4) return octets[0] === 127;
  const [tail] = octets.slice(-1);
  if (octets.slice(0, 15).every((octet) => octet === 0)) return tail === 1;
  return MAPPED_IPV4.every((octet, index) => octet === octets[index]) && octets[12] === 127;
}

/** 4 or 16 octets, or null when `text` is not an IP address (RFC 4291, section 2.2). */
export function addressOctets(text: string): readonly number[] | null {
  if (isIP(text) === 4) return text.split('.').map(Number);
  if (isIP(text) !== 6 || text.includes('%')) return null;
  const [head = '', tail] = text.split('::');
  const front = groupOctets(head);
  if (tail === undefined) return front;
  const back = groupOctets(tail);
  return [...front, ...Array.from({ length: 16 - front.length - back.length }, () => 0), ...back];
}

function groupOctets(text: string): readonly number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}
