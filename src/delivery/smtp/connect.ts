/**
 * Opens the connection to a next hop: TCP, and TLS from the first octet where the endpoint says `implicit`.
 *
 * Addresses of both families are tried in turn (RFC 8305) unless the endpoint names one. What a certificate must be is the
 * endpoint's word, and there is no fall-back here. Every socket that is returned has a listener for errors, so that a late
 * one ends nothing but it.
 */
import net from 'node:net';
import tls from 'node:tls';
import { errorCode, errorText } from '../../core/errors.ts';
import type { Stage } from '../../core/outcome.ts';
import type { Clock } from '../../core/time.ts';
import { hostLookup } from '../host-lookup.ts';
import type { SmtpEndpoint } from './endpoint.ts';
import { failure, type Failure } from './ending.ts';
import { runStep } from './step.ts';

/** The next address of a name is tried after this; Node's own 250 ms would pass over every server farther away than that. */
const NEXT_ADDRESS_MS = 500;

/** A connection error in words: happy eyeballs give one error for each address tried. */
function connectErrorText(error: Error): string {
  const each = error instanceof AggregateError ? error.errors : [error];
  return [...new Set(each.map(errorText))].join('; ');
}

/** Connects to `endpoint` within `limitMs`, the look-up of the name included. */
export function connectTcp(
  endpoint: SmtpEndpoint,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<net.Socket | Failure> {
  const { nextHop, host, localAddress } = endpoint;
  // Nothing is opened for an attempt that is over.
  if (signal.aborted)
    return Promise.resolve(failure('connect', 'aborted', `the relay gave up connecting to ${nextHop}`));
  const socket = net.connect({
    host: endpoint.address ?? host,
    port: endpoint.port,
    lookup: hostLookup('mail'),
    ...(localAddress === null ? {} : { localAddress }),
    // Commands and content are written in the pieces that belong together; nothing is gained by holding them back.
    noDelay: true,
    keepAlive: true,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
  });
  let stage: Stage = net.isIP(endpoint.address ?? host) === 0 ? 'dns' : 'connect';
  const giveUp = (ending: Failure): Failure => {
    socket.destroy();
    return ending;
  };
  const aborted = (): Failure => giveUp(failure(stage, 'aborted', `the relay gave up connecting to ${nextHop}`));
  return runStep<net.Socket | Failure>(clock, signal, aborted, (step) => {
    step.limit(limitMs, () => {
      const what = stage === 'dns' ? `no address for ${host}` : `no connection to ${nextHop}`;
      step.settle(giveUp(failure(stage, stage === 'dns' ? 'dns' : 'connect', `${what} within ${limitMs} ms`)));
    });
    socket.on('error', (error) => {
      const dns = 'syscall' in error && error.syscall === 'getaddrinfo';
      step.settle(failure(dns ? 'dns' : 'connect', dns ? 'dns' : 'connect', connectErrorText(error)));
    });
    socket.once('lookup', () => {
      stage = 'connect';
    });
    socket.once('connect', () => step.settle(socket));
  });
}

/** Node tells its own users what to start it with; ours have `ca` and `servername`. */
const ADVICE_FOR_PROGRAMMERS = /; if the root CA is installed locally.*$/;
/** The certificate is of an authority that is not known, or for another name (OpenSSL's X509_V_ERR_*, and Node's own). */
const NOT_TRUSTED =
  /SELF_SIGNED|UNABLE_TO_VERIFY|UNABLE_TO_GET_ISSUER|ALTNAME_INVALID|CERT_UNTRUSTED|HOSTNAME_MISMATCH/;

/** The sentence for a handshake that failed. */
export function tlsErrorText(endpoint: SmtpEndpoint, error: unknown): string {
  // The SMTP library puts a code of its own in front of the one that says what is wrong.
  const code =
    error instanceof Error && 'originalCode' in error && typeof error.originalCode === 'string'
      ? error.originalCode
      : errorCode(error);
  const said = errorText(error).replace(ADVICE_FOR_PROGRAMMERS, '');
  const advice = NOT_TRUSTED.test(code ?? '') ? endpoint.tlsAdvice : '';
  return `TLS with ${endpoint.nextHop} failed: ${said}${code === null ? '' : ` (${code})`}${advice}`;
}

/** Why the server's certificates do not do for `endpoint`, in words, or null. */
export function judgeTls(endpoint: SmtpEndpoint, socket: tls.TLSSocket): string | null {
  const fault = endpoint.judge?.(socket) ?? null;
  return fault === null ? null : `TLS with ${endpoint.nextHop} failed: ${fault}`;
}

/** Speaks TLS on a connected `socket` from the first octet, within `limitMs`. */
export function secureSocket(
  socket: net.Socket,
  endpoint: SmtpEndpoint,
  limitMs: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<tls.TLSSocket | Failure> {
  const { nextHop } = endpoint;
  const giveUp = (ending: Failure): Failure => {
    socket.destroy();
    return ending;
  };
  const aborted = (): Failure => giveUp(failure('starttls', 'aborted', `the relay gave up TLS with ${nextHop}`));
  return runStep<tls.TLSSocket | Failure>(clock, signal, aborted, (step) => {
    step.limit(limitMs, () => {
      step.settle(giveUp(failure('starttls', 'tls', `TLS with ${nextHop} was not agreed on within ${limitMs} ms`)));
    });
    const secured = tls.connect({ ...endpoint.tlsOptions, socket });
    secured.on('error', (error) => step.settle(giveUp(failure('starttls', 'tls', tlsErrorText(endpoint, error)))));
    secured.once('close', () =>
      step.settle(failure('starttls', 'tls', `${nextHop} closed the connection during the TLS handshake`)),
    );
    secured.once('secureConnect', () => {
      const fault = judgeTls(endpoint, secured);
      step.settle(fault === null ? secured : giveUp(failure('starttls', 'tls', fault)));
    });
  });
}
