/**
 * The `mx` route: hands mail to the recipient domain's own hosts, found by DNS (RFC 5321, section 5; null MX: RFC 7505).
 *
 * One attempt tries hosts and addresses in turn until one takes the message or says something final about it: at most
 * `MAX_ADDRESSES` addresses, and no further one after `MAX_SEARCH_MS`. It never goes on to another host once the final dot
 * may have been written, and never below the TLS that is demanded (`mx/tls-demand`): then the attempt is deferred with cause
 * `tls`, and says who demanded it.
 *
 * What DNS says for good (no such domain, null MX, no address at all, private addresses only) is final: to wait would not
 * change it, and the sender learns it while it matters. What it cannot say now is tried again. Mail for a domain whose best
 * host is this relay itself would go round in circles, and is returned (5.4.6).
 *
 * A delivery holds one of the route's places, also while it waits for a stranger's DNS or servers. What strangers can hold
 * that way is bounded: look-ups by half of the route (`mx/slow-lookups`), connections by the network that they go to
 * (`mx/hosts`), and waiting for one of those by `mx/host-gate`. Beyond, the attempt is deferred at once, with cause `local`.
 *
 * After a crash nothing is left but connections that the servers see break: what they had not finished with the final dot,
 * they discard.
 *
 * Known limits: no implicit TLS (nobody offers it between servers); servers that have only TLS 1.1 or older count as ones
 * without TLS. How long DNS may take is the look-up's own limit.
 */
