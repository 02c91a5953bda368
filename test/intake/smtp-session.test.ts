import { Socket } from 'node:net';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { createIds } from '../../src/core/ids.ts';
import { refuse } from '../../src/core/refusal.ts';
import { systemClock } from '../../src/core/time.ts';
import { createNetworks } from '../../src/intake/networks.ts';
import { MAX_FAULTS, MAX_IDLE_COMMANDS, MAX_LINE_BYTES } from '../../src/intake/smtp-wire.ts';
import type { Accepted, Submission } from '../../src/intake/submission.ts';
import type { SmtpClient } from '../support/smtp-client.ts';
import { ENVELOPE, type Rig, useSmtp } from '../support/smtp-listener.ts';

const { open, connect, greeted, dial } = useSmtp();

async function say(client: SmtpClient, ...lines: string[]): Promise<string[]> {
  const replies: string[] = [];
  for (const line of lines) replies.push((await client.command(line)).raw);
  return replies;
}

async function send(client: SmtpClient, content = 'Subject: Hi\r\n\r\nHello\r\n'): Promise<string> {
  for (const line of ENVELOPE) await client.command(line);
  await client.write(`${content}.\r\n`);
  return (await client.reply()).raw;
}

const last = (rig: Rig): Submission => {
  const submission = rig.submissions.at(-1);
  if (submission === undefined) throw new Error('nothing was submitted');
  return submission;
};

