/** `loadConfig`: defaults, secrets, paths, files, and what it makes of hostile YAML. */
import { execFileSync } from 'node:child_process';
import { hostname } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { formatFindings } from '../../src/config/finding.ts';
import { loadConfig } from '../../src/config/load.ts';
import { EVENT_TYPES } from '../../src/core/event.ts';
import { TEST_CONNECT_TIMEOUTS, testMxRoute, testTag } from '../support/config.ts';
import fc from '../support/properties.ts';
import { configOf, createConfigFolder, faultsOf, loadText, MINIMAL } from './config-folder.ts';

const SECRET_24 = Buffer.alloc(24, 7).toString('base64');
const SECRET_64 = Buffer.alloc(64, 9).toString('base64');
const ROUTES = 'routes: { sandbox: { type: sandbox } }\nrules: [{ name: default, via: sandbox }]\n';

test('one route and one rule make a config with every default', () => {
  const folder = createConfigFolder();
  const config = configOf(loadConfig(folder.write('relay.yaml', ROUTES), {}));
  expect(config).toEqual({
    file: path.join(folder.path, 'relay.yaml'),
    hostname: hostname().toLowerCase(),
    dataDir: path.join(folder.path, 'data'),
    store: { kind: 'sqlite' },
    contentKeys: [],
    retention: { contentMs: 0, sandboxMs: 7 * 86_400_000, eventsMs: 30 * 86_400_000 },
    smtp: {
      listeners: [{ host: '127.0.0.1', port: 2525, tls: 'starttls' }],
      tls: null,
      trustedNetworks: [],
      maxMessageBytes: 25 * 1024 * 1024,
      maxRecipients: 100,
      maxConnections: 1000,
      maxConnectionsPerIp: 100,
    },
    http: { host: '127.0.0.1', port: 8025, tokens: [] },
    credentials: [],
    senders: [],
    unknownSenders: 'reject',
    tags: new Map(
      ['password-reset', 'admin-reset', 'compromised-account', 'otp', 'magic-link'].map((name) => [
        name,
        testTag({ name, priority: 'critical' }),
      ]),
    ),
    routes: new Map([['sandbox', { name: 'sandbox', type: 'sandbox' }]]),
    rules: [{ name: 'default', when: {}, action: { kind: 'via', routes: ['sandbox'] } }],
    retry: {
      ladders: {
        critical: [5, 15, 30, 60, 120, 300].map((seconds) => seconds * 1000),
        normal: [30, 60, 300, 900, 1800, 3600].map((seconds) => seconds * 1000),
        bulk: [300, 900, 3600, 7200].map((seconds) => seconds * 1000),
      },
      giveUpAfterMs: 2 * 86_400_000,
    },
    webhooks: [],
    bounces: { dsn: false, listeners: [], suppressForMs: 30 * 86_400_000 },
    log: { level: 'info', format: 'json', file: null },
  });
});

test('an smtp route has TLS required, port 587, ten connections and short waits for critical mail by default', () => {
  const config = configOf(
    loadText('routes: { ses: { type: smtp, host: SMTP.Example.com } }\nrules: [{ name: default, via: ses }]'),
  );
  expect(config.routes.get('ses')).toEqual({
    name: 'ses',
    type: 'smtp',
    host: 'smtp.example.com',
    port: 587,
    tls: 'required',
    auth: null,
    connections: 10,
    rate: null,
    ca: null,
    servername: null,
    connectTimeoutMs: TEST_CONNECT_TIMEOUTS,
    ehlo: null,
  });
});

test('an mx route has opportunistic TLS, port 25, MTA-STS and the limits of the reference by default', () => {
  const config = configOf(loadText('routes: { direct: { type: mx } }\nrules: [{ name: default, via: direct }]'));
  expect(config.routes.get('direct')).toEqual(testMxRoute({ allowPrivate: false }));
});

test.each([
  ['required', 587],
  ['implicit', 465],
  ['none', 25],
])('the port of tls: %s is %i', (tls, port) => {
  const text = `routes: { ses: { type: smtp, host: 127.0.0.1, tls: ${tls} } }\nrules: [{ name: default, via: ses }]`;
  expect(configOf(loadText(text)).routes.get('ses')).toMatchObject({ port });
});

