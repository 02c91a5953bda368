import { describe, expect, test } from 'vitest';
import { BOUNCE_CLASSES, type BounceClass } from '../../src/core/bounce.ts';
import type { Cause, Outcome, Stage } from '../../src/core/outcome.ts';
import { classifyBounce, classifyReport } from '../../src/feedback/classify.ts';
import { parseReply } from '../../src/mail/reply.ts';
import fc from '../support/properties.ts';

type Rejected = Extract<Outcome, { kind: 'rejected' }>;

const rejected = (cause: Cause, stage: Stage, line: string): Rejected => {
  const reply = parseReply(line);
  return {
    kind: 'rejected',
    cause,
    stage,
    nextHop: 'mx.example.net:25',
    tls: null,
    code: reply?.code ?? null,
    enhanced: reply?.enhanced ?? null,
    response: reply?.text ?? line,
    timings: {},
  };
};
const atRcpt = (line: string) => classifyBounce(rejected('recipient', 'rcpt', line));
const atDot = (line: string) => classifyBounce(rejected('content', 'dot', line));

const RCPT_REPLIES: readonly (readonly [BounceClass, string])[] = [
  // Gmail
  [
    'recipient',
    "550 5.1.1 The email account that you tried to reach does not exist. Please try double-checking the recipient's email address for typos or unnecessary spaces. For more information, go to https://support.google.com/mail/?p=NoSuchUser ab12-20020a170902 - gsmtp",
  ],
  [
    'recipient',
    '550 5.2.1 The email account that you tried to reach is disabled. For more information, go to https://support.google.com/mail/?p=DisabledUser - gsmtp',
  ],
  ['recipient', '550 5.2.1 The email account that you tried to reach is inactive. - gsmtp'],
  [
    'mailbox-full',
    "552 5.2.2 The recipient's inbox is out of storage space and inactive. Please direct the recipient to https://support.google.com/mail/?p=OverQuotaPerm - gsmtp",
  ],
  ['mailbox-full', '552 5.2.2 The email account that you tried to reach is over quota. - gsmtp'],
  [
    'policy',
    '550 5.2.1 The user you are trying to contact is receiving mail at a rate that prevents additional messages from being delivered. - gsmtp',
  ],
  // Outlook.com, Exchange Online, Exchange
  [
    'recipient',
    '550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302). [host.prod.protection.outlook.com]',
  ],
  [
    'recipient',
    '550 5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient bob@contoso.example not found by SMTP address lookup',
  ],
  ['recipient', '550 5.1.1 RESOLVER.ADR.RecipNotFound; not found'],
  [
    'recipient',
    '550 5.4.1 Recipient address rejected: Access denied. AS(201806281) [DB5EUR01FT011.eop-EUR01.prod.protection.outlook.com]',
  ],
  ['policy', '550 5.4.1 Recipient address rejected: Access denied.'],
  [
    'mailbox-full',
    '554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException; Failed to process message due to a permanent exception',
  ],
  [
    'reputation',
    '550 5.7.606 Access denied, banned sending IP [192.0.2.1]. To request removal from this list please visit https://sender.office.com/',
  ],
  [
    'reputation',
    '550 5.7.1 Service unavailable, Client host [192.0.2.1] blocked using Spamhaus. To request removal from this list see https://www.spamhaus.org/query/ip/192.0.2.1 AS(1450)',
  ],
  ['reputation', '550 5.7.708 Service unavailable. Access denied, traffic not accepted from this IP.'],
  ['reputation', '550 5.7.511 Access denied, banned sender[192.0.2.1].'],
  [
    'reputation',
    "550 5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent. Please contact your Internet service provider since part of their network is on our block list (S3140).",
  ],
  [
    'policy',
    '550 5.7.133 RESOLVER.RST.SenderNotAuthenticatedForGroup; authentication required; Delivery restriction check failed because the sender was not authenticated when sending to this group',
  ],
  ['policy', '550 5.7.124 RESOLVER.RST.SenderNotInAllowedSendersList; not in the list'],
  ['policy', '550 5.7.515 Access denied, sending domain example.com does not meet the required authentication level.'],
  ['infrastructure', '550 5.7.64 TenantAttribution; Relay Access Denied'],
  ['infrastructure', '550 5.4.14 Hop count exceeded - possible mail loop'],
  ['recipient', '550 5.4.310 DNS domain nowhere.example does not exist [Message=InfoDomainNonexistent]'],
  ['infrastructure', '550 5.4.316 Message expired, connection refused'],
  // Yahoo, AOL
  [
    'recipient',
    "554 delivery error: dd This user doesn't have a yahoo.com account (bob@yahoo.com) [0] - mta1001.mail.ne1.yahoo.com",
  ],
  ['recipient', '554 30 Sorry, your message to bob@yahoo.com cannot be delivered. This mailbox is disabled (554.30).'],
  ['mailbox-full', '552 1 Requested mail action aborted, mailbox full'],
  [
    'reputation',
    '553 5.7.1 [BL21] Connections will not be accepted from 192.0.2.1, because the ip is in Spamhaus list; see https://postmaster.yahooinc.com/550-bl23',
  ],
  [
    'reputation',
    '553 5.7.2 [TSS09] All messages from 192.0.2.1 will be permanently deferred; Retrying will NOT succeed.',
  ],
  // Postfix
  ['recipient', '550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown in local recipient table'],
  ['recipient', '550 5.1.1 <no-spam@example.net>: Recipient address rejected: User unknown in virtual mailbox table'],
  ['recipient', '550 5.1.0 <bob@example.net>: Recipient address rejected: User unknown in relay recipient table'],
  ['infrastructure', '554 5.7.1 <bob@example.net>: Relay access denied'],
  ['policy', '554 5.7.1 <bob@example.net>: Recipient address rejected: Access denied'],
  [
    'reputation',
    '554 5.7.1 Service unavailable; Client host [192.0.2.1] blocked using zen.spamhaus.org; https://www.spamhaus.org/query/ip/192.0.2.1',
  ],
  ['policy', '554 5.7.1 <mail.example.com[192.0.2.1]>: Client host rejected: Access denied'],
  ['policy', '550 5.7.25 Client host rejected: cannot find your reverse hostname, [192.0.2.1]'],
  ['policy', '550 5.1.8 <app@example.com>: Sender address rejected: Domain not found'],
  ['policy', '550 5.7.1 <app@example.com>: Sender address rejected: not logged in'],
  ['recipient', '550 5.1.2 <bob@nowhere.example>: Recipient address rejected: Domain not found'],
  ['mailbox-full', '552 5.2.2 <bob@example.net>: Recipient address rejected: mailbox full'],
  ['mailbox-full', '550 5.7.1 Quota exceeded (mailbox for user is full)'],
  [
    'policy',
    '550 5.7.23 <bob@example.net>: Recipient address rejected: Message rejected due to: SPF fail - not authorized',
  ],
  // Exim, qmail, Sendmail, Courier, Domino, Zimbra
  ['recipient', '550 Unrouteable address'],
  ['recipient', '550 No Such User Here'],
  ['recipient', '550-Verification failed for <bob@example.net>\n550 unknown user'],
  ['policy', '550 Sender verify failed'],
  [
    'reputation',
    '550 "JunkMail rejected - mail.example.com [192.0.2.1] is in an RBL: https://www.spamhaus.org/query/ip/192.0.2.1"',
  ],
  ['policy', '550 Administrative prohibition'],
  ['recipient', '550 sorry, no mailbox here by that name (#5.1.1 - chkuser)'],
  ['infrastructure', "553 sorry, that domain isn't in my list of allowed rcpthosts (#5.7.1)"],
  ['mailbox-full', '552 sorry, that recipient is over quota (#5.2.2)'],
  ['recipient', '550 5.1.1 <bob@example.net>... User unknown'],
  ['infrastructure', '550 5.7.1 <bob@example.net>... Relaying denied'],
  ['recipient', '551 User not local; please try <forward-path>'],
  ['recipient', 'bob (bob@example.net) not listed in Domino Directory'],
  ['recipient', '556 5.1.10 Domain does not accept mail (nullMX)'],
  ['recipient', '521 mx.example.net does not accept mail'],
  // Filters
  ['policy', '550 permanent failure for one or more recipients (bob@example.net:blocked)'],
  [
    'reputation',
    '554 Service unavailable; Client host [mail.example.com] blocked using Barracuda Reputation; https://www.barracudacentral.org/reputation?r=1&ip=192.0.2.1',
  ],
  [
    'reputation',
    '550 5.7.0 Local Policy Violation - Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1 (PDR reputation)',
  ],
  ['policy', '554 5.7.0 Blocked - see https://ipcheck.proofpoint.com/?ip=192.0.2.1'],
  ['recipient', '550 5.1.1 User Unknown (Proofpoint Essentials)'],
  [
    'policy',
    '550 Administrative prohibition - envelope blocked - https://community.mimecast.com/docs/DOC-1369#550 [abc]',
  ],
  ['recipient', '550 Invalid Recipient - https://community.mimecast.com/docs/DOC-1369#550 [abc]'],
  [
    'policy',
    '550 Rejected by header based Anti-Spoofing policy: app@example.com - https://community.mimecast.com [abc]',
  ],
  ['reputation', "554 5.7.1 Mail rejected due to sender's low reputation"],
  [
    'reputation',
    "554-mx1.ironport.example\n554 Your access to this mail system has been rejected due to the sending MTA's poor reputation.",
  ],
  // What looks like the recipient and is not
  ['policy', '550 5.1.1 recipient rejected: your mail is blocked'],
  ['content', '550 5.1.1 rejected as spam'],
  ['reputation', '550 5.1.1 <bob@example.net> your IP is on our blacklist'],
  ['infrastructure', '550 Your account has been suspended. Contact your provider'],
  ['infrastructure', '550 5.1.1 Daily sending quota exceeded for your account'],
  ['policy', '554 Transaction failed. Reject due to policy restrictions. mailbox unavailable'],
  ['undetermined', '550 Requested action not taken'],
  ['undetermined', '554 transaction failed'],
  ['undetermined', '550 5.0.0 rejected'],
];

