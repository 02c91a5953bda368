/**
 * The door of one listener: who is let in, the TLS handshake of an implicit-TLS listener, and which sessions are open.
 *
 * smtp-server keeps the listening socket and the TLS contexts; its reverse DNS look-up, PROXY protocol and timers are not used.
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { SMTPServer } from 'smtp-server';
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection';
import type { TlsMaterial } from './certificate.ts';
import { normalizeAddress } from './networks.ts';
import { cleanForLog } from './smtp-brief-log.ts';
import type { EntryRefusal } from './smtp-limits.ts';
import { SmtpSession } from './smtp-session.ts';
import { SESSION_TIMES } from './smtp-watchdog.ts';
import type { Admission, SessionContext } from './smtp-wire.ts';

const MAX_ERROR_CHARACTERS = 200;

type SocketOptions = SMTPConnectionOptions & { readonly id: string };

const REFUSAL_TEXTS: Readonly<Record<EntryRefusal, string>> = {
  'too-many': 'Too many connections, try again later',
  'too-many-from-address': 'Too many connections from your address, try again later',
};

export class SmtpDoor extends SMTPServer {
  readonly sessions: Set<SmtpSession> = new Set();
  readonly #context: SessionContext;
  /** Admitted, and not yet in a session. */
  readonly #admitted: Map<string, Admission> = new Map();
  /** Clients of failed handshakes: the error does not always tell, and the socket no longer does. */
  readonly #origins: WeakMap<Error, string> = new WeakMap();
  #count = 0;

  constructor(context: SessionContext, tls: TlsMaterial | null) {
    super({
      secure: context.tls === 'implicit',
      hideSTARTTLS: context.tls === 'none' || context.tls === 'implicit',
      disabledCommands: ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD', 'HELP'],
      hideENHANCEDSTATUSCODES: false,
      hideDSN: false,
      disableReverseLookup: true,
      // Never shown; without one each connection asks the system for its host name.
      name: 'relay',
      logger: false,
      // A client that closes its side behind the final dot still gets the answer.
      allowHalfOpen: true,
      minVersion: 'TLSv1.2',
      ...(tls === null ? {} : { cert: tls.cert, key: tls.key }),
      // After STARTTLS.
      onSecure(socket, _session, callback) {
        harden(socket);
        callback();
      },
      onClose() {},
    });
    this.#context = context;
    this.on('error', (error: Error) => this.#connectionFailed(error));
  }

  /** Runs first for every socket, before any TLS. */
  override _handleProxy(socket: Socket, callback: (error: Error | null, options?: SocketOptions) => void): void {
    socket.on('error', () => {
      // Until a session listens: a client that left. 'close' follows and is what counts.
    });
    const address = normalizeAddress(socket.remoteAddress ?? '');
    const { limits, metrics, name, settings, tls, draining } = this.#context;
    if (address === '' || draining()) {
      socket.destroy();
      callback(new Error('the client is gone'));
      return;
    }
    const slot = limits.enter(address, settings().trusted.contains(address));
    if (typeof slot === 'string') {
      this.#turnAway(socket, address, slot);
      callback(new Error(slot));
      return;
    }
    metrics.connection(name, tls);
    const id = String(this.#count++);
    this.#admitted.set(id, { address, slot });
    socket.once('close', () => {
      slot.leave();
      metrics.disconnection(name);
      this.#admitted.delete(id);
    });
    callback(null, { id });
  }

  override connect(socket: Socket | TLSSocket, options?: SMTPConnectionOptions | null): void {
    const id = options?.id ?? '';
    const admission = this.#admitted.get(id);
    this.#admitted.delete(id);
    if (admission === undefined) {
      socket.destroy();
      return;
    }
    // The local end is named here, for nobody asks for it and smtp-server would ask the system at each connection.
    const known = { id, remoteAddress: admission.address, localAddress: this.#context.name, localPort: 1 };
    const session = new SmtpSession(this, socket, known, this.#context, admission);
    this.sessions.add(session);
    harden(socket);
    session.on('error', (error: Error) => this.#connectionFailed(error, admission.address));
    session.once('gone', () => this.sessions.delete(session));
    session.init();
  }

  /** The handshake of an implicit-TLS listener, with an end that a dripping client does not move. */
  override _upgrade(socket: Socket, callback: (error: Error | null, secured?: TLSSocket) => void): void {
    const address = normalizeAddress(socket.remoteAddress ?? '');
    let shaking = true;
    const cancel = this.#context.clock.after(SESSION_TIMES.handshakeMs, () => {
      // The socket on top goes: pulling the raw one from under a handshake is not safe.
      this._pendingSockets.get(socket)?.destroy(new Error('TLS handshake timeout'));
    });
    super._upgrade(socket, (error, secured) => {
      shaking = false;
      cancel();
      if (error !== null) this.#origins.set(error, address);
      callback(error, secured);
    });
    const top = this._pendingSockets.get(socket);
    top?.once('end', () => {
      // Half-open is of use to a client that waits for an answer; here it only left.
      if (shaking) top.destroy();
    });
  }

  /** Lets no new client in, sends idle ones away, and waits for messages under way; after `boundMs` it cuts the rest off. */
  async drain(boundMs: number): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.server.close(() => resolve());
    });
    for (const socket of this._pendingSockets.values()) socket.destroy();
    for (const session of this.sessions) session.drain();
    const cancel = this.#context.clock.after(boundMs, () => {
      for (const session of this.sessions) session.destroy();
    });
    await closed;
    cancel();
  }

  #turnAway(socket: Socket, address: string, reason: EntryRefusal): void {
    const { brief, metrics, name, tls } = this.#context;
    metrics.refused(reason);
    brief.warn({ event: 'smtp.refused', listener: name, client: address, reason }, 'an SMTP connection was refused');
    // In front of a TLS handshake nothing can be said.
    if (tls === 'implicit') socket.destroy();
    else {
      socket.write(`421 4.7.0 ${REFUSAL_TEXTS[reason]}\r\n`);
      socket.resume();
      socket.destroySoon();
    }
  }

  #connectionFailed(error: Error, address?: string): void {
    const { brief, metrics, name, tls } = this.#context;
    const client = address ?? this.#origins.get(error) ?? null;
    const text = cleanForLog(error.message, MAX_ERROR_CHARACTERS);
    if (!isTlsFault(error)) {
      // Before the port is bound it is no connection that failed, and whoever starts the listener is told.
      if (this.server.listening)
        brief.warn({ event: 'smtp.broken', listener: name, client, error: text }, 'an SMTP connection failed');
      return;
    }
    metrics.refused('tls-handshake');
    const plain = tls === 'implicit' && /wrong version number|http request/i.test(error.message);
    const hint = plain ? { hint: 'the client speaks plain SMTP to a listener with tls: implicit' } : {};
    brief.warn({ event: 'smtp.tls-failed', listener: name, client, error: text, ...hint }, 'a TLS handshake failed');
  }
}

/** Makes a TLS session end with its first fault. A TLS socket that is made by hand only tells of faults, a renegotiation among them. */
function harden(socket: Socket): void {
  if (!(socket instanceof TLSSocket)) return;
  socket.disableRenegotiation();
  socket.on('_tlsError', () => socket.destroy());
}

/** smtp-server puts details of a failed handshake into `meta`. */
function isTlsFault(error: Error): boolean {
  return 'meta' in error && error.meta !== undefined;
}
