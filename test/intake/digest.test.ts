import { describe, expect, it } from 'vitest';
import { submissionDigest } from '../../src/intake/digest.ts';
import { scanHeader } from '../../src/mail/header.ts';
import { address } from '../support/address.ts';

interface Mail {
  readonly header?: string;
  readonly body?: string;
  readonly from?: string;
  readonly to?: readonly string[];
}

function digest({ header = '', body = 'hello\r\n', from = 'app@example.com', to = ['ann@example.net'] }: Mail): string {
  const bytes = Buffer.from(`From: app@example.com\r\nSubject: Reset\r\n${header}\r\n${body}`);
  const scan = scanHeader(bytes);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return submissionDigest(
    {
      mailFrom: address(from),
      recipients: to.map((text) => ({ address: address(text), dsn: null })),
      dsn: { ret: null, envid: null },
      smtpUtf8: false,
      deliverBySeconds: null,
    },
    { bytes, fields: scan.fields, bodyStart: scan.bodyStart },
  );
}

function multipart(boundary: string, text: string): Mail {
  return {
    header: `Content-Type: multipart/alternative;\r\n boundary="${boundary}"\r\n`,
    body: `--${boundary}\r\n\r\n${text}\r\n--${boundary}--\r\n`,
  };
}

describe('the digest of a submission', () => {
  it.each([
    ['Message-ID: <1@a>\r\nDate: Mon, 5 Jan 2026 10:00:00 +0000\r\n', 'Message-ID: <2@a>\r\n'],
    ['X-Leadpush-Idempotency-Key: k\r\n', ''],
    ['X-Mailer: a\r\n  b\r\n', 'X-Mailer:  a b\r\n'],
  ])('is the same for what a try makes anew: %j and %j', (one, other) => {
    expect(digest({ header: one })).toBe(digest({ header: other }));
  });

  it.each<[string, Mail]>([
    ['body', { body: 'hello, again\r\n' }],
    ['a header', { header: 'To: bob@example.net\r\n' }],
    ['the tag', { header: 'X-Leadpush-Tag: otp\r\n' }],
    ['the envelope sender', { from: 'other@example.com' }],
    ['the recipients', { to: ['ann@example.net', 'bob@example.net'] }],
  ])('differs with %s', (_what, mail) => {
    expect(digest(mail)).not.toBe(digest({}));
  });

  it('does not depend on the boundaries that a library draws, and does on what stands between them', () => {
    expect(digest(multipart('----_NmP-1a2b3c-Part_1', 'x'))).toBe(digest(multipart('----_NmP-9f8e7d-Part_1', 'x')));
    expect(digest(multipart('----_NmP-1a2b3c-Part_1', 'x'))).not.toBe(digest(multipart('----_NmP-1a2b3c-Part_1', 'y')));
  });

  it('does not depend on the order of recipients', () => {
    expect(digest({ to: ['a@example.net', 'b@example.net'] })).toBe(digest({ to: ['b@example.net', 'a@example.net'] }));
  });
});