const DOT_REPLIES: readonly (readonly [BounceClass, string])[] = [
  [
    'content',
    '550 5.7.1 Our system has detected that this message is likely unsolicited mail. To reduce the amount of spam sent to Gmail, this message has been blocked. - gsmtp',
  ],
  [
    'reputation',
    '550 5.7.1 Our system has detected that this message is likely suspicious due to the very low reputation of the sending IP address. - gsmtp',
  ],
  [
    'reputation',
    '550 5.7.28 Our system has detected an unusual rate of unsolicited mail originating from your IP address. - gsmtp',
  ],
  [
    'policy',
    '550 5.7.26 Your email has been blocked because the sender is unauthenticated. Gmail requires all senders to authenticate with either SPF or DKIM. - gsmtp',
  ],
  ['policy', "550 5.7.1 Unauthenticated email from example.com is not accepted due to domain's DMARC policy."],
  ['content', '552 5.7.0 This message was blocked because its content presents a potential security issue. - gsmtp'],
  ['content', "552 5.3.4 Your message exceeded Google's message size limits. - gsmtp"],
  ['content', '552 message too large'],
  ['content', '552 5.2.3 Message exceeds local size limit'],
  ['content', '554 5.6.0 Message contains an invalid header'],
  ['content', '550 5.7.1 Message rejected as spam by Content Filtering.'],
  ['content', '554 rejected due to spam content'],
  ['content', '550 This message contains malware (Eicar-Signature)'],
  ['content', '554 5.7.1 The message contains a phishing link'],
  ['policy', '554 Email rejected due to security policies - https://community.mimecast.com [abc]'],
  [
    'policy',
    '554 5.7.9 Message not accepted for policy reasons. See https://postmaster.yahooinc.com/error-codes dmarc',
  ],
  ['mailbox-full', '552 5.2.2 Mailbox full'],
  ['recipient', '550 5.1.1 user unknown'],
  ['content', '550 refused'],
  ['content', '554 Message rejected'],
];

