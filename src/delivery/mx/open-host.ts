/**
 * Opens a session with one address of an MX host, with the TLS that is demanded.
 *
 * Without any demand TLS is opportunistic (RFC 7435): STARTTLS where it is offered, with any certificate. When it is offered
 * and fails, a second connection to the same address speaks plain, because a host that cannot do what it says would else get
 * no mail at all; the first connection is never gone on with. With a demand there is no second connection.
 */
import type { SecureContext } from 'node:tls';
import type { Clock } from '../../core/time.ts';
import { parseReply } from '../../mail/reply.ts';
import type { Answer, Failure } from '../smtp/ending.ts';
import { type EndpointTls, nextHopText, type SmtpEndpoint, tlsOptionsFor } from '../smtp/endpoint.ts';
import { openSession } from '../smtp/open-session.ts';
import { SmtpSession } from '../smtp/session.ts';
import type { SmtpTimeouts } from '../smtp/timeouts.ts';
import type { Target } from './targets.ts';
import type { TlsDemand } from './tls-demand.ts';

export interface OpenHostDeps {
  readonly clock: Clock;
  readonly port: number;
  readonly ehlo: string;
  readonly tlsContext: SecureContext;
  readonly connectTimeoutMs: number;
  readonly timeouts: SmtpTimeouts;
  /** Told why the second connection is plain. */
  readonly onPlain: (nextHop: string, reason: string) => void;
}

/** Opens a session with `target` of `host`, or says how that ended; then no connection is left open. */
export async function openHost(
  host: string,
  target: Target,
  demand: TlsDemand,
  deps: OpenHostDeps,
  signal: AbortSignal,
): Promise<SmtpSession | Answer | Failure> {
  const { ehlo, connectTimeoutMs, timeouts, clock } = deps;
  const open = (tls: EndpointTls): Promise<SmtpSession | Answer | Failure> => {
    const endpoint = endpointOf(host, target, tls, demand, deps);
    return openSession({ endpoint, ehlo, connectTimeoutMs, timeouts, clock }, signal);
  };
  if (demand.floor !== 'none') return open('required');
  const first = await open('opportunistic');
  if (first instanceof SmtpSession || !failedAtTls(first)) return first;
  deps.onPlain(
    nextHopText(host, target.address, deps.port),
    first.kind === 'answer' ? `STARTTLS was refused: ${first.reply}` : first.text,
  );
  return open('none');
}

/** A handshake that failed, or STARTTLS refused; a server that goes away (421), or an attempt that is over, is no such thing. */
function failedAtTls(ending: Answer | Failure): boolean {
  if (ending.stage !== 'starttls') return false;
  return ending.kind === 'failure' ? ending.reason !== 'aborted' : parseReply(ending.reply)?.code !== 421;
}

function endpointOf(
  host: string,
  { address, localAddress }: Target,
  tls: EndpointTls,
  demand: TlsDemand,
  deps: OpenHostDeps,
): SmtpEndpoint {
  const byAuthority = demand.floor === 'verified' && demand.check === null;
  return {
    nextHop: nextHopText(host, address, deps.port),
    host,
    address,
    port: deps.port,
    tls,
    tlsOptions: tlsOptionsFor(host, deps.tlsContext, byAuthority),
    judge: demand.check,
    tlsReason: demand.reason,
    tlsAdvice: '',
    auth: null,
    localAddress,
  };
}
