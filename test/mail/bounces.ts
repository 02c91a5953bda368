/** Reports as the world's mail servers write them: forms and fields of the real ones, texts and names of our own. */

const lines = (text: string): string => text.replace(/^\n/, '').replaceAll('\n', '\r\n');

export interface SampleOptions {
  readonly to?: string;
  readonly messageId?: string;
  readonly returnPath?: string;
}

const DEFAULTS: Required<SampleOptions> = {
  to: 'b.x@bounces.example.com',
  messageId: '<m1@app.example.com>',
  returnPath: 'b.x@bounces.example.com',
};

/** Postfix: text, status, whole message; recipient unknown. */
export function postfixBounce(options: SampleOptions = {}): string {
  const { to, messageId, returnPath } = { ...DEFAULTS, ...options };
  return lines(`
Received: by mx.example.net (Postfix)
\tid 4F1B21; Mon, 5 Jan 2026 10:00:01 +0000 (UTC)
Date: Mon, 5 Jan 2026 10:00:01 +0000 (UTC)
From: MAILER-DAEMON@mx.example.net (Mail Delivery System)
Subject: Undelivered Mail Returned to Sender
To: ${to}
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="4F1B20.1767607201/mx.example.net"
Message-Id: <20260105100001.4F1B21@mx.example.net>

This is a MIME-encapsulated message.

--4F1B20.1767607201/mx.example.net
Content-Description: Notification
Content-Type: text/plain; charset=us-ascii

This is the mail system at host mx.example.net.

<bob@example.net>: unknown user: "bob"

--4F1B20.1767607201/mx.example.net
Content-Description: Delivery report
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.net
X-Postfix-Queue-ID: 4F1B20
X-Postfix-Sender: rfc822; ${returnPath}
Arrival-Date: Mon,  5 Jan 2026 10:00:00 +0000 (UTC)

Final-Recipient: rfc822; bob@example.net
Original-Recipient: rfc822;bob@example.net
Action: failed
Status: 5.1.1
Diagnostic-Code: X-Postfix; unknown user: "bob"

--4F1B20.1767607201/mx.example.net
Content-Description: Undelivered Message
Content-Type: message/rfc822

Return-Path: <${returnPath}>
Received: from relay.example.com (relay.example.com [192.0.2.1])
\tby mx.example.net (Postfix) with ESMTPS id 4F1B20
\tfor <bob@example.net>; Mon,  5 Jan 2026 10:00:00 +0000 (UTC)
From: Example <security@example.com>
To: bob@example.net
Subject: Use code 734912 to log in
Message-ID: ${messageId}
MIME-Version: 1.0

Open https://accounts.example.com/reset?token=topsecret

--4F1B20.1767607201/mx.example.net--
`);
}

/** Gmail: quoted-printable text, HTML beside it, a folded diagnostic of several lines; header only. */
export function gmailBounce(options: SampleOptions = {}): string {
  const { to, messageId } = { ...DEFAULTS, ...options };
  return lines(`
From: Mail Delivery Subsystem <mailer-daemon@googlemail.com>
To: ${to}
Auto-Submitted: auto-replied
Subject: Delivery Status Notification (Failure)
Message-ID: <695b8d21.050a0220.1@mx.google.com>
Content-Type: multipart/report; boundary="000000000000aaaa1105f0c0ffee"; report-type=delivery-status

--000000000000aaaa1105f0c0ffee
Content-Type: multipart/related; boundary="000000000000bbbb1105f0c0ffee"

--000000000000bbbb1105f0c0ffee
Content-Type: multipart/alternative; boundary="000000000000cccc1105f0c0ffee"

--000000000000cccc1105f0c0ffee
Content-Type: text/plain; charset="UTF-8"

** Address not found **

--000000000000cccc1105f0c0ffee--

--000000000000bbbb1105f0c0ffee--
--000000000000aaaa1105f0c0ffee
Content-Type: message/delivery-status

Reporting-MTA: dns; googlemail.com
Arrival-Date: Mon, 05 Jan 2026 02:00:00 -0800 (PST)
X-Original-Message-ID: ${messageId}

Final-Recipient: rfc822; bob@gmail.com
Action: failed
Status: 5.1.1
Remote-MTA: dns; gmail-smtp-in.l.google.com. (2001:db8::1, the server
 for the domain gmail.com.)
Diagnostic-Code: smtp; 550-5.1.1 The email account that you tried to reach does not exist. Please try
 550-5.1.1 double-checking the recipient's email address for typos.
 550 5.1.1  https://support.google.com/mail/?p=NoSuchUser - gsmtp
Last-Attempt-Date: Mon, 05 Jan 2026 02:00:01 -0800 (PST)

--000000000000aaaa1105f0c0ffee
Content-Type: text/rfc822-headers

DKIM-Signature: v=1; a=rsa-sha256; d=example.com
Message-ID: ${messageId}
Subject: Reset

--000000000000aaaa1105f0c0ffee--
`);
}

