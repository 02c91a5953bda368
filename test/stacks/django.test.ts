/**
 * Django's own password reset, unmodified, through the relay: a stack that sets no header and is known by its credential.
 */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needProgram } from '../support/relay.ts';
import { bodyOf, openStage, type Passed, type Stage } from './stage.ts';

const run = promisify(execFile);
const SCRIPT = path.join(import.meta.dirname, 'django', 'reset.py');
const ANN = 'ann@example.net';
const BEA = 'bea@example.net';

interface Asked {
  readonly status: number;
  readonly location: string;
  /** What Django gave to the SMTP server, in hex, and what came back. */
  readonly handed_over: readonly { readonly message: string; readonly code: number; readonly text: string }[];
}

interface Followed {
  readonly status: number;
  readonly changed: boolean;
}

describe('the password reset of Django', () => {
  let stage: Stage;
  let asked: Asked;
  let passed: Passed;

  const django = async (...args: readonly string[]): Promise<unknown> => {
    const { stdout } = await run('/usr/bin/python3', ['-B', SCRIPT, ...args], {
      env: {
        PATH: process.env['PATH'],
        STACK_DATABASE: path.join(stage.dir, 'django.sqlite'),
        STACK_SMTP_HOST: stage.smtp.host,
        STACK_SMTP_PORT: String(stage.smtp.port),
        STACK_SMTP_USERNAME: stage.smtp.username,
        STACK_SMTP_PASSWORD: stage.smtp.password,
        SSL_CERT_FILE: stage.smtp.caFile,
      },
    });
    return JSON.parse(stdout);
  };

  beforeAll(async () => {
    needProgram('/usr/lib/python3/dist-packages/django/__init__.py', 'python3-django');
    stage = await openStage({ username: 'django', tag: 'password-reset', headers: { allow: ['tag', 'ttl'] } });
    asked = (await django('ask', ANN, '/accounts/password_reset/')) as Asked;
    passed = await stage.passed(ANN);
  }, 60_000);

  afterAll(() => stage?.close());

  it('is answered 250 with the id of the message, and the form says that the mail is on its way', () => {
    expect(asked.handed_over).toHaveLength(1);
    expect(asked.handed_over[0]).toMatchObject({
      code: 250,
      text: `2.0.0 Ok: queued as ${passed.event.message.id}`,
    });
    expect(asked).toMatchObject({ status: 302, location: '/accounts/password_reset/done/' });
  });

  it('goes out tagged password-reset by its credential, in the critical lane, to the one who asked', () => {
    expect(passed.event).toMatchObject({
      message: { tag: 'password-reset', tag_source: 'credential', priority: 'critical', credential: 'django' },
      delivery: { recipient: ANN, state: 'delivered' },
    });
    expect(passed.received.recipients.map(({ address }) => address)).toEqual([ANN]);
    expect(passed.received.mailFrom).toBe('no-reply@example.com');
  });

  it('reaches the next hop with every octet that Django wrote, under the headers of the relay', () => {
    const written = Buffer.from(asked.handed_over[0]?.message ?? '', 'hex');
    expect(written.length).toBeGreaterThan(0);
    expect(passed.received.content.toString('latin1').endsWith(written.toString('latin1'))).toBe(true);
    expect(passed.received.content.toString('latin1')).toMatch(/^Auto-Submitted: auto-generated\r$/m);
  });

  it('is signed with DKIM for the From domain', () => {
    expect(passed.signatures).toEqual([true]);
    expect(passed.received.content.toString('latin1')).toMatch(/^DKIM-Signature:[^]*?\bd=example\.com;/m);
  });

  it('brings a link that still sets a new password, and whose token the relay tells nobody', async () => {
    const link = /https:\/\/accounts\.example\.com\/accounts\/reset\/\S+/.exec(
      bodyOf(passed.received.content).toString(),
    )?.[0];
    const token = link?.split('/').at(-2) ?? '';
    expect(token).toMatch(/^[0-9a-z]+-[0-9a-f]+$/);
    const followed = (await django('follow', link ?? '', ANN)) as Followed;
    expect(followed).toMatchObject({ status: 302, changed: true });

    const spoken = await stage.spoken();
    expect(spoken).toContain(passed.event.message.id);
    expect(spoken).not.toContain(token);
    expect(spoken).not.toContain('Password reset on');
  });

  it('takes the tag from its header with the form of the guide', async () => {
    const form = await readFile(path.join(import.meta.dirname, 'django', 'forms.py'), 'utf8');
    const guide = await readFile(path.join(import.meta.dirname, '..', '..', 'config', 'stacks.md'), 'utf8');
    expect(guide).toContain(form.slice(form.indexOf('class TaggedPasswordResetForm')));

    const tagged = (await django('ask', BEA, '/tagged/')) as Asked;
    expect(tagged.handed_over[0]?.code).toBe(250);
    const { event, received } = await stage.passed(BEA);
    expect(event.message).toMatchObject({ tag: 'password-reset', tag_source: 'header' });
    expect(received.content.toString('latin1')).toMatch(/^Subject: Password reset on accounts\.example\.com\r$/m);
    expect(received.content.toString('latin1')).not.toMatch(/x-leadpush/i);
  });
});
