/**
 * Bounces and complaints that come back by mail (`senders[].return_path`, `bounces.listeners`): each delivery has a return path
 * of its own, a report at it lands on that delivery, and the listener takes nothing else. The last part has a real Postfix
 * accept mail and bounce it by itself.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RelayEvent } from '../../src/core/event.ts';
import { openSqliteReader, type SqliteReader } from '../../src/store/sqlite/open-reader.ts';
import type { MessageView } from '../../src/store/history.ts';
import { complaint, eximBounce, exchangeBounce, OUT_OF_OFFICE, postfixBounce } from '../mail/bounces.ts';
import { openDeliveries } from '../support/ledger.ts';
import { type NextHop, type ReceivedMessage, reply, startNextHop } from '../support/next-hop.ts';
import { freePort, type Postfix, startPostfix } from '../support/postfix.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { type ParsedReport, parseReport } from '../support/report-parse.ts';
import { connectSmtp, type SmtpClient } from '../support/smtp-client.ts';
import { submit, type SubmitOptions } from '../support/submit.ts';

const RETURN_PATH = /^b\.[0-9a-z]{26}\.[0-9a-z]{20}@bounces\.example\.com$/;
const SUBJECT_CODE = 'CANARY-734912';

interface Rig {
  readonly home: RelayHome;
  readonly relay: RelayProcess;
  readonly reader: SqliteReader;
  /** Takes mail for example.com, where the app's envelope sender is. */
  readonly inbox: NextHop;
  readonly bouncePort: number;
  stop(): Promise<void>;
}

async function startRig(nextHop: Readonly<Record<string, unknown>>, bouncePort: number): Promise<Rig> {
  const inbox = await startNextHop();
  const home = await createRelayHome(
    sandboxConfig({
      senders: [
        { domain: 'example.com', dkim: [], return_path: 'bounces.example.com' },
        { domain: 'example.org', dkim: [] },
      ],
      routes: {
        hop: { type: 'smtp', host: '127.0.0.1', ...nextHop },
        inbox: { type: 'smtp', host: '127.0.0.1', port: inbox.port, tls: 'none' },
      },
      rules: [
        { name: 'reports', when: { recipient_domain: ['example.com'] }, via: ['inbox'] },
        { name: 'default', via: ['hop'] },
      ],
      tags: { 'password-reset': { suppression: 'bypass', collapse: 'none' } },
      bounces: { dsn: true, listeners: [{ host: '127.0.0.1', port: bouncePort, tls: 'none' }], suppress_for: '1h' },
      log: { level: 'debug' },
    }),
  );
  const relay = await home.start();
  const listening = await relay.line(({ event }) => event === 'bounces.listening');
  const reader = await openSqliteReader(home.database);
  return {
    home,
    relay,
    reader,
    inbox,
    bouncePort: Number(listening['port']),
    async stop() {
      await reader.stop();
      await relay.kill9();
      await inbox.close();
      await home.remove();
    },
  };
}

/** The newest message to `recipient`, and the events of its delivery to it. */
async function storyOf(
  { reader }: Rig,
  recipient: string,
): Promise<{ readonly message: MessageView; readonly state: string; readonly events: readonly RelayEvent[] }> {
  const [message] = await reader.messages({ recipient, limit: 1 });
  const delivery = message?.deliveries.find((one) => one.recipient === recipient);
  if (message === undefined || delivery === undefined) throw new Error(`nothing was sent to ${recipient}`);
  const events = await reader.eventsOf(message.id);
  return {
    message,
    state: delivery.state,
    events: events.filter(({ data }) => data.delivery?.id === delivery.id),
  };
}

const of = (events: readonly RelayEvent[], type: string): readonly RelayEvent[] =>
  events.filter((event) => event.type === type);

async function suppressionOf({ home }: Rig, recipient: string): Promise<Record<string, unknown> | undefined> {
  const { stdout } = await home.cli(['suppressions', 'list', '--json']);
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line): Record<string, unknown> => JSON.parse(line))
    .find((entry) => entry['recipient'] === recipient);
}