describe('a refusal of the recipient', () => {
  test.each(RCPT_REPLIES)('is %s: %s', (expected, reply) => {
    expect(atRcpt(reply)).toMatchObject({ class: expected });
  });
});

describe('a refusal of the content', () => {
  test.each(DOT_REPLIES)('is %s: %s', (expected, reply) => {
    expect(atDot(reply)).toMatchObject({ class: expected });
  });
});

describe('the cause', () => {
  test.each<[Cause, BounceClass]>([
    ['local', 'infrastructure'],
    ['connect', 'infrastructure'],
    ['tls', 'infrastructure'],
    ['auth', 'infrastructure'],
    ['route', 'infrastructure'],
  ])('%s is %s even beside words about the recipient', (cause, expected) => {
    expect(classifyBounce(rejected(cause, 'rcpt', '550 5.1.1 user unknown')).class).toBe(expected);
  });

  test.each([
    ['5.1.2', 'recipient'],
    ['5.1.10', 'recipient'],
    ['5.4.4', 'infrastructure'],
  ] as const)('dns with %s is %s', (enhanced, expected) => {
    const outcome = { ...rejected('dns', 'dns', 'no MX host'), enhanced };
    expect(classifyBounce(outcome).class).toBe(expected);
  });

  test('of a refusal at MAIL is never the recipient, who was not named yet', () => {
    expect(classifyBounce(rejected('content', 'mail', '550 5.1.1 user unknown')).class).toBe('undetermined');
  });
});