test('every option reaches the config in its unit', () => {
  const text = `
hostname: Relay.Example.com
retention: { content: 1h, sandbox: 1d, events: 90d }
smtp: { listeners: [{ host: "::1", port: 0, tls: none }], trusted_networks: [192.0.2.7], max_message_size: 64KB, max_recipients: 5, max_connections: 6, max_connections_per_ip: 7 }
http: { port: 0, tokens: [{ name: ops, hash: "sha256:${'AB'.repeat(32)}", scopes: [read, send], credential: app }, { name: t, hash: "sha256:${'CD'.repeat(32)}", scopes: [send] }] }
credentials:
  - { username: app, password: "scrypt:1024:8:1:c2FsdHNhbHQ=:MDEyMzQ1Njc4OWFiY2RlZg==", from: ["Ann@Example.com", "*@*.Example.com", "*"], networks: [10.0.0.0/8], tag: otp, headers: { allow: [tag, X-Leadpush-TTL], aliases: [ses, postal] }, rate: 200/1m }
senders: [{ domain: Bücher.example, dkim: [{ selector: LP1, key: k.pem }], return_path: Rück.Bücher.example }]
unknown_senders: unsigned
tags: { otp: { ttl: 500s }, password-reset: { priority: bulk, ttl: 15m }, news: { priority: bulk, delayed_after: 30s, collapse: none, throttle: { per_recipient: 5/1d }, suppression: bypass } }
routes:
  a: { type: smtp, host: a.example.com, port: 2525, tls: implicit, username: me, password: "12345", connections: 3, rate: 14/1s, servername: b.example.com, connect_timeout: 1500ms, ehlo: c.example.com }
  b: { type: sandbox }
  c: { type: mx, tls: required, port: 2525, dns: ["127.0.0.1:5353", "[::1]"], allow_private: true, source_ip: [192.0.2.7, "2001:DB8::7"], dane: true, mta_sts: false, connections: 5, connections_per_domain: 3, connections_per_host: 4, rate: 100/1h, connect_timeout: 3s, ehlo: d.example.com }
rules:
  - { name: r1, when: { tag: otp, recipient_domain: ["*.Example.net"], recipient: Bob@EXAMPLE.net, sender_domain: example.com, credential: [app, "token:t"], priority: [normal, bulk] }, via: [a, b] }
  - { name: r2, reject: "not here" }
retry: { critical: [100ms], normal: [1s, 2s], bulk: [1m], give_up_after: 1d }
webhooks:
  - { name: auth, url: "HTTPS://Auth.Example.com:443/hooks?t=1", secret: ["whsec_${SECRET_24}", "whsec_${SECRET_64}"], events: ["route.*", message.bounced], tags: otp }
  - { name: all, url: "http://127.0.0.1:3000", secret: whsec_${SECRET_24} }
bounces: { dsn: true, suppress_for: 14d, listeners: [{ port: 2526, tls: none }, {}] }
log: { level: debug, format: pretty, file: log/relay.log }
`;
  const folder = createConfigFolder();
  const config = configOf(loadConfig(folder.write('relay.yaml', text), {}));
  expect(config).toMatchObject({
    hostname: 'relay.example.com',
    retention: { contentMs: 3_600_000, sandboxMs: 86_400_000, eventsMs: 90 * 86_400_000 },
    smtp: {
      listeners: [{ host: '::1', port: 0, tls: 'none' }],
      trustedNetworks: ['192.0.2.7/32'],
      maxMessageBytes: 65_536,
      maxRecipients: 5,
      maxConnections: 6,
      maxConnectionsPerIp: 7,
    },
    http: {
      port: 0,
      tokens: [
        { name: 'ops', sha256: 'ab'.repeat(32), scopes: new Set(['read', 'send']), credential: 'app' },
        { name: 't', sha256: 'cd'.repeat(32), scopes: new Set(['send']), credential: null },
      ],
    },
    unknownSenders: 'unsigned',
    senders: [
      {
        domain: 'xn--bcher-kva.example',
        dkim: [{ selector: 'lp1', key: path.join(folder.path, 'k.pem') }],
        returnPath: 'xn--rck-hoa.xn--bcher-kva.example',
      },
    ],
    webhooks: [
      {
        name: 'auth',
        url: 'https://auth.example.com/hooks?t=1',
        secrets: [new Uint8Array(24).fill(7), new Uint8Array(64).fill(9)],
        events: new Set(['route.down', 'route.up', 'message.bounced']),
        tags: new Set(['otp']),
        ca: null,
      },
      { name: 'all', url: 'http://127.0.0.1:3000/', events: new Set(EVENT_TYPES), tags: null },
    ],
    bounces: {
      dsn: true,
      suppressForMs: 14 * 86_400_000,
      listeners: [
        { host: '127.0.0.1', port: 2526, tls: 'none' },
        { host: '127.0.0.1', port: 25, tls: 'starttls' },
      ],
    },
    retry: { ladders: { critical: [100], normal: [1000, 2000], bulk: [60_000] }, giveUpAfterMs: 86_400_000 },
    log: { level: 'debug', format: 'pretty', file: path.join(folder.path, 'log/relay.log') },
  });
  expect(config.credentials).toEqual([
    {
      username: 'app',
      password: {
        n: 1024,
        r: 8,
        p: 1,
        salt: new TextEncoder().encode('saltsalt'),
        hash: new TextEncoder().encode('0123456789abcdef'),
      },
      from: ['ann@example.com', '*@*.example.com', '*'],
      networks: ['10.0.0.0/8'],
      tag: 'otp',
      headers: { allow: new Set(['tag', 'ttl']), aliases: new Set(['ses', 'postal']) },
      rate: { count: 200, perMs: 60_000 },
    },
  ]);
  expect([...config.tags.values()]).toEqual([
    testTag({ name: 'otp', priority: 'critical', ttlMs: 500_000 }),
    testTag({ name: 'password-reset', priority: 'bulk', ttlMs: 900_000 }),
    testTag({
      name: 'news',
      priority: 'bulk',
      ttlMs: null,
      delayedAfterMs: 30_000,
      collapse: 'none',
      throttle: { perRecipient: { count: 5, perMs: 86_400_000 } },
      suppression: 'bypass',
    }),
    testTag({ name: 'admin-reset', priority: 'critical' }),
    testTag({ name: 'compromised-account', priority: 'critical' }),
    testTag({ name: 'magic-link', priority: 'critical' }),
  ]);
  expect(config.routes.get('a')).toMatchObject({
    port: 2525,
    tls: 'implicit',
    auth: { username: 'me', password: '12345' },
    connections: 3,
    rate: { count: 14, perMs: 1000 },
    servername: 'b.example.com',
    connectTimeoutMs: { critical: 1500, normal: 1500, bulk: 1500 },
    ehlo: 'c.example.com',
  });
  expect(config.routes.get('c')).toEqual({
    name: 'c',
    type: 'mx',
    tls: 'required',
    port: 2525,
    dns: ['127.0.0.1:5353', '[::1]:53'],
    allowPrivate: true,
    sourceIps: ['192.0.2.7', '2001:db8::7'],
    dane: true,
    mtaSts: false,
    connections: 5,
    connectionsPerDomain: 3,
    connectionsPerHost: 4,
    rate: { count: 100, perMs: 3_600_000 },
    ca: null,
    connectTimeoutMs: { critical: 3000, normal: 3000, bulk: 3000 },
    ehlo: 'd.example.com',
  });
  expect(config.rules).toEqual([
    {
      name: 'r1',
      when: {
        tag: ['otp'],
        recipientDomain: ['*.example.net'],
        recipient: ['bob@example.net'],
        senderDomain: ['example.com'],
        credential: ['app', 'token:t'],
        priority: ['normal', 'bulk'],
      },
      action: { kind: 'via', routes: ['a', 'b'] },
    },
    { name: 'r2', when: {}, action: { kind: 'reject', reason: 'not here' } },
  ]);
});

