import { simpleParser } from 'mailparser';
import { describe, expect, test } from 'vitest';
import { parseMessageId } from '../../src/core/ids.ts';
import { composeReport, MAX_RETURNED_BYTES, type ReportInput } from '../../src/mail/compose-report.ts';
import { parseMessage } from '../../src/mail/parse.ts';
import { readReport } from '../../src/mail/report.ts';
import { address } from '../support/address.ts';

const id = parseMessageId(`msg_${'1'.repeat(26)}`);
if (id === null) throw new Error('bad id');

const CONTENT = [
  'Received: from app (app [192.0.2.9])',
  '\tby relay.example.com; Mon, 05 Jan 2026 10:00:00 +0000',
  'From: Security <security@example.com>',
  'To: bob@example.net',
  'Subject: Use code 734912',
  'Thread-Topic: Use code 734912',
  'X-Campaign: secret-campaign',
  'Message-ID: <m1@app.example.com>',
  '',
  'Open https://accounts.example.com/reset?token=topsecret',
  '',
].join('\r\n');

const ATTEMPT: NonNullable<ReportInput['attempt']> = {
  number: 1,
  route: 'ses',
  outcome: 'rejected',
  cause: 'recipient',
  next_hop: 'mx.example.net:25',
  tls: null,
  cipher: null,
  stage: 'rcpt',
  code: 550,
  enhanced: '5.1.1',
  response: 'no such user here \u2026',
  timings_ms: {},
};

function compose(
  over: Omit<Partial<ReportInput>, 'record'> & { record?: Partial<ReportInput['record']> } = {},
): string {
  const { record, ...rest } = over;
  return Buffer.from(
    composeReport({
      action: 'failed',
      at: 1_767_607_260_000,
      now: 1_767_607_261_000,
      hostname: 'relay.example.com',
      to: address('app@example.com'),
      record: {
        id: id ?? failTest(),
        priority: 'normal',
        deadlineSource: 'give-up',
        dsn: { ret: null, envid: null },
        acceptedAt: 1_767_607_200_000,
        deadline: 1_767_610_800_000,
        ...record,
      },
      recipient: address('bob@example.net'),
      recipientDsn: null,
      state: 'bounced',
      attempt: ATTEMPT,
      bounce: { class: 'recipient', why: 'enhanced code 5.1.1' },
      reason: null,
      recovery: false,
      content: Buffer.from(CONTENT),
      ...rest,
    }),
  ).toString('utf8');
}

function failTest(): never {
  throw new Error('bad test');
}

describe('a report of failure', () => {
  test('is read by our own parser as what it says', () => {
    const text = compose({
      record: { dsn: { ret: null, envid: 'job 42' } },
      recipientDsn: { notify: [], orcpt: 'rfc822;Bob+x@example.net' },
    });
    expect(readReport(Buffer.from(text))).toEqual({
      kind: 'dsn',
      reportingMta: 'relay.example.com',
      originalEnvelopeId: 'job 42',
      recipients: [
        {
          originalRecipient: 'Bob+x@example.net',
          finalRecipient: 'bob@example.net',
          action: 'failed',
          status: '5.1.1',
          diagnostic: 'smtp; 550 5.1.1 no such user here ...',
          unstruck: expect.any(Function),
          remoteMta: 'mx.example.net',
        },
      ],
      returned: { messageId: '<m1@app.example.com>', returnPath: null },
    });
  });

  test('is a message that this relay would accept', () => {
    expect(parseMessage(Buffer.from(compose())).kind).not.toBe('malformed');
  });

  test('says who sends it, and that no reply is to come', () => {
    const head = compose().split('\r\n\r\n', 1)[0];
    expect(head).toContain('From: Mail Delivery System <MAILER-DAEMON@relay.example.com>\r\n');
    expect(head).toContain('To: <app@example.com>\r\n');
    expect(head).toContain('Auto-Submitted: auto-replied\r\n');
    expect(head).toContain('report-type=delivery-status');
  });

  test('gives the header alone unless the whole message was asked for', () => {
    expect(compose()).toContain('Content-Type: text/rfc822-headers');
    expect(compose()).not.toContain('topsecret');
    const full = compose({ record: { dsn: { ret: 'FULL', envid: null } } });
    expect(full).toContain('Content-Type: message/rfc822');
    expect(full).toContain(CONTENT);
  });

  test('of a message too big to go back gives its header', () => {
    const big = Buffer.from(`${CONTENT}${`${'x'.repeat(998)}\r\n`.repeat(MAX_RETURNED_BYTES / 1000 + 1)}`);
    const text = compose({ content: big, record: { dsn: { ret: 'FULL', envid: null } } });
    expect(text).toContain('text/rfc822-headers');
    expect(text.length).toBeLessThan(10_000);
  });

  test('of recovery mail never holds subject, body or headers of the app', () => {
    const text = compose({ recovery: true, record: { dsn: { ret: 'FULL', envid: null } } });
    expect(text).not.toMatch(/734912|topsecret|secret-campaign|Thread-Topic/);
    expect(text.match(/^Subject:/gm)).toHaveLength(1);
    expect(text).toContain('Message-ID: <m1@app.example.com>');
  });

  test.each([
    ['critical mail', { priority: 'critical' }],
    ['mail that is worth something for a time only', { deadlineSource: 'header' }],
  ] as const)('of %s never holds subject or body either', (_what, record) => {
    const text = compose({ record: { ...record, dsn: { ret: 'FULL', envid: null } } });
    expect(text).not.toMatch(/734912|topsecret|secret-campaign|Thread-Topic/);
  });

  test('of expired mail has the status of that, and the last answer beside it', () => {
    const attempt = { ...ATTEMPT, code: 451, enhanced: '4.7.1', response: 'later' };
    const text = compose({ state: 'expired', attempt, bounce: null, reason: 'its time was over' });
    expect(text).toContain('\r\nStatus: 5.4.7\r\n');
    expect(text).toContain('\r\nDiagnostic-Code: smtp; 451 4.7.1 later\r\n');
    expect(text).toContain('  its time was over\r\n');
  });

  test('of a late bounce says what the later server said, and not that the next hop took it', () => {
    const attempt = { ...ATTEMPT, outcome: 'delivered' as const, code: 250, enhanced: '2.0.0', response: 'Ok queued' };
    const text = compose({ state: 'delivered', attempt, reason: 'smtp; 550 5.2.1 mailbox disabled' });
    expect(text).toContain('\r\nStatus: 5.2.1\r\nDiagnostic-Code: smtp; 550 5.2.1 mailbox disabled\r\n');
    expect(text).not.toContain('Ok queued');
  });

  test('without attempt and content has two parts', () => {
    const text = compose({ attempt: null, content: null });
    expect(text).not.toContain('Remote-MTA');
    expect(text).toContain('\r\nStatus: 5.0.0\r\n');
    expect(readReport(Buffer.from(text))).toMatchObject({ returned: { messageId: null } });
  });
});

