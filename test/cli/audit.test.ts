import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { run, tempFolder, writeConfig } from './support.ts';

const POLICY = { otp: { links: { hosts: ['accounts.example.com'] } }, soft: { links: { action: 'warn' } } };

function files(link: string, header = ''): { readonly mail: string; readonly config: string } {
  const folder = tempFolder();
  const mail = join(folder, 'mail.eml');
  writeFileSync(mail, `From: a@example.com\nSubject: Your code\n${header}\nGo to ${link}\n`);
  return { mail, config: writeConfig(folder, { tags: POLICY }) };
}

describe('audit', () => {
  test('ends with 0 for a mail that keeps to the policy of its tag', async () => {
    const { mail, config } = files('https://accounts.example.com/x?token=1', 'X-Leadpush-Tag: otp\n');
    const { code, json } = await run(['audit', mail, '--config', config]);
    expect(code).toBe(0);
    expect(json).toMatchObject([{ tag: 'otp', policy: 'tags.otp.links', action: 'reject', verdict: 'pass' }]);
  });

  test('ends with 1 on a breach, and says what to do without the path of the link', async () => {
    const { mail, config } = files('http://localhost:3000/reset?token=CANARY');
    const { code, out } = await run(['audit', mail, '--tag', 'otp', '--config', config], { tty: true });
    expect(code).toBe(1);
    expect(out).toContain('tag otp, policy tags.otp.links');
    expect(out).toContain('reject: the message is refused');
    expect(out).toContain('public base URL');
    expect(out).not.toContain('CANARY');
  });

  test('ends with 1 too where the relay would only warn of a breach', async () => {
    const { mail, config } = files('http://accounts.example.com/');
    const { code, json } = await run(['audit', mail, '--tag', 'soft', '--config', config]);
    expect(code).toBe(1);
    expect(json).toMatchObject([{ verdict: 'warn', action: 'warn' }]);
  });

  test('says of a tag without a policy that the relay does not look at its mail', async () => {
    const { mail, config } = files('https://example.org/');
    const { out } = await run(['audit', mail, '--config', config], { tty: true });
    expect(out).toContain('no link policy: the relay does not look at such mail');
  });

  test('ends with 2 for a file that is not there', async () => {
    const { config } = files('x');
    const { code, err } = await run(['audit', '/nowhere/mail.eml', '--config', config]);
    expect(code).toBe(2);
    expect(err).toContain('cannot read /nowhere/mail.eml');
  });
});
