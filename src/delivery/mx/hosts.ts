/**
 * The MX hosts in use, and the networks that they are in: of each host its open sessions, of each network its gate. What has
 * nothing left, no session and no visitor, nobody in the gate, is forgotten, so that memory is bounded by what is open.
 *
 * Connections are counted by the network of the address that is connected to (`network-of.ts`), not by the host's name: one
 * machine that many domains call by many names must not have as many limits. One host may be in several networks, and one
 * network has many hosts.
 *
 * Sessions are kept by host and not by domain: the domains of one provider share them. Whether one may carry a given message
 * is asked each time (address, TLS level), because what a domain demands can differ from what the one before demanded.
 */
import type { Priority } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import { createSessionPool, type SessionPool } from '../smtp/pool.ts';
import type { SmtpSession } from '../smtp/session.ts';
import type { SmtpTimeouts } from '../smtp/timeouts.ts';
import { createHostGate, type Entry, type HostGate } from './host-gate.ts';
import { networkOf } from './network-of.ts';

export interface Host {
  readonly pool: SessionPool;
}

export interface Hosts {
  /** The host of that name, which has `addresses` now; whoever visits it must `leave` it. */
  visit(name: string, addresses: readonly string[]): Host;
  leave(name: string): void;
  /** Takes a place in the network of `address`, at once or within `limitMs`; whoever `entered` must `exit`. */
  enter(address: string, priority: Priority, limitMs: number, signal: AbortSignal): Promise<Entry>;
  exit(address: string): void;
  /** Whether mail of `priority` would get a place in the network of `address` at once. */
  isOpen(address: string, priority: Priority): boolean;
  /** Whether mail of `priority` would have to wait at every address of that host, as far as it is known. */
  isBusy(name: string, priority: Priority): boolean;
  /** Closes waiting sessions until one more to `address` fits into the limits of its network and of the route. */
  makeRoom(address: string): void;
  /** How many hosts and networks are known. */
  size(): number;
  /** Closes every session that waits; resolves when all sessions are gone. */
  stop(): Promise<void>;
}

export interface HostsDeps {
  readonly clock: Clock;
  readonly timeouts: SmtpTimeouts;
  /** Connections at most at the same time, to one network and in all. */
  readonly perHost: number;
  readonly connections: number;
}

interface KnownHost extends Host {
  visitors: number;
  /** Where its addresses were at the last visit. */
  networks: ReadonlySet<string>;
}

export function createHosts({ clock, timeouts, perHost, connections }: HostsDeps): Hosts {
  const known = new Map<string, KnownHost>();
  const gates = new Map<string, HostGate>();

  const forgetHostIfEmpty = (name: string): void => {
    const host = known.get(name);
    if (host !== undefined && host.pool.open() + host.visitors === 0) known.delete(name);
  };

  const forgetGateIfEmpty = (network: string): void => {
    const gate = gates.get(network);
    if (gate !== undefined && gate.inUse() + gate.waiting() === 0) gates.delete(network);
  };

  const isNetworkOpen = (network: string, priority: Priority): boolean => gates.get(network)?.isOpen(priority) ?? true;

  return {
    visit(name, addresses) {
      const host = known.get(name) ?? {
        pool: createSessionPool(clock, timeouts, () => forgetHostIfEmpty(name)),
        visitors: 0,
        networks: new Set(),
      };
      known.set(name, host);
      host.visitors++;
      host.networks = new Set(addresses.map(networkOf));
      return host;
    },
    leave(name) {
      const host = known.get(name);
      if (host !== undefined) host.visitors--;
      forgetHostIfEmpty(name);
    },
    async enter(address, priority, limitMs, signal) {
      const network = networkOf(address);
      const gate = gates.get(network) ?? createHostGate(perHost, clock);
      gates.set(network, gate);
      const entry = await gate.enter(priority, limitMs, signal);
      if (entry !== 'entered') forgetGateIfEmpty(network);
      return entry;
    },
    exit(address) {
      const network = networkOf(address);
      gates.get(network)?.leave();
      forgetGateIfEmpty(network);
    },
    isOpen: (address, priority) => isNetworkOpen(networkOf(address), priority),
    isBusy(name, priority) {
      const networks = [...(known.get(name)?.networks ?? [])];
      return networks.length > 0 && networks.every((network) => !isNetworkOpen(network, priority));
    },
    makeRoom(address) {
      const network = networkOf(address);
      const isThere = ({ facts }: SmtpSession): boolean =>
        facts.address !== null && networkOf(facts.address) === network;
      const pools = [...known.values()].map(({ pool }) => pool);
      const idle = pools.reduce((sum, pool) => sum + pool.idle(), 0);
      // Whoever asks has its place already, and no session yet.
      const here = gates.get(network)?.inUse() ?? 0;
      let closed = 0;
      if (here + idle > perHost) {
        let over = here + pools.reduce((sum, pool) => sum + pool.idle(isThere), 0) - perHost;
        for (const pool of pools) {
          for (; over > 0 && pool.closeOldest(isThere); over--) closed++;
        }
      }
      let total = idle - closed;
      for (const gate of gates.values()) total += gate.inUse();
      for (const pool of pools) {
        for (; total > connections && pool.closeOldest(); ) total--;
      }
    },
    size: () => known.size + gates.size,
    async stop() {
      await Promise.all([...known.values()].map(({ pool }) => pool.stop()));
    },
  };
}
