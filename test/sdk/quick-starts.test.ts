/** The quick starts of the README, as they stand there, against the real relay: only ports are others. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { parse } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { LeadpushRelay } from '../../src/sdk/client.ts';
import { type NextHop, reply, startNextHop } from '../support/next-hop.ts';
import { freePort } from '../support/postfix.ts';
import {
  createRelayHome,
  needProgram,
  type RelayHome,
  type RelayProcess,
  sandboxConfig,
  until,
} from '../support/relay.ts';
import { examplesOf, type RunningExample, startExample } from './examples.ts';
import { compileExamples, type PackedSdk, packSdk, ROOT } from './packed.ts';

const SECRET = `whsec_${Buffer.from('a secret for the test, 32 bytes.').toString('base64')}`;
const NAME = 'Password reset in ten lines';

/** The block in `language` of the section. */
async function quickStart(language: string): Promise<string> {
  const readme = await readFile(path.join(ROOT, 'README.md'), 'utf8');
  const [found, ...more] = examplesOf(readme, language).filter(({ heading }) => heading === NAME);
  expect(more).toEqual([]);
  return found?.code ?? '';
}

describe('a quick start', () => {
  let home: RelayHome;
  let relay: RelayProcess;
  let sdk: PackedSdk;
  let bouncing: NextHop;
  let receiverPort: number;

  /** `code` with the ports of this test. */
  const here = (code: string): string =>
    code.replaceAll('127.0.0.1:8025', `127.0.0.1:${relay.httpPort}`).replaceAll('9000', String(receiverPort));

  const trace = async (key: string): Promise<string> => {
    const { stdout } = await home.cli(['trace', key]);
    return stdout;
  };

  beforeAll(async () => {
    needProgram('/usr/bin/curl', 'curl');
    receiverPort = await freePort();
    bouncing = await startNextHop({ on: { RCPT: () => reply('550 5.1.1 no such mailbox') } });
    const { webhooks } = parse(await quickStart('yaml')) as { webhooks: [Record<string, unknown>] };
    home = await createRelayHome(
      sandboxConfig({
        tags: { 'password-reset': { preset: 'password-reset' } },
        routes: {
          sandbox: { type: 'sandbox' },
          bouncing: { type: 'smtp', host: '127.0.0.1', port: bouncing.port, tls: 'none' },
        },
        rules: [
          { name: 'bouncing', when: { recipient_domain: ['bounces.example.net'] }, via: ['bouncing'] },
          { name: 'default', via: ['sandbox'] },
        ],
        webhooks: [{ ...webhooks[0], url: `http://127.0.0.1:${receiverPort}/`, secret: SECRET }],
      }),
    );
    [relay, sdk] = await Promise.all([home.start(), packSdk()]);
  }, 90_000);

  afterAll(async () => {
    await relay?.stop();
    await bouncing?.close();
    await home?.remove();
    await sdk?.remove();
  });

  it('with curl sends a reset, and the same again sends nothing', async () => {
    const send = async (): Promise<string> => {
      const { stdout } = await promisify(execFile)('/bin/sh', [
        '-c',
        `${here(await quickStart('sh'))} -sS --fail-with-body`,
      ]);
      return stdout;
    };
    const first = JSON.parse(await send()) as { id: string; deliveries: unknown[] };
    expect(first).toEqual({
      id: expect.stringMatching(/^msg_/),
      deliveries: [{ id: expect.any(String), recipient: 'ann@example.net', state: 'queued' }],
    });
    expect(JSON.parse(await send())).toEqual(first);
    expect(await trace('ann@example.net')).toContain(`"tag":"password-reset"`);
  });

  it('with better-auth sends the link of a forgotten password', async () => {
    const drive = `
      await auth.api.signUpEmail({ body: { email: 'ben@example.net', name: 'Ben', password: 'the forgotten one' } });
      await auth.api.requestPasswordReset({ body: { email: 'ben@example.net', redirectTo: 'https://accounts.example.com/new' } });
      for await (const event of relay.events.stream({ type: 'message.delivered', after_seq: 0 })) {
        if (event.data.delivery.recipient !== 'ben@example.net') continue;
        console.log('SENT', Buffer.from(await relay.messages.content(event.data.message.id)).toString());
        break;
      }`;
    await compileExamples(sdk.dir, [await quickStart('ts')]);
    const example = await startExample(sdk.dir, 'better-auth', `${here(await quickStart('ts'))}\n${drive}`, {
      AUTH_SECRET: 'only for the test of quick starts: 0123456789',
    });
    expect(await example.ended, example.output()).toBe(0);
    expect(example.output()).toContain('Subject: Choose a new password');
    expect(example.output()).toMatch(/https:\/\/accounts\.example\.com\/api\/auth\/reset-password\//);
    expect(await trace('ben@example.net')).toContain(`"flow":"reset-`);
  });

  describe('with a receiver of webhooks', () => {
    let receiver: RunningExample;

    beforeAll(async () => {
      receiver = await startExample(sdk.dir, 'receiver', here(await quickStart('js')), { WEBHOOK_SECRET: SECRET });
      const answers = (): Promise<boolean> =>
        fetch(`http://127.0.0.1:${receiverPort}/`).then(
          () => true,
          () => false,
        );
      await until(answers, 'the receiver listens');
    });
    afterAll(() => receiver?.kill());

    it('tells support which mail bounced, and why', async () => {
      await new LeadpushRelay({ baseUrl: `http://127.0.0.1:${relay.httpPort}` }).messages.send({
        from: 'no-reply@example.com',
        to: ['cleo@bounces.example.net'],
        subject: 'Reset your password',
        text: 'Follow https://accounts.example.com/reset?token=123 within 15 minutes.',
        tag: 'password-reset',
      });
      const [line] = await receiver.wrote(/The mail to .*\n/);
      expect(line).toMatch(
        /^The mail to cleo@bounces\.example\.net bounced \(msg_\w+\)\. The mailbox or its domain does not exist/,
      );
    });

    it('believes nobody else', async () => {
      const body = JSON.stringify({ type: 'message.bounced', data: { delivery: {}, bounce: {}, message: {} } });
      const headers = {
        'webhook-id': 'evt_1',
        'webhook-timestamp': String(Math.floor(Date.now() / 1000)),
        'webhook-signature': `v1,${Buffer.alloc(32).toString('base64')}`,
      };
      const before = receiver.output();
      const answer = await fetch(`http://127.0.0.1:${receiverPort}/`, { method: 'POST', body, headers });
      expect(answer.status).toBe(400);
      expect(receiver.output()).toBe(before);
    });
  });
});
