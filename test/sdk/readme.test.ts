/** The README of the SDK: every example compiles, and runs against the real relay in sandbox mode. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig } from '../support/relay.ts';
import { examplesOf, type RunningExample, startExample } from './examples.ts';
import { compileExamples, type PackedSdk, packSdk, ROOT } from './packed.ts';

const TOKEN = 'lp_the-token-of-the-examples';
const SECRET = `whsec_${Buffer.from('a secret for the test, 32 bytes.').toString('base64')}`;

/** What is added to an example so that it does what a user would, and what it must write. By heading, in order. */
const DRIVES: Readonly<Record<string, readonly { readonly drive?: string; readonly writes: RegExp }[]>> = {
  'Quick start': [{ writes: /^queued as msg_\w+\n$/ }],
  Messages: [
    {
      drive: `console.log('LINK', links[0]?.address); console.log('END', trace.events.length > 0, content.length > 500, changed.length);`,
      writes:
        /^(?:ann@example\.net: \w+)\n(?:msg_\w+ password-reset 20\S+\n)+LINK https:\/\/accounts\.example\.com\/reset\?token=123\nEND true true 0\n$/,
    },
    { drive: `console.log('END');`, writes: /^END\n$/ },
  ],
  Lists: [{ drive: `console.log(first.data.length, second);`, writes: /^\d+ null\n$/ }],
  Events: [{ drive: `console.log('END');`, writes: /ann@example\.net: captured[^]*END\n$/ }],
  'Suppressions, and how the relay fares': [
    { writes: /^asked by phone\n[^]*sandbox[^]*password-reset[^]*example\.com/ },
  ],
  Errors: [{ writes: /^no such message\n$/ }],
  Webhooks: [
    {
      drive: `server.on('listening', () => console.log('PORT', Object(server.address()).port));`,
      writes: /the mail to ann@example\.net bounced\n/,
    },
  ],
  nodemailer: [{ writes: /^<[^>]+> \[ 'ann@example\.net' \] 250 2\.0\.0 Ok: queued as msg_\w+\n$/ }],
  'better-auth': [
    {
      drive: `
        await auth.api.signUpEmail({ body: { email: 'ben@example.net', name: 'Ben', password: 'the forgotten one' } });
        await auth.api.requestPasswordReset({ body: { email: 'ben@example.net' } });
        const { data } = await relay.messages.list({ recipient: 'ben@example.net' }).page();
        console.log(data.length, data[0]?.tag, data[0]?.flow);`,
      writes: /^1 password-reset reset-\w+\n$/,
    },
  ],
};

const readme = await readFile(path.join(ROOT, 'src/sdk/README.md'), 'utf8');
const examples = examplesOf(readme, 'ts');
/** The client that the examples after the first go on with. */
const [CLIENT = ''] = /^import [^]*?\}\);\n/.exec(examples[0]?.code ?? '') ?? [];
const programs = examples.map(({ heading, code }, at) => {
  const number = examples.slice(0, at).filter((before) => before.heading === heading).length;
  return { name: `${heading.replaceAll(/\W+/g, '-').toLowerCase()}-${number}`, heading, number, code };
});

describe('an example', () => {
  let home: RelayHome;
  let relay: RelayProcess;
  let sdk: PackedSdk;

  const source = (code: string): string =>
    /\brelay\./.test(code) && !code.includes('new LeadpushRelay(')
      ? `${CLIENT}\n${code}\nexport {};\n`
      : `${code}\nexport {};\n`;

  beforeAll(async () => {
    home = await createRelayHome(
      sandboxConfig({
        http: {
          host: '127.0.0.1',
          port: 0,
          tokens: [
            {
              name: 'app',
              hash: `sha256:${createHash('sha256').update(TOKEN).digest('hex')}`,
              scopes: ['read', 'send', 'admin'],
            },
          ],
        },
        tags: { 'password-reset': { preset: 'password-reset', throttle: 'none' } },
      }),
    );
    [relay, sdk] = await Promise.all([home.start(), packSdk()]);
  }, 90_000);

  afterAll(async () => {
    await relay?.stop();
    await home?.remove();
    await sdk?.remove();
  });

  const start = (name: string, code: string): Promise<RunningExample> =>
    startExample(sdk.dir, name, code, {
      LEADPUSH_URL: `http://127.0.0.1:${relay.httpPort}`,
      LEADPUSH_TOKEN: TOKEN,
      WEBHOOK_SECRET: SECRET,
      AUTH_SECRET: 'only for the test of examples: 0123456789 abcdef',
    });

  it('is known to this test, each of them', () => {
    expect(CLIENT).toContain('new LeadpushRelay(');
    expect(programs.map(({ heading, number }) => DRIVES[heading]?.[number] !== undefined)).toEqual(
      programs.map(() => true),
    );
    expect(programs).toHaveLength(Object.values(DRIVES).flat().length);
  });

  it('compiles, each of them, in a strict project', async () => {
    await compileExamples(
      sdk.dir,
      programs.map(({ code }) => source(code)),
    );
  });

  it.each(programs.filter(({ heading }) => heading !== 'Webhooks'))(
    'runs: $name',
    async ({ name, heading, number, code }) => {
      const check = DRIVES[heading]?.[number];
      const example = await start(name, `${source(code)}\n${check?.drive ?? ''}`);
      expect(await example.ended, example.output()).toBe(0);
      expect(example.output()).toMatch(check?.writes ?? /never/);
    },
  );

  it.each(programs.filter(({ heading }) => heading === 'Webhooks'))(
    'takes what the relay signs, and nothing else: $name',
    async ({ name, heading, number, code }) => {
      const check = DRIVES[heading]?.[number];
      const example = await start(name, `${source(code)}\n${check?.drive ?? ''}`);
      try {
        const [, port] = await example.wrote(/^PORT (\d+)\n/);
        const body = JSON.stringify({ type: 'message.bounced', data: { delivery: { recipient: 'ann@example.net' } } });
        const now = new Date();
        const headers = {
          'webhook-id': 'evt_1',
          'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
          'webhook-signature': new Webhook(SECRET).sign('evt_1', now, body),
        };
        const post = (text: string): Promise<Response> =>
          fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body: text, headers });
        const refused = await post(body.replace('ann', 'eve'));
        expect([refused.status, await refused.text()]).toEqual([400, 'signature-mismatch']);
        expect((await post(body)).status).toBe(204);
        await example.wrote(check?.writes ?? /never/);
        expect(example.output()).not.toContain('eve@');
      } finally {
        await example.kill();
      }
    },
  );
});