/** A session at the bounce listener, after EHLO; `hello` is its answer. */
async function connectBounce(rig: Rig): Promise<{ readonly client: SmtpClient; readonly hello: string }> {
  const client = await connectSmtp({ port: rig.bouncePort });
  await client.reply();
  return { client, hello: (await client.command('EHLO mx.example.net')).raw };
}

/** Sends `text` from `<>` to `recipient` at the bounce listener; the first answer that is no 2xx or 354, or that to the dot. */
async function sendBack(rig: Rig, recipient: string, text: string): Promise<string> {
  const { client } = await connectBounce(rig);
  try {
    for (const line of ['MAIL FROM:<>', `RCPT TO:<${recipient}>`, 'DATA']) {
      const answer = await client.command(line);
      if (answer.code >= 400) return answer.raw;
    }
    return (await client.command(`${text}.`)).raw;
  } finally {
    client.destroy();
  }
}

describe('a return path', () => {
  let hop: NextHop;
  let rig: Rig;

  beforeAll(async () => {
    hop = await startNextHop();
    rig = await startRig({ port: hop.port, tls: 'none' }, 0);
  });

  afterAll(async () => {
    await rig?.stop();
    await hop?.close();
  });

  /** Sends to `recipient` and waits until it is delivered; what the hop got. */
  async function deliver(recipient: string, options: Omit<SubmitOptions, 'to'> = {}): Promise<ReceivedMessage> {
    const before = hop.messages.length;
    await submit(rig.relay.smtpPort, { to: recipient, ...options });
    await until(() => openDeliveries(rig.home) === 0, 'the delivery');
    const received = hop.messages.slice(before).find(({ recipients }) => recipients[0]?.address === recipient);
    if (received === undefined) throw new Error(`nothing arrived for ${recipient}`);
    return received;
  }

  it('is the envelope sender at the next hop, and the header stays as the app wrote it', async () => {
    const received = await deliver('ann@example.net');
    expect(received.mailFrom).toMatch(RETURN_PATH);
    expect(received.content.toString('latin1')).toContain('From: app@example.com\r\n');
    expect(received.content.toString('latin1')).not.toContain('bounces.example.com');
  });

  it('is another one for each delivery, also within one message', async () => {
    const before = hop.messages.length;
    await submit(rig.relay.smtpPort, { to: ['one@example.net', 'two@example.net'] });
    await hop.until(() => hop.messages.length === before + 2);
    const paths = hop.messages.slice(before).map(({ mailFrom }) => mailFrom);
    for (const path of paths) expect(path).toMatch(RETURN_PATH);
    expect(new Set(paths).size).toBe(2);
  });

  it('stays the same on every try', async () => {
    hop.on('RCPT', ({ line }) => (line.includes('<again@') ? reply('450 4.2.0 later') : null));
    await submit(rig.relay.smtpPort, { to: 'again@example.net' });
    await until(async () => (await storyOf(rig, 'again@example.net')).state === 'deferred', 'the first try');
    hop.on('RCPT', null);
    const { message } = await storyOf(rig, 'again@example.net');
    expect((await rig.home.cli(['queue', 'retry', message.id])).code).toBe(0);
    await until(async () => (await storyOf(rig, 'again@example.net')).state === 'delivered', 'the second try');
    const at = hop.lines.flatMap(({ line }, index) => (line.includes('RCPT TO:<again@') ? [index] : []));
    const senders = at.map((index) => hop.lines.slice(0, index).findLast(({ line }) => line.startsWith('MAIL'))?.line);
    expect(senders).toHaveLength(2);
    expect(senders[0]).toBe(senders[1]);
  });

  it('is not given to mail from the null sender, nor to a sender that has none', async () => {
    expect((await deliver('null@example.net', { from: '' })).mailFrom).toBe('');
    const other = await deliver('other@example.net', { from: 'app@example.org', author: 'app@example.org' });
    expect(other.mailFrom).toBe('app@example.org');
  });

  it('brings a later bounce to its delivery, which stays delivered, and suppresses the recipient', async () => {
    const { mailFrom } = await deliver('bob@example.net', { subject: `code ${SUBJECT_CODE}` });
    const answer = await sendBack(rig, mailFrom, postfixBounce({ to: mailFrom, returnPath: mailFrom }));
    expect(answer).toBe('250 2.0.0 Ok: report taken');
    const { state, events } = await storyOf(rig, 'bob@example.net');
    expect(state).toBe('delivered');
    expect(events.map(({ type }) => type)).toEqual(['message.accepted', 'message.delivered', 'message.bounced']);
    const bounced = events.at(-1);
    expect(bounced?.data).toMatchObject({
      delivery: { recipient: 'bob@example.net', state: 'delivered', attempts: 1 },
      bounce: { class: 'recipient', suppressed_until: expect.any(String) },
      report: {
        kind: 'dsn',
        reporter: 'mx.example.net',
        status: '5.1.1',
        diagnostic: expect.stringContaining('unknown user'),
      },
    });
    expect(await suppressionOf(rig, 'bob@example.net')).toMatchObject({
      reason: 'bounce',
      expires_at: bounced?.data.bounce?.suppressed_until,
    });
    const next = await submit(rig.relay.smtpPort, { to: 'bob@example.net' });
    expect(next.replies.at(-1)).toBe('250 2.0.0 Ok: queued as msg_*');
    expect((await storyOf(rig, 'bob@example.net')).state).toBe('suppressed');
  });

  it('passes the bounce on to the app’s own envelope sender, as `bounces.dsn` says', async () => {
    const { mailFrom } = await deliver('late@example.net', { from: 'catcher@example.com', mail: 'ENVID=e42' });
    await sendBack(rig, mailFrom, postfixBounce({ to: mailFrom }));
    const toApp = (): readonly ReceivedMessage[] =>
      rig.inbox.messages.filter(({ recipients }) => recipients[0]?.address === 'catcher@example.com');
    await rig.inbox.until(() => toApp().length > 0);
    const [report] = toApp();
    expect(report?.mailFrom).toBe('');
    const parsed = await parseReport(report?.content ?? Buffer.alloc(0));
    expect(parsed.defects).toEqual([]);
    expect(parsed.status[0]).toMatchObject({ 'original-envelope-id': 'e42' });
    expect(parsed.status[1]).toMatchObject({ 'final-recipient': 'rfc822; late@example.net', action: 'failed' });
  });

  it('takes the same report twice and records one event', async () => {
    const { mailFrom } = await deliver('twice@example.net');
    const report = postfixBounce({ to: mailFrom });
    expect(await sendBack(rig, mailFrom, report)).toMatch(/^250 /);
    expect(await sendBack(rig, mailFrom.toUpperCase(), report)).toMatch(/^250 /);
    expect(of((await storyOf(rig, 'twice@example.net')).events, 'message.bounced')).toHaveLength(1);
  });

  it('suppresses nobody for a bounce that is not about the address', async () => {
    const { mailFrom } = await deliver('full@example.net');
    await sendBack(rig, mailFrom, exchangeBounce({ to: mailFrom }));
    const [bounced] = of((await storyOf(rig, 'full@example.net')).events, 'message.bounced');
    expect(bounced?.data.bounce?.class).toBe('mailbox-full');
    expect(bounced?.data.bounce).not.toHaveProperty('suppressed_until');
    expect(await suppressionOf(rig, 'full@example.net')).toBeUndefined();
  });

  it('tells that the next hop is still trying', async () => {
    const { mailFrom } = await deliver('slow@example.net');
    await sendBack(rig, mailFrom, eximBounce({ to: mailFrom, action: 'delayed' }));
    const { state, events } = await storyOf(rig, 'slow@example.net');
    expect(state).toBe('delivered');
    expect(events.at(-1)).toMatchObject({ type: 'message.delayed', data: { report: { kind: 'dsn' } } });
  });

  it.each([
    ['at the return path', (path: string) => path],
    ['at the fixed address, by the return path in it', () => 'fbl@bounces.example.com'],
  ] as const)('brings a complaint %s to its delivery', async (where, addressOf) => {
    const recipient = `complains-${where.length}@example.net`;
    const { mailFrom } = await deliver(recipient);
    const answer = await sendBack(rig, addressOf(mailFrom), complaint({ returnPath: mailFrom }));
    expect(answer).toBe('250 2.0.0 Ok: report taken');
    const { state, events } = await storyOf(rig, recipient);
    expect(state).toBe('delivered');
    expect(events.at(-1)).toMatchObject({
      type: 'message.complained',
      data: { report: { kind: 'arf', diagnostic: 'abuse', reporter: expect.stringContaining('ProviderFBL') } },
    });
    expect(await suppressionOf(rig, recipient)).toMatchObject({ reason: 'complaint' });
  });

  it('takes an out-of-office note and writes a log line alone', async () => {
    const { mailFrom } = await deliver('away@example.net');
    const before = await storyOf(rig, 'away@example.net');
    expect(await sendBack(rig, mailFrom, OUT_OF_OFFICE)).toMatch(/^250 /);
    const line = await rig.relay.line(
      ({ event, reason }) => event === 'feedback.ignored' && /no report/.test(String(reason)),
    );
    expect(line).toMatchObject({ delivery: before.events[0]?.data.delivery?.id });
    expect(await storyOf(rig, 'away@example.net')).toEqual(before);
    expect(await suppressionOf(rig, 'away@example.net')).toBeUndefined();
  });

  it('survives kill -9 of the relay', async () => {
    const { mailFrom } = await deliver('before-kill@example.net');
    await rig.relay.kill9();
    const relay = await rig.home.start();
    const { port } = await relay.line(({ event }) => event === 'bounces.listening');
    rig = { ...rig, relay, bouncePort: Number(port), stop: stopWith(rig, relay) };
    expect(await sendBack(rig, mailFrom, postfixBounce({ to: mailFrom }))).toMatch(/^250 /);
    expect((await storyOf(rig, 'before-kill@example.net')).events.at(-1)?.type).toBe('message.bounced');
  });

  it('shows no subject of the mail that a report brought back', async () => {
    const { stdout } = await rig.home.cli(['tail', '--json', '-n', '1000']);
    expect(stdout).toContain('message.bounced');
    expect(stdout).not.toMatch(/734912|topsecret/);
    expect(JSON.stringify(rig.relay.log)).not.toMatch(/734912|topsecret/);
  });

  describe('the bounce listener', () => {
    let path = '';
    beforeAll(async () => {
      path = (await deliver('known@example.net')).mailFrom;
    });

    it.each([
      ['a forged MAC', () => path.replace(/.@/, (end) => (end === '0@' ? '1@' : '0@'))],
      ['the MAC of another delivery', () => path.replace(/^b\.(.)/, (start) => (start === 'b.0' ? 'b.1' : 'b.0'))],
      ['a domain that is none of ours', () => path.replace('bounces.example.com', 'bounces.example.org')],
      ['the sender domain', () => path.replace('bounces.', '')],
      ['somebody at the return path domain', () => 'ann@bounces.example.com'],
      ['somebody elsewhere', () => 'ann@example.net'],
      ['a percent hack', () => 'ann%example.net@bounces.example.com'],
      ['a bang path', () => 'example.net!ann@bounces.example.com'],
      ['a source route', () => `@bounces.example.com:ann@example.net`],
      ['a quoted address', () => `"ann@example.net"@bounces.example.com`],
    ])('refuses %s, from a trusted network too', async (_what, recipient) => {
      const { client } = await connectBounce(rig);
      await client.command('MAIL FROM:<>');
      const answer = await client.command(`RCPT TO:<${recipient()}>`);
      client.destroy();
      expect(answer.raw).toMatch(/^5\d\d 5\./);
    });

    it('relays nothing for a sender of ours', async () => {
      const { client } = await connectBounce(rig);
      expect((await client.command('MAIL FROM:<app@example.com>')).code).toBe(250);
      expect((await client.command('RCPT TO:<ann@example.net>')).raw).toMatch(/^550 5\.1\.1 /);
      expect((await client.command('DATA')).code).toBeGreaterThanOrEqual(500);
      client.destroy();
    });

    it('refuses the stranger beside a return path, and takes the report for that alone', async () => {
      const { client } = await connectBounce(rig);
      await client.command('MAIL FROM:<>');
      expect((await client.command(`RCPT TO:<${path}>`)).code).toBe(250);
      expect((await client.command('RCPT TO:<ann@example.net>')).code).toBe(550);
      expect((await client.command('DATA')).code).toBe(354);
      expect((await client.command(`${postfixBounce({ to: path })}.`)).code).toBe(250);
      client.destroy();
      expect((await storyOf(rig, 'known@example.net')).events.at(-1)?.type).toBe('message.bounced');
    });

    it('knows no login', async () => {
      const { client, hello } = await connectBounce(rig);
      expect(hello).not.toMatch(/AUTH|DSN|DELIVERBY/);
      expect((await client.command('AUTH PLAIN AGFwcABzZWNyZXQ=')).code).toBeGreaterThanOrEqual(500);
      client.destroy();
    });

    it('takes no bounce at a fixed address', async () => {
      expect(await sendBack(rig, 'postmaster@bounces.example.com', postfixBounce())).toMatch(/^550 5\.1\.1 /);
    });

    it('has made no mail', async () => {
      await until(() => openDeliveries(rig.home) === 0, 'the end of all mail');
      const strangers = hop.messages.filter(({ recipients }) =>
        recipients.some(({ address }) => address.startsWith('ann')),
      );
      // The one of the first test, which an app sent.
      expect(strangers).toHaveLength(1);
      const { messages } = rig.inbox;
      expect(messages.filter(({ content }) => !content.includes('report-type=delivery-status'))).toEqual([]);
    });
  });
});

