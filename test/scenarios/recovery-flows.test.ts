/**
 * The three recovery flows as a user lives them, against the sandbox and against a smarthost: forgot password (from a client that
 * can set no header), admin reset, and a suspicious login with forced rotation and the reset that follows, joined by a flow.
 * And what a developer sees whose reset mail has a link to his own machine.
 */
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { readdirSync, readFileSync } from 'node:fs';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { type NextHop, reply, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const LINK = 'https://accounts.example.com/reset?token=CANARY-5e1c';
const FROM = 'Example Security <security@example.com>';
const PRODUCTION = path.join(import.meta.dirname, '../../config/production.example.yaml');

interface Sent {
  readonly id: string;
  readonly response: string;
}

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess;

beforeEach(async () => {
  hop = await startNextHop();
});

afterEach(async () => {
  await relay?.kill9();
  await hop.close();
  await home.remove();
});

async function start(route: 'sandbox' | 'smarthost', over: Readonly<Record<string, unknown>> = {}): Promise<void> {
  const routes = {
    sandbox: { type: 'sandbox' },
    smarthost: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' },
  };
  home = await createRelayHome(
    sandboxConfig({
      credentials: [{ username: 'keycloak', password: await hashPassword('correct horse'), headers: { allow: [] } }],
      // As the shipped config writes them, so that what is documented is what is tested.
      tags: parse(readFileSync(PRODUCTION, 'utf8')).tags,
      routes,
      rules: [{ name: 'default', via: [route] }],
      retry: { critical: ['200ms'] },
      ...over,
    }),
  );
  relay = await home.start();
}

async function send(mail: SendMailOptions, login = false): Promise<Sent> {
  const transport = createTransport({
    host: '127.0.0.1',
    port: relay.smtpPort,
    ...(login
      ? { auth: { user: 'keycloak', pass: 'correct horse' }, tls: { rejectUnauthorized: false } }
      : { ignoreTLS: true }),
  });
  const { response } = await transport.sendMail({
    from: FROM,
    to: 'ann@example.net',
    text: `Go to ${LINK}\n`,
    ...mail,
  });
  return { id: /msg_\w+/.exec(response)?.[0] ?? '', response };
}

interface Traced {
  readonly message?: {
    readonly tag: string;
    readonly tag_source: string;
    readonly links: readonly { readonly host: string }[];
    readonly deliveries: readonly { readonly state: string }[];
  };
  readonly verdict: string;
  readonly flow_report?: {
    readonly verdict: string;
    readonly text: string;
    readonly messages: readonly { readonly tag: string; readonly gap_ms: number | null }[];
  };
}

async function trace(...key: readonly string[]): Promise<readonly Traced[]> {
  const { stdout } = await home.cli(['trace', '--json', ...key]);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
}

async function delivered(id: string): Promise<Traced> {
  let found: Traced | undefined;
  await until(async () => {
    [found] = await trace(id);
    return found?.message?.deliveries[0]?.state === 'delivered';
  }, 'the delivery');
  if (found === undefined) throw new Error('not found');
  return found;
}

/**
 * What is left of a delivered mail: nothing that holds the token, for whoever has the files, the log or the rights of an admin. What the
 * sandbox captured is there to be read, and still in no file as it is.
 */
async function isLeftOf(id: string, route: 'sandbox' | 'smarthost'): Promise<void> {
  const shown = await home.cli(['show', id]);
  if (route === 'sandbox') expect(shown.stdout).toContain(LINK);
  else expect([shown.code, shown.stdout]).toEqual([1, '']);
  const content = await fetch(`http://127.0.0.1:${relay.httpPort}/v1/messages/${id}`);
  expect(await content.text()).not.toContain('CANARY');
  const data = path.join(home.dir, 'data');
  const files = readdirSync(data, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  expect(files.length).toBeGreaterThan(2);
  for (const { parentPath, name } of files) {
    expect(readFileSync(path.join(parentPath, name)).includes('CANARY'), name).toBe(false);
  }
  expect(JSON.stringify(relay.log)).not.toContain('CANARY');
  expect(relay.stderr()).not.toContain('CANARY');
}

describe.each(['sandbox', 'smarthost'] as const)('over the %s', (route) => {
  it('a forgotten password: the client sets no header, a rule by subject gives the tag', async () => {
    await start(route);
    const { id } = await send({ subject: 'Reset password' }, true);
    const told = await delivered(id);
    expect(told.message).toMatchObject({ tag: 'password-reset', tag_source: 'rule' });
    expect(told.message?.links).toMatchObject([{ scheme: 'https', host: 'accounts.example.com', verdict: 'pass' }]);
    expect(JSON.stringify(told)).not.toContain('CANARY');
    await isLeftOf(id, route);
    if (route === 'smarthost') expect(hop.messages[0]?.content.toString()).toContain(LINK);
  }, 60_000);

  it('an admin reset goes out with the admin’s tag', async () => {
    await start(route);
    const { id } = await send({ subject: 'Your access', headers: { 'X-Leadpush-Tag': 'admin-reset' } });
    expect((await delivered(id)).message).toMatchObject({ tag: 'admin-reset', tag_source: 'header' });
    const { stdout } = await home.cli(['tail', '--json', '--tag', 'admin-reset']);
    expect(stdout).toContain('"message.delivered"');
    await isLeftOf(id, route);
    if (route === 'smarthost') expect(hop.messages[0]?.content.toString()).toContain(LINK);
  }, 60_000);

  it('a compromised account: notice, rotation and reset are one story', async () => {
    await start(route);
    const flow = { 'X-Leadpush-Flow': 'incident-7' };
    const tag = { 'X-Leadpush-Tag': 'compromised-account' };
    const notice = await send({ subject: 'Suspicious sign-in', headers: { ...flow, ...tag } });
    const rotation = await send({ subject: 'Your password was revoked', headers: { ...flow, ...tag } });
    await delivered(notice.id);
    await delivered(rotation.id);
    expect((await trace('--flow', 'incident-7')).at(-1)?.flow_report).toMatchObject({
      flow: 'incident-7',
      verdict: 'none',
    });

    const reset = await send({ subject: 'Reset password', headers: { ...flow, 'X-Leadpush-Tag': 'password-reset' } });
    await delivered(reset.id);
    const lines = await trace('--flow', 'incident-7');
    expect(lines.at(-1)?.flow_report).toMatchObject({
      verdict: 'delivered',
      messages: [
        { tag: 'compromised-account', gap_ms: null },
        { tag: 'compromised-account' },
        { tag: 'password-reset' },
      ],
    });
    expect(lines).toHaveLength(3);
    for (const { id } of [notice, rotation, reset]) await isLeftOf(id, route);
    if (route === 'smarthost') expect(hop.messages).toHaveLength(3);
  }, 60_000);
});

it('a flow whose reset bounced says that it was never delivered', async () => {
  await start('smarthost');
  const flow = { 'X-Leadpush-Flow': 'incident-8' };
  const notice = await send({ headers: { ...flow, 'X-Leadpush-Tag': 'compromised-account' } });
  await delivered(notice.id);
  hop.on('RCPT', reply('550 5.1.1 no such user'));
  await send({ headers: { ...flow, 'X-Leadpush-Tag': 'password-reset' } });
  await until(
    async () => (await trace('--flow', 'incident-8')).at(-1)?.flow_report?.verdict === 'failed',
    'the end of the flow',
  );
  expect((await trace('--flow', 'incident-8')).at(-1)?.flow_report?.text).toMatch(/NEVER DELIVERED: it bounced/);
}, 60_000);

it.each(['sandbox', 'smarthost'] as const)(
  'a reset with a link to the developer’s own machine is refused (%s) with a text that says what to do, and audit says the same',
  async (route) => {
    await start(route);
    const text = 'Go to http://localhost:3000/reset?token=CANARY-77\n';
    const refused = await send({
      subject: 'Reset password',
      text,
      headers: { 'X-Leadpush-Tag': 'password-reset' },
    }).catch((error: unknown) => String(error));
    expect(refused).toMatch(/550 5\.7\.0 Link policy: .*http:\/\/localhost:3000 .*public base URL/);
    expect(refused).not.toContain('CANARY');

    const file = path.join(home.dir, 'reset.eml');
    await writeFile(file, `From: ${FROM}\nTo: ann@example.net\nSubject: Reset password\n\n${text}`);
    const bad = await home.cli(['audit', file, '--tag', 'password-reset']);
    expect(bad.code).toBe(1);
    expect(JSON.parse(bad.stdout)).toMatchObject({ verdict: 'reject', policy: 'tags.password-reset.links' });
    expect(bad.stdout).not.toContain('CANARY');
    await writeFile(file, `From: ${FROM}\nTo: ann@example.net\nSubject: Reset password\n\nGo to ${LINK}\n`);
    const good = await home.cli(['audit', file, '--tag', 'password-reset']);
    expect([good.code, good.stderr]).toEqual([0, '']);
  },
  60_000,
);

it('the same idempotency key with other content is refused, and names the first message', async () => {
  await start('sandbox');
  const headers = { 'X-Leadpush-Idempotency-Key': 'k-1', 'X-Leadpush-Tag': 'password-reset' };
  const html = `<p>Go to <a href="${LINK}">accounts.example.com</a></p>`;
  const first = await send({ headers, html });
  expect((await send({ headers, html })).id).toBe(first.id);
  const other = await send({ headers, html: `${html}<p>again</p>` }).catch((error: unknown) => String(error));
  expect(other).toMatch(new RegExp(`550 5\\.6\\.0 X-Leadpush-Idempotency-Key .*${first.id}`));
}, 60_000);
