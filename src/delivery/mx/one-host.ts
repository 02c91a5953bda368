/**
 * Delivers to one MX host: over a session that waits, else over new ones to its addresses in turn. Each address is spoken to
 * with a place in the gate of its network. Addresses whose network has one free come first, of those the ones that a session
 * waits at.
 */
import type { Outcome } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import type { Log } from '../../telemetry/log.ts';
import { judge, type Judged, outcomeOf, provesStale, sendOver } from '../judged.ts';
import { nextHopText } from '../smtp/endpoint.ts';
import { SmtpSession } from '../smtp/session.ts';
import { type SmtpTimeouts, timeoutsFor } from '../smtp/timeouts.ts';
import type { DeliveryRequest } from '../transport.ts';
import { directionAfter } from './after-try.ts';
import type { Entry } from './host-gate.ts';
import type { Host, Hosts } from './hosts.ts';
import { networkOf } from './network-of.ts';
import { openHost, type OpenHostDeps } from './open-host.ts';
import type { Target } from './targets.ts';
import { meets, type TlsDemand } from './tls-demand.ts';
import { sumUp, type Try } from './tries.ts';
import { abortedOutcome, unconnected } from './unconnected.ts';

export interface OneHostDeps extends Pick<OpenHostDeps, 'clock' | 'port' | 'ehlo' | 'tlsContext'> {
  readonly log: Log;
  readonly route: string;
  readonly timeouts: SmtpTimeouts;
  readonly connectTimeoutMs: (priority: DeliveryRequest['priority']) => number;
  readonly hosts: Hosts;
  /** Places in one network, for the text. */
  readonly perHost: number;
}

/** What one attempt has spent, over all hosts. */
export interface Spent {
  readonly tries: Try[];
  /** Hosts that were left because of a temporary refusal. */
  refusals: number;
  /** Whether one more address may be connected to. */
  mayConnect(): boolean;
  /** Counts an address. */
  connected(): void;
  /** So many milliseconds went by without anything being tried. */
  waited(ms: number): void;
  /** How long it may still wait for a place. */
  mayWaitMs(): number;
}

export interface HostVisit {
  readonly name: string;
  readonly host: Host;
  readonly targets: readonly Target[];
  readonly demand: TlsDemand;
  /** Told of the session before the message goes over it. */
  readonly onSession: (session: SmtpSession) => void;
}

/**
 * The outcome that ends the attempt, or null: on to the next host. What was tried in vain is added to `spent.tries`.
 * `unreachable`: no connection came about, though one was tried; null: it was not found out.
 */
