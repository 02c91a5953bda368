/**
 * Opens a session: TCP, TLS, greeting, EHLO, STARTTLS, AUTH. Each phase has its own wall-clock limit.
 *
 * TLS never goes down silently: `required` means a STARTTLS that succeeds with a certificate as the endpoint wants it
 * (RFC 3207), `implicit` the same from the first octet (RFC 8314); `none` speaks plain and never STARTTLS; `opportunistic`
 * begins TLS where it is offered, and a connection on which that failed is closed, never gone on with in the clear.
 *
 * Whatever goes wrong here is the route's trouble, never the message's: nothing of the message was sent.
 */
import net from 'node:net';
import tls from 'node:tls';
import { type Answer, type Failure, failure } from './ending.ts';
import { connectTcp, secureSocket } from './connect.ts';
import { greet, type OpenSessionDeps } from './greet.ts';
import { logIn } from './log-in.ts';
import { type SessionFacts, SmtpSession } from './session.ts';

/** Opens a session with `deps.endpoint`, or says how that ended; then no connection is left open. */
export async function openSession(deps: OpenSessionDeps, signal: AbortSignal): Promise<SmtpSession | Answer | Failure> {
  const { endpoint, clock, timeouts } = deps;
  const startMs = clock.monotonicMs();
  const plain = await connectTcp(endpoint, deps.connectTimeoutMs, clock, signal);
  if (!(plain instanceof net.Socket)) return plain;
  const connectedMs = clock.monotonicMs();

  let socket = plain;
  let tlsMs: number | null = null;
  if (endpoint.tls === 'implicit') {
    const secured = await secureSocket(plain, endpoint, timeouts.tlsMs, clock, signal);
    if (!(secured instanceof tls.TLSSocket)) return secured;
    socket = secured;
    tlsMs = clock.monotonicMs() - connectedMs;
  }

  const greeted = await greet(deps, socket, signal);
  if (greeted.kind !== 'greeted') return greeted;
  tlsMs ??= greeted.tlsMs;

  const refused = await logIn(deps, greeted, signal);
  if (refused !== null) return refused;

  // Replies that nothing asked for are waiting in the library now; in its next turn it finds them and ends the connection.
  // Left there, they would be taken for the answers to MAIL, RCPT and DATA.
  await new Promise<void>((resolve) => setImmediate(resolve));
  if (greeted.connection.destroyed || greeted.tap.midReply()) {
    greeted.socket.destroy();
    return failure('ehlo', 'protocol', `${endpoint.nextHop} answered more than it was asked`);
  }

  const facts: SessionFacts = {
    nextHop: endpoint.nextHop,
    address: endpoint.address,
    tls: tlsFacts(greeted.socket),
    verified: greeted.socket instanceof tls.TLSSocket && greeted.socket.authorized,
    capabilities: greeted.capabilities,
    timings: {
      connect: Math.round(connectedMs - startMs),
      ...(tlsMs === null ? {} : { tls: Math.round(tlsMs) }),
      session: Math.round(clock.monotonicMs() - connectedMs - (tlsMs ?? 0)),
    },
  };
  return new SmtpSession(greeted.connection, greeted.socket, greeted.tap, facts);
}

function tlsFacts(socket: net.Socket): SessionFacts['tls'] {
  if (!(socket instanceof tls.TLSSocket)) return null;
  return { version: socket.getProtocol() ?? 'unknown', cipher: socket.getCipher().standardName };
}
