/**
 * Opens a session: TCP, TLS, greeting, EHLO, STARTTLS, AUTH. Each phase has its own wall-clock limit.
 *
 * TLS never goes down silently: `required` means a STARTTLS that succeeds with a verified certificate (RFC 3207), whether
 * the server offers it or not; `implicit` the same from the first octet (RFC 8314); `none` speaks plain and never STARTTLS.
 * A route with a password never sends without having logged in (RFC 4954), and never shows the password on a connection
 * that leaves the machine in the clear.
 *
 * Whatever goes wrong here is the route's trouble, never the message's: nothing of the message was sent.
 */
import type net from 'node:net';
import tls from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import type { SmtpRouteConfig } from '../../config/types.ts';
import { errorText } from '../../core/errors.ts';
import type { Stage } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import { type Capabilities, parseCapabilities } from './capabilities.ts';
import { connectTcp, nextHopOf, secureSocket, tlsErrorText } from './connect.ts';
import { type Answer, type Failure, failure } from './ending.ts';
import { createReplyTap, type ReplyTap } from './reply-tap.ts';
import { type SessionFacts, SmtpSession } from './session.ts';
import { runStep } from './step.ts';
import type { SmtpTimeouts } from './timeouts.ts';

/** Octets that a server may say while a session opens, and again in each transaction. */
const MAX_SAID_BYTES = 64 * 1024;

/** Longer than any of our limits: the library's own timers must never be the first. */
const NEVER_MS = 24 * 60 * 60 * 1000;

export interface OpenSessionDeps {
  readonly route: SmtpRouteConfig;
  /** The name in EHLO. */
  readonly ehlo: string;
  readonly tlsOptions: tls.ConnectionOptions;
  readonly timeouts: SmtpTimeouts;
  readonly clock: Clock;
}

interface Greeted {
  readonly kind: 'greeted';
  readonly connection: SMTPConnection;
  readonly socket: net.Socket;
  readonly tap: ReplyTap;
  readonly capabilities: Capabilities;
  /** Milliseconds of a handshake after STARTTLS. */
  readonly tlsMs: number | null;
}

/** Opens a session with the route's server, or says how that ended. */
export async function openSession(
  deps: OpenSessionDeps,
  signal: AbortSignal,
): Promise<SmtpSession | Answer | Failure> {
  const { route, clock, timeouts } = deps;
  const startMs = clock.monotonicMs();
  const plain = await connectTcp(route, clock, signal);
  if ('kind' in plain) return plain;
  const connectedMs = clock.monotonicMs();

  let socket: net.Socket = plain;
  let tlsMs: number | null = null;
  if (route.tls === 'implicit') {
    const secured = await secureSocket(plain, route, deps.tlsOptions, timeouts.tlsMs, clock, signal);
    if ('kind' in secured) return secured;
    socket = secured;
    tlsMs = clock.monotonicMs() - connectedMs;
  }

  const greeted = await greet(deps, socket, signal);
  if (greeted.kind !== 'greeted') return greeted;
  tlsMs ??= greeted.tlsMs;

  const refused = await logIn(deps, greeted, signal);
  if (refused !== null) return refused;

  const sessionMs = clock.monotonicMs() - connectedMs - (tlsMs ?? 0);
  const facts: SessionFacts = {
    nextHop: nextHopOf(route),
    tls: tlsFacts(greeted.socket),
    capabilities: greeted.capabilities,
    timings: {
      connect: Math.round(connectedMs - startMs),
      ...(tlsMs === null ? {} : { tls: Math.round(tlsMs) }),
      session: Math.round(sessionMs),
    },
  };
  return new SmtpSession({ ...greeted, facts });
}

function tlsFacts(socket: net.Socket): SessionFacts['tls'] {
  if (!(socket instanceof tls.TLSSocket)) return null;
  return { version: socket.getProtocol() ?? 'unknown', cipher: socket.getCipher().standardName };
}

