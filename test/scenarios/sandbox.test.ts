/** The sandbox that `npm start` runs: what a newcomer sees in the first minutes. */
import { readFileSync } from 'node:fs';
import { copyFile, mkdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig } from '../support/relay.ts';

const SHIPPED = path.join(import.meta.dirname, '../../config/relay.yaml');

describe('the sandbox', () => {
  let home: RelayHome;
  let relay: RelayProcess;

  beforeAll(async () => {
    home = await createRelayHome(
      sandboxConfig({
        senders: [{ domain: 'example.com', dkim: [{ selector: 'lp1', key: './data/dkim/rsa.pem' }] }],
        unknown_senders: 'unsigned',
        // As it is shipped.
        tags: parse(readFileSync(SHIPPED, 'utf8')).tags,
      }),
    );
    relay = await home.start();
  });

  afterAll(async () => {
    await relay?.stop();
    await home?.remove();
  });

  const send = async (headers: Readonly<Record<string, string>>): Promise<string> => {
    const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
    const info = await transport.sendMail({
      from: 'app@example.com',
      to: 'ann@example.net',
      subject: 'hello',
      text: 'hello',
      headers,
    });
    return /msg_[0-9a-z]{26}/.exec(info.response)?.[0] ?? '';
  };

  it('makes the missing DKIM key with mode 0600', async () => {
    const key = path.join(home.dir, 'data', 'dkim', 'rsa.pem');
    expect((await stat(key)).mode & 0o777).toBe(0o600);
    expect(await readFile(key, 'utf8')).toContain('PRIVATE KEY');
  });

  it('shows the first mail of a newcomer without a warning, and what is wrong with a link to his own machine', async () => {
    const seen = async (args: readonly string[]): Promise<string> => {
      const sent = await home.cli(['send', '--json', '--port', String(relay.smtpPort), '--host', '127.0.0.1', ...args]);
      expect(sent.code, sent.stderr).toBe(0);
      const { stdout } = await home.cli(['trace', JSON.parse(sent.stdout).id, '--json']);
      return stdout;
    };
    expect(JSON.parse(await seen([]))).toMatchObject({
      message: { tag: 'password-reset', warnings: [], links: [{ host: 'accounts.example.com', verdict: 'pass' }] },
    });
    expect(await seen(['--text', 'http://localhost:3000/reset'])).toContain('local-host');
  });

  it('captures and signs a mail and says so in trace', async () => {
    const id = await send({ 'X-Leadpush-Tag': 'password-reset' });
    await relay.line((line) => line['event'] === 'message.delivered' && line['message'] === id);
    const { stdout, code } = await home.cli(['trace', id, '--json']);
    expect(code).toBe(0);
    expect(stdout).toContain('captured by the sandbox');
    expect(stdout).toContain('lp1._domainkey.example.com');
  });

  it('queues nothing for a second mail with the same idempotency key and answers with the first id', async () => {
    const first = await send({ 'X-Leadpush-Idempotency-Key': 'once' });
    expect(await send({ 'X-Leadpush-Idempotency-Key': 'once' })).toBe(first);
    const { stdout } = await home.cli(['tail', '--json', '-n', '100']);
    const accepted = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; data: { message: { id: string } } })
      .filter((event) => event.type === 'message.accepted' && event.data.message.id === first);
    expect(accepted).toHaveLength(1);
  });

  it('refuses a bad header with a 550 that names it, and keeps the refusal for trace', async () => {
    await expect(send({ 'X-Leadpush-Priority': 'urgent' })).rejects.toThrow(/550 5\.6\.0 .*X-Leadpush-Priority/);
    const { stdout } = await home.cli(['tail', '--json', '-n', '100']);
    expect(stdout).toContain('message.rejected');
  });

  it.each(['/healthz', '/readyz', '/metrics'])('answers %s', async (target) => {
    const response = await fetch(`http://127.0.0.1:${relay.httpPort}${target}`);
    expect(response.status).toBe(200);
  });

  it('counts what was accepted in /metrics', async () => {
    await send({ 'X-Leadpush-Tag': 'password-reset' });
    const text = await (await fetch(`http://127.0.0.1:${relay.httpPort}/metrics`)).text();
    expect(text).toMatch(/leadpush_messages_accepted_total\{[^}]*tag="password-reset"[^}]*\} [1-9]/);
  });

  it('refuses a second relay on the same data folder with a clear text', async () => {
    const other = path.join(home.dir, 'second.yaml');
    await mkdir(path.dirname(other), { recursive: true });
    await copyFile(home.configFile, other);
    const { code, stderr } = await home.cli(['serve', '--config', other]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/in use|another relay|already/i);
  });
});