describe('the conversation', () => {
  test('greets with the host name, without an enhanced code', async () => {
    const rig = await open();
    const client = await connect(rig);
    expect((await client.reply()).raw).toBe('220 relay.test ESMTP');
  });

  test('EHLO offers exactly what is supported', async () => {
    const rig = await open({ tls: 'none', settings: { maxMessageBytes: 4711 } });
    const client = await greeted(rig);
    expect((await client.command('EHLO client.example')).lines).toEqual([
      'relay.test',
      'PIPELINING',
      'SIZE 4711',
      '8BITMIME',
      'SMTPUTF8',
      'ENHANCEDSTATUSCODES',
      'DSN',
      'DELIVERBY',
    ]);
  });

  test('hands a message over with everything it knows, and answers with the message id', async () => {
    const rig = await open();
    const client = await dial(rig);
    const replies = await say(
      client,
      'MAIL FROM:<App@example.com> SIZE=100 RET=FULL ENVID=e1 BY=600;R',
      'RCPT TO:<Ann@example.net> NOTIFY=NEVER ORCPT=rfc822;ann@example.net',
      'RCPT TO:<bob@example.net>',
      'DATA',
    );
    expect(replies).toEqual(['250 2.1.0 Ok', '250 2.1.5 Ok', '250 2.1.5 Ok', '354 End data with <CR><LF>.<CR><LF>']);
    await client.write('Subject: Hi\r\n\r\n..\r\nc\xffo\r\n.\r\n');
    expect((await client.reply()).raw).toMatch(/^250 2\.0\.0 Ok: queued as msg_[0-9a-z]{26}$/);
    const { content, ...rest } = last(rig);
    expect(Buffer.from(content).toString('latin1')).toBe('Subject: Hi\r\n\r\n.\r\nc\xffo\r\n');
    expect(rest).toEqual({
      paysReport: null,
      submitter: { credential: null, address: '127.0.0.1', helo: 'client.example', tls: null, protocol: 'ESMTP' },
      envelope: {
        mailFrom: 'App@example.com',
        recipients: [
          { address: 'Ann@example.net', dsn: { notify: ['NEVER'], orcpt: 'rfc822;ann@example.net' } },
          { address: 'bob@example.net', dsn: null },
        ],
        dsn: { ret: 'FULL', envid: 'e1' },
        smtpUtf8: false,
        deliverBySeconds: 600,
      },
    });
  });

  test('answers a duplicate with the first id, in the same words', async () => {
    const first = createIds(systemClock).message();
    const rig = await open({ intake: { accept: async () => ({ kind: 'duplicate', id: first }) } });
    expect(await send(await dial(rig))).toBe(`250 2.0.0 Ok: queued as ${first}`);
  });

  test('takes several messages on one connection, each with its own envelope', async () => {
    const rig = await open();
    const client = await dial(rig);
    await send(client, 'one\r\n');
    await send(client, 'two\r\n');
    expect(rig.submissions.map((s) => [Buffer.from(s.content).toString(), s.envelope.recipients.length])).toEqual([
      ['one\r\n', 1],
      ['two\r\n', 1],
    ]);
  });

  test('answers a pipelined envelope in one write', async () => {
    const rig = await open();
    const client = await dial(rig);
    const writes = vi.spyOn(Socket.prototype, 'write');
    onTestFinished(() => writes.mockRestore());
    await client.write(`${ENVELOPE.join('\r\n')}\r\n`);
    const replies = [await client.reply(), await client.reply(), await client.reply()];
    expect(replies.map((r) => r.code)).toEqual([250, 250, 354]);
    // The client writes octets, the server text.
    const texts = writes.mock.calls.map(([data]) => data).filter((data) => typeof data === 'string');
    expect(texts).toEqual([replies.map((r) => `${r.raw}\r\n`).join('')]);
  });

  test('runs commands that were pipelined behind the final dot after its answer', async () => {
    const rig = await open();
    const client = await dial(rig);
    await client.write(`${ENVELOPE.join('\r\n')}\r\nHello\r\n.\r\nNOOP\r\nQUIT\r\n`);
    const codes = [];
    for (let i = 0; i < 6; i++) codes.push((await client.reply()).code);
    expect(codes).toEqual([250, 250, 354, 250, 250, 221]);
    await client.closed();
  });

  test('still answers a client that closed its sending side behind the final dot', async () => {
    const commit = Promise.withResolvers<Accepted>();
    const rig = await open({ intake: { accept: () => commit.promise } });
    const client = await dial(rig);
    await client.write(`${ENVELOPE.join('\r\n')}\r\nHello\r\n.\r\n`);
    client.end();
    for (const code of [250, 250, 354]) expect((await client.reply()).code).toBe(code);
    // The server reads the end of the stream in the meantime.
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    commit.resolve({ kind: 'accepted', id: createIds(systemClock).message(), deliveries: [] });
    expect((await client.reply()).code).toBe(250);
    await client.closed();
  });

  test('does not run a command whose line was not finished', async () => {
    const rig = await open();
    const client = await dial(rig);
    await client.write('MAIL FROM:<app@example.com>\r\nRCPT TO:<ann@example.ne');
    client.end();
    expect((await client.reply()).code).toBe(250);
    await expect(client.reply()).rejects.toThrow('the connection ended; unread: ""');
  });

  test('submits nothing when the client leaves in the middle of the content', async () => {
    const rig = await open();
    const client = await dial(rig);
    await say(client, ...ENVELOPE);
    await client.write('half a message\r\n.\r');
    client.end();
    await client.closed();
    expect(rig.submissions).toEqual([]);
  });

  test('one recipient given twice is one recipient, and another spelling is another', async () => {
    const rig = await open();
    const client = await dial(rig);
    await say(
      client,
      'MAIL FROM:<>',
      'RCPT TO:<ann@example.net>',
      'RCPT TO:<ann@example.net>',
      'RCPT TO:<Ann@example.net>',
      'DATA',
    );
    await client.write('x\r\n.\r\n');
    await client.reply();
    expect(last(rig).envelope.mailFrom).toBe('');
    expect(last(rig).envelope.recipients.map((r) => r.address)).toEqual(['ann@example.net', 'Ann@example.net']);
  });

  test.each([
    ['HELO client.example', 'MAIL FROM:<a@example.com>', 'SMTP'],
    ['EHLO client.example', 'MAIL FROM:<a@example.com>', 'ESMTP'],
    ['EHLO client.example', 'MAIL FROM:<a@example.com> SMTPUTF8', 'UTF8SMTP'],
  ])('after %s and %s the protocol is %s', async (hello, mail, protocol) => {
    const rig = await open();
    const client = await greeted(rig);
    await say(client, hello, mail, 'RCPT TO:<b@example.net>', 'DATA');
    await client.write('x\r\n.\r\n');
    await client.reply();
    expect(last(rig).submitter.protocol).toBe(protocol);
  });

  test('a HELO name keeps no character that could forge a header', async () => {
    const rig = await open();
    const client = await greeted(rig);
    await say(client, 'EHLO a(b);c"<\xe9>_d', ...ENVELOPE);
    await client.write('x\r\n.\r\n');
    await client.reply();
    expect(last(rig).submitter.helo).toBe('a?b??c????_d');
  });

  test.each([
    ['HELP', /^214 2\.0\.0 /],
    ['VRFY root', /^252 2\.5\.0 /],
    ['NOOP whatever', /^250 2\.0\.0 /],
    ['RSET', /^250 2\.0\.0 /],
    ['EXPN staff', /^502 5\.5\.1 /],
    ['BDAT 10 LAST', /^502 5\.5\.1 /],
    ['XCLIENT ADDR=192.0.2.1', /^502 5\.5\.1 /],
    ['XFORWARD NAME=x', /^502 5\.5\.1 /],
    ['WIZ', /^500 5\.5\.2 /],
    ['SHELL', /^500 5\.5\.2 /],
    ['KILL', /^500 5\.5\.2 /],
    ['', /^500 5\.5\.2 /],
    ['constructor', /^500 5\.5\.2 /],
    ['EHLO', /^501 5\.5\.4 /],
    ['EHLO a b', /^501 5\.5\.4 /],
    [`EHLO ${'x'.repeat(256)}`, /^501 5\.5\.4 /],
    ['STARTTLS now', /^501 5\.5\.4 /],
    ['DATA now', /^501 5\.5\.4 /],
    ['AUTH PLAIN AAA=', /^502 5\.5\.1 /],
    ['quit', /^221 2\.0\.0 /],
  ])('answers %j with %s', async (line, pattern) => {
    const client = await dial(await open());
    expect((await client.command(line)).raw).toMatch(pattern);
  });

  test.each([
    [['MAIL FROM:<a@example.com>'], 'no EHLO', false],
    [['RCPT TO:<a@example.com>'], 'no MAIL', true],
    [['DATA'], 'no MAIL', true],
    [['MAIL FROM:<a@example.com>', 'DATA'], 'no RCPT', true],
    [['MAIL FROM:<a@example.com>', 'RCPT TO:<postmaster>', 'DATA'], 'no RCPT accepted', true],
    [['MAIL FROM:<a@example.com>', 'MAIL FROM:<a@example.com>'], 'MAIL twice', true],
    [['MAIL FROM:<a@example.com>', 'RSET', 'RCPT TO:<b@example.net>'], 'RSET between', true],
    [['MAIL FROM:<a@example.com>', 'EHLO again.example', 'RCPT TO:<b@example.net>'], 'EHLO between', true],
  ])('answers 503 5.5.1 to the last of %j (%s)', async (lines, _why, hello) => {
    const replies = await say(await (hello ? dial : greeted)(await open()), ...lines);
    expect(replies.at(-1)).toMatch(/^503 5\.5\.1 /);
  });

  test('a reply that the library would prefix carries one enhanced code only', async () => {
    const rig = await open({ intake: { checkSender: () => refuse(550, '5.7.1', 'Sender not allowed') } });
    expect(await say(await dial(rig), 'MAIL FROM:<a@example.com>')).toEqual(['550 5.7.1 Sender not allowed']);
  });
});

