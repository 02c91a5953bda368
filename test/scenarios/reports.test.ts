/**
 * Reports to envelope senders (`bounces.dsn`, RFC 3464): who gets one, what stands in it as an outside parser reads it, when a
 * next hop makes it instead, who gets none, and that there is one of each whenever the relay is killed.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openSqliteReader, type SqliteReader } from '../../src/store/sqlite/open-reader.ts';
import { openDeliveries } from '../support/ledger.ts';
import { DEFAULT_EXTENSIONS, type NextHop, type ReceivedMessage, reply, startNextHop } from '../support/next-hop.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { type ParsedReport, parseReport } from '../support/report-parse.ts';
import { submit, type SubmitOptions } from '../support/submit.ts';

const CANARY = 'CANARY-51b7e2';
const KILLS = 6;

/** Offers DSN; refuses `no-*` for good and `later-*` for now. */
let hop: NextHop;
/** The same without DSN. */
let plain: NextHop;
/** Takes mail for example.com, where the senders are. */
let inbox: NextHop;
let home: RelayHome;
let relay: RelayProcess;
let reader: SqliteReader;

beforeAll(async () => {
  const refuseSome = ({ line }: { readonly line: string }): ReturnType<typeof reply> | null => {
    if (line.includes('<no-such')) return reply('550 5.1.1 no such user');
    if (line.includes('<no-echo')) {
      return reply(`550 5.7.1 blocked: "Your link ${CANARY}" https://accounts.example.com/reset?token=${CANARY}`);
    }
    return line.includes('<later') ? reply('450 4.2.0 try again later') : null;
  };
  hop = await startNextHop({ on: { RCPT: refuseSome } });
  plain = await startNextHop({
    extensions: DEFAULT_EXTENSIONS.filter((keyword) => keyword !== 'DSN'),
    on: { RCPT: refuseSome },
  });
  inbox = await startNextHop({
    on: { RCPT: ({ line }) => (line.includes('<closed') ? reply('550 5.1.1 gone') : null) },
  });
  const to = ({ port }: NextHop): Record<string, unknown> => ({ type: 'smtp', host: '127.0.0.1', port, tls: 'none' });
  home = await createRelayHome(
    sandboxConfig({
      senders: [{ domain: 'example.com', dkim: [] }],
      tags: {
        'password-reset': { priority: 'normal', collapse: 'none' },
        slow: { delayed_after: '1s' },
        otp: { throttle: { per_recipient: '1/1h' }, collapse: 'none' },
        // Bounces again and again, and is reported each time.
        again: { suppression: 'bypass', collapse: 'none' },
      },
      routes: { hop: to(hop), plain: to(plain), inbox: to(inbox), sandbox: { type: 'sandbox' } },
      rules: [
        { name: 'reports', when: { recipient_domain: ['example.com'] }, via: ['inbox'] },
        { name: 'nowhere', when: { recipient_domain: ['unrouted.example'] }, reject: 'nobody is there' },
        { name: 'plain', when: { recipient_domain: ['plain.example.net'] }, via: ['plain'] },
        { name: 'captured', when: { recipient_domain: ['sandbox.example.net'] }, via: ['sandbox'] },
        { name: 'default', via: ['hop'] },
      ],
      retry: { normal: ['200ms'], critical: ['200ms'] },
      bounces: { dsn: true },
      log: { level: 'debug' },
    }),
  );
  relay = await home.start();
  reader = await openSqliteReader(home.database);
});

afterAll(async () => {
  await reader?.stop();
  await relay?.kill9();
  await Promise.all([hop, plain, inbox].map((one) => one?.close()));
  await home?.remove();
});

/** Reports about `recipient` that arrived at the senders' hop. */
function reportsAbout(recipient: string): readonly ReceivedMessage[] {
  return inbox.messages.filter(({ content }) => content.includes(`Final-Recipient: rfc822; ${recipient}\r\n`));
}