function stopWith(rig: Rig, relay: RelayProcess): () => Promise<void> {
  return async () => {
    await relay.kill9();
    await rig.stop();
  };
}

describe('a Postfix that accepts mail and bounces it later', () => {
  let last: NextHop;
  let postfix: Postfix;
  let rig: Rig;

  beforeAll(async () => {
    const bouncePort = await freePort();
    // Behind Postfix: knows nobody.
    last = await startNextHop({ on: { RCPT: reply('550 5.1.1 no such user here') } });
    postfix = await startPostfix({
      transports: {
        'bounces.example.com': `smtp:[127.0.0.1]:${bouncePort}`,
        'gone@example.net': `smtp:[127.0.0.1]:${last.port}`,
        'left@example.net': 'error:5.1.1 user unknown',
      },
      aliases: { 'alias@example.net': 'left@example.net' },
    });
    rig = await startRig(
      { port: postfix.port, tls: 'required', ca: postfix.caFile, servername: 'localhost' },
      bouncePort,
    );
  }, 60_000);

  afterAll(async () => {
    await rig?.stop();
    await postfix?.stop();
    await last?.close();
  });

  /** Sends to `recipient` and waits for the event `type` on its delivery. */
  async function sendUntil(
    type: string,
    recipient: string,
    options: Omit<SubmitOptions, 'to'> = {},
  ): Promise<RelayEvent> {
    await submit(rig.relay.smtpPort, { to: recipient, ...options });
    const found = async (): Promise<RelayEvent | undefined> => of((await storyOf(rig, recipient)).events, type).at(0);
    await until(async () => (await found()) !== undefined, `${type} about ${recipient}`);
    const event = await found();
    if (event === undefined) throw new Error('the event is gone');
    return event;
  }

  it.each([
    ['its own next hop refuses', 'gone@example.net', /550 5\.1\.1 no such user here/],
    ['nobody is behind the alias that it took', 'alias@example.net', /user unknown/],
  ])('tells the relay when %s, and the report lands on the delivery', async (_why, recipient, diagnostic) => {
    const bounced = await sendUntil('message.bounced', recipient, { from: 'catcher@example.com', mail: 'ENVID=e7' });
    expect(bounced.data).toMatchObject({
      delivery: { recipient, state: 'delivered', attempts: 1 },
      bounce: { class: 'recipient', suppressed_until: expect.any(String) },
      report: {
        kind: 'dsn',
        reporter: 'next-hop.example.net',
        status: '5.1.1',
        diagnostic: expect.stringMatching(diagnostic),
      },
    });
    const { state, events } = await storyOf(rig, recipient);
    expect(state).toBe('delivered');
    expect(events.map(({ type }) => type)).toEqual(['message.accepted', 'message.delivered', 'message.bounced']);

    expect(await suppressionOf(rig, recipient)).toMatchObject({ reason: 'bounce' });
    await submit(rig.relay.smtpPort, { to: recipient });
    expect((await storyOf(rig, recipient)).state).toBe('suppressed');
  });

  it('is told on to the app, in a report that Python reads', async () => {
    const about = (recipient: string): readonly ReceivedMessage[] =>
      rig.inbox.messages.filter(({ content }) => content.includes(`Final-Recipient: rfc822; ${recipient}\r\n`));
    await rig.inbox.until(() => about('gone@example.net').length > 0);
    const reports = about('gone@example.net');
    expect(reports.map(({ recipients }) => recipients[0]?.address)).toEqual(['catcher@example.com']);
    const parsed: ParsedReport = await parseReport(reports[0]?.content ?? Buffer.alloc(0));
    expect(parsed.defects).toEqual([]);
    expect(parsed.status[0]).toMatchObject({ 'original-envelope-id': 'e7', 'reporting-mta': 'dns; relay.example.com' });
    expect(parsed.status[1]).toMatchObject({
      action: 'failed',
      status: '5.1.1',
      'diagnostic-code': 'smtp; 550 5.1.1 no such user here',
    });
  });

  it('has its report of success taken, and the app that asked for one hears from the relay that mail was handed on', async () => {
    const recipient = 'asks@example.net';
    await submit(rig.relay.smtpPort, { from: 'asker@example.com', to: `${recipient}> NOTIFY=SUCCESS` });
    // Postfix cannot tell the app: the return path leads to the relay.
    await rig.relay.line(({ event, reason }) => event === 'feedback.ignored' && /delivered/.test(String(reason)));
    const reports = (): readonly ReceivedMessage[] =>
      rig.inbox.messages.filter(({ recipients }) => recipients[0]?.address === 'asker@example.com');
    await rig.inbox.until(() => reports().length > 0);
    await until(() => openDeliveries(rig.home) === 0, 'the end of all mail');
    expect(reports()).toHaveLength(1);
    const parsed = await parseReport(reports()[0]?.content ?? Buffer.alloc(0));
    expect(parsed.status[1]).toMatchObject({ 'final-recipient': `rfc822; ${recipient}`, action: 'relayed' });
  });

  it('leaves other mail alone', async () => {
    await sendUntil('message.delivered', 'fine@example.net', { subject: 'for a mailbox' });
    await until(
      async () => (await postfix.messages()).some((message) => message.includes('for a mailbox')),
      'the mail in the Maildir',
    );
    const found = (await postfix.messages()).find((message) => message.includes('for a mailbox'));
    expect(found?.toString('latin1')).toMatch(/^Return-Path: <b\.[0-9a-z]{26}\.[0-9a-z]{20}@bounces\.example\.com>/m);
    expect((await storyOf(rig, 'fine@example.net')).events.at(-1)?.type).toBe('message.delivered');
  });
});
