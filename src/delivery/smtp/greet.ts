/**
 * Greeting, EHLO, and where the endpoint asks for it STARTTLS and the EHLO after it, over a connected socket (RFC 5321,
 * sections 3.1 and 3.2; RFC 3207).
 *
 * Where TLS is required, the library sends STARTTLS whether the server offers it or not; where it is opportunistic, when the
 * server offers it. Once STARTTLS was sent, it ends the connection unless TLS succeeds: there is no way on in the clear. What
 * was said before the handshake is forgotten after it (RFC 3207, section 4.2).
 */
import type net from 'node:net';
import tls from 'node:tls';
import SMTPConnection from 'nodemailer/lib/smtp-connection';
import { errorText } from '../../core/errors.ts';
import type { Stage } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import { type Capabilities, parseCapabilities } from './capabilities.ts';
import { judgeTls, tlsErrorText } from './connect.ts';
import { type Answer, type Failure, failure, replyOf } from './ending.ts';
import type { SmtpEndpoint } from './endpoint.ts';
import { createOpening } from './opening.ts';
import { createReplyTap, type ReplyTap } from './reply-tap.ts';
import { runStep } from './step.ts';
import type { SmtpTimeouts } from './timeouts.ts';

/** Octets that a server may say while a session opens, and again in each transaction. */
export const MAX_SAID_BYTES: number = 64 * 1024;

/** Longer than any limit of ours: the library's own timers must never be the first. */
const NEVER_MS = 24 * 60 * 60 * 1000;

export interface OpenSessionDeps {
  readonly endpoint: SmtpEndpoint;
  /** The name in EHLO. */
  readonly ehlo: string;
  /** For the TCP connection, the look-up of the name included. */
  readonly connectTimeoutMs: number;
  readonly timeouts: SmtpTimeouts;
  readonly clock: Clock;
}

/** A server that has greeted and, where required, speaks TLS; not logged in yet. */
export interface Greeted {
  readonly kind: 'greeted';
  readonly connection: SMTPConnection;
  /** What commands go over: the TLS socket where there is TLS. */
  readonly socket: net.Socket;
  readonly tap: ReplyTap;
  readonly capabilities: Capabilities;
  /** Milliseconds of the handshake after STARTTLS; null when there was none. */
  readonly tlsMs: number | null;
}

/** Which command a reply answers, counted from 0. EHLO may be followed by HELO, or by STARTTLS. */
const STAGES_PLAIN: readonly Stage[] = ['greeting', 'ehlo', 'ehlo'];
const STAGES_BEFORE_TLS: readonly Stage[] = ['greeting', 'ehlo', 'starttls'];
const STAGES_AFTER_TLS: readonly Stage[] = ['ehlo', 'ehlo'];

