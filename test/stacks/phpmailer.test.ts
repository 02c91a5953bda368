/**
 * A reset mail of a PHP application, sent with PHPMailer, which WordPress uses too: STARTTLS, AUTH and a tag in a header.
 */
import { execFile } from 'node:child_process';
import path from 'node:path';
import { promisify } from 'node:util';
import { simpleParser } from 'mailparser';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { needProgram } from '../support/relay.ts';
import { openStage, type Passed, type Stage } from './stage.ts';

const run = promisify(execFile);
const CARLA = 'carla@example.net';

describe('a reset mail of PHPMailer', () => {
  let stage: Stage;
  let passed: Passed;
  let sent: { readonly link: string; readonly id: string };

  beforeAll(async () => {
    const php = needProgram('/usr/bin/php', 'php-cli');
    needProgram('/usr/share/php/libphp-phpmailer/autoload.php', 'libphp-phpmailer');
    stage = await openStage({ username: 'php', headers: { allow: ['tag', 'ttl'] } });
    const { stdout } = await run(php, [path.join(import.meta.dirname, 'phpmailer', 'reset.php'), CARLA], {
      env: {
        STACK_SMTP_HOST: stage.smtp.host,
        STACK_SMTP_PORT: String(stage.smtp.port),
        STACK_SMTP_USERNAME: stage.smtp.username,
        STACK_SMTP_PASSWORD: stage.smtp.password,
        STACK_SMTP_CA: stage.smtp.caFile,
      },
    });
    sent = JSON.parse(stdout) as typeof sent;
    passed = await stage.passed(CARLA);
  }, 60_000);

  afterAll(() => stage?.close());

  it('is answered 250 with the id of the message, where PHPMailer looks for it', () => {
    expect(sent.id).toBe(passed.event.message.id);
  });

  it('goes out with the tag of its header, to its recipient, without the headers for the relay', () => {
    expect(passed.event).toMatchObject({
      message: { tag: 'password-reset', tag_source: 'header', priority: 'critical', credential: 'php' },
      delivery: { recipient: CARLA, state: 'delivered' },
    });
    expect(passed.received.recipients.map(({ address }) => address)).toEqual([CARLA]);
    expect(passed.received.content.toString('latin1')).not.toMatch(/x-leadpush/i);
  });

  it('is signed with DKIM, accents in the subject and all', () => {
    expect(passed.signatures).toEqual([true]);
  });

  it('brings subject and link as they were written', async () => {
    const mail = await simpleParser(passed.received.content);
    expect(mail.subject).toBe('Neues Passwort wählen');
    expect(mail.text?.split('\n')).toContain(sent.link);
    expect(mail.html).toContain(`href="${sent.link.replaceAll('&', '&amp;')}"`);
  });

  it('leaves neither token nor subject in what the relay tells', async () => {
    const token = new URL(sent.link).searchParams.get('token');
    const spoken = await stage.spoken();
    expect(spoken).toContain(passed.event.message.id);
    expect(spoken).not.toContain(token);
    expect(spoken).not.toContain('Neues Passwort');
  });
});
