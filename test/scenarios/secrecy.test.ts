/**
 * Nothing of a mail's secret leaves the mail: body, subject, other headers and display names are looked for in every file, output and
 * answer of a relay that meets every fate that mail can have.
 *
 * Bugs are among them: exceptions that nobody expected, with the mail in their messages.
 *
 * Not covered: what the kernel writes of the process's memory (core dumps, swap).
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { parseMessageId } from '../../src/core/ids.ts';
import { readKeyFile } from '../../src/store/sqlite/key-file.ts';
import { openableKeys } from '../store/remnants.ts';
import { type NextHop, reply, startNextHop } from '../support/next-hop.ts';
import {
  createRelayHome,
  type LogLine,
  type RelayHome,
  type RelayProcess,
  sandboxConfig,
  until,
} from '../support/relay.ts';

const BODY = 'canarybody7f3a';
const SUBJECT = 'canarysubject8e2b';
const HEADER = 'canaryheader9d1c';
const NAME = 'canaryname6c4d';
const PARTS = [BODY, SUBJECT, HEADER, NAME] as const;
/** Each canary as it is, in base64 at every offset, in quoted-printable with a soft line end, and as UTF-16. */
const SHAPES: readonly Buffer[] = PARTS.flatMap((token) => [
  Buffer.from(token),
  Buffer.from(token.toUpperCase()),
  Buffer.from(token, 'utf16le'),
  ...[0, 1, 2].map((offset) =>
    Buffer.from(
      Buffer.from(' '.repeat(offset) + token)
        .toString('base64')
        .slice(offset === 0 ? 0 : 4, -4),
    ),
  ),
]);

let hop: NextHop;
let home: RelayHome;
let relay: RelayProcess | null = null;
const outputs: string[] = [];

const config = (over: Readonly<Record<string, unknown>> = {}): Record<string, unknown> =>
  sandboxConfig({
    routes: {
      hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none' },
      capture: { type: 'sandbox' },
    },
    rules: [
      { name: 'captured', when: { recipient_domain: ['captured.example'] }, via: ['capture'] },
      { name: 'default', via: ['hop'] },
    ],
    retry: { critical: ['200ms'], normal: ['200ms'] },
    tags: {
      limited: { throttle: { per_recipient: '1/1h' } },
      checked: { links: { hosts: ['accounts.acme.com'], action: 'reject' } },
    },
    bounces: { dsn: true },
    log: { level: 'debug', file: './data/relay.log' },
    ...over,
  });

beforeEach(async () => {
  outputs.length = 0;
  hop = await startNextHop();
  home = await createRelayHome(config());
});

afterEach(async () => {
  await relay?.kill9();
  relay = null;
  await hop.close();
  await home.remove();
});

async function send(to: string, headers: Readonly<Record<string, string>> = {}): Promise<string> {
  const transport = createTransport({ host: '127.0.0.1', port: relay?.smtpPort ?? 0, ignoreTLS: true });
  const link = `https://accounts.example.com/reset?token=${BODY}`;
  const info = await transport.sendMail({
    from: 'app@example.com',
    to: { name: NAME, address: to },
    subject: `Use code ${SUBJECT} to log in`,
    text: `Reset: ${link}\n`,
    html: `<p>Zurück: <a href="${link}">${BODY}</a></p>`,
    attachments: [{ filename: 'token.bin', content: Buffer.from(link), encoding: 'base64' }],
    headers: { 'X-App-Token': HEADER, ...headers },
  });
  return /msg_[0-9a-z]{26}/.exec(info.response)?.[0] ?? '';
}

const about =
  (event: string, id: string) =>
  (line: LogLine): boolean =>
    line['event'] === event && line['message'] === id;

async function ends(id: string, event: string): Promise<void> {
  await relay?.line(about(event, id));
}

/** What commands, HTTP and the process itself have said. */
async function collectOutputs(ids: readonly string[]): Promise<void> {
  for (const args of [
    ...ids.map((id) => ['trace', id, '--json']),
    ...ids.map((id) => ['trace', id]),
    ['tail', '--json', '-n', '1000'],
    ['queue', 'list', '--json'],
    ['suppressions', 'list', '--json'],
    ['stats', '--json'],
    ['keys', 'list', '--json'],
  ]) {
    const { stdout, stderr } = await home.cli(args);
    outputs.push(stdout, stderr);
  }
  if (relay === null) return;
  for (const place of ['metrics', 'readyz']) {
    outputs.push(await (await fetch(`http://127.0.0.1:${relay.httpPort}/${place}`)).text());
  }
  outputs.push(relay.stderr(), JSON.stringify(relay.log));
}

