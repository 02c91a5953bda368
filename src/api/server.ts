/**
 * The HTTP server: health, readiness and metrics.
 *
 *   request -> Host check (421) -> route -> token, where one is needed (401, 403) -> answer
 *                                  `-> none: 404        `-> a bug: 500, its text in the log alone
 *
 * It never shows mail. Every answer forbids framing, scripts and caching. Bodies are bounded though no route reads one.
 * Known limit: a proxy on this machine that adds no header of its own is taken for this machine; then give it a token
 * to send, or keep /metrics from being reached through it.
 */
import { randomBytes } from 'node:crypto';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { isLoopback } from '../config/network.ts';
import type { HttpConfig } from '../config/types.ts';
import { errorCode, errorText, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { isFromThisMachine, isOwnHost } from './loopback.ts';
import { problem, PROBLEM_CONTENT_TYPE, type ProblemCode } from './problem.ts';
import { addOperations, type Readiness } from './routes/operations.ts';
import { createTokenCheck } from './tokens.ts';

export interface HttpServerDeps {
  readonly config: HttpConfig;
  /** The relay's own name; a loopback listener may be called by it too. */
  readonly hostname: string;
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Pick<Metrics, 'scrape'>;
  readonly log: Log;
  readonly clock: Clock;
}

export interface HttpServer {
  /** Binds and serves; rejects with a `RelayError` (`listen`). */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** Takes no more requests, lets those under way finish for up to 5 s, and closes. */
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 16 * 1024;
const MAX_CONNECTIONS = 256;
const REQUEST_TIMEOUT_MS = 10_000;
const KEEP_ALIVE_MS = 30_000;
const STOP_TIMEOUT_MS = 5_000;

const SECURITY_HEADERS = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
} as const;

/** Makes the server; nothing is bound before `start()`. */
export function createHttpServer(deps: HttpServerDeps): HttpServer {
  const { config, hostname, log, clock } = deps;
  const checkToken = createTokenCheck(config.tokens);
  const checksHost = isLoopback(config.host);

  const server: FastifyInstance = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: REQUEST_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    genReqId: () => `req_${randomBytes(8).toString('hex')}`,
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (_error, request, reply) => {
      answer(request, reply.headers(SECURITY_HEADERS), 'bad-request', 'The address of the request is malformed.');
    },
    clientErrorHandler(_error, socket) {
      // Not HTTP, or too slow: there is no request to answer, only a socket to close.
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  });
  server.server.maxConnections = MAX_CONNECTIONS;
  // Whatever type a body claims to be, it is read up to the limit and thrown away.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined));

  server.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    if (checksHost && !isOwnHost(request.headers.host, hostname)) {
      answer(
        request,
        reply,
        'wrong-host',
        `This listener answers to localhost, 127.0.0.1, [::1] and ${hostname} only.`,
      );
      return;
    }
    done();
  });
  server.addHook('onResponse', (request, reply, done) => {
    log.debug(
      {
        event: 'http.request',
        request_id: request.id,
        method: request.method,
        path: request.routeOptions.url ?? null,
        status: reply.statusCode,
        client: request.ip,
      },
      'request',
    );
    done();
  });
  server.setNotFoundHandler((request, reply) => {
    answer(request, reply, 'not-found', 'There is nothing here; / names what there is.');
  });
  server.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    if (status === 413) {
      answer(request, reply, 'too-large', `A request body may have ${MAX_BODY_BYTES} octets.`);
    } else if (status >= 400 && status < 500) {
      answer(request, reply, 'bad-request', 'The request is malformed.');
    } else {
      log.error({ event: 'http.failed', request_id: request.id, reason: errorText(error) }, 'request failed');
      answer(request, reply, 'internal', 'The log has the reason under this request_id.');
    }
  });

  addOperations(server, { ready: deps.ready, metrics: deps.metrics, clock, mayRead });

  function mayRead(request: FastifyRequest, reply: FastifyReply): boolean {
    if (config.tokens.length === 0) return true;
    if (isFromThisMachine(request.socket.remoteAddress, request.headers, hostname)) return true;
    const check = checkToken(request.headers.authorization, 'read');
    if (check.kind === 'allowed') return true;
    if (check.kind === 'scope-missing') {
      answer(request, reply, 'forbidden', 'This needs a token with the scope read.');
      return false;
    }
    log.warn({ event: 'http.unauthorized', request_id: request.id, client: request.ip }, 'no or wrong token');
    reply.header('www-authenticate', 'Bearer realm="leadpush-relay"');
    answer(request, reply, 'unauthorized', 'Send a token of http.tokens: `Authorization: Bearer ...`.');
    return false;
  }

  return {
    async start() {
      try {
        await server.listen({ host: config.host, port: config.port });
      } catch (error) {
        throw listenError(error, config);
      }
      const address = server.server.address();
      const port = typeof address === 'object' && address !== null ? address.port : config.port;
      return { host: config.host, port };
    },
    async stop() {
      const cancel = clock.after(STOP_TIMEOUT_MS, () => server.server.closeAllConnections());
      await server.close();
      cancel();
    },
  };
}

function answer(request: FastifyRequest, reply: FastifyReply, code: ProblemCode, detail: string): void {
  const body = problem(code, detail, request.id);
  void reply.code(body.status).type(PROBLEM_CONTENT_TYPE).send(body);
}

function statusOf(error: unknown): number {
  if (error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number') return error.statusCode;
  return 500;
}

function listenError(error: unknown, { host, port }: HttpConfig): RelayError {
  const hints: Readonly<Record<string, string>> = {
    EADDRINUSE: 'Another program has this port, perhaps another relay: stop it, or change http.port.',
    EACCES: 'Ports below 1024 need a privilege: choose a higher http.port.',
    EADDRNOTAVAIL: 'This machine has no such address: change http.host.',
  };
  return new RelayError(`cannot listen for HTTP on ${host}:${port}: ${errorText(error)}`, {
    code: 'listen',
    op: 'http.start',
    hint: hints[errorCode(error) ?? ''] ?? 'Check http.host and http.port.',
    cause: error,
  });
}
