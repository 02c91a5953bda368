/**
 * The ways out of a config: a transport per route. A reload keeps the transport, with its connections and its rate, of every
 * route that did not change.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Config, RouteConfig } from '../config/types.ts';
import { createTransport, type TransportDeps } from '../delivery/create-transport.ts';
import type { LaneTarget } from '../queue/lane.ts';
import { isProtected } from '../routing/choose.ts';

export interface Ways {
  readonly hostname: string;
  readonly routes: ReadonlyMap<string, RouteConfig>;
  readonly byRoute: ReadonlyMap<string, LaneTarget>;
}

/** The ways for `config`, taking over from `before` what stays the same. */
export function createWays(
  config: Pick<Config, 'hostname' | 'routes'>,
  deps: Omit<TransportDeps, 'hostname'>,
  before: Ways | null,
): Ways {
  const { hostname, routes } = config;
  const byRoute = new Map<string, LaneTarget>();
  for (const [name, route] of routes) {
    const old = before?.hostname === hostname ? before : null;
    const kept = isDeepStrictEqual(old?.routes.get(name), route) ? old?.byRoute.get(name) : undefined;
    byRoute.set(
      name,
      kept ?? {
        transport: createTransport(route, { hostname, ...deps }),
        captures: route.type === 'sandbox',
        isProtected: isProtected(route),
      },
    );
  }
  return { hostname, routes, byRoute };
}
