import { describe, expect, it } from 'vitest';
import { submissionDigest } from '../../src/intake/digest.ts';
import { scanHeader } from '../../src/mail/header.ts';
import { address } from '../support/address.ts';
import fc from '../support/properties.ts';

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

  it('does not depend on the boundaries of multiparts in multiparts', () => {
    const nested = (outer: string, inner: string, text: string): Mail => ({
      header: `Content-Type: multipart/mixed; boundary=${outer}\r\n`,
      body:
        `--${outer}\r\nContent-Type: multipart/alternative;\r\n\tboundary="${inner}"\r\n\r\n--${inner}\r\n\r\n${text}\r\n` +
        `--${inner}\r\n\r\nmore\r\n--${inner}--\r\n--${outer}--\r\n`,
    });
    const one = nested('aaaa', 'bbbb', 'x');
    expect(digest(one)).toBe(digest(nested('cc', 'dd', 'x')));
    expect(digest(one)).not.toBe(digest(nested('cc', 'dd', 'y')));
    // As many parts, another tree.
    expect(digest(one)).not.toBe(
      digest({ ...one, body: one.body?.replace('--bbbb\r\n\r\nmore', '--aaaa\r\n\r\nmore') ?? '' }),
    );
  });

  it.each([
    ['boundary=TOKEN-ONE', 'boundary=TOKEN-TWO'],
    ['boundary="TOKEN-ONE"', 'boundary="TOKEN-TWO"'],
    ['--real-boundary-1 x', '--boundary-0 x'],
    ['see real-boundary-1', 'see boundary-0'],
    [
      'Content-Type: multipart/mixed; boundary=TOKEN-ONE\r\n\r\n--TOKEN-ONE',
      'Content-Type: multipart/mixed; boundary=TOKEN-TWO\r\n\r\n--TOKEN-TWO',
    ],
  ])('counts a text that only looks like boundaries: %j and %j', (one, other) => {
    expect(digest({ body: one })).not.toBe(digest({ body: other }));
    expect(digest(multipart('real-boundary-1', one))).not.toBe(digest(multipart('real-boundary-1', other)));
  });

  it('counts boundaries in the text of other headers', () => {
    const { header = '', body = '' } = multipart('real-boundary-1', 'x');
    const given = (note: string): Mail => ({ header: `${header}X-Note: ${note}\r\n`, body });
    expect(digest(given('real-boundary-1'))).not.toBe(digest(given('other-boundary-1')));
  });

  it('is the same under any boundaries, and differs with any change of the text', () => {
    const boundary = fc.stringMatching(/^[A-Za-z0-9'()+_,./:=?-]{1,40}$/);
    const text = fc.string({ unit: fc.constantFrom('-', '--', 'a', ' ', 'boundary=', 'x1', '\r\n', '=') });
    fc.assert(
      fc.property(boundary, boundary, text, text, (one, other, said, instead) => {
        fc.pre(![said, instead].some((words) => words.includes(`--${one}`) || words.includes(`--${other}`)));
        expect(digest(multipart(one, said))).toBe(digest(multipart(other, said)));
        expect(digest(multipart(one, said)) === digest(multipart(other, instead))).toBe(said === instead);
      }),
    );
  });

  it('does not depend on the order of recipients', () => {
    expect(digest({ to: ['a@example.net', 'b@example.net'] })).toBe(digest({ to: ['b@example.net', 'a@example.net'] }));
  });
});