describe('what the intake refuses', () => {
  test.each([
    [451, '4.3.0', 'Try later'],
    [452, '4.3.1', 'Disk full'],
  ])('a relay that is not ready answers MAIL with %d', async (code, enhanced, text) => {
    const rig = await open({ intake: { ready: () => refuse(code, enhanced, text) } });
    expect(await say(await dial(rig), 'MAIL FROM:<a@example.com>')).toEqual([`${code} ${enhanced} ${text}`]);
  });

  test('a refusal at the dot is passed on, and the session goes on', async () => {
    const rig = await open({
      intake: { accept: async () => refuse(550, '5.7.0', 'Link not allowed', 'secret reason') },
    });
    const client = await dial(rig);
    expect(await send(client)).toBe('550 5.7.0 Link not allowed');
    expect((await client.command('NOOP')).code).toBe(250);
    expect(JSON.stringify(rig.lines)).not.toContain('secret reason');
  });

  test('an intake that fails answers 451, is logged without its words, and the session goes on', async () => {
    const rig = await open({ intake: { accept: () => Promise.reject(new Error('a bug that quotes mail')) } });
    const client = await dial(rig);
    expect(await send(client)).toMatch(/^451 4\.3\.0 /);
    expect((await client.command('NOOP')).code).toBe(250);
    expect(rig.lines).toMatchObject([
      { level: 'error', fields: { error: expect.stringMatching(/^Error: .* at .*accept/) } },
    ]);
    expect(JSON.stringify(rig.lines)).not.toContain('quotes mail');
  });

  test('an intake that throws at MAIL answers 451 and the session goes on', async () => {
    const rig = await open({
      intake: {
        checkSender() {
          throw new Error('a bug');
        },
      },
    });
    const client = await dial(rig);
    expect(await say(client, 'MAIL FROM:<a@example.com>', 'NOOP')).toEqual([
      '451 4.3.0 Internal error, try again later',
      '250 2.0.0 Ok',
    ]);
  });

  test('a refusal text with line breaks stays one line', async () => {
    const rig = await open({ intake: { accept: async () => refuse(550, '5.6.0', 'bad\r\n250 Ok\u0085x') } });
    const client = await dial(rig);
    expect(await send(client)).toBe('550 5.6.0 bad??250 Ok?x');
  });
});

