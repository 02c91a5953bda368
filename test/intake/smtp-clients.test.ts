/** Real clients against the listener: nodemailer, curl and swaks. The last two come with the packages of the same name in Debian. */
import { spawn } from 'node:child_process';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createNetworks } from '../../src/intake/networks.ts';
import { credentialFor, type Rig, startRig } from '../support/smtp-listener.ts';

let starttls: Rig;
let implicit: Rig;
let message: string;

beforeAll(async () => {
  const credentials = [await credentialFor('app', 'secret')];
  const settings = { trusted: createNetworks([]), maxMessageBytes: 25_000_000 };
  starttls = await startRig({ tls: 'starttls', credentials, settings });
  implicit = await startRig({ tls: 'implicit', credentials, settings });
  message = join(await mkdtemp(join(tmpdir(), 'relay-mail-')), 'message.eml');
  await writeFile(
    message,
    'From: app@example.com\r\nTo: ann@example.net\r\nSubject: Hi\r\n\r\n.dot\r\n..dots\r\nEnd\r\n',
  );
});

afterAll(async () => {
  await Promise.all([starttls, implicit].map((rig) => rig.listener.stop(1000)));
});

interface Run {
  readonly code: number | null;
  readonly output: string;
}

/** Runs `command`; fails with the name of the Debian package when it is not installed. */
function run(command: string, args: readonly string[]): Promise<Run> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', () =>
      reject(new Error(`${command} is needed for this test; install the Debian package ${command}`)),
    );
    child.on('close', (code) => resolve({ code, output }));
  });
}

function lastContent(rig: Rig): string {
  return Buffer.from(rig.submissions.at(-1)?.content ?? []).toString();
}

describe('nodemailer', () => {
  test.each([
    ['starttls', false],
    ['implicit', true],
  ])('sends over %s with a login', async (_name, secure) => {
    const rig = secure ? implicit : starttls;
    const transport = createTransport({
      host: '127.0.0.1',
      port: rig.port,
      secure,
      auth: { user: 'app', pass: 'secret' },
      tls: { rejectUnauthorized: false },
    });
    const info = await transport.sendMail({
      from: 'App <app@example.com>',
      to: 'ann@example.net, bob@example.net',
      subject: 'Reset',
      text: 'Line\n.dot\n',
    });
    transport.close();
    expect(info.response).toMatch(/^250 2\.0\.0 Ok: queued as msg_/);
    const submission = rig.submissions.at(-1);
    expect(submission?.envelope.recipients.map((r) => r.address)).toEqual(['ann@example.net', 'bob@example.net']);
    expect(submission?.submitter).toMatchObject({ protocol: 'ESMTPSA', tls: 'TLSv1.3' });
    expect(lastContent(rig)).toContain('Line\r\n.dot\r\n');
  });

  test('sends many messages over a pool', async () => {
    const transport = createTransport({
      pool: true,
      maxConnections: 3,
      host: '127.0.0.1',
      port: starttls.port,
      auth: { user: 'app', pass: 'secret' },
      tls: { rejectUnauthorized: false },
    });
    const before = starttls.submissions.length;
    const mail = (i: number) => ({ from: 'app@example.com', to: `r${i}@example.net`, text: `${i}` });
    await Promise.all(Array.from({ length: 30 }, (_, i) => transport.sendMail(mail(i))));
    transport.close();
    const sent = starttls.submissions.slice(before).map((s) => s.envelope.recipients[0]?.address);
    expect(new Set(sent).size).toBe(30);
  });

  test('sends 5 MB and DSN wishes', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: starttls.port,
      auth: { user: 'app', pass: 'secret' },
      tls: { rejectUnauthorized: false },
    });
    await transport.sendMail({
      from: 'app@example.com',
      to: 'ann@example.net',
      attachments: [{ filename: 'a.bin', content: Buffer.alloc(5_000_000, 7) }],
      dsn: { id: 'id+1', return: 'headers', notify: ['failure', 'delay'], recipient: 'ann@example.net' },
    });
    transport.close();
    const { envelope, content } = starttls.submissions.at(-1) ?? { envelope: null, content: [] };
    expect(content.length).toBeGreaterThan(6_000_000);
    expect(envelope?.dsn).toEqual({ ret: 'HDRS', envid: 'id+1' });
    expect(envelope?.recipients[0]?.dsn).toEqual({ notify: ['FAILURE', 'DELAY'], orcpt: 'rfc822;ann@example.net' });
  });

  test('learns that a password is wrong', async () => {
    const transport = createTransport({
      host: '127.0.0.1',
      port: implicit.port,
      secure: true,
      auth: { user: 'app', pass: 'no' },
      tls: { rejectUnauthorized: false },
    });
    await expect(transport.verify()).rejects.toMatchObject({ code: 'EAUTH', responseCode: 535 });
    transport.close();
  });
});

describe('curl', () => {
  test.each(['starttls', 'implicit'])('sends a file over %s with a login, byte for byte', async (mode) => {
    const rig = mode === 'implicit' ? implicit : starttls;
    const { code, output } = await run('curl', [
      '--silent',
      '--show-error',
      '--insecure',
      '--ssl-reqd',
      '--max-time',
      '10',
      '--url',
      `${mode === 'implicit' ? 'smtps' : 'smtp'}://127.0.0.1:${rig.port}/client.example`,
      '--user',
      'app:secret',
      '--mail-from',
      'app@example.com',
      '--mail-rcpt',
      'ann@example.net',
      '--upload-file',
      message,
    ]);
    expect(output).toBe('');
    expect(code).toBe(0);
    expect(lastContent(rig)).toContain('\r\n\r\n.dot\r\n..dots\r\nEnd\r\n');
  });
});

describe('swaks', () => {
  test.each([
    ['starttls', ['--tls', '--auth', 'PLAIN']],
    ['starttls', ['--tls', '--auth', 'LOGIN']],
    ['starttls', ['--auth', 'PLAIN', '--pipeline']],
    ['implicit', ['--tlsc', '--auth', 'LOGIN']],
  ])('sends over %s with %j', async (mode, options) => {
    const rig = mode === 'implicit' ? implicit : starttls;
    const { code, output } = await run('swaks', [
      '--server',
      '127.0.0.1',
      '--port',
      String(rig.port),
      '--timeout',
      '10',
      '--from',
      'app@example.com',
      '--to',
      'ann@example.net',
      '--auth-user',
      'app',
      '--auth-password',
      'secret',
      ...options,
    ]);
    expect(output).toMatch(/250 2\.0\.0 Ok: queued as msg_/);
    expect(code).toBe(0);
  });

  test('is told that it must log in', async () => {
    const { code, output } = await run('swaks', [
      '--server',
      '127.0.0.1',
      '--port',
      String(starttls.port),
      '--timeout',
      '10',
      '--from',
      'app@example.com',
      '--to',
      'ann@example.net',
    ]);
    expect(output).toContain('530 5.7.0 Authentication required');
    expect(code).not.toBe(0);
  });
});
