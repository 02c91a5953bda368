/** Which transport serves a route, and what direct delivery is made of. */
import type { MxRouteConfig, RouteConfig } from '../config/types.ts';
import { unreachable } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { DomainStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { createMxTransport } from './mx.ts';
import { createMxLookup } from './mx/create-lookup.ts';
import { createStsPolicies } from './mx/create-sts.ts';
import { isPrivateAddress } from './mx/special-networks.ts';
import { createSandboxTransport } from './sandbox.ts';
import { createSmarthostTransport } from './smarthost.ts';
import type { Transport } from './transport.ts';

export interface TransportDeps {
  /** The relay's own name, for EHLO, and to see loops. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  /** What is remembered of recipient domains, for direct delivery. */
  readonly domains: DomainStore;
  /** At least 0, less than 1. */
  readonly random: () => number;
  /** Where MTA-STS policies are fetched; for tests, default 443. */
  readonly stsPort?: number;
}

/** Makes the transport for `route`; nothing is connected before the first delivery. */
export function createTransport(route: RouteConfig, deps: TransportDeps): Transport {
  switch (route.type) {
    case 'sandbox':
      return createSandboxTransport();
    case 'smtp':
      return createSmarthostTransport({ route, hostname: deps.hostname, clock: deps.clock, log: deps.log });
    case 'mx':
      return createDirect(route, deps);
    default:
      return unreachable(route);
  }
}

function createDirect(
  route: MxRouteConfig,
  { hostname, clock, log, domains, random, stsPort }: TransportDeps,
): Transport {
  const lookup = createMxLookup({ servers: route.dns, dane: route.dane, clock });
  const sts = createStsPolicies({
    lookup,
    store: domains,
    clock,
    log,
    ca: route.ca,
    allowPrivate: route.allowPrivate,
    ...(stsPort === undefined ? {} : { port: stsPort }),
  });
  return createMxTransport({
    route,
    hostname,
    clock,
    log,
    lookup,
    sts,
    domains,
    isPrivate: isPrivateAddress,
    random,
  });
}
