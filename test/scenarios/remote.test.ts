/** Commands of another machine, against the real relay with tokens, over its real HTTP listener. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createRelayHome, type RelayHome, sandboxConfig } from '../support/relay.ts';
import { sendReset } from '../support/send-reset.ts';

const MAIN = path.join(import.meta.dirname, '../../src/main.ts');
const TOKEN = 'lpr_a-token-of-more-than-thirty-two-characters';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => void server.close(resolve));
  return port;
}

async function relayWithToken(): Promise<{ readonly home: RelayHome; readonly url: string }> {
  const port = await freePort();
  const hash = `sha256:${createHash('sha256').update(TOKEN).digest('hex')}`;
  const http = { host: '127.0.0.1', port, tokens: [{ name: 'ops', hash, scopes: ['read', 'send', 'admin'] }] };
  const home = await createRelayHome(sandboxConfig({ http }));
  onTestFinished(() => home.remove());
  return { home, url: `http://127.0.0.1:${port}` };
}

/** `tail -f --json` as a process of its own; what it printed so far. */
function follow(url: string): { readonly ids: () => readonly string[]; readonly err: () => string } {
  const child = spawn(
    process.execPath,
    [MAIN, 'tail', '-f', '--json', '-n', '0', '--type', 'delivered', '--url', url],
    {
      env: { ...process.env, LEADPUSH_TOKEN: TOKEN },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (out += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => void (err += text));
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines = (): readonly string[] => out.split('\n').slice(0, -1);
  return { ids: () => lines().map((line) => String(JSON.parse(line).data.message.id)), err: () => err };
}

test('tail -f goes on over kill -9 and a new start of the relay: no event is missed, none comes twice', async () => {
  const { home, url } = await relayWithToken();
  let relay = await home.start();
  onTestFinished(() => relay.kill9());
  const sent = [await sendReset(relay.smtpPort)];
  const tail = follow(url);
  // What was there before is not shown, so the first one that is shown says that it follows.
  await expect
    .poll(
      async () => {
        sent.push(await sendReset(relay.smtpPort));
        return tail.ids().length;
      },
      { timeout: 15_000, interval: 300 },
    )
    .toBeGreaterThan(0);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 10; i++) sent.push(await sendReset(relay.smtpPort));
    await relay.kill9();
    await expect.poll(() => tail.err(), { timeout: 15_000 }).toContain('Lost: ');
    relay = await home.start();
    for (let i = 0; i < 10; i++) sent.push(await sendReset(relay.smtpPort));
  }
  const all = (): readonly string[] => sent.slice(sent.indexOf(tail.ids()[0] ?? ''));
  await expect.poll(() => tail.ids().length, { timeout: 30_000 }).toBe(all().length);
  expect([...tail.ids()].sort()).toEqual([...all()].sort());
  expect(new Set(tail.ids()).size).toBe(tail.ids().length);
  expect(tail.err()).toContain('Connected to');
}, 90_000);

test('sends, traces, shows, checks and operates with a token, and refuses without', async () => {
  const { home, url } = await relayWithToken();
  const relay = await home.start();
  onTestFinished(() => relay.kill9());
  const ask = (...argv: readonly string[]): ReturnType<RelayHome['cli']> =>
    home.cli([...argv, '--json', '--url', url, '--token', TOKEN]);
  const sent = await ask('send', '--to', 'ann@example.net');
  expect(sent).toMatchObject({ code: 0, stderr: '' });
  const { id } = JSON.parse(sent.stdout);
  await expect.poll(async () => (await ask('trace', id)).stdout, { timeout: 15_000 }).toContain('"Captured by');
  const local = await home.cli(['trace', id, '--json']);
  // The sentence names the place that was asked.
  const there = { ...JSON.parse((await ask('trace', id)).stdout), verdict: null };
  const here = { ...JSON.parse(local.stdout), verdict: null };
  expect(there).toEqual(here);
  expect((await ask('show', id)).stdout).toContain(id);
  expect(await ask('check')).toMatchObject({ code: 0 });
  expect(JSON.parse((await ask('suppressions', 'add', 'bob@example.net')).stdout)).toMatchObject({ reason: 'manual' });
  expect((await home.cli(['suppressions', '--json'])).stdout).toContain('bob@example.net');
  expect((await ask('explain', '--from', 'a@example.com')).stdout).toContain('"verdict":"accept"');
  const refused = await home.cli(['stats', '--url', url, '--token', 'wrong']);
  expect(refused).toMatchObject({ code: 1, stdout: '' });
  expect(refused.stderr).toContain('The token is from --token.');
}, 90_000);
