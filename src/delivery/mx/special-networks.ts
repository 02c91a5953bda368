/**
 * Which addresses are not of the public Internet, so that nobody's MX record makes the relay connect to machines next to it.
 *
 * From IANA's registries of special-purpose addresses (RFC 6890) and the multicast ones. IPv6 is judged the other way round:
 * only 2000::/3 is handed out, so everything outside is special, but for the two ways to write an IPv4 address (mapped, and
 * NAT64's 64:ff9b::/96), which count as what they hold. 6to4 counts as what it holds too; Teredo and all else of 2001::/23
 * is special: no mail host is there. What cannot be read as an address is special.
 */
import { BlockList, isIP } from 'node:net';

const SPECIAL_IPV4: readonly (readonly [network: string, prefix: number])[] = [
  ['0.0.0.0', 8], // this network
  ['10.0.0.0', 8], // private (RFC 1918)
  ['100.64.0.0', 10], // behind a carrier's NAT (RFC 6598)
  ['127.0.0.0', 8], // loopback
  ['169.254.0.0', 16], // link local, and the metadata services of clouds
  ['172.16.0.0', 12], // private
  ['192.0.0.0', 24], // protocol assignments
  ['192.0.2.0', 24], // documentation
  ['192.88.99.0', 24], // 6to4 relays, withdrawn (RFC 7526)
  ['192.168.0.0', 16], // private
  ['198.18.0.0', 15], // benchmarks
  ['198.51.100.0', 24], // documentation
  ['203.0.113.0', 24], // documentation
  ['224.0.0.0', 4], // multicast
  ['240.0.0.0', 4], // reserved, broadcast
];

/** Inside 2000::/3. */
const SPECIAL_IPV6: readonly (readonly [network: string, prefix: number])[] = [
  ['2001::', 23], // protocol assignments: Teredo, ORCHID, benchmarks
  ['2001:db8::', 32], // documentation
  ['3fff::', 20], // documentation (RFC 9637)
];

const SPECIAL: BlockList = listSpecial();
const PUBLIC_IPV6: BlockList = listPublicIpv6();

/** True when `address` is not a public unicast address, or not an address at all. */
export function isPrivateAddress(address: string): boolean {
  switch (address.includes('%') ? 0 : isIP(address)) {
    case 4:
      return SPECIAL.check(address, 'ipv4');
    case 6:
      return !PUBLIC_IPV6.check(address, 'ipv6') || SPECIAL.check(address, 'ipv6');
    default:
      return true;
  }
}

function listPublicIpv6(): BlockList {
  const list = new BlockList();
  list.addSubnet('2000::', 3, 'ipv6');
  list.addSubnet('::ffff:0:0', 96, 'ipv6');
  list.addSubnet('64:ff9b::', 96, 'ipv6');
  return list;
}

function listSpecial(): BlockList {
  const list = new BlockList();
  for (const [network, prefix] of SPECIAL_IPV6) list.addSubnet(network, prefix, 'ipv6');
  for (const [network, prefix] of SPECIAL_IPV4) {
    list.addSubnet(network, prefix, 'ipv4');
    const [a = 0, b = 0, c = 0, d = 0] = network.split('.').map(Number);
    const groups = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
    list.addSubnet(`::ffff:${groups}`, 96 + prefix, 'ipv6');
    list.addSubnet(`64:ff9b::${groups}`, 96 + prefix, 'ipv6');
    list.addSubnet(`2002:${groups}::`, 16 + prefix, 'ipv6');
  }
  return list;
}