import type { MxRouteConfig } from '../config/types.ts';
import { domainOf } from '../core/address.ts';
import { RelayError } from '../core/errors.ts';
import type { Priority } from '../core/message.ts';
import type { Cause, Outcome } from '../core/outcome.ts';
import type { Clock } from '../core/time.ts';
import type { DomainStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';
import { daneOf } from './mx/dane-of.ts';
import { createDownHosts } from './mx/down-hosts.ts';
import { createHosts } from './mx/hosts.ts';
import type { MxLookup } from './mx/lookup.ts';
import { type OneHostDeps, type Spent, visitHost } from './mx/one-host.ts';
import { createSlowLookups } from './mx/slow-lookups.ts';
import type { StsPolicies, StsPolicy } from './mx/sts.ts';
import { orderHosts, targetsOf } from './mx/targets.ts';
import { demandOf, levelOf } from './mx/tls-demand.ts';
import { createTlsMemory, type TlsLevel } from './mx/tls-memory.ts';
import { sumUp, type Try } from './mx/tries.ts';
import { abortedOutcome, unconnected } from './mx/unconnected.ts';
import { createQuiet } from './quiet.ts';
import { createTlsContext } from './smtp/endpoint.ts';
import type { SmtpSession } from './smtp/session.ts';
import { SMTP_TIMEOUTS, type SmtpTimeouts } from './smtp/timeouts.ts';
import type { DeliveryRequest, Transport } from './transport.ts';

/** Addresses that one attempt connects to at most (Postfix's `smtp_mx_address_limit` is 5 too). */
const MAX_ADDRESSES = 5;
/**
 * No further address so many milliseconds after the attempt began, not counting the wait for a place at a host: the next
 * attempt, or another route, is the better chance.
 */
const MAX_SEARCH_MS: Readonly<Record<Priority, number>> = { critical: 20_000, normal: 60_000, bulk: 60_000 };
/**
 * For places among the connections to a network, in one attempt: some messages take their time, and critical mail waits only
 * for its kind.
 */
const MAX_GATE_MS = 30_000;

export interface MxTransportDeps {
  readonly route: MxRouteConfig;
  /** The relay's own name: for EHLO when the route has none, and to see loops. */
  readonly hostname: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly lookup: MxLookup;
  readonly sts: StsPolicies;
  readonly domains: DomainStore;
  /** Whether an address belongs to a private, loopback or other special network. */
  readonly isPrivate: (address: string) => boolean;
  /** At least 0, less than 1: for the order among hosts of equal preference. */
  readonly random: () => number;
  /** Other limits than the usual ones, for tests. */
  readonly timeouts?: Partial<SmtpTimeouts>;
}

/** What is known of the recipient's domain in one attempt. */
interface DomainFacts {
  readonly domain: string;
  readonly policy: StsPolicy | null;
  readonly remembered: TlsLevel;
  /** The MX answer is authentic (DNSSEC). */
  readonly authentic: boolean;
}

/** A transport that delivers to the recipients' own mail hosts. */
export function createMxTransport(deps: MxTransportDeps): Transport {
  const { route, clock, log, lookup, sts } = deps;
  const timeouts: SmtpTimeouts = { ...SMTP_TIMEOUTS, ...deps.timeouts };
  const ehlo = route.ehlo ?? deps.hostname;
  const ownNames = new Set([ehlo.toLowerCase(), deps.hostname.toLowerCase()]);
  const { connections, connectionsPerHost: perHost } = route;
  const hosts = createHosts({ clock, timeouts, perHost, connections });
  const memory = createTlsMemory({ domains: deps.domains, clock, log, route: route.name });
  const down = createDownHosts(clock);
  const slow = createSlowLookups(connections, clock);
  const quiet = createQuiet();
  const visiting: OneHostDeps = {
    clock,
    log,
    route: route.name,
    port: route.port,
    ehlo,
    tlsContext: createTlsContext(route.ca),
    timeouts,
    connectTimeoutMs: (priority) => route.connectTimeoutMs[priority],
    hosts,
    perHost,
  };

  const attempt = async (request: DeliveryRequest, signal: AbortSignal): Promise<Outcome> => {
    const domain = domainOf(request.recipient);
    const [found, remembered] = await Promise.all([
      slow.run(request.priority, signal, (until) =>
        Promise.all([lookup.mx(domain, until), route.mtaSts ? sts.policyFor(domain, until) : null]),
      ),
      // The relay's own store: no stranger can make it slow.
      memory.floor(domain),
    ]);
    if (found === null) return unconnected('deferred', 'route', crowdedText(domain, request.priority));
    const [answer, policy] = found;
    if (answer.kind === 'none')
      return { ...unconnected('rejected', 'recipient', answer.text), enhanced: answer.enhanced };
    if (answer.kind === 'failed') return unconnected('deferred', 'dns', answer.text);
    const order = orderHosts(answer.hosts, {
      ownNames,
      random: deps.random,
      isBusy: (name) => hosts.isBusy(name, request.priority),
      isDown: (name) => down.has(name),
    });
    if (order.kind === 'loop') {
      const text = `mail for ${domain} loops back to this relay: its best mail host, ${order.name}, is the relay itself`;
      return { ...unconnected('rejected', 'route', text), enhanced: '5.4.6' };
    }

    const facts: DomainFacts = { domain, policy, remembered, authentic: answer.authentic };
    const spent = createSpent(clock, MAX_SEARCH_MS[request.priority]);
    for (const { name } of order.hosts) {
      if (!spent.mayConnect()) break;
      const outcome = await tryHost(name, facts, request, spent, signal);
      if (outcome !== null) return outcome;
    }
    return sumUp(spent.tries) ?? unconnected('deferred', 'dns', `no mail host of ${domain} could be tried`);
  };

  const crowdedText = (name: string, priority: Priority): string =>
    `${name} is not in the DNS cache, and ${slow.places(priority)} messages wait for DNS already (half of the connections of the route at most)`;

  /** The outcome that ends the attempt, or null: on to the next host. */
  const tryHost = async (
    name: string,
    facts: DomainFacts,
    request: DeliveryRequest,
    spent: Spent,
    signal: AbortSignal,
  ): Promise<Outcome | null> => {
    const passOver = (cause: Cause, text: string, hopeless = false): null => {
      spent.tries.push({ where: name, outcome: unconnected('deferred', cause, text), hopeless });
      return null;
    };
    const noRoom = (asked: string): Outcome | null => {
      passOver('route', crowdedText(asked, request.priority));
      return sumUp(spent.tries);
    };
    const { domain, policy, remembered } = facts;
    const answer = await slow.run(request.priority, signal, (until) => lookup.addresses(name, until));
    if (answer === null) return noRoom(name);
    if (answer.kind === 'none') return passOver('dns', answer.text, true);
    if (answer.kind === 'failed') return passOver('dns', answer.text);
    const { targets, refused } = targetsOf(answer.addresses, { ...route, isPrivate: deps.isPrivate });
    if (targets.length === 0 && refused.family > 0) {
      return passOver('route', `${name} has no address of a family that source_ip of the route names`);
    }
    if (targets.length === 0) {
      const text = `${name} has only addresses in private or special networks (${answer.addresses.slice(0, 3).join(', ')})`;
      return passOver('dns', `${text}: nothing is sent there unless allow_private of the route is true`, true);
    }

    const mayUseDane = route.dane && facts.authentic && answer.authentic;
    const at = { domain, host: name, port: route.port };
    const dane = mayUseDane
      ? await slow.run(request.priority, signal, (until) => daneOf(lookup, at, clock, until))
      : ({ kind: 'none' } as const);
    if (dane === null) return noRoom(`TLSA of ${name}`);
    if (dane.kind === 'failed') return passOver('dns', dane.text);
    const enforced = policy?.mode === 'enforce';
    const allowed = policy?.allows(name) ?? true;
    // DANE is not overridden by MTA-STS (RFC 8461, section 2): a host that it vouches for needs no other word.
    if (enforced && !allowed && dane.kind !== 'check') {
      return passOver('tls', `the MTA-STS policy of ${domain} does not allow its mail host ${name}`);
    }
    const demand = demandOf({
      domain,
      host: name,
      route: route.tls,
      requireTls: request.requireTls,
      enforced,
      remembered,
      dane,
    });

    const onSession = (session: SmtpSession): void => {
      memory.note(domain, levelOf(session));
      if (policy?.mode !== 'testing' || (allowed && session.facts.verified)) return;
      const reason = allowed ? 'its certificate does not verify' : 'the policy does not allow this host';
      const fields = { event: 'mx.sts-testing', route: route.name, domain, next_hop: session.facts.nextHop, reason };
      log.warn(fields, 'MTA-STS in mode enforce would have refused this host');
    };
    const host = hosts.visit(
      name,
      targets.map(({ address }) => address),
    );
    try {
      const visit = await visitHost({ name, host, targets, demand, onSession }, request, spent, visiting, signal);
      if (visit.unreachable !== null) down.note(name, visit.unreachable);
      return visit.outcome;
    } finally {
      hosts.leave(name);
    }
  };

  const deliver = async (request: DeliveryRequest, signal: AbortSignal): Promise<Outcome> => {
    if (quiet.stopped() || signal.aborted) return abortedOutcome();
    try {
      return await attempt(request, signal);
    } catch (error) {
      // Both come before the dot only: nothing after it waits for DNS or for the store.
      if (signal.aborted) return abortedOutcome();
      if (!(error instanceof RelayError)) throw error;
      return unconnected('deferred', 'local', `what TLS the domain must have could not be read: ${error.message}`);
    }
  };

  return {
    capacity: route.connections,
    rate: route.rate,
    perDestination: route.connectionsPerDomain,
    probe: null,
    deliver: (request, signal) => quiet.during(() => deliver(request, signal)),
    async stop() {
      slow.stop();
      await Promise.all([quiet.stop(), hosts.stop()]);
      // Sessions that were still being opened have been admitted by now.
      await Promise.all([hosts.stop(), memory.settled()]);
    },
  };
}

function createSpent(clock: Clock, searchMs: number): Spent {
  const startMs = clock.monotonicMs();
  const tries: Try[] = [];
  let addresses = 0;
  let waitedMs = 0;
  return {
    tries,
    refusals: 0,
    mayConnect: () => addresses < MAX_ADDRESSES && clock.monotonicMs() - startMs - waitedMs < searchMs,
    connected: () => void addresses++,
    waited: (ms) => {
      waitedMs += ms;
    },
    mayWaitMs: () => Math.max(0, MAX_GATE_MS - waitedMs),
  };
}
