/**
 * better-auth's password reset, with the callback that an app writes: nodemailer over checked STARTTLS, and headers that say
 * what the mail is.
 */
import { readFile } from 'node:fs/promises';
import { betterAuth } from 'better-auth';
import { memoryAdapter } from 'better-auth/adapters/memory';
import { simpleParser } from 'mailparser';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openStage, type Passed, type Stage } from './stage.ts';

const BEN = 'ben@example.net';
const BASE_URL = 'https://accounts.example.com';
const RESET_SECONDS = 900;

describe('the password reset of better-auth', () => {
  let stage: Stage;
  let passed: Passed;
  let auth: Awaited<ReturnType<typeof createAuth>>;
  /** What better-auth gave to the callback, and what the relay answered to its mail. */
  const sent: { readonly url: string; readonly token: string; readonly response: string }[] = [];

  const createAuth = async () => {
    const transport = createTransport({
      host: stage.smtp.host,
      port: stage.smtp.port,
      requireTLS: true,
      tls: { ca: await readFile(stage.smtp.caFile) },
      auth: { user: stage.smtp.username, pass: stage.smtp.password },
    });
    return betterAuth({
      baseURL: BASE_URL,
      secret: 'only for the test of password resets: 0123456789',
      database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
      telemetry: { enabled: false },
      logger: { disabled: true },
      emailAndPassword: {
        enabled: true,
        resetPasswordTokenExpiresIn: RESET_SECONDS,
        sendResetPassword: async ({ user, url, token }) => {
          const info = await transport.sendMail({
            from: 'Example Accounts <no-reply@example.com>',
            to: user.email,
            subject: 'Choose a new password',
            text: `Somebody asked for a new password for ${user.email}. If it was you:\n\n${url}\n`,
            html: `<p>Somebody asked for a new password. If it was you: <a href="${url}">choose one</a>.</p>`,
            headers: {
              'X-Leadpush-Tag': 'password-reset',
              'X-Leadpush-TTL': String(RESET_SECONDS),
              'X-Leadpush-Flow': `reset-${user.id}`,
            },
          });
          sent.push({ url, token, response: info.response });
        },
      },
    });
  };

  beforeAll(async () => {
    stage = await openStage({ username: 'better-auth' });
    auth = await createAuth();
    await auth.api.signUpEmail({ body: { email: BEN, name: 'Ben', password: 'the forgotten one' } });
    await auth.api.requestPasswordReset({ body: { email: BEN, redirectTo: `${BASE_URL}/new-password` } });
    passed = await stage.passed(BEN);
  }, 60_000);

  afterAll(() => stage?.close());

  it('is answered 250 with the id of the message', () => {
    expect(sent.map(({ response }) => response)).toEqual([`250 2.0.0 Ok: queued as ${passed.event.message.id}`]);
  });

  it('goes out with the tag and the flow of its headers, which themselves do not leave', () => {
    expect(passed.event).toMatchObject({
      message: { tag: 'password-reset', tag_source: 'header', priority: 'critical', credential: 'better-auth' },
      delivery: { recipient: BEN, state: 'delivered' },
    });
    expect(passed.event.message.flow).toMatch(/^reset-.+/);
    expect(passed.received.recipients.map(({ address }) => address)).toEqual([BEN]);
    expect(passed.received.content.toString('latin1')).not.toMatch(/x-leadpush/i);
  });

  it('is signed with DKIM for the From domain', () => {
    expect(passed.signatures).toEqual([true]);
  });

  it('brings the link of better-auth, in text and HTML, which sets a new password', async () => {
    const { url = '', token = '' } = sent[0] ?? {};
    const mail = await simpleParser(passed.received.content);
    expect(mail.text?.split('\n')).toContain(url);
    expect(mail.html).toContain(`href="${url}"`);

    const found = new URL(mail.text?.split('\n').find((line) => line.startsWith(BASE_URL)) ?? '');
    expect(found.pathname).toBe(`/api/auth/reset-password/${token}`);
    const followed = await auth.handler(new Request(found));
    expect(followed.headers.get('location')).toBe(`${BASE_URL}/new-password?token=${token}`);
    await auth.api.resetPassword({ body: { token, newPassword: 'a brand-new passphrase' } });
    const session = await auth.api.signInEmail({ body: { email: BEN, password: 'a brand-new passphrase' } });
    expect(session.user.email).toBe(BEN);
  });

  it('leaves neither token nor subject in what the relay tells', async () => {
    const spoken = await stage.spoken();
    expect(spoken).toContain(passed.event.message.id);
    expect(spoken).not.toContain(sent[0]?.token);
    expect(spoken).not.toContain('Choose a new password');
  });
});
