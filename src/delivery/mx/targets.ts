/**
 * Which MX hosts are tried in which order, and at which of their addresses (RFC 5321, section 5.1). Pure; randomness is
 * passed in.
 */
import { isIPv6 } from 'node:net';
import type { MxHost } from './lookup.ts';

/** Hosts in the order to try them, or `loop`: the best one is this relay itself. */
export type Order =
  | { readonly kind: 'hosts'; readonly hosts: readonly MxHost[] }
  | { readonly kind: 'loop'; readonly name: string };

export interface OrderDeps {
  /** Names of this relay, lower case. */
  readonly ownNames: ReadonlySet<string>;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** Hosts that have no place free now: after others of the same preference. */
  readonly isBusy: (name: string) => boolean;
  /** Hosts that could not be connected to a moment ago: after all others. */
  readonly isDown: (name: string) => boolean;
}

/**
 * Sorts `hosts` by preference, shuffled among equals so that they share the load. When this relay is one of them, it and all
 * that are not preferred to it are left out, or mail would go round in circles. A host that was found dead a moment ago is
 * asked last whatever its preference, so that not every message waits for it in turn.
 */
export function orderHosts(hosts: readonly MxHost[], { ownNames, random, isBusy, isDown }: OrderDeps): Order {
  const own = hosts.filter(({ name }) => ownNames.has(name)).sort((a, b) => a.preference - b.preference)[0];
  const limit = own?.preference ?? Number.POSITIVE_INFINITY;
  const ordered = shuffled(
    hosts.filter(({ preference }) => own === undefined || preference < limit),
    random,
  ).sort(
    (a, b) =>
      Number(isDown(a.name)) - Number(isDown(b.name)) ||
      a.preference - b.preference ||
      Number(isBusy(a.name)) - Number(isBusy(b.name)),
  );
  if (ordered.length === 0 && own !== undefined) return { kind: 'loop', name: own.name };
  return { kind: 'hosts', hosts: ordered };
}

function shuffled<T>(items: readonly T[], random: () => number): T[] {
  const left = [...items];
  const drawn: T[] = [];
  while (left.length > 0) drawn.push(...left.splice(Math.floor(random() * left.length), 1));
  return drawn;
}

/** One address of a host, and where to connect from (null: the system chooses). */
export interface Target {
  readonly address: string;
  readonly localAddress: string | null;
}

export interface TargetRules {
  readonly allowPrivate: boolean;
  readonly isPrivate: (address: string) => boolean;
  readonly sourceIps: readonly string[];
}

/** Which of a host's addresses may be tried; `refused`: how many were left out for being private, and for their family. */
export interface Targets {
  readonly targets: readonly Target[];
  readonly refused: { readonly private: number; readonly family: number };
}

/**
 * Sorts out private addresses unless they are allowed: the zone of a stranger must not lead the relay into its own network.
 * Where `sourceIps` names addresses, only their families are used: who names one has published that one (SPF, PTR), and mail
 * from another would be taken for a forgery.
 */
export function targetsOf(addresses: readonly string[], rules: TargetRules): Targets {
  const targets: Target[] = [];
  const refused = { private: 0, family: 0 };
  for (const address of addresses) {
    const localAddress = rules.sourceIps.find((source) => isIPv6(source) === isIPv6(address)) ?? null;
    if (!rules.allowPrivate && rules.isPrivate(address)) refused.private++;
    else if (rules.sourceIps.length > 0 && localAddress === null) refused.family++;
    else targets.push({ address, localAddress });
  }
  return { targets, refused };
}