/** Submits, waits for the report about the recipient, and parses it. */
async function reportOf(
  recipient: string,
  options: Omit<SubmitOptions, 'to'> & { readonly parameters?: string } = {},
): Promise<ParsedReport & { readonly received: ReceivedMessage }> {
  await submit(relay.smtpPort, { ...options, to: `${recipient}>${options.parameters ?? ''}` });
  return arrived(recipient);
}

async function arrived(recipient: string): Promise<ParsedReport & { readonly received: ReceivedMessage }> {
  await inbox.until(() => reportsAbout(recipient).length > 0);
  const [received] = reportsAbout(recipient);
  if (received === undefined) throw new Error('no report');
  return { ...(await parseReport(received.content)), received };
}

/** Waits until all mail has ended and a report that became due after it has arrived: what is not there now never comes. */
async function quiet(): Promise<void> {
  await until(() => openDeliveries(home) === 0, 'the end of all mail');
  const recipient = `no-such-${controls++}@control.example.net`;
  await reportOf(recipient, { tag: 'again' });
  await until(() => openDeliveries(home) === 0, 'the end of all reports');
}
let controls = 0;

/** What became of the newest mail to `recipient`. */
async function stateOf(recipient: string): Promise<string | undefined> {
  const [message] = await reader.messages({ recipient, limit: 1 });
  return message?.deliveries.find((delivery) => delivery.recipient === recipient)?.state;
}

function field(report: ParsedReport, name: string): string | undefined {
  return report.header.find(([key]) => key === name)?.[1];
}