/** Where a canary shows: file or output, and which. */
function leaks(): string[] {
  const data = path.join(home.dir, 'data');
  const places: (readonly [string, Buffer])[] = readdirSync(data, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => [entry.name, readFileSync(path.join(entry.parentPath, entry.name))]);
  for (const [index, output] of outputs.entries()) places.push([`output ${index}`, Buffer.from(output)]);
  return places.flatMap(([place, octets]) =>
    SHAPES.filter((shape) => octets.includes(shape)).map((shape) => {
      const at = octets.indexOf(shape);
      return `${place}: ${octets.subarray(Math.max(at - 60, 0), at + 40).toString('latin1')}`;
    }),
  );
}

it('a mail shows nowhere, whatever becomes of it: delivered, captured, deferred, bounced, expired, replaced, held back', {
  timeout: 120_000,
}, async () => {
  hop.on('RCPT', ({ line }) => {
    if (line.includes('later@')) return reply('450 4.2.1 try later');
    return line.includes('nobody@') ? reply('550 5.1.1 no such user') : null;
  });
  hop.on('dot', ({ hop: at }) => {
    const content = at.messages.at(-1)?.content.toString('latin1') ?? '';
    if (!content.includes('X-Fate: echo')) return null;
    return reply(
      `554 5.7.1 rejected: Subject: Use code ${SUBJECT} to log in https://accounts.example.com/reset?token=${BODY}`,
    );
  });
  relay = await home.start();
  const delivered = await send('ann@example.net', { 'X-Leadpush-Tag': 'password-reset' });
  await ends(delivered, 'message.delivered');
  const captured = await send('ann@captured.example');
  await ends(captured, 'message.delivered');
  const bounced = await send('nobody@example.net');
  await ends(bounced, 'message.bounced');
  const suppressed = await send('nobody@example.net');
  await ends(suppressed, 'message.suppressed');
  const echoed = await send('echo@example.net', { 'X-Fate': 'echo' });
  await ends(echoed, 'message.bounced');
  const older = await send('later@example.net', { 'X-Leadpush-Collapse-Key': 'reset' });
  await ends(older, 'message.deferred');
  const expiring = await send('later@example.net', { 'X-Leadpush-Collapse-Key': 'reset', 'X-Leadpush-TTL': '2' });
  await ends(older, 'message.superseded');
  await ends(expiring, 'message.expired');
  const waiting = await send('later@example.net');
  await ends(waiting, 'message.deferred');
  const ids = [delivered, captured, bounced, suppressed, echoed, older, expiring, waiting];

  await collectOutputs(ids);
  expect(leaks()).toEqual([]);

  await home.configure(config({ log: { level: 'debug', file: './data/relay.log' }, retry: { normal: ['300ms'] } }));
  relay.signal('SIGHUP');
  await relay.line((line) => line['event'] === 'config.reloaded');
  await relay.kill9();
  expect(leaks()).toEqual([]);
  relay = await home.start();
  await collectOutputs(ids);
  expect(await relay.stop()).toBe(0);
  expect(leaks()).toEqual([]);
  // It was all there to be found: the next hop got it.
  expect(hop.messages.some(({ content }) => content.includes(SUBJECT) && content.includes(BODY))).toBe(true);
});

