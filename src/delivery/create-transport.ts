/** Which transport serves a route: one line per route type. */
import type { RouteConfig } from '../config/types.ts';
import { unreachable } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import { createSandboxTransport } from './sandbox.ts';
import { createSmarthostTransport } from './smarthost.ts';
import type { Transport } from './transport.ts';

export interface TransportDeps {
  /** The relay's own name, for EHLO. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Makes the transport for `route`; nothing is connected before the first delivery. */
export function createTransport(route: RouteConfig, deps: TransportDeps): Transport {
  switch (route.type) {
    case 'sandbox':
      return createSandboxTransport();
    case 'smtp':
      return createSmarthostTransport({ route, ...deps });
    default:
      return unreachable(route);
  }
}