describe('a report about a bounced mail', () => {
  let report: ParsedReport & { readonly received: ReceivedMessage };

  beforeAll(async () => {
    report = await reportOf('no-such-ann@example.net', {
      from: 'bounce-catcher@example.com',
      mail: 'RET=HDRS ENVID=order+2B42',
      parameters: ' NOTIFY=FAILURE,DELAY ORCPT=rfc822;ann+2Bshop@example.org',
      subject: 'your order',
    });
  });

  it('goes from the null sender to the envelope sender, over the rules', () => {
    expect(report.received.mailFrom).toBe('');
    expect(report.received.recipients.map(({ address }) => address)).toEqual(['bounce-catcher@example.com']);
  });

  it('asks for no report itself', () => {
    expect(report.received.recipients[0]?.parameters).toBe('NOTIFY=NEVER');
    expect(field(report, 'auto-submitted')).toBe('auto-replied');
  });

  it('is a multipart/report of three parts in which Python finds nothing wrong', () => {
    expect(report.type).toBe('multipart/report');
    expect(report.reportType).toBe('delivery-status');
    expect(report.parts).toEqual(['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
    expect(report.defects).toEqual([]);
    expect(field(report, 'message-id')).toMatch(/^<.+@.+>$/);
    expect(Date.parse(field(report, 'date') ?? '')).not.toBeNaN();
    expect(field(report, 'from')).toContain('MAILER-DAEMON@relay.example.com');
    expect(field(report, 'to')).toContain('bounce-catcher@example.com');
  });

  it('tells machines of the message and the recipient, by the names that the sender gave them', () => {
    expect(report.status).toHaveLength(2);
    expect(report.status[0]).toMatchObject({
      'original-envelope-id': 'order+42',
      'reporting-mta': 'dns; relay.example.com',
      'arrival-date': expect.any(String),
    });
    expect(report.status[1]).toMatchObject({
      'original-recipient': 'rfc822; ann+shop@example.org',
      'final-recipient': 'rfc822; no-such-ann@example.net',
      action: 'failed',
      status: '5.1.1',
      'remote-mta': 'dns; [127.0.0.1]',
      'diagnostic-code': 'smtp; 550 5.1.1 no such user',
    });
  });

  it('tells people which mailbox failed, and why', () => {
    expect(report.text).toContain('no-such-ann@example.net');
    expect(report.text).toContain('550 5.1.1 no such user');
  });

  it('is not made twice', async () => {
    await quiet();
    expect(reportsAbout('no-such-ann@example.net')).toHaveLength(1);
  });

  it('is shown as sent in the log', () => {
    expect(relay.log).toContainEqual(expect.objectContaining({ event: 'report.sent', outcome: 'failed' }));
  });
});

describe('RET', () => {
  it('FULL returns the whole message', async () => {
    const report = await reportOf('no-such-full@example.net', { mail: 'RET=FULL', body: `the text ${CANARY}` });
    expect(report.parts[2]).toBe('message/rfc822');
    expect(report.returned).toContain('Subject: a test');
    expect(report.returned).toContain(`the text ${CANARY}`);
  });

  it.each(['RET=HDRS', ''])('%s returns the header alone', async (mail) => {
    const recipient = `no-such-header${mail.length}@example.net`;
    const report = await reportOf(recipient, { mail, body: `the text ${CANARY}` });
    expect(report.parts[2]).toBe('text/rfc822-headers');
    expect(report.returned).toContain('Subject: a test');
    expect(report.received.content.includes(CANARY)).toBe(false);
  });
});

describe('NOTIFY', () => {
  it('NEVER: none is made', async () => {
    await submit(relay.smtpPort, { to: 'no-such-never@example.net> NOTIFY=NEVER' });
    await quiet();
    expect(await stateOf('no-such-never@example.net')).toBe('bounced');
    expect(reportsAbout('no-such-never@example.net')).toEqual([]);
  });

  it('SUCCESS alone: none is made of a failure', async () => {
    await submit(relay.smtpPort, { to: 'no-such-success@example.net> NOTIFY=SUCCESS' });
    await quiet();
    expect(reportsAbout('no-such-success@example.net')).toEqual([]);
  });

  it('SUCCESS over a next hop without DSN: `relayed`, and the next hop is told nothing of DSN', async () => {
    const report = await reportOf('ann@plain.example.net', {
      mail: 'RET=FULL ENVID=e1',
      parameters: ' NOTIFY=SUCCESS ORCPT=rfc822;ann@example.org',
      body: CANARY,
    });
    expect(report.defects).toEqual([]);
    expect(report.status[0]).toMatchObject({ 'original-envelope-id': 'e1' });
    expect(report.status[1]).toMatchObject({
      action: 'relayed',
      status: expect.stringMatching(/^2\./),
      'original-recipient': 'rfc822; ann@example.org',
    });
    // RET is for failures (RFC 3461, section 4.3).
    expect(report.parts[2]).toBe('text/rfc822-headers');
    const [sent] = plain.messages;
    expect(sent?.mailParameters).not.toMatch(/RET|ENVID/);
    expect(sent?.recipients[0]?.parameters).toBe('');
  });

  it('SUCCESS over a next hop with DSN: everything is passed on, octet for octet, and no report is made', async () => {
    await submit(relay.smtpPort, {
      mail: 'RET=FULL ENVID=a+2Bb+3Dc',
      to: 'ann@dsn.example.net> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;ann+2Bshop@example.org',
    });
    await hop.until(() => hop.messages.some(({ recipients }) => recipients[0]?.address === 'ann@dsn.example.net'));
    const sent = hop.messages.find(({ recipients }) => recipients[0]?.address === 'ann@dsn.example.net');
    expect(sent?.mailParameters.split(' ')).toEqual(expect.arrayContaining(['RET=FULL', 'ENVID=a+2Bb+3Dc']));
    expect(sent?.recipients[0]?.parameters.split(' ')).toEqual(
      expect.arrayContaining(['NOTIFY=SUCCESS,DELAY', 'ORCPT=rfc822;ann+2Bshop@example.org']),
    );
    await quiet();
    expect(reportsAbout('ann@dsn.example.net')).toEqual([]);
  });

  it('is given to a next hop with DSN as each recipient has it', async () => {
    await submit(relay.smtpPort, {
      to: ['one@each.example.net> NOTIFY=NEVER', 'two@each.example.net> NOTIFY=FAILURE', 'three@each.example.net'],
    });
    const sent = (): readonly (readonly [string, string])[] =>
      hop.messages.flatMap(({ recipients }) =>
        recipients
          .filter(({ address }) => address.endsWith('@each.example.net'))
          .map(({ address, parameters }) => [address, parameters] as const),
      );
    await hop.until(() => sent().length === 3);
    expect(new Map(sent())).toEqual(
      new Map([
        ['one@each.example.net', 'NOTIFY=NEVER'],
        ['two@each.example.net', 'NOTIFY=FAILURE'],
        ['three@each.example.net', ''],
      ]),
    );
  });

  it('SUCCESS over a sandbox: `delivered`', async () => {
    const report = await reportOf('ann@sandbox.example.net', { parameters: ' NOTIFY=SUCCESS' });
    expect(report.status[1]).toMatchObject({ action: 'delivered', status: expect.stringMatching(/^2\./) });
  });

  it('DELAY: one `delayed` when it takes longer than the tag wishes, and none of the failure that follows', async () => {
    const report = await reportOf('later@example.net', {
      tag: 'slow',
      headers: ['X-Leadpush-TTL: 2'],
      parameters: ' NOTIFY=DELAY',
    });
    expect(report.defects).toEqual([]);
    expect(report.status[1]).toMatchObject({
      action: 'delayed',
      status: '4.2.0',
      'will-retry-until': expect.any(String),
    });
    await quiet();
    expect(await stateOf('later@example.net')).toBe('expired');
    expect(reportsAbout('later@example.net')).toHaveLength(1);
  });

  it('absent: a delay is not reported, and the failure is', async () => {
    const report = await reportOf('later-default@example.net', { tag: 'slow', headers: ['X-Leadpush-TTL: 2'] });
    expect(report.status[1]).toMatchObject({ action: 'failed' });
    expect(reportsAbout('later-default@example.net')).toHaveLength(1);
  });
});

describe('a report', () => {
  it('is made for each recipient that failed', async () => {
    const recipients = ['no-such-one@example.net', 'no-such-two@example.net'];
    await submit(relay.smtpPort, { to: [...recipients, 'fine@example.net'] });
    for (const recipient of recipients) expect((await arrived(recipient)).status).toHaveLength(2);
    await quiet();
    expect(reportsAbout('fine@example.net')).toEqual([]);
  });

  it('is made of expired mail, with the status for it', async () => {
    const report = await reportOf('later-expired@example.net', { headers: ['X-Leadpush-TTL: 1'] });
    expect(report.defects).toEqual([]);
    expect(report.status[1]).toMatchObject({ action: 'failed', status: '5.4.7' });
    expect(report.text).toMatch(/deadline/);
  });

  it('about recovery mail holds neither subject nor link, even with RET=FULL and a reply that quotes both', async () => {
    const link = `https://accounts.example.com/reset?token=${CANARY}`;
    const report = await reportOf('no-echo@example.net', {
      tag: 'password-reset',
      mail: 'RET=FULL',
      subject: `Your link ${CANARY}`,
      headers: [`List-Unsubscribe: <${link}>`, `X-Link: ${link}`],
      body: `Follow ${link}`,
    });
    expect(report.parts[2]).toBe('text/rfc822-headers');
    expect(report.returned).toContain('From: app@example.com');
    expect(report.returned).not.toMatch(/^subject:/im);
    expect(report.received.content.toString('latin1')).not.toContain(CANARY);
    expect(report.status[1]).toMatchObject({ action: 'failed', status: '5.7.1' });
  });

  it('about recovery mail is the reason that its content is kept, and no longer than that', async () => {
    await quiet();
    const kept = (await reader.messages({ limit: 1000 })).filter(({ contentKept }) => contentKept);
    // Captured mail stays to be looked at.
    expect(kept.flatMap(({ deliveries }) => deliveries.map(({ route }) => route))).toEqual(['sandbox']);
  });

  it('is not made of mail from the null sender', async () => {
    const { id } = await submit(relay.smtpPort, { from: '', to: 'no-such-null@example.net' });
    await quiet();
    // Not even one that has to be thrown away.
    expect(relay.log.filter(({ event, message }) => event === 'report.dropped' && message === id)).toEqual([]);
    expect(await stateOf('no-such-null@example.net')).toBe('bounced');
    expect(reportsAbout('no-such-null@example.net')).toEqual([]);
  });

  it('is not made of suppressed and throttled mail, which must look delivered', async () => {
    await reportOf('no-such-listed@example.net');
    await submit(relay.smtpPort, { to: 'no-such-listed@example.net> NOTIFY=SUCCESS,FAILURE,DELAY' });
    const flood = { to: 'flooded@example.net> NOTIFY=SUCCESS,FAILURE,DELAY', tag: 'otp' };
    await submit(relay.smtpPort, flood);
    await submit(relay.smtpPort, flood);
    await quiet();
    expect(await stateOf('no-such-listed@example.net')).toBe('suppressed');
    expect(await stateOf('flooded@example.net')).toBe('throttled');
    expect(reportsAbout('no-such-listed@example.net')).toHaveLength(1);
    expect(reportsAbout('flooded@example.net')).toEqual([]);
  });

  it('that bounces itself makes no report', async () => {
    await submit(relay.smtpPort, { from: 'closed@example.com', to: 'no-such-loop@example.net' });
    await until(async () => (await stateOf('closed@example.com')) === 'bounced', 'the bounce of the report');
    await quiet();
    expect(inbox.lines.filter(({ line }) => line.includes('<closed@example.com>'))).toHaveLength(1);
    expect(inbox.messages.filter(({ mailFrom }) => mailFrom !== '')).toEqual([]);
  });

  it('that no rule routes is dropped with a log line, and the next one goes out', async () => {
    const sent = await submit(relay.smtpPort, { from: 'app@unrouted.example', to: 'no-such-way@example.net' });
    const line = await relay.line(({ event, message }) => event === 'report.dropped' && message === sent.id);
    expect(line).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('nobody is there') });
    await quiet();
    expect(reportsAbout('no-such-way@example.net')).toEqual([]);
    expect((await reader.messages({ recipient: 'no-such-way@example.net', limit: 1 }))[0]?.contentKept).toBe(false);
  });
});

