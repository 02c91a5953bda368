/** An HTTPS server for MTA-STS policies, on 127.0.0.1. The port goes to `createStsPolicies` as `port`. */
import { once } from 'node:events';
import https from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { flood } from './flood.ts';

export interface StsAnswer {
  /** The policy; lines end as written. */
  readonly body?: string;
  /** Default 200. */
  readonly status?: number;
  /** Default `text/plain`; null: none. */
  readonly contentType?: string | null;
  readonly location?: string;
  /** Headers and half of the body come, then nothing. */
  readonly stalls?: boolean;
  /** The connection ends after half of the body. */
  readonly breaks?: boolean;
  /** Written on the bare connection in place of all that: `once`, then `again` without an end. */
  readonly floods?: { readonly once: string; readonly again: string };
}

export interface TestStsServer {
  readonly port: number;
  /** `host path` of each request so far. */
  readonly requests: readonly string[];
  set(answer: StsAnswer): void;
  /** Resolves when `times` requests have come in all. */
  requested(times: number): Promise<void>;
  /** Resolves when no connection is open. */
  deserted(): Promise<void>;
  close(): Promise<void>;
}

/** Starts a server with `certificate` (PEM) that gives `answer` to every request; `at`: default a free port of 127.0.0.1. */
export async function startStsServer(
  certificate: { readonly cert: string; readonly key: string },
  answer: StsAnswer,
  at: { readonly host: string; readonly port: number } = { host: '127.0.0.1', port: 0 },
): Promise<TestStsServer> {
  let current = answer;
  const requests: string[] = [];
  const watchers = new Set<() => void>();
  const sockets = new Set<Socket>();
  const server = https.createServer({ cert: certificate.cert, key: certificate.key }, (request, response) => {
    requests.push(`${request.headers.host ?? ''} ${request.url ?? ''}`);
    for (const watcher of watchers) watcher();
    if (current.floods !== undefined) {
      flood(request.socket, current.floods);
      return;
    }
    const { body = '', status = 200, contentType = 'text/plain', location, stalls = false, breaks = false } = current;
    response.writeHead(status, {
      ...(contentType === null ? {} : { 'content-type': contentType }),
      ...(location === undefined ? {} : { location }),
      'content-length': Buffer.byteLength(body),
    });
    if (!stalls && !breaks) {
      response.end(body);
      return;
    }
    response.write(body.slice(0, body.length / 2), () => {
      if (breaks) response.destroy();
    });
  });
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => {
      sockets.delete(socket);
      for (const watcher of watchers) watcher();
    });
  });
  server.on('tlsClientError', (_error, socket) => socket.destroy());
  const until = (holds: () => boolean): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (!holds()) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  server.listen(at.port, at.host);
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    set(next) {
      current = next;
    },
    requested: (times) => until(() => requests.length >= times),
    deserted: () => until(() => sockets.size === 0),
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}