test('secrets come from the environment and from files beside the config, one line break taken off', () => {
  const folder = createConfigFolder();
  folder.write('secrets/password', 'p4ss\n\n');
  folder.write('secrets/user', 'me\r\n');
  const file = folder.write(
    'relay.yaml',
    `routes: { ses: { type: smtp, host: smtp.example.com, username: "\${file:secrets/user}-\${ZONE}", password: "$\${x}\${PASS}", port: "\${PORT}" } }
rules: [{ name: default, via: ses }]`,
  );
  const config = configOf(loadConfig(file, { ZONE: 'eu', PASS: 'p${ZONE}$', PORT: '2587' }));
  expect(config.routes.get('ses')).toMatchObject({
    auth: { username: 'me-eu', password: '${x}p${ZONE}$' },
    port: 2587,
  });
  const twoBreaks = folder.write('two.yaml', `hostname: "\${file:secrets/password}"\n${MINIMAL}`);
  expect(faultsOf(loadConfig(twoBreaks, {}))).toEqual(['hostname: `${file:secrets/password}` is not a domain name']);
});

test('a secret never shows in a finding, whichever key it stands at', () => {
  const secret = 'Zq7 canary!';
  const keys = [
    'hostname: X',
    'data: "X\\0"',
    'store: X',
    'retention: { content: X }',
    'smtp: { max_message_size: X, trusted_networks: [X], listeners: [{ host: "X ", tls: X, port: X }] }',
    'http: { host: "X ", port: X, tokens: [{ name: "X ", hash: X, scopes: [X] }] }',
    'credentials: [{ username: X, password: X, from: [X], networks: [X], tag: X, headers: { allow: [X] } }, { username: X, password: X }]',
    'senders: [{ domain: "X ", dkim: [{ selector: "X ", key: "" }] }]',
    'tags: { otp: { ttl: X, priority: X, collapse: X } }',
    'retry: { critical: [X] }',
    'log: { level: X, file: "X\\0" }',
    'bounces: { dsn: X, suppress_for: X, listeners: [{ host: "X ", tls: X }] }',
    'senders: [{ domain: example.com, return_path: "X " }]',
    'tags: { otp: { delayed_after: X, suppression: X, throttle: { per_recipient: X } } }',
    'routes: { d: { type: mx, dns: X, source_ip: X, dane: X, allow_private: X, connections: X } }',
    'webhooks: X',
    'webhooks: [{ name: "X ", url: X, secret: X, events: [X], tags: ["X "] }]',
    'webhooks: [{ name: a, url: "https://X@example.com/", secret: [X, X, X] }]',
    'webhooks: [{ name: a, url: "https://example.com/#X", secret: whsec_X }]',
    'tags: X',
  ];
  for (const key of keys) {
    const text = `${key.replace(/"?X( |\\0)?"?/g, (_all, rest: string = '') => `"\${SECRET}${rest}"`)}\n${ROUTES}`;
    const result = loadText(text, { SECRET: secret });
    if (result.kind === 'config') throw new Error(`${key} was taken`);
    expect(formatFindings(result.findings)).not.toContain(secret);
  }
});

