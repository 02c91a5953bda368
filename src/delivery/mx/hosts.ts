/**
 * The MX hosts in use: of each, its open sessions and its gate. A host of which nothing is left, no session, nobody in the
 * gate, is forgotten, so that memory is bounded by what is open.
 *
 * Sessions are kept by host and not by domain: the domains of one provider share them. Whether one may carry a given message
 * is asked each time (address, TLS level), because what a domain demands can differ from what the one before demanded.
 */
import type { Priority } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import { createSessionPool, type SessionPool } from '../smtp/pool.ts';
import type { SmtpTimeouts } from '../smtp/timeouts.ts';
import { createHostGate, type HostGate } from './host-gate.ts';

export interface Host {
  readonly gate: HostGate;
  readonly pool: SessionPool;
}

export interface Hosts {
  /** The host of that name, new when it is not known. */
  get(name: string): Host;
  /** Whether mail of `priority` would have to wait for a place at that host. */
  isBusy(name: string, priority: Priority): boolean;
  /** Closes waiting sessions until one more fits into the limits of its host and of the route. */
  makeRoom(host: Host): void;
  /** Somebody left the host's gate, or found it closed: it is forgotten when nothing is left of it. */
  left(name: string): void;
  /** How many are known. */
  size(): number;
  /** Closes every session that waits; resolves when all sessions are gone. */
  stop(): Promise<void>;
}

export interface HostsDeps {
  readonly clock: Clock;
  readonly timeouts: SmtpTimeouts;
  /** Connections at most at the same time, to one host and in all. */
  readonly perHost: number;
  readonly connections: number;
}

export function createHosts({ clock, timeouts, perHost, connections }: HostsDeps): Hosts {
  const known = new Map<string, Host>();

  const forgetIfEmpty = (name: string): void => {
    const host = known.get(name);
    if (host !== undefined && host.pool.open() + host.gate.inUse() + host.gate.waiting() === 0) known.delete(name);
  };

  return {
    get(name) {
      const before = known.get(name);
      if (before !== undefined) return before;
      const host: Host = {
        gate: createHostGate(perHost, clock),
        pool: createSessionPool(clock, timeouts, () => forgetIfEmpty(name)),
      };
      known.set(name, host);
      return host;
    },
    isBusy: (name, priority) => known.get(name)?.gate.isOpen(priority) === false,
    makeRoom(host) {
      // Whoever asks has its place already, and no session yet.
      while (host.pool.idle() > 0 && host.pool.idle() + host.gate.inUse() > perHost) host.pool.closeOldest();
      let total = 0;
      for (const { gate, pool } of known.values()) total += gate.inUse() + pool.idle();
      for (const { pool } of known.values()) {
        for (; total > connections && pool.idle() > 0; total--) pool.closeOldest();
      }
    },
    left: forgetIfEmpty,
    size: () => known.size,
    async stop() {
      await Promise.all([...known.values()].map(({ pool }) => pool.stop()));
    },
  };
}
