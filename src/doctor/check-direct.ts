/**
 * Whether direct delivery gets out: a connection to the mail hosts of our own sender domains, as if mail for them were at hand.
 *
 * It greets and leaves; no mail is begun. Without a mail host of our own elsewhere there is nobody to try it on without being a
 * nuisance, and that is said. What a host answers to others it need not answer to us: a failure is a warning.
 */
import type { Config, MxRouteConfig } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import { openHost } from '../delivery/mx/open-host.ts';
import { isPrivateAddress } from '../delivery/mx/special-networks.ts';
import { targetsOf, type Target } from '../delivery/mx/targets.ts';
import { createTlsContext } from '../delivery/smtp/endpoint.ts';
import { SmtpSession } from '../delivery/smtp/session.ts';
import { cleanRemoteText } from '../mail/clean.ts';
import { CHECK_TIMEOUTS } from './check-routes.ts';
import type { DoctorDns } from './dns.ts';
import { type CheckFinding, createFindings } from './finding.ts';
import { heloName } from './ways-out.ts';

export interface DirectCheckDeps {
  readonly config: Config;
  readonly dns: DoctorDns;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

const MAX_HOSTS = 3;
const MAX_SAID = 300;

interface Candidate {
  readonly host: string;
  readonly target: Target;
}

/** Tries to get out over `route`. */
export async function checkDirect(route: MxRouteConfig, deps: DirectCheckDeps): Promise<readonly CheckFinding[]> {
  const found = createFindings('route', route.name);
  const { candidates, unknown } = await candidatesOf(route, deps);
  const failures: string[] = [];
  for (const { host, target } of candidates) {
    const said = await tryHost(route, host, target, deps);
    if (said.kind === 'reached') {
      found.ok(`${route.name}: ${said.text}`);
      return found.list;
    }
    failures.push(said.text);
  }
  if (failures.length === 0 && unknown !== null) {
    found.unknown(`whether route ${route.name} gets out: ${unknown}`);
    return found.list;
  }
  if (failures.length === 0) {
    found.ok(
      `${route.name}: whether port ${route.port} is open to the outside was not tried: no sender domain has a mail host elsewhere`,
      `Try it by hand on a host that you may: nc -vz HOST ${route.port}`,
    );
    return found.list;
  }
  found.warning('unreachable', {
    message: `${route.name}: no mail host of your own domains could be reached: ${failures.join('; ')}`,
    why: 'Many networks and clouds block port 25 to the outside: then nothing is delivered directly.',
    hint: `Ask your provider to open port ${route.port}, or deliver through a smarthost. Compare from elsewhere: nc -vz ${candidates[0]?.host ?? 'HOST'} ${route.port}`,
  });
  return found.list;
}

/** One address of each mail host of our From domains that is not this relay; `unknown`: what could not be asked, or null. */
async function candidatesOf(
  route: MxRouteConfig,
  { config, dns }: DirectCheckDeps,
): Promise<{ readonly candidates: readonly Candidate[]; readonly unknown: string | null }> {
  const own = new Set([config.hostname.toLowerCase(), heloName(route, config.hostname)]);
  const hosts = new Set<string>();
  let unknown: string | null = null;
  for (const { domain } of config.senders) {
    const mx = await dns.mailHosts(domain);
    if (mx.kind === 'failed') unknown ??= mx.text;
    if (mx.kind !== 'hosts') continue;
    for (const { name } of mx.hosts) if (name !== '' && !own.has(name)) hosts.add(name);
  }
  const candidates: Candidate[] = [];
  for (const host of hosts) {
    if (candidates.length === MAX_HOSTS) break;
    const answer = await dns.addresses(host);
    if (answer.kind === 'failed') unknown ??= answer.text;
    if (answer.kind !== 'addresses') continue;
    const { targets } = targetsOf(answer.addresses, { ...route, isPrivate: isPrivateAddress });
    if (targets[0] !== undefined) candidates.push({ host, target: targets[0] });
  }
  return { candidates, unknown };
}

async function tryHost(
  route: MxRouteConfig,
  host: string,
  target: Target,
  { config, clock, signal }: DirectCheckDeps,
): Promise<{ readonly kind: 'reached' | 'failed'; readonly text: string }> {
  const startMs = clock.monotonicMs();
  const session = await openHost(
    host,
    target,
    { floor: 'none', check: null, reason: '' },
    {
      clock,
      port: route.port,
      ehlo: heloName(route, config.hostname),
      tlsContext: createTlsContext(route.ca),
      connectTimeoutMs: route.connectTimeoutMs.normal,
      timeouts: CHECK_TIMEOUTS,
      onPlain: () => {},
    },
    signal,
  );
  if (session instanceof SmtpSession) {
    const { tls, nextHop } = session.facts;
    session.quit(clock, CHECK_TIMEOUTS.quitMs);
    await session.closed();
    const spentMs = Math.round(clock.monotonicMs() - startMs);
    return {
      kind: 'reached',
      text: `${nextHop} greets us, ${tls === null ? 'without TLS' : `over ${tls.version}`}, in ${spentMs} ms`,
    };
  }
  if (session.kind === 'failure') return { kind: 'failed', text: cleanRemoteText(session.text, MAX_SAID) };
  // Whoever answers was reached, whatever it says: blocks by reputation are its own business.
  return { kind: 'reached', text: `${host} answers: ${cleanRemoteText(session.reply, MAX_SAID)}` };
}