it('a mail shows nowhere when it is throttled, canceled, put into quarantine, refused, or sent twice', {
  timeout: 120_000,
}, async () => {
  hop.on('RCPT', ({ line }) => (line.includes('later@') ? reply('450 4.2.1 try later') : null));
  relay = await home.start();
  const limited = { 'X-Leadpush-Tag': 'limited' };
  await ends(await send('ann@example.net', limited), 'message.delivered');
  const throttled = await send('ann@example.net', limited);
  await ends(throttled, 'message.throttled');
  const canceled = await send('later@example.net');
  await ends(canceled, 'message.deferred');
  const cancel = await home.cli(['queue', 'cancel', canceled]);
  expect(cancel.code, cancel.stderr).toBe(0);
  expect((await home.cli(['trace', canceled, '--json'])).stdout).toContain('message.canceled');

  const refusals: string[] = [];
  const refused = async (headers: Readonly<Record<string, string>>): Promise<void> => {
    refusals.push(await send('ann@example.net', headers).catch((error: unknown) => String(error)));
  };
  await refused({ 'X-Leadpush-Tag': 'checked' });
  await refused({ 'X-Leadpush-Tag': `no tag ${BODY}` });
  await refused({ 'X-Leadpush-TTL': BODY });
  const once = await send('ann@example.net', { 'X-Leadpush-Idempotency-Key': 'once' });
  await refused({ 'X-Leadpush-Idempotency-Key': 'once', 'X-Other': HEADER });
  expect(refusals).toEqual(['5.7.0', '5.6.0', '5.6.0', '5.6.0'].map((code) => expect.stringContaining(`550 ${code}`)));
  outputs.push(...refusals);

  hop.on('DATA', { kind: 'stall' });
  const before = hop.reached('DATA');
  const quarantined = await send('ann@example.net');
  for (let crash = 1; crash <= 3; crash++) {
    await hop.until(() => hop.reached('DATA') === before + crash);
    await relay.kill9();
    expect(leaks()).toEqual([]);
    relay = await home.start();
  }
  await ends(quarantined, 'message.quarantined');
  await collectOutputs([throttled, canceled, once, quarantined]);
  expect(leaks()).toEqual([]);
  expect(await relay.stop()).toBe(0);
  expect(leaks()).toEqual([]);
});

it('a mail that comes over HTTP shows nowhere, nor does what is wrong with one', { timeout: 60_000 }, async () => {
  relay = await home.start();
  const at = `http://127.0.0.1:${relay.httpPort}/v1`;
  const ask = async (path: string, init: RequestInit = {}): Promise<Record<string, unknown>> => {
    const response = await fetch(`${at}/${path}`, init);
    const text = await response.text();
    outputs.push(text, JSON.stringify([...response.headers]));
    return { status: response.status, ...JSON.parse(text) };
  };
  const link = `https://accounts.example.com/reset?token=${BODY}`;
  const mail = {
    from: 'app@example.com',
    to: [{ name: NAME, address: 'ann@example.net' }],
    subject: `Use code ${SUBJECT}`,
    text: link,
    html: `<a href="${link}">${BODY}</a>`,
    headers: { 'X-App-Token': HEADER },
    attachments: [{ filename: `${BODY}.txt`, content: Buffer.from(link).toString('base64') }],
  };
  const post = (path: string, type: string, body: string, headers: Readonly<Record<string, string>> = {}) =>
    ask(path, { method: 'POST', headers: { 'content-type': type, ...headers }, body });
  const json = (body: unknown, headers: Readonly<Record<string, string>> = {}) =>
    post('messages', 'application/json', JSON.stringify(body), headers);
  const raw = `From: app@example.com\r\nTo: ${NAME} <bob@example.net>\r\nSubject: ${SUBJECT}\r\nX-App-Token: ${HEADER}\r\n\r\n${link}\r\n`;

  const sent = await json({ ...mail, tag: 'password-reset' }, { 'idempotency-key': 'once' });
  expect(sent).toMatchObject({ status: 202, id: expect.stringMatching(/^msg_/) });
  const mime = await post('messages/mime?from=app@example.com&to=bob@example.net', 'message/rfc822', raw);
  expect(mime).toMatchObject({ status: 202 });
  const ids = [String(sent['id']), String(mime['id'])];
  for (const id of ids) await ends(id, 'message.delivered');

  const wrong = [
    await json({ ...mail, tag: `no tag ${BODY}` }),
    await json({ ...mail, tag: 'checked' }),
    await json({ ...mail, text: [BODY], subject: { [SUBJECT]: 1 } }),
    await json({ ...mail, subject: `${SUBJECT}\r\nBcc: x@example.net` }),
    await json({ ...mail, text: 'other' }, { 'idempotency-key': 'once' }),
    await post('messages', 'application/json', `{"text": "${BODY}" ${SUBJECT}`),
    await post('messages/mime?from=app@example.com&to=bob@example.net', 'message/rfc822', `${BODY}\r\n\r\n${BODY}`),
  ];
  for (const answer of wrong)
    expect(answer['status'], JSON.stringify(answer)).toSatisfy((code: number) => code >= 400 && code < 500);
  // Whatever else can be asked for, of each message.
  const { paths } = (await (await fetch(new URL('/openapi.json', at))).json()) as {
    paths: Record<string, { get?: object }>;
  };
  const gettable = Object.keys(paths).filter((path) => paths[path]?.get !== undefined && !path.endsWith('/stream'));
  expect(gettable).toEqual(expect.arrayContaining(['/v1/messages', '/v1/messages/{id}', '/v1/events']));
  for (const path of gettable) {
    for (const id of ids) {
      if (!/\{(?!id\})/.test(path)) outputs.push(await (await fetch(new URL(path.replace('{id}', id), at))).text());
    }
  }
  await collectOutputs(ids);
  expect(leaks()).toEqual([]);
  expect(hop.messages.filter(({ content }) => content.includes(SUBJECT) && content.includes(HEADER))).toHaveLength(2);
});

