/**
 * Who may submit without a password, as the config has it: what `trusted_networks` holds of the public Internet. Pure.
 *
 * Networks that are larger than anybody's own are refused by the config itself.
 */
import { isIP } from 'node:net';
import { addressOctets } from '../config/network.ts';
import type { Config } from '../config/types.ts';
import { isPrivateAddress } from '../delivery/mx/special-networks.ts';
import { type CheckFinding, createFindings } from './finding.ts';

/** Networks up to this size can well be a company's own public ones. */
const OWN_PREFIX: Readonly<Record<number, number>> = { 4: 24, 6: 48 };

/** Looks at `smtp.trusted_networks`. */
export function checkExposure({ smtp }: Config): readonly CheckFinding[] {
  const found = createFindings('relay', 'smtp.trusted_networks');
  for (const cidr of smtp.trustedNetworks) {
    const [network = '', length] = cidr.split('/');
    const prefix = Number(length);
    const family = isIP(network);
    if (isPrivate(network, prefix) || prefix >= (OWN_PREFIX[family] ?? 0)) continue;
    const bits = (family === 4 ? 32 : 64) - Math.min(prefix, family === 4 ? 32 : 64);
    found.warning('trusted-public', {
      message: `smtp.trusted_networks has ${cidr}: ${countText(bits)} of the public Internet may submit without a password`,
      why: 'Each of them can send recovery mail in the name of every sender that needs no credential.',
      hint: 'Write the networks that are your own, and give everybody else a credential.',
    });
  }
  if (found.list.length === 0 && smtp.trustedNetworks.length > 0) {
    found.ok(`without a password may submit: ${smtp.trustedNetworks.join(', ')}`);
  }
  return found.list;
}

/** Whether both ends of the network are private: one that only begins in a private range reaches beyond it. */
function isPrivate(network: string, prefix: number): boolean {
  const octets = addressOctets(network) ?? [];
  const last = octets.map((octet, index) => octet | (0xff >> Math.min(Math.max(prefix - index * 8, 0), 8)));
  return isPrivateAddress(network) && isPrivateAddress(addressText(last));
}

function addressText(octets: readonly number[]): string {
  if (octets.length === 4) return octets.join('.');
  const groups = octets.flatMap((octet, index) => (index % 2 === 0 ? [(octet << 8) | (octets[index + 1] ?? 0)] : []));
  return groups.map((group) => group.toString(16)).join(':');
}

function countText(bits: number): string {
  return bits < 21 ? `${2 ** bits} addresses` : `2^${bits} addresses`;
}