export async function visitHost(
  { name, host, targets, demand, onSession }: HostVisit,
  request: DeliveryRequest,
  spent: Spent,
  deps: OneHostDeps,
  signal: AbortSignal,
): Promise<{ readonly outcome: Outcome | null; readonly unreachable: boolean | null }> {
  const { clock, log, route, port } = deps;
  let unreachable: boolean | null = null;
  const sending = { hop: 'mx', pool: host.pool, clock, timeouts: deps.timeouts } as const;

  /** Sends over `session`; null: the session was dead, and nothing came of it. */
  const send = async (
    session: SmtpSession,
    reused: boolean,
  ): Promise<'dead' | 'next-address' | 'next-host' | Outcome> => {
    onSession(session);
    const startMs = clock.monotonicMs();
    const judged = await sendOver(session, request, sending, signal);
    if (reused && provesStale(judged)) return 'dead';
    const { nextHop, tls, timings } = session.facts;
    const transaction = since(clock, startMs);
    const outcome = outcomeOf(judged, {
      nextHop,
      tls,
      timings: reused ? { transaction } : { ...timings, transaction },
    });
    const direction = directionAfter(judged, spent.refusals);
    if (direction === 'end') return outcome;
    if (direction === 'next-host') spent.refusals++;
    spent.tries.push({ where: nextHop, outcome, hopeless: false });
    return direction;
  };

  const fits =
    ({ address }: Target) =>
    (session: SmtpSession): boolean =>
      address === session.facts.address && meets(session, demand);

  /** Speaks to one address, over a session that waits or a new one; the outcome that ends the attempt, or where to go on. */
  const speakTo = async (target: Target): Promise<'next-address' | 'next-host' | Outcome> => {
    const warm = host.pool.take(fits(target));
    if (warm !== null) {
      const result = await send(warm, true);
      if (result === 'dead') {
        const kept = { event: 'delivery.reconnect', route, next_hop: warm.facts.nextHop };
        log.debug(kept, 'a kept connection was dead: the message goes over a new one');
      } else if (result !== 'next-address') {
        unreachable = false;
        return result;
      }
      if (!spent.mayConnect()) return 'next-address';
    }
    spent.connected();
    deps.hosts.makeRoom(target.address);
    const openMs = clock.monotonicMs();
    const session = await openHost(name, target, demand, openingFor(request, deps), signal);
    if (session instanceof SmtpSession) {
      host.pool.admit(session);
      const result = await send(session, false);
      unreachable = false;
      return result === 'dead' ? 'next-address' : result;
    }
    const judged = judge(session, 'mx');
    const where = nextHopText(name, target.address, port);
    const connecting = session.stage === 'connect';
    const spentMs = since(clock, openMs);
    const timings = connecting ? { connect: spentMs } : { session: spentMs };
    const outcome = withReason(outcomeOf(judged, { nextHop: where, tls: null, timings }), judged, demand);
    if (isAborted(judged)) {
      unreachable = null;
      return outcome;
    }
    unreachable = connecting;
    spent.tries.push({ where, outcome, hopeless: false });
    return 'next-address';
  };

  const isWarm = (target: Target): boolean => host.pool.idle(fits(target)) > 0;
  const ordered = targets
    .map((target) => ({ target, busy: !deps.hosts.isOpen(target.address, request.priority), warm: isWarm(target) }))
    .toSorted((a, b) => Number(a.busy) - Number(b.busy) || Number(b.warm) - Number(a.warm));
  for (const { target } of ordered) {
    if (!spent.mayConnect()) break;
    const { address } = target;
    const startMs = clock.monotonicMs();
    const entry = await deps.hosts.enter(address, request.priority, spent.mayWaitMs(), signal);
    spent.waited(clock.monotonicMs() - startMs);
    if (entry === 'aborted') return { outcome: abortedOutcome(), unreachable };
    if (entry !== 'entered') {
      const outcome = unconnected('deferred', 'route', noPlaceText(entry, name, address, deps.perHost), 'connect');
      spent.tries.push({ where: name, outcome, hopeless: false });
      return { outcome: sumUp(spent.tries), unreachable };
    }
    try {
      const result = await speakTo(target);
      if (result !== 'next-address') return { outcome: result === 'next-host' ? null : result, unreachable };
    } finally {
      deps.hosts.exit(address);
    }
  }
  return { outcome: null, unreachable };
}

function noPlaceText(
  entry: Exclude<Entry, 'entered' | 'aborted'>,
  name: string,
  address: string,
  places: number,
): string {
  const all = `all ${places} connections to ${name} and its neighbours in ${networkOf(address)}`;
  const setting = '(connections_per_host of the route)';
  switch (entry) {
    case 'late':
      return `${all} were busy for as long as an attempt waits ${setting}`;
    case 'crowded':
      return `${all} are busy, and as many messages as may wait for one of them already ${setting}`;
  }
}

function openingFor(request: DeliveryRequest, deps: OneHostDeps): OpenHostDeps {
  const { clock, port, ehlo, tlsContext, log, route } = deps;
  return {
    clock,
    port,
    ehlo,
    tlsContext,
    connectTimeoutMs: deps.connectTimeoutMs(request.priority),
    timeouts: timeoutsFor(deps.timeouts, request.priority),
    onPlain: (nextHop, reason) =>
      log.info({ event: 'mx.plain', route, next_hop: nextHop, reason }, 'TLS failed, and nothing demands it: plain'),
  };
}

/** A failed handshake says who wanted it: the operator of the other side will ask. */
function withReason(outcome: Outcome, { ending }: Judged, { reason }: TlsDemand): Outcome {
  if (ending.stage !== 'starttls' || reason === '' || outcome.response.includes(reason)) return outcome;
  return { ...outcome, response: `${outcome.response} (${reason})` };
}

function isAborted({ verdict }: Judged): boolean {
  return verdict.kind !== 'delivered' && verdict.cause === 'local';
}

function since(clock: Clock, fromMs: number): number {
  return Math.round(clock.monotonicMs() - fromMs);
}
