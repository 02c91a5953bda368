/**
 * Nothing of a mail's secret leaves the mail: body, subject, other headers and display names are looked for in every file, output and
 * answer of a relay that meets every fate that mail can have.
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
