/** Which DNS servers the checks ask: those that were named, else those of a direct route, else the system's. */
import type { Config } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import { createDnsClient, type DnsClient } from '../delivery/mx/dns-client.ts';
import { createServerList } from '../delivery/mx/dns-server.ts';

export interface DoctorClientDeps {
  /** The config in force; looked at for each question. */
  readonly config: () => Config;
  /** `address:port`; null: as the config says. */
  readonly named: readonly string[] | null;
  readonly clock: Clock;
}

/** For one question in all, and for one server: somebody waits for the whole of the checks. */
const LOOKUP_MS = 5000;
const TRY_MS = 2000;

/** Makes the client. */
export function createDoctorClient({ config, named, clock }: DoctorClientDeps): DnsClient {
  const system = createServerList(null, clock);
  const servers = (): ReturnType<typeof system> => {
    const configured = named ?? ofFirstRoute(config());
    return configured === null ? system() : createServerList(configured, clock)();
  };
  return createDnsClient({ servers, clock, tryMs: TRY_MS, timeoutMs: LOOKUP_MS });
}

function ofFirstRoute({ routes }: Config): readonly string[] | null {
  for (const route of routes.values()) if (route.type === 'mx' && route.dns !== null) return route.dns;
  return null;
}