/** Greeting, EHLO, and STARTTLS with the EHLO after it, where the route asks for it. */
function greet(
  deps: OpenSessionDeps,
  socket: net.Socket,
  signal: AbortSignal,
): Promise<Greeted | Answer | Failure> {
  const { route, clock, timeouts } = deps;
  const nextHop = nextHopOf(route);
  const connection = new SMTPConnection({
    connection: socket,
    host: route.host,
    port: route.port,
    name: deps.ehlo,
    secure: route.tls === 'implicit',
    secured: route.tls === 'implicit',
    requireTLS: route.tls === 'required',
    ignoreTLS: route.tls !== 'required',
    tls: deps.tlsOptions,
    connectionTimeout: NEVER_MS,
    greetingTimeout: NEVER_MS,
    socketTimeout: NEVER_MS,
    socketCloseTimeout: 0,
    maxResponseSize: MAX_SAID_BYTES,
  });

  let phase: 'plain' | 'handshake' | 'secured' = route.tls === 'required' ? 'plain' : 'secured';
  let handshakeStartMs = 0;
  let tlsMs: number | null = null;
  const stage = (): Stage => {
    if (phase === 'handshake') return 'starttls';
    if (phase === 'secured') return tap.replies() === 0 && tlsMs === null ? 'greeting' : 'ehlo';
    return (['greeting', 'ehlo'] as const)[tap.replies()] ?? 'starttls';
  };
  const giveUp = <T>(ending: T): T => {
    tap.detach();
    connection.close();
    socket.destroy();
    return ending;
  };
  const aborted = (): Failure => giveUp(failure(stage(), 'aborted', `the relay gave up the session with ${nextHop}`));

  // Bound below, when there is a step to settle: nothing is read from the socket before `connect`.
  let onChunk: (completed: number) => void = () => {};
  let onFlood: () => void = () => {};
  const tap = createReplyTap(MAX_SAID_BYTES, {
    onChunk: (completed) => onChunk(completed),
    onFlood: () => onFlood(),
  });
  tap.attach(socket);

  return runStep<Greeted | Answer | Failure>(clock, signal, aborted, (step) => {
    const late = (): void => {
      const waited = phase === 'handshake' ? timeouts.tlsMs : timeouts.greetingMs;
      const reason = phase === 'handshake' ? 'tls' : 'timeout';
      step.settle(giveUp(failure(stage(), reason, `${nextHop} did not come to an end of ${stage()} in ${waited} ms`)));
    };
    step.limit(timeouts.greetingMs, late);

    onFlood = () =>
      step.settle(giveUp(failure(stage(), 'protocol', `${nextHop} said more than ${MAX_SAID_BYTES} octets`)));

    onChunk = (completed) => {
      if (phase !== 'plain') return;
      if (completed > 1 || (completed === 1 && tap.midReply())) {
        step.settle(giveUp(failure(stage(), 'protocol', `${nextHop} answered before it was asked`)));
      } else if (completed === 1 && tap.replies() === 3 && tap.lastCode() === 220) {
        // The library handles this chunk right after us, and then its socket is the TLS socket.
        queueMicrotask(() => onHandshake());
      }
    };

    const onHandshake = (): void => {
      const securing = connection._socket;
      if (!(securing instanceof tls.TLSSocket)) return;
      phase = 'handshake';
      handshakeStartMs = clock.monotonicMs();
      step.limit(timeouts.tlsMs, late);
      securing.once('secureConnect', () => {
        phase = 'secured';
        tlsMs = clock.monotonicMs() - handshakeStartMs;
        tap.mark();
        tap.attach(securing);
        step.limit(timeouts.greetingMs, late);
      });
    };

    const fail = (error: Error): void => {
      const reply = replyOf(error);
      if (phase === 'handshake') {
        step.settle(giveUp(failure('starttls', 'tls', tlsErrorText(nextHop, causeOf(error)))));
      } else if (reply !== null && !tap.midReply()) {
        step.settle(giveUp({ kind: 'answer', stage: answered(stage()), reply }));
      } else {
        step.settle(giveUp(failure(stage(), 'lost', `${nextHop}: ${errorText(error)}`)));
      }
    };
    connection.on('error', fail);
    connection.connect((error) => {
      if (error !== undefined) {
        fail(error);
        return;
      }
      const ready = connection._socket;
      const reply = connection.lastServerResponse;
      if (!ready || reply === false) {
        step.settle(giveUp(failure(stage(), 'lost', `${nextHop} closed the connection`)));
        return;
      }
      connection.removeListener('error', fail);
      const capabilities = parseCapabilities(reply);
      step.settle({ kind: 'greeted', connection, socket: ready, tap, capabilities, tlsMs });
    });
  });
}
