/**
 * Room for connections: so many in all, and at most half of them from one address, so that a client that opens connections and says
 * nothing, or never ends, does not keep everybody else out: the supervisor that asks for `/healthz` would end the relay.
 *
 * When an address comes near its share, connections on which nothing is under way are closed; whoever kept one opens another.
 */
import type { Server } from 'node:http';
import { addressGroup } from '../intake/networks.ts';

export interface ConnectionLimits {
  readonly all: number;
  readonly perAddress: number;
}

/** Of an address's share: from there on idle connections are not kept. */
const CROWDED = 3 / 4;

/** Holds `server` to `limits`; IPv6 addresses count by their /64. Those beyond are closed without an answer. */
export function limitConnections(server: Server, { all, perAddress }: ConnectionLimits): void {
  server.maxConnections = all;
  const open = new Map<string, number>();
  server.on('connection', (socket) => {
    const group = addressGroup(socket.remoteAddress ?? '');
    const count = (open.get(group) ?? 0) + 1;
    open.set(group, count);
    socket.once('close', () => {
      const left = (open.get(group) ?? 1) - 1;
      if (left === 0) open.delete(group);
      else open.set(group, left);
    });
    if (count > perAddress * CROWDED) server.closeIdleConnections();
    if (count > perAddress) socket.destroy();
  });
}
