/**
 * The network that an address counts as: a /24 of IPv4, a /64 of IPv6. One machine, or one provider's rack of them, has many
 * names and often many addresses, but few networks. Pure.
 *
 * The two ways to write an IPv4 address in IPv6 (mapped, and NAT64's 64:ff9b::/96) count as what they hold: behind NAT64 all
 * of the IPv4 Internet is in one /64.
 */
import { addressOctets } from '../../config/network.ts';

const MAPPED: readonly number[] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
const NAT64: readonly number[] = [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0];

/** `192.0.2.0/24`, `2001:db8:0:1::/64`; what is no address stands for itself. */
export function networkOf(address: string): string {
  // The usual case, without taking it apart.
  if (!address.includes(':')) return `${address.slice(0, address.lastIndexOf('.'))}.0/24`;
  const octets = addressOctets(address);
  if (octets === null) return address;
  const holdsIpv4 = [MAPPED, NAT64].some((prefix) => prefix.every((octet, index) => octet === octets[index]));
  if (holdsIpv4) return `${octets.slice(12, 15).join('.')}.0/24`;
  const groups = [0, 2, 4, 6].map((at) => (((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)).toString(16));
  return `${groups.join(':')}::/64`;
}
