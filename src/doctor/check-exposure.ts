/**
 * Who may submit without a password, as the config has it: what `trusted_networks` holds of the public Internet. Pure.
 *
 * Networks that are larger than anybody's own are refused by the config itself.
 */
import { isIP } from 'node:net';
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
    if (isPrivateAddress(network) || prefix >= (OWN_PREFIX[family] ?? 0)) continue;
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

function countText(bits: number): string {
  return bits < 21 ? `${2 ** bits} addresses` : `2^${bits} addresses`;
}
