/**
 * Delivers to one MX host: over a session that waits, else over new ones to its addresses in turn. The caller holds a place
 * in the host's gate.
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
import type { Host, Hosts } from './hosts.ts';
import { openHost, type OpenHostDeps } from './open-host.ts';
import type { Target } from './targets.ts';
import { meets, type TlsDemand } from './tls-demand.ts';
import type { Try } from './tries.ts';

export interface OneHostDeps extends Pick<OpenHostDeps, 'clock' | 'port' | 'ehlo' | 'tlsContext'> {
  readonly log: Log;
  readonly route: string;
  readonly timeouts: SmtpTimeouts;
  readonly connectTimeoutMs: (priority: DeliveryRequest['priority']) => number;
  readonly hosts: Hosts;
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

  const fits = (session: SmtpSession): boolean =>
    targets.some(({ address }) => address === session.facts.address) && meets(session, demand);
  const warm = host.pool.take(fits);
  if (warm !== null) {
    const result = await send(warm, true);
    if (result === 'dead') {
      log.debug({ route, next_hop: warm.facts.nextHop }, 'a kept connection was dead: the message goes over a new one');
    } else if (result !== 'next-address') {
      return { outcome: result === 'next-host' ? null : result, unreachable: false };
    }
  }

  let unreachable: boolean | null = null;
  for (const target of targets) {
    if (!spent.mayConnect()) break;
    spent.connected();
    deps.hosts.makeRoom(host);
    const openMs = clock.monotonicMs();
    const session = await openHost(name, target, demand, openingFor(request, deps), signal);
    if (session instanceof SmtpSession) {
      host.pool.admit(session);
      const result = await send(session, false);
      if (result === 'next-address' || result === 'dead') {
        unreachable = false;
        continue;
      }
      return { outcome: result === 'next-host' ? null : result, unreachable: false };
    }
    const judged = judge(session, 'mx');
    const where = nextHopText(name, target.address, port);
    const connecting = session.stage === 'connect';
    const spentMs = since(clock, openMs);
    const timings = connecting ? { connect: spentMs } : { session: spentMs };
    const outcome = withReason(outcomeOf(judged, { nextHop: where, tls: null, timings }), judged, demand);
    if (isAborted(judged)) return { outcome, unreachable: null };
    unreachable = connecting;
    spent.tries.push({ where, outcome, hopeless: false });
  }
  return { outcome: null, unreachable };
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
