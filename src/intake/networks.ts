/**
 * Client addresses: one spelling for each, membership in networks, and the group that limits count by.
 *
 * A dual-stack socket reports an IPv4 client as `::ffff:192.0.2.1`; here it is `192.0.2.1` before anything is asked, so that
 * a rule for the one form holds for both. Nothing here looks at names or asks DNS.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';

/** A set of networks, built once and asked often. */
export interface Networks {
  /** Whether `address` (in any spelling) is in one of the networks; false for what is not an address. */
  contains(address: string): boolean;
}

const MAPPED_PREFIX_BITS = 96;
/** IPv6 clients are counted by their /64: who has one address of it has them all. */
const GROUP_HEXTETS = 4;

/** A set of the networks `cidrs` (`10.0.0.0/8`, `::1/128`, or one address); throws a RangeError that names a malformed one. */
export function createNetworks(cidrs: readonly string[]): Networks {
  // One list for each family: a common one takes `::/64` for a network of IPv4 clients too.
  const lists: Lists = { ipv4: new BlockList(), ipv6: new BlockList() };
  for (const cidr of cidrs) addNetwork(lists, cidr);
  if (cidrs.length === 0) return { contains: () => false };
  return {
    contains(address) {
      const normal = normalizeAddress(address);
      const version = isIP(normal);
      if (version === 4) return lists.ipv4.check(normal, 'ipv4');
      return version === 6 && lists.ipv6.check(normal, 'ipv6');
    },
  };
}

/** `address` in one spelling: no zone, lower case, IPv6 compressed, IPv4-mapped IPv6 as IPv4; other text comes back as it is. */
export function normalizeAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  if (isIP(bare) !== 6) return bare;
  const { address: compressed } = new SocketAddress({ address: bare, family: 'ipv6' });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(compressed);
  return mapped?.[1] ?? compressed.toLowerCase();
}

/** What limits count `address` by: itself for IPv4, its /64 network for IPv6. */
export function addressGroup(address: string): string {
  const normal = normalizeAddress(address);
  if (isIP(normal) !== 6) return normal;
  const [left = '', right] = normal.split('::');
  const head = left === '' ? [] : left.split(':');
  if (right !== undefined) {
    const tail = right === '' ? [] : right.split(':');
    while (head.length + tail.length < 8) head.push('0');
    head.push(...tail);
  }
  return `${head.slice(0, GROUP_HEXTETS).join(':')}::/64`;
}

interface Lists {
  readonly ipv4: BlockList;
  readonly ipv6: BlockList;
}

function addNetwork(lists: Lists, cidr: string): void {
  const slash = cidr.lastIndexOf('/');
  const written = slash === -1 ? cidr : cidr.slice(0, slash);
  const network = normalizeAddress(written);
  const version = isIP(network);
  const longest = version === 4 ? 32 : 128;
  let bits = slash === -1 ? longest : Number(cidr.slice(slash + 1));
  // `::ffff:10.0.0.0/104` is `10.0.0.0/8`.
  if (slash !== -1 && version === 4 && isIP(written) === 6) bits -= MAPPED_PREFIX_BITS;
  if (version === 0 || (slash !== -1 && !/\/\d{1,3}$/.test(cidr)) || bits < 0 || bits > longest) {
    throw new RangeError(`"${cidr}" is not a network; write an address, a slash and a prefix length: 10.0.0.0/8`);
  }
  const family = version === 4 ? 'ipv4' : 'ipv6';
  lists[family].addSubnet(network, bits, family);
}
