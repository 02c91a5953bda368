/** Pieces of configuration for tests that need a `Config` without a file. */
import type {
  Config,
  ConnectTimeouts,
  CredentialConfig,
  MxRouteConfig,
  RouteConfig,
  RuleConfig,
  SenderConfig,
  SmtpRouteConfig,
  TagConfig,
} from '../../src/config/types.ts';
import { RECOVERY_TAGS } from '../../src/core/message.ts';

/** The connect timeouts a route has when none is written. */
export const TEST_CONNECT_TIMEOUTS: ConnectTimeouts = { critical: 2000, normal: 5000, bulk: 5000 };

/** A credential named `app` that may use every header; give what the test is about. */
export function testCredential(over: Partial<CredentialConfig> = {}): CredentialConfig {
  return {
    username: 'app',
    password: { n: 16384, r: 8, p: 1, salt: new Uint8Array(16), hash: new Uint8Array(32) },
    from: [],
    networks: [],
    tag: null,
    headers: { allow: 'all', aliases: new Set() },
    rate: null,
    ...over,
  };
}

/** A config with one sandbox route, one rule that takes everything, and the sender example.com. */
export function testConfig(over: Partial<Config> = {}): Config {
  const tags: readonly TagConfig[] = [
    testTag({ name: 'password-reset', priority: 'critical', ttlMs: 900_000 }),
    testTag({ name: 'newsletter', priority: 'bulk' }),
  ];
  const routes: readonly RouteConfig[] = [{ name: 'sandbox', type: 'sandbox' }];
  const rules: readonly RuleConfig[] = [{ name: 'default', when: {}, action: { kind: 'via', routes: ['sandbox'] } }];
  return {
    file: 'test.yaml',
    hostname: 'relay.example.com',
    dataDir: 'data',
    store: { kind: 'sqlite' },
    contentKeys: [],
    retention: { contentMs: 0, sandboxMs: 604_800_000, eventsMs: 2_592_000_000 },
    smtp: {
      listeners: [{ host: '127.0.0.1', port: 0, tls: 'starttls' }],
      tls: null,
      trustedNetworks: ['127.0.0.0/8'],
      maxMessageBytes: 26_214_400,
      maxRecipients: 100,
      maxConnections: 1000,
      maxConnectionsPerIp: 100,
    },
    http: { host: '127.0.0.1', port: 0, tokens: [] },
    credentials: [],
    senders: [testSender()],
    unknownSenders: 'reject',
    tags: new Map(tags.map((tag) => [tag.name, tag])),
    routes: new Map(routes.map((route) => [route.name, route])),
    rules,
    retry: {
      ladders: { critical: [5_000, 15_000, 30_000], normal: [30_000, 60_000], bulk: [300_000] },
      giveUpAfterMs: 172_800_000,
    },
    webhooks: [],
    bounces: { dsn: false, listeners: [], suppressForMs: 2_592_000_000 },
    log: { level: 'silent', format: 'json', file: null },
    ...over,
  };
}

/** The sender example.com without keys and return path; give what the test is about. */
export function testSender(over: Partial<SenderConfig> = {}): SenderConfig {
  return { domain: 'example.com', dkim: [], returnPath: null, ...over };
}

/** A tag as the config makes one of which nothing is written; give what the test is about. */
export function testTag(over: Partial<TagConfig> = {}): TagConfig {
  const recovery = over.name !== undefined && RECOVERY_TAGS.has(over.name);
  return {
    name: 'notice',
    priority: 'normal',
    ttlMs: null,
    delayedAfterMs: null,
    collapse: 'key',
    throttle: null,
    suppression: recovery ? 'bypass' : 'apply',
    recovery,
    match: [],
    from: null,
    links: null,
    ...over,
  };
}

/** An smtp route to `host`; give what the test is about. */
export function testSmtpRoute(over: Partial<SmtpRouteConfig> = {}): SmtpRouteConfig {
  return {
    name: 'provider',
    type: 'smtp',
    host: 'smtp.provider.example',
    port: 587,
    tls: 'required',
    auth: null,
    connections: 10,
    rate: null,
    ca: null,
    servername: null,
    connectTimeoutMs: TEST_CONNECT_TIMEOUTS,
    ehlo: null,
    ...over,
  };
}

/** An mx route that may connect to private addresses; give what the test is about. */
export function testMxRoute(over: Partial<MxRouteConfig> = {}): MxRouteConfig {
  return {
    name: 'direct',
    type: 'mx',
    tls: 'opportunistic',
    port: 25,
    dns: null,
    allowPrivate: true,
    sourceIps: [],
    dane: false,
    mtaSts: true,
    connections: 100,
    connectionsPerDomain: 10,
    connectionsPerHost: 20,
    rate: null,
    ca: null,
    connectTimeoutMs: TEST_CONNECT_TIMEOUTS,
    ehlo: null,
    ...over,
  };
}
