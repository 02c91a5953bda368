/** Over which routes a sender's mail can leave, and which of our own addresses servers then see. */
import { isIP } from 'node:net';
import type { Config, MxRouteConfig, SmtpRouteConfig } from '../config/types.ts';
import { isPrivateAddress } from '../delivery/mx/special-networks.ts';
import type { DoctorDns } from './dns.ts';

export interface WaysOut {
  readonly smarthosts: readonly SmtpRouteConfig[];
  readonly direct: readonly MxRouteConfig[];
}

/** The routes that rules give to mail from `domain` (null: from any), each once. */
export function waysOut(config: Config, domain: string | null): WaysOut {
  const names = config.rules.flatMap(({ when, action }) =>
    action.kind === 'via' && (domain === null || fits(when.senderDomain, domain)) ? action.routes : [],
  );
  const routes = [...new Set(names)].flatMap((name) => config.routes.get(name) ?? []);
  return {
    smarthosts: routes.filter((route) => route.type === 'smtp'),
    direct: routes.filter((route) => route.type === 'mx'),
  };
}

/** `*.example.com` stands for every domain below example.com, as in routing. */
function fits(wanted: readonly string[] | undefined, domain: string): boolean {
  if (wanted === undefined) return true;
  return wanted.some((entry) => {
    const pattern = entry.toLowerCase();
    return pattern.startsWith('*.') ? domain.endsWith(pattern.slice(1)) : domain === pattern;
  });
}

export type OutboundAddresses =
  /** Public addresses, and how they are known: `source_ip of the route`. */
  | { readonly kind: 'addresses'; readonly addresses: readonly string[]; readonly how: string }
  /** `text`: why they cannot be known. */
  | { readonly kind: 'unknown'; readonly text: string };

/** The name that `route` says in EHLO. */
export function heloName(route: MxRouteConfig, hostname: string): string {
  return (route.ehlo ?? hostname).toLowerCase();
}

/**
 * The addresses that receivers see mail of `route` come from: `source_ip` where it is public, else those that the name in EHLO
 * has in DNS, which is where such mail should come from.
 */
export async function outboundAddresses(
  route: MxRouteConfig,
  hostname: string,
  dns: DoctorDns,
): Promise<OutboundAddresses> {
  // What is reached in private networks sees the private address: such a route is a network of its own.
  const counts = (address: string): boolean => route.allowPrivate || !isPrivateAddress(address);
  const own = route.sourceIps.filter(counts);
  if (own.length > 0) return { kind: 'addresses', addresses: own, how: `source_ip of route ${route.name}` };
  const name = heloName(route, hostname);
  if (isIP(name) !== 0) return { kind: 'unknown', text: `${name} is an address, not a name` };
  const answer = await dns.addresses(name);
  const how = `the addresses of ${name}`;
  switch (answer.kind) {
    case 'addresses': {
      const addresses = answer.addresses.filter(counts);
      if (addresses.length > 0) return { kind: 'addresses', addresses, how };
      return { kind: 'unknown', text: `${name} has only addresses in private networks` };
    }
    case 'none':
      return { kind: 'unknown', text: `route ${route.name} has no source_ip, and ${name} has no address in DNS` };
    case 'failed':
      return { kind: 'unknown', text: answer.text };
  }
}