/** Exchange Online: the mailbox is full; the status part in base64, as a gateway re-encoded it. */
export function exchangeBounce(options: SampleOptions = {}): string {
  const { to, messageId } = { ...DEFAULTS, ...options };
  const status = lines(`
Reporting-MTA: dns;AM0PR01MB1234.eurprd01.prod.exchangelabs.com
Received-From-MTA: dns;relay.example.com
Arrival-Date: Mon, 5 Jan 2026 10:00:00 +0000

Final-Recipient: rfc822;bob@contoso.example
Action: failed
Status: 5.2.2
Diagnostic-Code: smtp;554 5.2.2 mailbox full; STOREDRV.Deliver.Exception:QuotaExceededException
X-Display-Name: Bob
`);
  return lines(`
From: <postmaster@contoso.example>
To: <${to}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status;
\tboundary="c1a2b3c4-0000-4000-8000-1234567890ab"
Content-Language: en-GB
Message-ID: <c1a2b3c4@contoso.example>
In-Reply-To: ${messageId}
Auto-Submitted: auto-replied

--c1a2b3c4-0000-4000-8000-1234567890ab
Content-Type: multipart/alternative; differences=Content-Type;
\tboundary="d1a2b3c4-0000-4000-8000-1234567890ab"

--d1a2b3c4-0000-4000-8000-1234567890ab
Content-Type: text/plain; charset="us-ascii"
Content-Transfer-Encoding: quoted-printable

Delivery has failed to these recipients

--d1a2b3c4-0000-4000-8000-1234567890ab--

--c1a2b3c4-0000-4000-8000-1234567890ab
Content-Type: message/delivery-status
Content-Transfer-Encoding: base64

${(
  Buffer.from(status)
    .toString('base64')
    .match(/.{1,76}/g) ?? []
).join('\n')}

--c1a2b3c4-0000-4000-8000-1234567890ab
Content-Type: message/rfc822

From: security@example.com
Message-ID: ${messageId}

--c1a2b3c4-0000-4000-8000-1234567890ab--
`);
}

/** Exim: no Status but a general one, the reply in the diagnostic; still trying when `action` is `delayed`. */
export function eximBounce(options: SampleOptions & { readonly action?: string } = {}): string {
  const { to, messageId, returnPath, action } = { ...DEFAULTS, action: 'failed', ...options };
  return lines(`
Return-path: <>
Auto-Submitted: auto-replied
From: Mail Delivery System <Mailer-Daemon@exim.example.org>
To: ${to}
Content-Type: multipart/report; report-type=delivery-status; boundary=1767607201-eximdsn-424242
MIME-Version: 1.0
Subject: Mail delivery ${action}: returning message to sender

--1767607201-eximdsn-424242
Content-type: text/plain; charset=us-ascii

A message that you sent could not be delivered to one or more of its recipients.

--1767607201-eximdsn-424242
Content-type: message/delivery-status

Reporting-MTA: dns; exim.example.org

Action: ${action}
Final-Recipient: rfc822;bob@example.org
Status: 5.0.0
Remote-MTA: dns; mx.example.org
Diagnostic-Code: smtp; 550 No such mailbox: bob

--1767607201-eximdsn-424242
Content-type: message/rfc822

Return-path: <${returnPath}>
Subject: Your code is 482913 Bluebird
Message-Id: ${messageId}

--1767607201-eximdsn-424242--
`);
}

/** A complaint of a feedback loop. */
export function complaint(options: SampleOptions & { readonly type?: string; readonly fields?: string } = {}): string {
  const { to, messageId, returnPath, type, fields } = {
    ...DEFAULTS,
    to: 'fbl@bounces.example.com',
    type: 'abuse',
    fields: '',
    ...options,
  };
  return lines(`
From: <feedback@provider.example>
Date: Mon, 5 Jan 2026 10:30:00 +0000
Subject: FW: a message
To: <${to}>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report;
     boundary="part1_13d.2e68ed54_boundary"

--part1_13d.2e68ed54_boundary
Content-Type: text/plain; charset="US-ASCII"
Content-Transfer-Encoding: 7bit

This is an email abuse report.

--part1_13d.2e68ed54_boundary
Content-Type: message/feedback-report

Feedback-Type: ${type}
User-Agent: ProviderFBL/1.2
Version: 1
Arrival-Date: Mon, 5 Jan 2026 10:00:00 +0000
Source-IP: 192.0.2.1
${fields}
--part1_13d.2e68ed54_boundary
Content-Type: message/rfc822
Content-Disposition: inline

Return-Path: <${returnPath}>
From: <security@example.com>
Message-ID: ${messageId}
Subject: Use code 734912

body

--part1_13d.2e68ed54_boundary--
`);
}

/** An automatic reply of a person. */
export const OUT_OF_OFFICE: string = lines(`
From: Bob <bob@example.net>
To: b.x@bounces.example.com
Subject: Out of office
Auto-Submitted: auto-replied
Content-Type: text/plain

I am away until Monday. Action: failed
Status: 5.1.1
`);
