/** config/README.md says what the schema says, and its examples work. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { renderReference } from '../../src/config/reference.ts';
import { configOf, createConfigFolder, MINIMAL } from './config-folder.ts';

const README = path.join(import.meta.dirname, '..', '..', 'config', 'README.md');

test('config/README.md is what the schema gives (npm run docs:config writes it)', () => {
  expect(readFileSync(README, 'utf8')).toBe(renderReference());
});

interface Row {
  readonly path: string;
  readonly fallback: string;
  readonly example: string;
  /** Of a key of a route: the type of route that it belongs to. */
  readonly routeType: string;
}

function rows(): readonly Row[] {
  const lines = renderReference()
    .split('\n')
    .filter((line) => line.startsWith('| `') && line.split(' | ').length === 5);
  let routeType = '';
  return lines.map((line) => {
    const cells = line
      .slice(2, -2)
      .split(' | ')
      .map((cell) => cell.replaceAll('\\|', '|'));
    const [key = '', , fallback = '', , example = ''] = cells;
    if (key === '`routes.*.type`') routeType = example.slice(1, -1);
    return { path: key.slice(1, -1), fallback, example: example.slice(1, -1), routeType };
  });
}

const AROUND = `${MINIMAL}
senders: [{ domain: example.com, dkim: [{ selector: s, key: k.pem }] }]
http: { tokens: [{ name: t, hash: "sha256:${'0'.repeat(64)}", scopes: [read] }] }
credentials: [{ username: keycloak, password: "scrypt:1024:8:1:c2FsdHNhbHQ=:MDEyMzQ1Njc4OWFiY2RlZg==" }]
`;
const CERTIFICATE = { cert: 'c.pem', key: 'k.pem' };
const SANDBOX = { type: 'sandbox' };
const WEBHOOK = { name: 'auth', url: 'https://auth.example.com/', secret: `whsec_${'A'.repeat(32)}` };
/** The least of each type of route, and what its options need. */
const ROUTES: Readonly<Record<string, unknown>> = {
  smtp: { type: 'smtp', host: 'smtp.example.com', username: 'u', password: 'p' },
  mx: { type: 'mx', dns: '127.0.0.1' },
};

/** A config in which the key `at` has the value `value`, with what that key needs around it. */
function configWith(at: string, value: unknown, routeType: string): string {
  const config = parseDocument(AROUND);
  const set = (steps: readonly (string | number)[], part: unknown): void =>
    config.setIn(steps, config.createNode(part));
  set(['smtp'], { listeners: [{ port: 2525 }], tls: CERTIFICATE });
  set(['routes'], {
    sandbox: (at.startsWith('routes.*.') ? ROUTES[routeType] : undefined) ?? SANDBOX,
    ses: SANDBOX,
    postmark: SANDBOX,
  });
  if (at.startsWith('webhooks[].')) set(['webhooks'], [WEBHOOK]);
  if (at.startsWith('tags.*.from.')) set(['tags', 'otp', 'from'], { address: 'security@example.com' });
  if (at === 'rules[].reject') set(['rules'], [{ name: 'default' }]);
  const steps = at
    .replaceAll('[]', '.0')
    .replace('tags.*', 'tags.otp')
    .replace('routes.*', 'routes.sandbox')
    .split('.');
  set(
    steps.map((step) => (step === '0' ? 0 : step)),
    value,
  );
  return config.toString();
}

test.each(rows().filter(({ example }) => !example.includes('...') && !example.includes('company-ca')))(
  'the example of $path $routeType works: $example',
  ({ path: at, example, routeType }) => {
    const folder = createConfigFolder();
    folder.write('secrets/ses-password', 'pw');
    const file = folder.write('relay.yaml', configWith(at, parse(example), routeType));
    const key = Buffer.alloc(32, 1).toString('base64');
    configOf(loadConfig(file, { SES_USER: 'me', LEADPUSH_CONTENT_KEY: key, AUTH_WEBHOOK_SECRET: `whsec_${key}` }));
  },
);

test('the first config of the reference loads without a warning', () => {
  const [, text = ''] = /```yaml\n(.*?)```/s.exec(renderReference()) ?? [];
  const file = createConfigFolder().write('relay.yaml', text);
  expect(loadConfig(file, {})).toMatchObject({ kind: 'config', warnings: [] });
});

test('the table has a row for every key of the contract that is available', () => {
  const keys = rows().map((row) => row.path);
  for (const key of [
    'hostname',
    'smtp.listeners[].tls',
    'credentials[].headers.allow',
    'routes.*.connect_timeout',
    'routes.*.connections_per_domain',
    'tags.*.throttle.per_recipient',
    'tags.*.match[].subject.pattern',
    'tags.*.from.keep_reply_to',
    'tags.*.links.hosts',
    'credentials[].rate',
    'credentials[].headers.aliases',
    'content_key',
    'senders[].return_path',
    'bounces.listeners[].port',
    'rules[].when.priority',
    'webhooks[].secret',
    'log.file',
  ]) {
    expect(keys).toContain(key);
  }
  expect(keys.length).toBeGreaterThan(70);
});
