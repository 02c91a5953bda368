/**
 * The checks that connect, for `check --connect`: each route, the listeners, and the clock of a server that was named.
 *
 * They log in where a route has a login, and begin no mail. All run at the same time, and end within the time that is left.
 */
import type { Config, RouteConfig } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import type { DnsClient } from '../delivery/mx/dns-client.ts';
import { createAtMost } from '../core/at-most.ts';
import { checkClockAgainstServer } from './check-clock.ts';
import { checkDirect } from './check-direct.ts';
import { checkRelaying } from './check-relaying.ts';
import { checkSmarthost } from './check-routes.ts';
import { createDoctorDns } from './dns.ts';
import type { CheckFinding } from './finding.ts';

export interface ConnectDeps {
  readonly config: Config;
  readonly client: DnsClient;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** An HTTPS server whose clock is to be compared; null: none. */
  readonly timeFrom: URL | null;
}

export interface ConnectReport {
  readonly routes: readonly CheckFinding[];
  readonly listeners: readonly CheckFinding[];
  readonly clock: readonly CheckFinding[];
}

const LIMIT_MS = 45_000;
const ROUTES_AT_A_TIME = 5;
const LOOKUPS_AT_A_TIME = 10;

/** Runs them; rejects only when `signal` aborts, with its reason. */
export async function checkConnections(deps: ConnectDeps): Promise<ConnectReport> {
  const { config, client, clock, timeFrom } = deps;
  const end = new AbortController();
  const cancel = clock.after(LIMIT_MS, () => end.abort(new Error('the checks took too long')));
  const signal = AbortSignal.any([deps.signal, end.signal]);
  try {
    const routes = [...config.routes.values()];
    const atMost = createAtMost(ROUTES_AT_A_TIME);
    const dns = createDoctorDns(client, createAtMost(LOOKUPS_AT_A_TIME), signal);
    const tryRoute = async (route: RouteConfig): Promise<readonly CheckFinding[]> => {
      switch (route.type) {
        case 'smtp':
          return checkSmarthost(route, { hostname: config.hostname, clock, signal });
        case 'mx':
          return checkDirect(route, { config, dns, clock, signal });
        case 'sandbox':
          return [];
      }
    };
    const [ways, listeners, time] = await Promise.all([
      Promise.all(routes.map((route) => atMost(() => tryRoute(route)))),
      checkRelaying({ config, clock, signal }),
      timeFrom === null ? [] : checkClockAgainstServer(timeFrom, { clock, signal }),
    ]);
    deps.signal.throwIfAborted();
    return { routes: ways.flat(), listeners, clock: time };
  } finally {
    cancel();
  }
}