test('webhooks are a hundred at most', () => {
  const withEndpoints = (count: number): ReturnType<typeof loadText> =>
    loadText(
      `${MINIMAL}webhooks:\n${Array.from({ length: count }, (_, n) => `  - { name: w${n}, url: "https://example.com/${n}", secret: whsec_${SECRET_24} }\n`).join('')}`,
    );
  expect(configOf(withEndpoints(100)).webhooks).toHaveLength(100);
  expect(faultsOf(withEndpoints(101))).toEqual([expect.stringContaining('101 endpoints, more than 100')]);
});

test('a password in clear where a hash belongs is not repeated', () => {
  const result = loadText(`credentials: [{ username: app, password: hunter2hunter2 }]\n${ROUTES}`);
  expect(faultsOf(result)).toHaveLength(1);
  if (result.kind === 'invalid') expect(formatFindings(result.findings)).not.toContain('hunter2');
});

test.each([
  ['an unclosed quote', 'password: "hunter2'],
  ['a stray bracket', 'password: { hunter2'],
  ['a tab', 'routes:\n\tpassword: hunter2'],
  ['a bad escape', 'password: "hunter2\\q"'],
  ['text after a value', 'password: "x" hunter2'],
])('%s is told without quoting the line', (_what, text) => {
  const result = loadText(text);
  if (result.kind === 'config') throw new Error('the config was taken');
  expect(result.findings.length).toBeGreaterThan(0);
  expect(formatFindings(result.findings)).not.toContain('hunter2');
});