describe('who may submit', () => {
  test('a client outside the trusted networks without a credential gets 530 at MAIL', async () => {
    const rig = await open({ settings: { trusted: createNetworks(['192.0.2.0/24']) } });
    expect(await say(await dial(rig), 'MAIL FROM:<a@example.com>')).toEqual([
      '530 5.7.0 Authentication required; use STARTTLS first',
    ]);
    expect(rig.metrics).toContain('refused not-logged-in');
  });

  test('a network that stops being trusted by a reload stops being trusted on open connections', async () => {
    const rig = await open();
    const client = await dial(rig);
    expect(await send(client)).toMatch(/^250 /);
    rig.settings.trusted = createNetworks([]);
    expect((await client.command('MAIL FROM:<a@example.com>')).code).toBe(530);
  });
});

describe('limits', () => {
  test.each([
    [999, '250 2.1.0'],
    [1000, '250 2.1.0'],
    [1001, '552 5.3.4'],
  ])('of 1000 octets, SIZE=%d is answered %s', async (size, expected) => {
    const rig = await open({ settings: { maxMessageBytes: 1000 } });
    const [reply] = await say(await dial(rig), `MAIL FROM:<a@example.com> SIZE=${size}`);
    expect(reply?.slice(0, 9)).toBe(expected);
    expect(rig.metrics.includes('refused too-big')).toBe(size > 1000);
  });

  test.each([
    [999, '250 2.0.0'],
    [1000, '250 2.0.0'],
    [1001, '552 5.3.4'],
    [300_000, '552 5.3.4'],
  ])('of 1000 octets, a message of %d is answered %s at the dot, and the session goes on', async (size, expected) => {
    const rig = await open({ settings: { maxMessageBytes: 1000 } });
    const client = await dial(rig);
    expect((await send(client, `${'x'.repeat(size - 2)}\r\n`)).slice(0, 9)).toBe(expected);
    expect(rig.submissions.map((s) => s.content.length)).toEqual(size > 1000 ? [] : [size]);
    expect(rig.metrics.includes('refused too-big')).toBe(size > 1000);
    expect(await send(client)).toMatch(/^250 /);
  });

  test('dots that were stuffed do not count', async () => {
    const rig = await open({ settings: { maxMessageBytes: 100 } });
    expect(await send(await dial(rig), `..${'x'.repeat(97)}\r\n`)).toMatch(/^250 /);
  });

  test.each([
    [2, '250 2.1.5'],
    [3, '250 2.1.5'],
    [4, '452 4.5.3'],
  ])('of 3 recipients, number %d is answered %s', async (count, expected) => {
    const rig = await open({ settings: { maxRecipients: 3 } });
    const client = await dial(rig);
    await client.command('MAIL FROM:<a@example.com>');
    const replies = await say(client, ...Array.from({ length: count }, (_, i) => `RCPT TO:<r${i}@example.net>`));
    expect(replies.at(-1)?.slice(0, 9)).toBe(expected);
    expect(rig.metrics.includes('refused too-many-recipients')).toBe(count > 3);
    expect((await client.command('RCPT TO:<r0@example.net>')).code).toBe(250);
    expect((await client.command('DATA')).code).toBe(354);
  });

  test.each([
    [MAX_LINE_BYTES - 1, 250],
    [MAX_LINE_BYTES, 250],
    [MAX_LINE_BYTES + 1, 500],
  ])('a command line of %d octets is answered %d', async (octets, code) => {
    const client = await dial(await open());
    expect((await client.command(`NOOP ${'x'.repeat(octets - 7)}`)).code).toBe(code);
  });

  test('ends a session after too many refused commands, and not one earlier', async () => {
    const rig = await open();
    const client = await dial(rig);
    for (let i = 1; i < MAX_FAULTS; i++) expect((await client.command('NONSENSE')).code).toBe(500);
    await client.write('NONSENSE\r\n');
    expect([(await client.reply()).code, (await client.reply()).raw]).toEqual([500, '421 4.7.0 Too many errors']);
    await client.closed();
    expect(rig.metrics).toContain('refused too-many-errors');
  });

  test('ends a session after too many commands that lead nowhere; a message starts the count anew', async () => {
    const client = await dial(await open());
    for (let i = 2; i < MAX_IDLE_COMMANDS; i++) expect((await client.command('NOOP')).code).toBe(250);
    expect(await send(client)).toMatch(/^250 /);
    for (let i = 1; i < MAX_IDLE_COMMANDS; i++) expect((await client.command('RSET')).code).toBe(250);
    await client.write('RSET\r\n');
    expect([(await client.reply()).code, (await client.reply()).code]).toEqual([250, 421]);
  });
});