describe('a report', () => {
  test('of delay says until when it is tried', () => {
    const attempt = { ...ATTEMPT, code: 451, enhanced: '4.7.1' };
    const text = compose({ action: 'delayed', state: 'deferred', attempt, bounce: null });
    expect(text).toContain('\r\nAction: delayed\r\nStatus: 4.7.1\r\n');
    expect(text).toContain('\r\nWill-Retry-Until: Mon, 05 Jan 2026 11:00:00 +0000\r\n');
  });

  test.each(['relayed', 'delivered'] as const)('of success (%s) never sends the body back', (action) => {
    const attempt = { ...ATTEMPT, code: 250, enhanced: '2.0.0', response: 'Ok' };
    const text = compose({
      action,
      state: 'delivered',
      attempt,
      bounce: null,
      record: { dsn: { ret: 'FULL', envid: null } },
    });
    expect(text).toContain(`\r\nAction: ${action}\r\nStatus: 2.0.0\r\n`);
    expect(text).not.toContain('topsecret');
  });

  test('writes addresses beyond ASCII in the ASCII form of RFC 6533', () => {
    const text = compose({ recipient: address('jörg+x@bücher.example') });
    expect(text).toContain('\r\nFinal-Recipient: utf-8; j\\x{F6}rg\\x{2B}x@b\\x{FC}cher.example\r\n');
  });

  test('has no line over 998 octets and no control character, whatever the next hop wrote', () => {
    const response = `${'x'.repeat(3000)} \u0007\r\nAction: delivered`;
    const text = compose({ attempt: { ...ATTEMPT, response }, content: null });
    for (const line of text.split('\r\n')) expect(Buffer.byteLength(line)).toBeLessThan(999);
    expect(text).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f]/);
    expect(text.match(/^Action:/gm)).toEqual(['Action:']);
  });

  test('has a boundary that its parts do not hold', () => {
    const first = /boundary="([^"]+)"/.exec(compose())?.[1] ?? '';
    const text = compose({
      content: Buffer.from(`X-Note: ${first}\r\n${CONTENT}`),
      record: { dsn: { ret: 'FULL', envid: null } },
    });
    const second = /boundary="([^"]+)"/.exec(text)?.[1] ?? '';
    expect(second).not.toBe(first);
    expect(readReport(Buffer.from(text))).toMatchObject({ recipients: [{ status: '5.1.1' }] });
  });

  test('is read by a parser of others', async () => {
    const parsed = await simpleParser(compose());
    expect(parsed.text).toContain('could not be delivered');
    expect(parsed.headers.get('auto-submitted')).toBe('auto-replied');
  });
});
