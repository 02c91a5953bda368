/** The HTTP server over a real SQLite database in memory, for the tests of its calls. */
import { createHash } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { onTestFinished } from 'vitest';
import type { CallDeps } from '../../src/api/calls.ts';
import { createHttpServer, type HttpServerDeps } from '../../src/api/server.ts';
import type { Config, TokenConfig, TokenScope } from '../../src/config/types.ts';
import { createIntake } from '../../src/intake/accept.ts';
import type { Signer } from '../../src/signing/sign.ts';
import { openSqliteStore } from '../../src/store/sqlite/open.ts';
import type { HistoryStore } from '../../src/store/history.ts';
import { silentLog } from '../../src/telemetry/log.ts';
import { address } from '../support/address.ts';
import { testConfig } from '../support/config.ts';
import { type Bench, openBench, type OpenSettings } from '../store/fixture.ts';

export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly octets: Buffer;
  readonly json: unknown;
}

export interface CallOptions {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
  /** Does not wait for a body that has no end. */
  readonly headOnly?: boolean;
}

/** Calls a server on this machine; unlike fetch, it can set Host and send what is not valid. */
export function call(port: number, path: string, options: CallOptions = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method = 'GET', headers: own = {}, body } = options;
    // Without it, the body of a GET would be read as the next request.
    const length =
      body === undefined || 'transfer-encoding' in own ? {} : { 'content-length': Buffer.byteLength(body) };
    const headers = { ...length, ...own };
    const request = httpRequest({ host: '127.0.0.1', port, path, method, headers, agent: false }, (response) => {
      const parts: Buffer[] = [];
      const isStream =
        options.headOnly === true && response.headers['content-type']?.startsWith('text/event-stream') === true;
      if (isStream) response.destroy();
      response.on('data', (part: Buffer) => parts.push(part));
      response.on(isStream ? 'close' : 'end', () => {
        const octets = Buffer.concat(parts);
        const text = octets.toString();
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          text,
          octets,
          get json(): unknown {
            return JSON.parse(text);
          },
        });
      });
    });
    request.on('error', reject);
    request.end(body);
  });
}

/** A token of the config for `text`. */
export function token(
  name: string,
  text: string,
  scopes: readonly TokenScope[],
  credential: string | null = null,
): TokenConfig {
  return { name, sha256: createHash('sha256').update(text).digest('hex'), scopes: new Set(scopes), credential };
}

/** Everything that the calls touch, over `bench`; mail is accepted as `config` says, and nothing is signed or sent. */
export function callDeps({ store, clock, ids }: Pick<Bench, 'store' | 'clock' | 'ids'>, config: Config): CallDeps {
  const signer: Signer = { domains: new Set(), sign: () => Promise.reject(new Error('not asked to sign')) };
  return {
    config: () => config,
    intake: createIntake({
      settings: () => ({ config, signer }),
      store: store.intake,
      health: store.health,
      ids,
      clock,
      log: silentLog,
      contents: { put() {}, forget() {} },
      headStart: () => null,
      chooseRoute: (via) => via[0] ?? '',
      returnPath: (delivery, domain) => address(`${delivery}@${domain}`),
      interrupt() {},
      onAccepted() {},
      onRejected() {},
      onDuplicate() {},
      onAudited() {},
    }),
    history: store.history,
    signatures: () => ({ check: async () => [] }),
    suppressions: store.suppressions,
    operate: { retryNow: store.queue.retryNow, cancel: store.queue.cancel },
    log: silentLog,
    onCommitted: (listener) => store.feed.onEvents(listener),
    routes: () => new Map(),
    routeHealth: () => ({ breaker: 'closed', inWork: 0 }),
    senders: () => [],
    outbox: store.outbox,
    webhooks: () => [],
    wakeWebhooks() {},
    readKeyFile: () => Promise.reject(new Error('no such file')),
    checkSender: async ({ domain }) => ({ domain, level: 'ok', checkedAt: clock.now(), findings: [] }),
    clock,
  };
}

/** What a server needs but for its calls. */
export const SERVER_DEPS: Omit<HttpServerDeps, 'calls' | 'clock'> = {
  config: { host: '127.0.0.1', port: 0, tokens: [] },
  hostname: 'relay.example.com',
  ready: async () => ({ ready: true, reasons: [] }),
  metrics: {
    httpRequest() {},
    scrape: async () => ({ contentType: 'text/plain; version=0.0.4; charset=utf-8', text: 'leadpush_x 1\n' }),
  },
  log: silentLog,
};

export interface ApiBench extends Bench {
  /** Calls the server; a path begins with `/`. */
  readonly call: (path: string, options?: CallOptions) => Promise<Answer>;
  readonly port: number;
  readonly stop: () => Promise<void>;
}

export interface ApiSettings extends Partial<Omit<HttpServerDeps, 'calls'>> {
  readonly calls?: Partial<CallDeps>;
  readonly relay?: Config;
  readonly store?: OpenSettings;
  /** Puts something between the calls and the history. */
  readonly history?: (history: HistoryStore) => HistoryStore;
}

/** Starts a server over an empty store; both end with the test. */
export async function startApi({
  relay = testConfig(),
  store = {},
  history = (same) => same,
  ...overrides
}: ApiSettings = {}): Promise<ApiBench> {
  const bench = await openBench(
    (clock, { dropContentWhenSettled = true }) =>
      openSqliteStore({ file: ':memory:', clock, dropContentWhenSettled, exclusive: false }),
    store,
  );
  const calls = callDeps(bench, relay);
  const server = createHttpServer({
    ...SERVER_DEPS,
    // A bug's text never reaches the client: here it does reach whoever reads the test's output.
    log: { ...silentLog, error: (fields) => console.error(fields) },
    clock: bench.clock,
    ...overrides,
    calls: { ...calls, history: history(calls.history), ...overrides.calls },
  });
  onTestFinished(() => server.stop());
  const { port } = await server.start();
  return { ...bench, port, call: (path, options) => call(port, path, options), stop: server.stop };
}