it('a bug that quotes the mail at hand is told without a word of it', { timeout: 60_000 }, async () => {
  const preload = new URL('../support/bugs.ts', import.meta.url).href;
  relay = await home.start({ env: { NODE_OPTIONS: `--import=${preload}` } });
  const failed =
    (event: string) =>
    (line: LogLine): boolean =>
      line['event'] === event;

  const caught = await send('ann@example.net', { 'X-Leadpush-Idempotency-Key': 'one', 'X-Bug': 'accept' }).catch(
    (error: unknown) => String(error),
  );
  expect(caught).toContain('451 4.3.0');
  outputs.push(caught);
  const told = await relay.line(failed('smtp.failed'));
  expect(told['error']).toMatch(/^TypeError: its message is withheld.* at .*src\/intake\/digest\.ts:\d+/);

  const undelivered = await send('ann@example.net', { 'X-Bug': 'delivery' });
  const { stderr, log } = relay;
  await until(() => stderr().includes('a bug, the relay ends'), 'the end of the relay');
  expect(stderr()).toMatch(/TypeError: its message is withheld.* at .*src\/delivery\/smtp\/content\.ts:\d+/);
  await relay.kill9();
  outputs.push(stderr(), JSON.stringify(log));
  relay = await home.start();
  await ends(undelivered, 'message.delivered');
  await collectOutputs([undelivered]);
  expect(leaks()).toEqual([]);
});

it('with the content key in hand, nobody can read a delivered mail any more, and a rotation loses no waiting one', {
  timeout: 60_000,
}, async () => {
  hop.on('RCPT', ({ line }) => (line.includes('later@') ? reply('450 4.2.1 try later') : null));
  relay = await home.start();
  const waiting = await send('later@example.net');
  await ends(waiting, 'message.deferred');
  const data = path.join(home.dir, 'data');
  const keys = readKeyFile(path.join(data, 'content.key')) ?? [];
  const waitingId = parseMessageId(waiting);
  const delivered = await send('ann@example.net');
  const deliveredId = parseMessageId(delivered);
  if (waitingId === null || deliveredId === null) throw new Error('two ids were expected');
  expect(openableKeys(data, keys, waitingId)).toBeGreaterThan(0);
  await ends(delivered, 'message.delivered');
  // The other one is tried again and again: the log is never idle.
  await until(() => openableKeys(data, keys, deliveredId) === 0, 'the end of its key in database and log');
  expect(openableKeys(data, keys, waitingId)).toBeGreaterThan(0);
  const key = path.join(home.dir, 'data', 'content.key');
  const before = readFileSync(key, 'utf8');
  const rotated = await home.cli(['keys', 'rotate', '--json']);
  expect(rotated.code, rotated.stderr).toBe(0);
  expect(JSON.parse(rotated.stdout)).toMatchObject({ messages: 1, resumed: false });
  expect(readFileSync(key, 'utf8')).not.toBe(before);
  expect(rotated.stdout + rotated.stderr).not.toContain(before.slice(25, 60));
  const { stdout } = await home.cli(['keys', 'list', '--json']);
  expect(JSON.parse(stdout)).toMatchObject({ messages: 1, current: true, missing: false });
  const shown = await home.cli(['show', delivered]);
  expect(shown.code).toBe(1);

  hop.on('RCPT', null);
  await ends(waiting, 'message.delivered');
  await until(() => hop.messages.some(({ content }) => content.includes('later@')), 'the waiting one');
  expect(hop.messages.at(-1)?.content.includes(BODY)).toBe(true);
  expect(await relay.stop()).toBe(0);
  const unused = JSON.parse((await home.cli(['keys', 'list', '--json'])).stdout);
  expect(unused).toMatchObject({ messages: 0, current: true });
});