/** Leads the connection to the point where AUTH or MAIL can follow; closes it when that fails. */
export function greet(
  deps: OpenSessionDeps,
  socket: net.Socket,
  signal: AbortSignal,
): Promise<Greeted | Answer | Failure> {
  const { endpoint, clock, timeouts } = deps;
  const { nextHop } = endpoint;
  const connection = createConnection(deps, socket);
  const required = endpoint.tls === 'required';
  const mayStartTls = required || endpoint.tls === 'opportunistic';

  let stages = required ? STAGES_BEFORE_TLS : STAGES_PLAIN;
  let handshakeStartMs: number | null = null;
  let tlsMs: number | null = null;
  let startTlsOffered = true;

  const tap = createReplyTap(MAX_SAID_BYTES);
  tap.attach(socket);
  const awaited = (): Stage => stages[tap.replies()] ?? stages.at(-1) ?? 'ehlo';
  const { isOver, handOn, giveUp } = createOpening({ connection, socket, tap });
  const aborted = (): Failure => giveUp(failure(awaited(), 'aborted', `the relay gave up greeting ${nextHop}`));

  return runStep<Greeted | Answer | Failure>(clock, signal, aborted, (step) => {
    const end = (ending: Answer | Failure): void => {
      if (!isOver()) step.settle(giveUp(ending));
    };
    const inHandshake = (): boolean => handshakeStartMs !== null && tlsMs === null;
    const late = (): void => {
      if (inHandshake()) {
        end(failure('starttls', 'tls', `TLS with ${nextHop} was not agreed on within ${timeouts.tlsMs} ms`));
      } else {
        end(failure(awaited(), 'timeout', `${nextHop} had not greeted and answered within ${timeouts.greetingMs} ms`));
      }
    };
    const fail = (error: Error): void => {
      // Of a reply that was cut off, the library shows the beginning: it is no answer.
      const reply = tap.midReply() ? null : replyOf(error);
      const stage = reply === null ? awaited() : (stages[tap.replies() - 1] ?? 'ehlo');
      if (inHandshake()) {
        end(failure('starttls', 'tls', tlsErrorText(endpoint, error)));
      } else if (stage === 'starttls' && required && !startTlsOffered) {
        end(failure('starttls', 'tls', `${nextHop} does not offer STARTTLS, and ${endpoint.tlsReason}`));
      } else if (reply !== null) {
        end({ kind: 'answer', stage, reply });
      } else {
        end(failure(stage, 'lost', `${nextHop}: ${errorText(error)}`));
      }
    };

    const onStartTlsAccepted = (): void => {
      const securing = connection._socket;
      if (isOver() || !(securing instanceof tls.TLSSocket)) return;
      handshakeStartMs = clock.monotonicMs();
      step.limit(timeouts.tlsMs, late);
      securing.once('secureConnect', () => {
        const fault = judgeTls(endpoint, securing);
        if (fault !== null) {
          end(failure('starttls', 'tls', fault));
          return;
        }
        tlsMs = clock.monotonicMs() - (handshakeStartMs ?? 0);
        stages = STAGES_AFTER_TLS;
        tap.mark();
        tap.attach(securing);
        step.limit(timeouts.greetingMs, late);
      });
    };
    const onChunk = (completed: number): void => {
      if (!mayStartTls || handshakeStartMs !== null || completed === 0) return;
      if (completed > 1 || tap.midReply()) {
        end(failure(awaited(), 'protocol', `${nextHop} answered before it was asked`));
        return;
      }
      // The library handles this chunk right after us; in the microtask it has drawn its conclusions.
      queueMicrotask(() => {
        if (tap.replies() === 2) {
          startTlsOffered = parseCapabilities(connection.lastServerResponse || '').startTls;
          if (startTlsOffered) stages = STAGES_BEFORE_TLS;
        }
        if (tap.replies() === 3) onStartTlsAccepted();
      });
    };
    tap.listen({
      onChunk,
      onFlood: () => end(failure(awaited(), 'protocol', `${nextHop} said more than ${MAX_SAID_BYTES} octets`)),
    });

    step.limit(timeouts.greetingMs, late);
    connection.on('error', fail);
    connection.once('end', () => queueMicrotask(() => fail(new Error('the connection was closed'))));
    connection.connect((error) => {
      const ready = connection._socket;
      const reply = connection.lastServerResponse;
      if (error !== undefined || !ready || reply === false) {
        fail(error ?? new Error('the connection was closed'));
        return;
      }
      handOn();
      const capabilities = parseCapabilities(reply);
      step.settle({ kind: 'greeted', connection, socket: ready, tap, capabilities, tlsMs });
    });
  });
}

function createConnection(deps: OpenSessionDeps, socket: net.Socket): SMTPConnection {
  const { endpoint } = deps;
  return new SMTPConnection({
    connection: socket,
    host: endpoint.host,
    port: endpoint.port,
    name: deps.ehlo,
    secure: endpoint.tls === 'implicit',
    secured: endpoint.tls === 'implicit',
    requireTLS: endpoint.tls === 'required',
    ignoreTLS: endpoint.tls === 'none' || endpoint.tls === 'implicit',
    tls: endpoint.tlsOptions,
    connectionTimeout: NEVER_MS,
    greetingTimeout: NEVER_MS,
    socketTimeout: NEVER_MS,
    // Closing means closing: a server that never closes its side keeps nothing open here.
    socketCloseTimeout: 0,
    maxResponseSize: MAX_SAID_BYTES,
  });
}
