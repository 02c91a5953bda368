/** A receiver of webhooks on 127.0.0.1 that misbehaves on demand, and checks each request with an outside verifier. */
import { once } from 'node:events';
import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';
import type { RelayEvent } from '../../src/core/event.ts';

export interface Reply {
  /** Default 200. */
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
  /** `hang`: no answer; `reset`: the connection breaks; `garbage`: no HTTP; `stall`: headers and half of the body; `endless`: a body without end. */
  readonly how?: 'hang' | 'reset' | 'garbage' | 'stall' | 'endless';
}

export interface Received {
  readonly id: string;
  readonly headers: http.IncomingHttpHeaders;
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly event: RelayEvent;
  /** What was answered; null: the connection was left alone or broken. */
  readonly status: number | null;
  /** Signed with the secret that the receiver knows. */
  readonly isVerified: boolean;
}

export interface WebhookReceiver {
  readonly url: string;
  readonly port: number;
  /** Whole requests, in order of arrival. */
  readonly requests: readonly Received[];
  /** Connections that were made. */
  readonly connections: () => number;
  /** How requests are answered from now on. */
  answer(next: Reply | ((received: Omit<Received, 'status'>) => Reply)): void;
  /** Resolves when `count` requests have come in all. */
  received(count: number): Promise<void>;
  /** Breaks all connections; the next request comes on a new one. */
  dropConnections(): void;
  close(): Promise<void>;
}

/** 32 octets; what most tests sign with. */
export const TEST_SECRET: Uint8Array = new Uint8Array(32).fill(7);

/** `secret` as the config writes it. */
export function secretText(secret: Uint8Array = TEST_SECRET): string {
  return `whsec_${Buffer.from(secret).toString('base64')}`;
}

/** Starts a receiver that knows `secret` and answers 200; with `tls` over HTTPS for the name `localhost`. */
export async function startReceiver(
  options: {
    readonly secret?: Uint8Array;
    readonly tls?: { readonly cert: string; readonly key: string };
    readonly port?: number;
  } = {},
): Promise<WebhookReceiver> {
  const verifier = new Webhook(secretText(options.secret));
  const requests: Received[] = [];
  const watchers = new Set<() => void>();
  let connections = 0;
  let next: (received: Omit<Received, 'status'>) => Reply = () => ({});

  const onRequest = (request: http.IncomingMessage, response: http.ServerResponse): void => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => undefined);
    request.on('end', () => {
      const body = Buffer.concat(parts).toString('utf8');
      const event: RelayEvent = JSON.parse(body);
      const received = {
        id: String(request.headers['webhook-id']),
        headers: request.headers,
        method: request.method ?? '',
        path: request.url ?? '',
        body,
        event,
        isVerified: verifies(verifier, body, request.headers),
      };
      const reply = next(received);
      requests.push({ ...received, status: reply.how === undefined ? (reply.status ?? 200) : null });
      send(reply, response);
      for (const watcher of watchers) watcher();
    });
  };
  const server = options.tls === undefined ? http.createServer(onRequest) : https.createServer(options.tls, onRequest);
  server.on('connection', () => connections++);
  server.listen(options.port ?? 0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = options.tls === undefined ? `http://127.0.0.1:${port}/hook` : `https://localhost:${port}/hook`;

  return {
    url,
    port,
    requests,
    connections: () => connections,
    answer(reply) {
      next = typeof reply === 'function' ? reply : () => reply;
    },
    async received(count) {
      if (requests.length >= count) return;
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          if (requests.length < count) return;
          watchers.delete(watcher);
          resolve();
        };
        watchers.add(watcher);
      });
    },
    dropConnections: () => server.closeAllConnections(),
    async close() {
      server.close();
      server.closeAllConnections();
      if (server.listening) await once(server, 'close');
    },
  };
}

function send({ status = 200, headers = {}, body = '', how }: Reply, response: http.ServerResponse): void {
  switch (how) {
    case undefined:
      response.writeHead(status, { ...headers });
      response.end(body);
      return;
    case 'hang':
      return;
    case 'reset':
      response.socket?.resetAndDestroy();
      return;
    case 'garbage':
      response.socket?.end('220 smtp.example.com ESMTP\r\n');
      return;
    case 'stall':
      response.writeHead(status, { ...headers, 'content-length': body.length * 2 + 1 });
      response.write(body);
      return;
    case 'endless': {
      response.writeHead(status, { ...headers });
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
        if (!response.destroyed) response.once('drain', more);
      };
      response.on('error', () => undefined);
      more();
    }
  }
}

function verifies(verifier: Webhook, body: string, headers: http.IncomingHttpHeaders): boolean {
  try {
    // The timestamp's age is not asked: tests have clocks of their own.
    const timestamp = String(headers['webhook-timestamp']);
    const signature = verifier.sign(String(headers['webhook-id']), new Date(Number(timestamp) * 1000), body);
    return String(headers['webhook-signature']).split(' ').includes(signature);
  } catch {
    return false;
  }
}
