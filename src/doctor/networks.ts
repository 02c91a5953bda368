/** Whether an address lies in a network. Families are never mixed: `::/64` holds no IPv4 address. */
import { BlockList, isIP } from 'node:net';

/** Whether `address` is within the first `prefix` bits of `network`, an address of the same family. */
export function isInNetwork(address: string, network: string, prefix: number): boolean {
  const family = isIP(address);
  if (family === 0 || isIP(network) !== family) return false;
  const type = family === 4 ? 'ipv4' : 'ipv6';
  const list = new BlockList();
  list.addSubnet(network, prefix, type);
  return list.check(address, type);
}

/** Whether `address` is within one of `cidrs` (`10.0.0.0/8`), as the config holds them. */
export function isInAny(address: string, cidrs: readonly string[]): boolean {
  return cidrs.some((cidr) => {
    const [network = '', prefix] = cidr.split('/');
    return isInNetwork(address, network, Number(prefix));
  });
}