describe('a report', () => {
  test.each<[string | null, string | null, BounceClass]>([
    ['5.1.1', 'smtp; 550 5.1.1 <bob@example.net>: Recipient address rejected: User unknown', 'recipient'],
    ['5.0.0', 'smtp; 550-5.1.1 The email account that you tried to reach does not exist', 'recipient'],
    ['5.0.0', 'smtp; 550 Mailbox not found', 'recipient'],
    ['5.1.1', null, 'recipient'],
    ['5.1.1', 'smtp; 550 5.7.1 blocked as spam', 'content'],
    ['4.4.7', 'smtp; 450 4.7.1 greylisted', 'infrastructure'],
    ['4.2.2', 'smtp; 452 4.2.2 over quota', 'mailbox-full'],
    ['4.1.1', 'smtp; 450 4.1.1 user unknown', 'undetermined'],
    [
      '5.4.4',
      'X-Postfix; Host or domain name not found. Name service error for name=nowhere.example type=A: Host not found',
      'infrastructure',
    ],
    [null, 'X-Postfix; unknown user: "bob"', 'recipient'],
    ['5.2.2', null, 'mailbox-full'],
    ['5.0.0', null, 'undetermined'],
    [null, null, 'undetermined'],
  ])('with status %s and diagnostic %s is %s', (status, diagnostic, expected) => {
    expect(classifyReport(status, diagnostic).class).toBe(expected);
  });
});

test('a verdict names the part that decided', () => {
  expect(atRcpt('550 5.1.1 nobody').why).toBe('enhanced code 5.1.1: bad destination mailbox address');
  expect(atRcpt('550 no such user').why).toBe('text "no such user"');
  expect(atRcpt('550 5.1.1 blocked').why).toBe(
    'enhanced code 5.1.1: bad destination mailbox address; but the text says "blocked"',
  );
  expect(atRcpt('551 gone').why).toBe('code 551: the user is not here');
});

test('a verdict repeats nothing of the text of the server', () => {
  expect(atRcpt('550 5.1.1 no such user hunter2-token').why).not.toContain('hunter2');
});

test('any text gives a class', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme', maxLength: 400 }),
      fc.option(fc.string({ maxLength: 12 })),
      (text, status) => {
        expect(BOUNCE_CLASSES).toContain(atRcpt(text).class);
        expect(BOUNCE_CLASSES).toContain(atDot(text).class);
        expect(BOUNCE_CLASSES).toContain(classifyReport(status, text).class);
      },
    ),
    { numRuns: 300 },
  );
});

test.each(['a', '.', '-', ' ', 'a.', '@', '<', 'a-', '5.1.1 ', '\n', '550-'])(
  'a text of a million characters of %j is no more work than its first two thousand',
  (unit) => {
    // A pattern that backtracks would not come back from this.
    const long = unit.repeat(Math.ceil(1_000_000 / unit.length));
    expect(BOUNCE_CLASSES).toContain(classifyReport('5.0.0', `smtp; ${long}`).class);
    expect(BOUNCE_CLASSES).toContain(classifyReport(null, long).class);
  },
);
