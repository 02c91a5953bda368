/**
 * Mail over the API, through the real process: taken, signed, delivered to a real next hop, and every event of it on a stream that
 * is followed through two kills of the relay without a gap or a double.
 */
import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { dkimVerdicts } from '../support/dkim-verify.ts';
import { type NextHop, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';

const TOKEN = 'a-token-of-more-than-thirty-two-characters';
const KILLS = 2;
const PER_ROUND = 20;

let hop: NextHop;
let home: RelayHome;
let record: { readonly name: string; readonly value: string };

beforeAll(async () => {
  hop = await startNextHop();
  home = await createRelayHome();
  await mkdir(path.join(home.dir, 'dkim'));
  const key = path.join(home.dir, 'dkim', 'lp1.pem');
  const named = ['--domain', 'example.com', '--selector', 'lp1', '--out', key];
  const made = await home.cli(['dkim', 'generate', ...named]);
  expect(made.code, made.stderr).toBe(0);
  record = JSON.parse(made.stdout.split('\n').find((line) => line.startsWith('{')) ?? '{}');
  await home.configure(
    sandboxConfig({
      senders: [{ domain: 'example.com', dkim: [{ selector: 'lp1', key }] }],
      routes: { hop: { type: 'smtp', host: '127.0.0.1', port: hop.port, tls: 'none', connections: 4 } },
      rules: [
        { name: 'api', when: { credential: ['token:app'] }, via: ['hop'] },
        { name: 'nobody', reject: 'not over this way' },
      ],
      retry: { critical: ['200ms'] },
      http: {
        host: '127.0.0.1',
        port: 0,
        tokens: [
          { name: 'app', hash: `sha256:${createHash('sha256').update(TOKEN).digest('hex')}`, scopes: ['send', 'read'] },
        ],
      },
    }),
  );
}, 60_000);

afterAll(async () => {
  await hop?.close();
  await home?.remove();
});

function call(relay: RelayProcess, path: string, init: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${TOKEN}`, ...init.headers };
  return fetch(`http://127.0.0.1:${relay.httpPort}/v1/${path}`, { ...init, headers });
}

/** Sends a reset; the same key twice, as a client does that lost the first answer. */
async function sendReset(relay: RelayProcess, number: number): Promise<string> {
  const post = (): Promise<Response> =>
    call(relay, 'messages', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': `reset-${number}` },
      body: JSON.stringify({
        from: 'Example Security <security@example.com>',
        to: `user${number}@example.net`,
        subject: 'Reset your password – now',
        text: `Follow https://accounts.example.com/reset?token=load-${number} within 15 minutes.\n`,
        tag: 'password-reset',
      }),
    });
  const first = await post();
  expect(first.status).toBe(202);
  const body = (await first.json()) as { readonly id: string };
  const again = await post();
  expect([again.headers.get('idempotent-replayed'), await again.json()]).toEqual(['true', body]);
  return body.id;
}

/** Follows the stream until the relay is gone; adds what comes to `seen`, and resumes after the last of it. */
async function follow(relay: RelayProcess, seen: { seq: number; id: string; type: string }[]): Promise<void> {
  const last = seen.at(-1)?.seq ?? 0;
  const response = await call(relay, 'events/stream?type=message.*', { headers: { 'last-event-id': String(last) } });
  expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  let rest = '';
  try {
    for await (const part of response.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      rest += part;
      const frames = rest.split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) {
        const data = /^data: (.*)$/m.exec(frame)?.[1];
        if (data === undefined) continue;
        const event = JSON.parse(data) as { type: string; data: { seq: number; message: { id: string } } };
        seen.push({ seq: event.data.seq, id: event.data.message.id, type: event.type });
      }
    }
  } catch {
    // Killed: the connection was cut.
  }
}

test('mail over the API is delivered and signed, and its events are streamed through kills of the relay', async () => {
  const seen: { seq: number; id: string; type: string }[] = [];
  const ids: string[] = [];
  for (let round = 0; round <= KILLS; round++) {
    const relay = await home.start();
    const following = follow(relay, seen);
    for (let i = 0; i < PER_ROUND; i++) ids.push(await sendReset(relay, ids.length));
    const isLast = round === KILLS;
    if (isLast) {
      const ends = (): number => seen.filter(({ type }) => type === 'message.delivered').length;
      await until(() => ends() === ids.length, 'every message delivered on the stream', 60_000);
      const list = (await (await call(relay, 'events?after_seq=0&type=message.*&limit=100')).json()) as {
        readonly data: readonly { readonly data: { readonly seq: number } }[];
      };
      expect(seen.slice(0, 100).map(({ seq }) => seq)).toEqual(list.data.map(({ data }) => data.seq));
      const one = (await (await call(relay, `messages/${ids[0] ?? ''}`)).json()) as object;
      expect(one).toMatchObject({ credential: 'token:app', rule: 'api', tag: 'password-reset' });
      expect(await relay.stop()).toBe(0);
    } else {
      await relay.kill9();
    }
    await following;
  }
  // Without a double, in order, one acceptance and one end for each message.
  const numbers = seen.map(({ seq }) => seq);
  expect(numbers).toEqual([...new Set(numbers)].sort((a, b) => a - b));
  const of = (type: string): readonly string[] => seen.filter((event) => event.type === type).map(({ id }) => id);
  expect(of('message.accepted')).toEqual(ids);
  expect([...of('message.delivered')].sort()).toEqual([...ids].sort());

  const [message] = hop.messages;
  expect(message).toBeDefined();
  expect(await dkimVerdicts(message?.content ?? Buffer.alloc(0), { [record.name]: record.value })).toEqual([true]);
}, 180_000);
