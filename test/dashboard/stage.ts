/**
 * The real relay, its pages, and a real browser. The database is filled beforehand (`bench/fill.ts`), so that there is a morning to look
 * back at; mail to captured.example is captured, everything else meets a next hop that is not there, and waits.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { createTransport, type SendMailOptions } from 'nodemailer';
import { generateDkimKey } from '../../src/signing/generate.ts';
import { fill } from '../bench/fill.ts';
import { createRelayHome, needProgram, type RelayHome, type RelayProcess } from '../support/relay.ts';

const ROOT = path.join(import.meta.dirname, '..', '..');
export const ADMIN = 'token-of-an-operator';
export const READER = 'token-of-a-wall-screen';

const DESK = { width: 1280, height: 800 };
export const PHONE: typeof DESK = { width: 390, height: 844 };

export interface Stage {
  readonly url: string;
  readonly relay: RelayProcess;
  /** A page of a browser of its own, signed in with `token` (null: not). What it must not do is collected in `faults`. */
  open(token: string | null, options?: Parameters<Browser['newContext']>[0]): Promise<Visit>;
  /** Sends mail; resolves with the message's id. */
  send(mail: SendMailOptions): Promise<string>;
  stop(): Promise<void>;
}

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Errors in the console, faults of the page, breaches of its policy, requests to anywhere but the relay. */
  readonly faults: string[];
}

const hash = (token: string): string => `sha256:${createHash('sha256').update(token).digest('hex')}`;

async function configure(home: RelayHome): Promise<void> {
  const { privatePem } = await generateDkimKey({ algorithm: 'ed25519' });
  writeFileSync(path.join(home.dir, 'lp1.pem'), privatePem, { mode: 0o600 });
  const absent = { type: 'smtp', host: '127.0.0.1', port: 9, tls: 'none' };
  await home.configure({
    hostname: 'relay.example.com',
    data: './data',
    smtp: { listeners: [{ host: '127.0.0.1', port: 0, tls: 'none' }], trusted_networks: ['127.0.0.0/8'] },
    http: {
      host: '127.0.0.1',
      port: 0,
      tokens: [
        { name: 'ops', hash: hash(ADMIN), scopes: ['read', 'send', 'admin'] },
        { name: 'wall', hash: hash(READER), scopes: ['read'] },
      ],
    },
    senders: [{ domain: 'example.com', dkim: [{ selector: 'lp1', key: './lp1.pem' }] }],
    unknown_senders: 'unsigned',
    routes: { ses: absent, postmark: absent, direct: { type: 'sandbox' }, sandbox: { type: 'sandbox' } },
    rules: [
      { name: 'captured', when: { recipient_domain: ['captured.example'] }, via: ['sandbox'] },
      { name: 'recovery', via: ['ses', 'postmark'] },
    ],
    retry: { critical: ['1h'], normal: ['1h'], bulk: ['1h'] },
    retention: { events: '60d' },
    webhooks: [
      {
        name: 'hook',
        url: 'http://127.0.0.1:9/hooks',
        secret: `whsec_${Buffer.alloc(24, 7).toString('base64')}`,
        events: ['message.delivered'],
      },
    ],
  });
}

/** Starts all of it; `messages` are in the database before. */
export async function createStage(messages = 1500): Promise<Stage> {
  needProgram('/usr/bin/chromium', 'chromium');
  execFileSync(process.execPath, [path.join(ROOT, 'src', 'setup.mjs')], { stdio: 'ignore' });
  const home = await createRelayHome();
  await configure(home);
  mkdirSync(path.dirname(home.database), { recursive: true, mode: 0o700 });
  fill({ file: home.database, messages, now: Date.now(), days: 2 });
  const relay = await home.start();
  const browser = await chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const url = `http://127.0.0.1:${relay.httpPort}`;
  const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
  return {
    url,
    relay,
    async open(token, options = {}) {
      const context = await browser.newContext({ viewport: DESK, baseURL: url, ...options });
      if (token !== null) await context.request.post('/session', { data: { token } });
      const page = await context.newPage();
      const faults: string[] = [];
      await watch(page, faults, url);
      return { page, context, faults };
    },
    async send(mail) {
      const { response } = await transport.sendMail(mail);
      return /msg_\w+/.exec(response)?.[0] ?? '';
    },
    async stop() {
      await browser.close();
      await relay.stop();
      await home.remove();
    },
  };
}

async function watch(page: Page, faults: string[], url: string): Promise<void> {
  page.on('console', (message) => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`page: ${error.message}`));
  page.on('request', (request) => {
    if (!request.url().startsWith(url) && !request.url().startsWith('data:')) faults.push(`request: ${request.url()}`);
  });
  await page.exposeFunction('noteFault', (text: string) => void faults.push(text));
  await page.addInitScript({
    content: `document.addEventListener('securitypolicyviolation', (event) => {
      window.noteFault?.('policy: ' + event.violatedDirective + ' ' + event.blockedURI);
    });`,
  });
}
