/**
 * The main job as a team sees it: an app's SMTP settings point at the relay, a reset mail goes in through STARTTLS and AUTH,
 * a real Postfix receives it signed, and every question about it has its answer.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import Database from 'better-sqlite3';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hashPassword } from '../../src/config/scrypt-hash.ts';
import { dkimVerdicts } from '../support/dkim-verify.ts';
import { type Postfix, startPostfix } from '../support/postfix.ts';
import {
  createRelayHome,
  needProgram,
  type RelayHome,
  type RelayProcess,
  sandboxConfig,
  until,
} from '../support/relay.ts';

const run = promisify(execFile);
const SECRET = 'https://accounts.example.com/reset?token=CANARY-1f7a93';

const PYTHON_CLIENT = `
import smtplib, ssl, sys
from email.message import EmailMessage
port, ca = int(sys.argv[1]), sys.argv[2]
m = EmailMessage()
m['From'] = 'Example Security <security@example.com>'
m['To'] = 'ann@example.net'
m['Subject'] = 'Reset your password CANARY-subject'
m['X-Leadpush-Tag'] = 'password-reset'
m['X-Leadpush-Flow'] = 'flow-python'
m['X-Leadpush-Metadata-User'] = '42'
m.set_content('Follow ${SECRET} within 15 minutes.\\n')
context = ssl.create_default_context(cafile=ca)
context.check_hostname = False
s = smtplib.SMTP('127.0.0.1', port, timeout=10)
s.starttls(context=context)
s.login('keycloak', 'correct horse')
s.send_message(m)
s.quit()
`;

describe('the main job', () => {
  let postfix: Postfix;
  let home: RelayHome;
  let relay: RelayProcess;
  const records: Record<string, string> = {};

  beforeAll(async () => {
    postfix = await startPostfix();
    home = await createRelayHome();
    await mkdir(path.join(home.dir, 'dkim'));
    const dkim: { selector: string; key: string }[] = [];
    for (const [selector, algorithm] of [
      ['lp1', 'rsa'],
      ['lp2', 'ed25519'],
    ] as const) {
      const key = path.join(home.dir, 'dkim', `${selector}.pem`);
      const made = await home.cli([
        'dkim',
        'generate',
        '--domain',
        'example.com',
        '--selector',
        selector,
        '--algorithm',
        algorithm,
        '--out',
        key,
      ]);
      expect(made.code, made.stderr).toBe(0);
      const record = made.stdout.split('\n').find((line) => line.startsWith('{'));
      const parsed: unknown = JSON.parse(record ?? '{}');
      if (typeof parsed === 'object' && parsed !== null && 'name' in parsed && 'value' in parsed) {
        records[String(parsed.name)] = String(parsed.value);
      }
      dkim.push({ selector, key });
    }
    await home.configure(
      sandboxConfig({
        smtp: { listeners: [{ host: '127.0.0.1', port: 0, tls: 'starttls-required' }] },
        credentials: [{ username: 'keycloak', password: await hashPassword('correct horse'), from: ['*@example.com'] }],
        senders: [{ domain: 'example.com', dkim }],
        routes: {
          provider: {
            type: 'smtp',
            host: '127.0.0.1',
            port: postfix.port,
            tls: 'required',
            ca: postfix.caFile,
            servername: 'localhost',
          },
        },
        rules: [
          { name: 'recovery', when: { tag: ['password-reset'] }, via: ['provider'] },
          { name: 'default', via: ['provider'] },
        ],
        log: { level: 'debug', file: './data/relay.log' },
      }),
    );
    relay = await home.start();
  }, 60_000);

  afterAll(async () => {
    await relay?.stop();
    await postfix?.stop();
    await home?.remove();
  });

  const certificate = (): string => path.join(home.dir, 'data', 'tls', 'self-signed.cert.pem');
  const delivered = async (marker: string): Promise<Buffer> => {
    let found: Buffer | undefined;
    await until(async () => {
      found = (await postfix.messages()).find((message) => message.includes(marker));
      return found !== undefined;
    }, `a message with ${marker} at the next hop`);
    return found ?? Buffer.alloc(0);
  };

  it('takes a reset mail from Python’s smtplib through STARTTLS and AUTH and shows it live in tail -f', async () => {
    const tail = spawn(
      process.execPath,
      [path.join(import.meta.dirname, '../../src/main.ts'), 'tail', '-f', '-n', '0', '--json'],
      {
        env: { ...process.env, LEADPUSH_CONFIG: home.configFile },
      },
    );
    let seen = '';
    tail.stdout.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
    });
    try {
      await new Promise((resolve) => setTimeout(resolve, 700));
      needProgram('/usr/bin/python3', 'python3');
      await run('/usr/bin/python3', ['-c', PYTHON_CLIENT, String(relay.smtpPort), certificate()]);
      await until(() => seen.includes('message.delivered'), 'message.delivered in tail -f');
    } finally {
      tail.kill();
    }
    const types = seen
      .trim()
      .split('\n')
      .map((line) => (JSON.parse(line) as { type: string }).type);
    expect(types).toEqual(['message.accepted', 'message.delivered']);
  });

  it('delivers it to Postfix with both DKIM signatures valid and without any X-Leadpush header', async () => {
    const message = await delivered('Reset your password');
    expect(message.toString('latin1')).not.toMatch(/^x-leadpush/im);
    expect(message.toString('latin1')).toMatch(/^Auto-Submitted: auto-generated$/im);
    expect(message.toString('latin1')).toContain('CANARY-1f7a93');
    expect(await dkimVerdicts(message, records)).toEqual([true, true]);
  });

  it('tells the story of a recipient in trace', async () => {
    const { stdout, code } = await home.cli(['trace', 'ann@example.net', '--json']);
    expect(code).toBe(0);
    expect(stdout).toContain('"password-reset"');
    expect(stdout).toContain('"recovery"');
    expect(stdout).toContain('provider');
    expect(stdout).toContain('TLSv1.3');
    expect(stdout).toMatch(/queued as [0-9A-F]+/);
  });

  it('finds the same message by its flow', async () => {
    const { stdout, code } = await home.cli(['trace', 'flow-python', '--json']);
    expect(code).toBe(0);
    expect(stdout).toContain('ann@example.net');
  });

  it('holds the outcome in SQLite and no content after delivery', async () => {
    const db = new Database(home.database, { readonly: true });
    try {
      expect(db.prepare("SELECT state FROM deliveries WHERE recipient = 'ann@example.net'").get()).toEqual({
        state: 'delivered',
      });
      expect(db.prepare('SELECT count(*) AS n FROM contents').get()).toEqual({ n: 0 });
    } finally {
      db.close();
    }
  });

  it('writes neither link nor subject to log, events or standard output', async () => {
    const log = await readFile(path.join(home.dir, 'data', 'relay.log'), 'utf8');
    expect(log).not.toContain('CANARY');
    expect(JSON.stringify(relay.log)).not.toContain('CANARY');
    const { stdout } = await home.cli(['tail', '--json', '-n', '1000']);
    expect(stdout).not.toContain('CANARY');
  });

  it('takes mail from nodemailer', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: relay.smtpPort,
      requireTLS: true,
      tls: { ca: await readFile(certificate()), checkServerIdentity: () => undefined },
      auth: { user: 'keycloak', pass: 'correct horse' },
    });
    const info = await transport.sendMail({
      from: 'security@example.com',
      to: 'bob@example.net',
      subject: 'Sign-in code nodemailer-1',
      text: 'code 123456',
      headers: { 'X-Leadpush-Tag': 'otp' },
    });
    expect(info.response).toMatch(/^250 2\.0\.0 Ok: queued as msg_[0-9a-z]{26}$/);
    expect(await dkimVerdicts(await delivered('nodemailer-1'), records)).toEqual([true, true]);
  });

  it('takes mail from swaks', async () => {
    needProgram('/usr/bin/swaks', 'swaks');
    const { stdout } = await run('/usr/bin/swaks', [
      '--server',
      '127.0.0.1',
      '--port',
      String(relay.smtpPort),
      '--tls',
      '--auth',
      'LOGIN',
      '--auth-user',
      'keycloak',
      '--auth-password',
      'correct horse',
      '--from',
      'security@example.com',
      '--to',
      'carl@example.net',
      '--header',
      'Subject: swaks-1',
      '--add-header',
      'X-Leadpush-Tag: password-reset',
    ]);
    expect(stdout).toContain('250 2.0.0 Ok: queued as msg_');
    expect((await delivered('swaks-1')).toString('latin1')).not.toMatch(/^x-leadpush/im);
  });

  it('takes mail from curl', async () => {
    needProgram('/usr/bin/curl', 'curl');
    const file = path.join(home.dir, 'mail.eml');
    await writeFile(file, 'From: security@example.com\r\nTo: dora@example.net\r\nSubject: curl-1\r\n\r\nhello\r\n');
    await run('/usr/bin/curl', [
      '--silent',
      '--show-error',
      '--ssl-reqd',
      '--insecure',
      '--url',
      `smtp://127.0.0.1:${relay.smtpPort}`,
      '--user',
      'keycloak:correct horse',
      '--mail-from',
      'security@example.com',
      '--mail-rcpt',
      'dora@example.net',
      '--upload-file',
      file,
    ]);
    expect(await dkimVerdicts(await delivered('curl-1'), records)).toEqual([true, true]);
  });

  it('refuses a sender outside the credential’s patterns with 550 5.7.1', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: relay.smtpPort,
      requireTLS: true,
      tls: { rejectUnauthorized: false },
      auth: { user: 'keycloak', pass: 'correct horse' },
    });
    await expect(
      transport.sendMail({ from: 'ceo@elsewhere.example', to: 'ann@example.net', subject: 'x', text: 'x' }),
    ).rejects.toThrow(/550 5\.7\.1/);
  });

  it('refuses a wrong password with 535', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: relay.smtpPort,
      requireTLS: true,
      tls: { rejectUnauthorized: false },
      auth: { user: 'keycloak', pass: 'wrong' },
    });
    await expect(
      transport.sendMail({ from: 'security@example.com', to: 'ann@example.net', subject: 'x', text: 'x' }),
    ).rejects.toThrow(/535 5\.7\.8/);
  });
});
