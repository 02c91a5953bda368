/**
 * A listening SMTP port: binds the address, and hands each finished message to the policy that it was made with.
 *
 * Settings, credentials and the certificate can change while it listens. It never closes a connection in the middle of a
 * message for a change or a stop of the relay, unless the bound of the stop passes.
 *
 * The way through this room: smtp-door (who is let in) -> smtp-session on smtp-wire (commands, replies, limits) -> smtp-parser
 * and smtp-content (lines and contents) -> `SmtpPolicy`: smtp-listener's for submitted mail, bounce-listener's for reports.
 */
import { createSecureContext } from 'node:tls';
import type { ListenerConfig } from '../config/types.ts';
import { errorCode, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import type { TlsMaterial } from './certificate.ts';
import { createBriefLog } from './smtp-brief-log.ts';
import { SmtpDoor } from './smtp-door.ts';
import type { ConnectionLimits } from './smtp-limits.ts';
import type { SmtpPolicy } from './smtp-policy.ts';
import type { SmtpSettings } from './smtp-settings.ts';
import type { SmtpMetrics } from './smtp-wire.ts';

export interface SmtpPortDeps {
  readonly listener: ListenerConfig;
  /** Read at each use: what it returns may change while the listener is open. */
  readonly settings: () => SmtpSettings;
  readonly policy: SmtpPolicy;
  /** Needed unless `listener.tls` is `none`. */
  readonly tls: TlsMaterial | null;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared by all listeners with the same kind of clients. */
  readonly limits: ConnectionLimits;
  /** Key of the config that names the address, for hints: `smtp.listeners`. */
  readonly configKey: string;
  readonly metrics?: SmtpMetrics;
}

export interface SmtpListener {
  /** Where it listens; the port is the real one once `start` has resolved. */
  readonly address: { readonly host: string; readonly port: number };
  /** Resolves when it listens; rejects with a RelayError `listen` when the address cannot be bound. */
  start(): Promise<void>;
  /**
   * No new connections; messages under way are received and answered, every other client gets 421. Resolves when all
   * connections are closed, after `boundMs` milliseconds at the latest (30 s unless given): then the rest is cut off.
   */
  stop(boundMs?: number): Promise<void>;
  /** A new certificate for handshakes from now on. */
  updateTls(tls: TlsMaterial): void;
}

const STOP_BOUND_MS = 30_000;
const NO_METRICS: SmtpMetrics = { connection() {}, disconnection() {}, authFailure() {}, refused() {} };
const LISTEN_HINTS: ReadonlyMap<string, string> = new Map([
  ['EADDRINUSE', 'another program, or another relay, listens there; stop it or choose another port in '],
  ['EACCES', 'ports below 1024 need a privilege; choose a higher one in '],
  ['EADDRNOTAVAIL', 'this machine has no such address; correct the host in '],
]);

/** Makes a listener; a RelayError `key` when its TLS mode needs a certificate and there is none, or it is unfit. */
export function createSmtpPort(deps: SmtpPortDeps): SmtpListener {
  const { listener, tls, clock, log } = deps;
  let port = listener.port;
  const nameIt = (): string =>
    listener.host.includes(':') ? `[${listener.host}]:${port}` : `${listener.host}:${port}`;
  if (listener.tls !== 'none' && tls === null) {
    throw new RelayError(`the SMTP listener ${nameIt()} has tls: ${listener.tls} and no certificate`, {
      code: 'key',
      op: 'smtp.listen',
      hint: 'set smtp.tls.cert and smtp.tls.key, or tls: none for this listener',
    });
  }
  let stopping: Promise<void> | null = null;
  const door = loadingTls(
    nameIt(),
    () =>
      new SmtpDoor(
        {
          get name() {
            return nameIt();
          },
          tls: listener.tls,
          settings: deps.settings,
          policy: deps.policy,
          limits: deps.limits,
          clock,
          log,
          brief: createBriefLog(clock, log),
          metrics: deps.metrics ?? NO_METRICS,
          draining: () => stopping !== null,
        },
        tls,
      ),
  );
  return {
    get address() {
      return { host: listener.host, port };
    },
    start() {
      return new Promise((resolve, reject) => {
        const fail = (cause: Error): void => {
          reject(
            new RelayError(`cannot listen for SMTP on ${nameIt()}: ${cause.message}`, {
              code: 'listen',
              op: 'smtp.listen',
              hint: hintFor(cause, deps.configKey),
              cause,
            }),
          );
        };
        door.server.once('error', fail);
        door.listen({ host: listener.host, port: listener.port }, () => {
          door.server.off('error', fail);
          const bound = door.server.address();
          if (bound !== null && typeof bound === 'object') port = bound.port;
          resolve();
        });
      });
    },
    stop(boundMs = STOP_BOUND_MS) {
      if (stopping === null) {
        const { promise, resolve } = Promise.withResolvers<void>();
        stopping = promise;
        void door.drain(boundMs).then(resolve);
      }
      return stopping;
    },
    updateTls(material) {
      const { cert, key } = material;
      loadingTls(nameIt(), () => {
        // smtp-server forgets the old context before it knows that the new one loads.
        createSecureContext({ cert, key });
        door.updateSecureContext({ cert, key });
      });
    },
  };
}

function hintFor(cause: Error, configKey: string): string {
  const hint = LISTEN_HINTS.get(errorCode(cause) ?? '');
  return hint === undefined ? '' : `${hint}${configKey}`;
}

function loadingTls<T>(name: string, load: () => T): T {
  try {
    return load();
  } catch (cause) {
    throw new RelayError(`the TLS certificate or key of the SMTP listener ${name} cannot be used`, {
      code: 'key',
      op: 'smtp.tls',
      hint: 'both must be PEM, and the key must be the one of the first certificate',
      cause,
    });
  }
}
