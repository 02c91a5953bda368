/**
 * The HTTP server: health, readiness, metrics, the calls of `/v1`, the pages of the dashboard and their sign-in.
 *
 *   request -> Host check (421) -> route -> another site's page? (403) -> caller and scope (401, 403, 429)
 *           -> body, bounded (413, 415) -> values (422) -> answer
 *                                  `-> none: 404        `-> a bug: 500, its text in the log alone
 *
 * Every answer forbids framing, scripts and caching. No call shows a subject, a body or a link, but for the content itself,
 * which needs the scope `admin`.
 * Known limit: a proxy on this machine that adds no header of its own is taken for this machine; then give it a token
 * to send, or keep /metrics from being reached through it.
 */
import { randomBytes } from 'node:crypto';
import { fastify, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import { isLoopback } from '../config/network.ts';
import type { HttpConfig } from '../config/types.ts';
import { bugText } from '../core/bug-text.ts';
import { errorCode, errorText, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import { refuse } from './answer.ts';
import { BodyProblem, discardRest, readBodies } from './body.ts';
import { addCalls, type CallDeps } from './calls.ts';
import { createCallerCheck } from './caller.ts';
import { DOCS_STYLE, docsPage } from './docs-page.ts';
import { type ConnectionLimits, limitConnections } from './connection-room.ts';
import { isFromThisMachine, isOwnHost } from './loopback.ts';
import { collectCalls, documentText } from './openapi.ts';
import { isCrossOrigin } from './origin.ts';
import { addPages } from './pages.ts';
import { addOperations, type Readiness } from './routes/operations.ts';
import { createSessions } from './session.ts';
import { createTokenSource } from './tokens.ts';
import { compileValidator, ValidationError } from './validation.ts';

export interface HttpServerDeps {
  readonly config: HttpConfig;
  /** The relay's own name; a loopback listener may be called by it too. */
  readonly hostname: string;
  readonly ready: () => Promise<Readiness>;
  readonly metrics: Pick<Metrics, 'scrape' | 'httpRequest'>;
  readonly calls: CallDeps;
  /** Where mail is taken, as far as it is by now. */
  readonly smtp?: () => readonly { readonly host: string; readonly port: number; readonly tls: string }[];
  readonly log: Log;
  readonly clock: Clock;
}

export interface HttpServer {
  /** Binds and serves; rejects with a `RelayError` (`listen`). */
  start(): Promise<{ readonly host: string; readonly port: number }>;
  /** The OpenAPI document of the calls, as JSON text. */
  document(): Promise<string>;
  /** Takes no more requests, lets those under way finish for up to 5 s, and closes. */
  stop(): Promise<void>;
}

const MAX_BODY_BYTES = 16 * 1024;
const CONNECTIONS: ConnectionLimits = { all: 512, perAddress: 256 };
const MAX_HEADER_BYTES = 16 * 1024;
const MAX_PARAMETER_CHARS = 512;
const HEADERS_TIMEOUT_MS = 10_000;
/** With its body, which may be a message of 25 MB over a slow line. */
const REQUEST_TIMEOUT_MS = 60_000;
/** Without an octet either way, the time that an answer takes included: a disk may stall for long, and the answer still counts. */
const SILENCE_MS = 60_000;
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
  const { config, hostname, log, clock, metrics } = deps;
  const tokens = createTokenSource(config.tokens);
  const sessions = createSessions(clock);
  const callers = createCallerCheck({
    sources: [tokens, sessions.proof],
    open: config.tokens.length === 0,
    clock,
    log,
  });
  const checksHost = isLoopback(config.host);

  const server: FastifyInstance = fastify({
    bodyLimit: MAX_BODY_BYTES,
    requestTimeout: REQUEST_TIMEOUT_MS,
    connectionTimeout: SILENCE_MS,
    keepAliveTimeout: KEEP_ALIVE_MS,
    http: { maxHeaderSize: MAX_HEADER_BYTES, headersTimeout: HEADERS_TIMEOUT_MS },
    routerOptions: { maxParamLength: MAX_PARAMETER_CHARS },
    genReqId: () => `req_${randomBytes(8).toString('hex')}`,
    requestIdHeader: false,
    forceCloseConnections: 'idle',
    frameworkErrors: (_error, _request, reply) => {
      refuse(reply.headers(SECURITY_HEADERS), 'bad-request', 'The address of the request is malformed.');
    },
    clientErrorHandler(_error, socket) {
      // Not HTTP, or too slow: there is no request to answer, only a socket to close.
      if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    },
  });
  limitConnections(server.server, CONNECTIONS);
  server.setValidatorCompiler(compileValidator);
  // Types hold handlers to their schemas, and tests hold answers to the document: nothing is left to check at run time.
  server.setSerializerCompiler(() => (value) => JSON.stringify(value));
  server.decorateRequest('caller', null);
  // Whatever type a body claims to be, it is read up to the limit and thrown away, unless a call takes it.
  server.removeAllContentTypeParsers();
  server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, _body, done) => done(null, undefined));

  server.addHook('onRequest', (request, reply, done) => {
    reply.headers(SECURITY_HEADERS).header('x-request-id', request.id);
    // Node would take the first, and a proxy may have judged by the last (RFC 9112, section 3.2).
    const { url = '' } = request.raw;
    // A request that comes over no connection (`document`) has none.
    const each: NodeJS.Dict<string[]> | undefined = request.raw.headersDistinct;
    if ([each?.['host'], each?.['authorization']].some((values) => values !== undefined && values.length > 1)) {
      refuse(reply, 'bad-request', 'Host and Authorization may be there once.');
      return;
    }
    // An address that names a host goes before the header (section 3.2.2).
    const host = /^[a-z][a-z0-9+.-]*:\/\/([^/?#]*)/i.exec(url)?.[1] ?? request.headers.host;
    if (checksHost && !isOwnHost(host, hostname)) {
      const detail = `This listener answers to localhost, 127.0.0.1, [::1] and ${hostname} only.`;
      refuse(reply, 'wrong-host', detail);
      return;
    }
    done();
  });
  server.addHook('onResponse', (request, reply, done) => {
    const { method } = request;
    const route = request.routeOptions.url ?? null;
    metrics.httpRequest({ method, route, status: reply.statusCode, ms: reply.elapsedTime });
    log.debug(
      {
        event: 'http.request',
        request_id: request.id,
        method,
        path: route,
        status: reply.statusCode,
        client: request.ip,
        ...(request.caller === null ? {} : { caller: request.caller.name }),
      },
      'request',
    );
    done();
  });
  const answerPerson = addPages(server);
  server.setNotFoundHandler((_request, reply) => {
    if (!answerPerson(reply)) refuse(reply, 'not-found', 'There is nothing here; /docs names every call.');
  });
  server.setErrorHandler((error, request, reply) => {
    const status = statusOf(error);
    discardRest(request, reply, clock);
    if (error instanceof ValidationError) {
      refuse(reply, 'validation', 'Some values are not accepted: see errors.', error.errors);
    } else if (error instanceof RelayError) {
      log.error({ event: 'http.unavailable', request_id: request.id, reason: error.message }, 'request not answered');
      void reply.header('retry-after', '5');
      refuse(reply, 'unavailable', 'The store does not answer just now; the log says why.');
    } else if (error instanceof BodyProblem) {
      if (error.code === 'unavailable') void reply.header('retry-after', '5');
      refuse(reply, error.code, error.message);
    } else if (status === 413) {
      refuse(reply, 'too-large', `A request body may have ${MAX_BODY_BYTES} octets.`);
    } else if (status === 415) {
      refuse(reply, 'unsupported-media-type', 'Send JSON as `content-type: application/json`.');
    } else if ((status >= 400 && status < 500) || (errorCode(error) === 'ECONNRESET' && !request.raw.complete)) {
      // The second: its client went away in the middle, and there is nobody to read an answer.
      refuse(reply, 'bad-request', 'The request is malformed.');
    } else {
      log.error({ event: 'http.failed', request_id: request.id, reason: bugText(error) }, 'request failed');
      refuse(reply, 'internal', 'The log has the reason under this request_id.');
    }
  });

  addOperations(server, { ready: deps.ready, metrics, clock, mayRead });
  sessions.addTo(server, {
    callers,
    tokens,
    open: config.tokens.length === 0,
    hostname,
    smtp: deps.smtp ?? (() => []),
    clock,
  });
  server.register(async (scope) => {
    await collectCalls(scope);
    const api = scope.withTypeProvider<ZodTypeProvider>();
    api.addHook('onRoute', ({ url, config: own }) => {
      if (own?.scope === undefined) throw new Error(`the call ${url} names no scope`);
    });
    api.addHook('onRequest', (request, reply, done) => {
      const needed = request.routeOptions.config.scope;
      if (isCrossOrigin(request.headers)) {
        refuse(reply, 'cross-origin', 'Pages of other sites may not call this.');
        return;
      }
      const caller = needed === undefined ? null : callers.admit(request, reply, needed);
      if (caller === null) return;
      request.caller = caller;
      done();
    });
    readBodies(scope, MAX_BODY_BYTES);
    addCalls(api, deps.calls);
    let document: string | null = null;
    let page: string | null = null;
    server.get('/openapi.json', (_request, reply) => {
      document ??= documentText(scope);
      return reply.type('application/json; charset=utf-8').send(document);
    });
    server.get('/docs', (_request, reply) => {
      document ??= documentText(scope);
      page ??= docsPage(document);
      return reply
        .header('content-security-policy', `${SECURITY_HEADERS['content-security-policy']}; style-src 'self'`)
        .type('text/html; charset=utf-8')
        .send(page);
    });
    server.get('/docs/style.css', (_request, reply) => reply.type('text/css; charset=utf-8').send(DOCS_STYLE));
  });

  function mayRead(request: FastifyRequest, reply: FastifyReply): boolean {
    if (isFromThisMachine(request.socket.remoteAddress, request.headers, hostname)) return true;
    return callers.admit(request, reply, 'read') !== null;
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
    async document() {
      await server.ready();
      return (await server.inject('/openapi.json')).payload;
    },
    async stop() {
      const cancel = clock.after(STOP_TIMEOUT_MS, () => server.server.closeAllConnections());
      await server.close();
      cancel();
    },
  };
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