test('secret files, keys and a config with a password warn when others may read them', () => {
  const folder = createConfigFolder();
  folder.write('open-secret', 'pw', 0o644);
  folder.write('closed-secret', 'pw', 0o600);
  folder.write('tls/key.pem', '', 0o640);
  folder.write('dkim/open.pem', '', 0o604);
  folder.write('dkim/closed.pem', '', 0o600);
  const text = `
smtp: { trusted_networks: [127.0.0.0/8], tls: { cert: tls/cert.pem, key: tls/key.pem } }
senders: [{ domain: example.com, dkim: [{ selector: a, key: dkim/open.pem }, { selector: b, key: dkim/closed.pem }, { selector: c, key: dkim/missing.pem }] }]
routes:
  a: { type: smtp, host: a.example.com, username: me, password: "\${file:open-secret}" }
  b: { type: smtp, host: b.example.com, username: me, password: "\${file:closed-secret}" }
  c: { type: smtp, host: c.example.com, username: me, password: written-here }
rules: [{ name: default, via: a }]
`;
  const warned = (mode: number): readonly string[] => {
    const result = loadConfig(folder.write('relay.yaml', text, mode), {});
    return result.kind === 'config' ? result.warnings.map((finding) => finding.path) : faultsOf(result);
  };
  expect(warned(0o600)).toEqual(['smtp.tls.key', 'senders[0].dkim[0].key', 'routes.a.password']);
  expect(warned(0o644)).toContain('routes.c.password');
});

test('the authorities of a route are read with the config', () => {
  const folder = createConfigFolder();
  execFileSync(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=ca', '-keyout', 'k.pem', '-out', 'ca.pem'],
    {
      cwd: folder.path,
      stdio: 'ignore',
    },
  );
  const text =
    'routes: { ses: { type: smtp, host: smtp.example.com, ca: ca.pem } }\nrules: [{ name: default, via: ses }]';
  const config = configOf(loadConfig(folder.write('relay.yaml', text), {}));
  expect(config.routes.get('ses')).toMatchObject({ ca: expect.stringContaining('BEGIN CERTIFICATE') });
});

test('a file that is missing, a folder, too large or not UTF-8 is one finding', () => {
  const folder = createConfigFolder();
  const reasons = [
    loadConfig(path.join(folder.path, 'none.yaml'), {}),
    loadConfig(folder.path, {}),
    loadConfig(folder.write('large.yaml', `${MINIMAL}#${'x'.repeat(1024 * 1024)}`), {}),
    loadConfig(folder.write('latin1.yaml', Uint8Array.from([0x23, 0xe9, 0x0a])), {}),
  ].map((result) => faultsOf(result));
  expect(reasons).toEqual([
    [': the config file cannot be read: there is no such file'],
    [': the config file cannot be read: it is not a regular file'],
    [': the config file cannot be read: it has more than 1024 KB'],
    [': the config file cannot be read: it is not UTF-8 text'],
  ]);
});

test('a file of exactly 1 MB is read, one octet more is not', () => {
  const folder = createConfigFolder();
  const fill = (octets: number): string => `${MINIMAL}#${'x'.repeat(octets - MINIMAL.length - 1)}`;
  expect(loadConfig(folder.write('a.yaml', fill(1024 * 1024)), {}).kind).toBe('config');
  expect(loadConfig(folder.write('b.yaml', fill(1024 * 1024 + 1)), {}).kind).toBe('invalid');
});

test('a FIFO is refused as config and as secret, without waiting for its other end', () => {
  const folder = createConfigFolder();
  const fifo = path.join(folder.path, 'fifo');
  execFileSync('mkfifo', [fifo]);
  expect(faultsOf(loadConfig(fifo, {}))).toEqual([': the config file cannot be read: it is not a regular file']);
  const file = folder.write('relay.yaml', `hostname: "\${file:fifo}"\n${MINIMAL}`);
  expect(faultsOf(loadConfig(file, {}))).toEqual([
    'hostname: the secret file `fifo` cannot be read: it is not a regular file',
  ]);
});