describe('kill -9', () => {
  it(`${KILLS} times at random under bounces leaves one report for each of them`, async () => {
    const accepted: string[] = [];
    let number = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const { smtpPort } = relay;
      let alive = true;
      const senders = Array.from({ length: 3 }, async () => {
        while (alive) {
          const recipient = `no-such-k${number++}@killed.example.net`;
          try {
            await submit(smtpPort, { to: recipient });
            accepted.push(recipient);
          } catch {
            // Cut off by the kill: it may or may not have been accepted.
          }
        }
      });
      // After so many, not so long: a busy machine takes fewer in the same time.
      const enough = accepted.length + 11 + Math.floor(Math.random() * 30);
      await until(() => accepted.length >= enough, 'mail to be accepted', 30_000);
      await relay.kill9();
      alive = false;
      await Promise.all(senders);
      relay = await home.start();
    }
    await until(() => openDeliveries(home) === 0, 'the end of all mail', 60_000);
    await quiet();

    expect(accepted.length).toBeGreaterThan(KILLS * 10);
    const messageIds = (recipient: string): readonly (string | undefined)[] =>
      reportsAbout(recipient).map(({ content }) => /^Message-ID: (.*)$/im.exec(content.toString('latin1'))?.[1]);
    const distinct = accepted.map((recipient) => [recipient, new Set(messageIds(recipient)).size] as const);
    expect(distinct.filter(([, reports]) => reports !== 1)).toEqual([]);
    // A second copy of one report, only where the relay does not know whether the first went out.
    const attempts = await Promise.all(
      (await reader.messages({ recipient: 'app@example.com', limit: 10_000 })).map(async ({ id, headerMessageId }) => {
        const uncertain = (await reader.attempts(id)).filter(({ outcome }) => outcome === 'uncertain').length;
        return [headerMessageId, uncertain] as const;
      }),
    );
    const uncertain = new Map(attempts);
    const copies = new Map<string, number>();
    for (const recipient of accepted) {
      for (const id of messageIds(recipient)) copies.set(id ?? '', (copies.get(id ?? '') ?? 0) + 1);
    }
    expect([...copies].filter(([id, count]) => count > 1 + (uncertain.get(id) ?? 0))).toEqual([]);
  }, 90_000);
});