test('a byte order mark and Windows line ends are taken', () => {
  expect(loadText(`\ufeff${MINIMAL.replaceAll('\n', '\r\n')}`).kind).toBe('config');
});

test('aliases stand for their values, the nearest anchor before them', () => {
  const text = `
retry: { critical: &steps [1s, 2s], normal: *steps, bulk: &steps [3s] }
tags: { otp: &otp { ttl: 5m }, link: *otp }
${MINIMAL}`;
  const config = configOf(loadText(text));
  expect(config.retry.ladders).toEqual({ critical: [1000, 2000], normal: [1000, 2000], bulk: [3000] });
  expect(config.tags.get('link')).toEqual(testTag({ name: 'link', ttlMs: 300_000 }));
});

test.each([
  ['brackets', '['.repeat(200_000)],
  ['braces', '{a: '.repeat(100_000)],
  ['dashes', '- '.repeat(100_000)],
  ['indentation', Array.from({ length: 400 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
  [
    'anchors',
    Array.from({ length: 30 }, (_, i) => `a${i}: &a${i} [${`*a${i - 1}, `.repeat(9)}]`)
      .join('\n')
      .replaceAll('*a-1, ', 'x, '),
  ],
  ['many keys', Array.from({ length: 20_100 }, (_, i) => `k${i}: 1`).join('\n')],
  ['many aliases', `a: &a x\nb: [${'*a, '.repeat(30_000)}]`],
])('a flood of %s ends in findings, not in a crash', (_what, text) => {
  const result = loadText(text);
  expect(result.kind).toBe('invalid');
});

test('a file with more mistakes than anybody mends in one go names 200 of them and how many there are more', () => {
  const result = loadText(Array.from({ length: 250 }, (_, i) => `k${i}: 1`).join('\n') + MINIMAL);
  if (result.kind === 'config') throw new Error('the config was taken');
  expect(result.findings).toHaveLength(201);
  expect(result.findings.at(-1)?.message).toBe('50 more findings');
});

test('no mix of YAML signs makes it throw', () => {
  const signs =
    'a|routes|rules|smtp|__proto__|constructor|:|: |\n|\n  |- |{|}|[|]|,|&x| *x|"|${|>|#|? |!!str |<<|\t|0x1|1e9|.nan|~|%|---';
  const pieces = fc.constantFrom(...signs.split('|'), '|', "'", '\u0000', '\u2028');
  const file = createConfigFolder();
  fc.assert(
    fc.property(fc.array(pieces, { maxLength: 40 }), (parts) => {
      const result = loadConfig(file.write('relay.yaml', parts.join('')), {});
      expect(result.kind).toBe('invalid');
    }),
    { numRuns: 150 },
  );
});

test('nothing in a config reaches the prototype of objects', () => {
  loadText(
    '__proto__: { polluted: yes }\nconstructor: { prototype: { polluted: yes } }\ntags: { __proto__: { polluted: yes } }',
  );
  expect(Object.getOwnPropertyNames(Object.prototype)).not.toContain('polluted');
});

test('a tag, a route and a rule may have the name of an object member', () => {
  const config = configOf(
    loadText(
      'smtp: { trusted_networks: [127.0.0.0/8] }\ntags: { constructor: { ttl: 1m } }\nroutes: { toString: { type: sandbox } }\nrules: [{ name: valueOf, via: toString }]',
    ),
  );
  expect(config.tags.get('constructor')?.ttlMs).toBe(60_000);
  expect(config.routes.get('toString')).toEqual({ name: 'toString', type: 'sandbox' });
});

test('findings come in the order of the file', () => {
  const result = loadText('log: { level: x }\nhostname: "-"\nsmtp: { max_recipients: 0 }\nrouts: {}\n');
  if (result.kind === 'config') throw new Error('the config was taken');
  const lines = result.findings.map(({ line }) => line);
  expect(lines).toEqual([...lines].sort((a, b) => a - b));
  expect(lines.length).toBe(6);
});

test('control characters of the file do not reach the terminal', () => {
  const result = loadText('"a\\e[31m\\u202e": 1\nhostname: "b\\e[0m\\nc"\n');
  if (result.kind === 'config') throw new Error('the config was taken');
  expect(formatFindings(result.findings)).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
});
