import { describe, expect, test } from 'vitest';
import { parseContentType, readPart, splitMultipart, MAX_PARTS } from '../../src/mail/multipart.ts';
import { readReport } from '../../src/mail/report.ts';
import fc from '../support/properties.ts';
import { complaint, eximBounce, exchangeBounce, gmailBounce, OUT_OF_OFFICE, postfixBounce } from './bounces.ts';

const read = (text: string) => readReport(Buffer.from(text));
const dsn = (text: string) => {
  const report = read(text);
  if (report?.kind !== 'dsn') throw new Error('no bounce');
  return report;
};

describe('a bounce', () => {
  test('of Postfix is read', () => {
    expect(dsn(postfixBounce())).toEqual({
      kind: 'dsn',
      reportingMta: 'mx.example.net',
      originalEnvelopeId: null,
      recipients: [
        {
          originalRecipient: 'bob@example.net',
          finalRecipient: 'bob@example.net',
          action: 'failed',
          status: '5.1.1',
          diagnostic: 'X-Postfix; unknown user: "bob"',
          unstruck: expect.any(Function),
          remoteMta: null,
        },
      ],
      returned: { messageId: '<m1@app.example.com>', returnPath: 'b.x@bounces.example.com' },
    });
  });

  test('of Gmail is read, with its diagnostic of several lines', () => {
    const [recipient] = dsn(gmailBounce()).recipients;
    expect(recipient).toMatchObject({ action: 'failed', status: '5.1.1', finalRecipient: 'bob@gmail.com' });
    expect(recipient?.diagnostic).toMatch(/^smtp; 550-5\.1\.1 The email account .* 550-5\.1\.1 double-checking/);
  });

  test('of Exchange is read from base64', () => {
    expect(dsn(exchangeBounce()).recipients).toMatchObject([
      { status: '5.2.2', finalRecipient: 'bob@contoso.example' },
    ]);
  });

  test('of Exim is read', () => {
    expect(dsn(eximBounce()).recipients).toMatchObject([
      { action: 'failed', diagnostic: 'smtp; 550 No such mailbox: bob' },
    ]);
  });

  test('keeps no word of the returned message, and strikes what the diagnostic repeats of it', () => {
    const quoting = postfixBounce().replace(
      'X-Postfix; unknown user: "bob"',
      'smtp; 550 5.7.1 rejected: Use code 734912 to log in',
    );
    const kept = JSON.stringify(dsn(quoting));
    expect(kept).not.toContain('734912');
    expect(kept).not.toContain('topsecret');
    expect(kept).toContain('rejected');
  });

  test('inside of a multipart with a disclaimer is read', () => {
    const inner = postfixBounce();
    const wrapped = `MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\n${inner}\r\n--w\r\nContent-Type: text/plain\r\n\r\nscanned\r\n--w--\r\n`;
    expect(dsn(wrapped).recipients).toHaveLength(1);
  });

  test('that was sent back inside of another message is not taken for that message', () => {
    const forwarded = `Content-Type: multipart/mixed; boundary=w\r\n\r\n--w\r\nContent-Type: message/rfc822\r\n\r\n${postfixBounce()}\r\n--w--\r\n`;
    expect(read(forwarded)).toBeNull();
  });

  test('deeper than four multiparts is not looked for', () => {
    let text = postfixBounce();
    for (let depth = 0; depth < 4; depth++) {
      text = `Content-Type: multipart/mixed; boundary=w${depth}\r\n\r\n--w${depth}\r\n${text}\r\n--w${depth}--\r\n`;
    }
    expect(read(text)).toBeNull();
  });

  test('of a thousand recipients gives twenty', () => {
    const many = 'Action: failed\r\nStatus: 5.1.1\r\nFinal-Recipient: rfc822; x@example.net\r\n\r\n'.repeat(1000);
    const report = `Content-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; a\r\n\r\n${many}`;
    expect(dsn(report).recipients).toHaveLength(20);
  });

  test.each([
    ['Failed', 'failed'],
    ['failed (gone)', 'failed'],
    ['exploded', null],
  ])('with action %j has action %j', (action, expected) => {
    expect(dsn(eximBounce({ action })).recipients[0]?.action).toBe(expected);
  });
});

describe('a complaint', () => {
  test('is read', () => {
    const fields = 'Original-Mail-From: <b.y@bounces.example.com>\nOriginal-Rcpt-To: <bob@provider.example>\n';
    expect(read(complaint({ fields }))).toEqual({
      kind: 'arf',
      feedbackType: 'abuse',
      userAgent: 'ProviderFBL/1.2',
      reportingMta: null,
      originalMailFrom: 'b.y@bounces.example.com',
      originalRcptTo: ['bob@provider.example'],
      arrivalDate: 'Mon, 5 Jan 2026 10:00:00 +0000',
      returned: { messageId: '<m1@app.example.com>', returnPath: 'b.x@bounces.example.com' },
    });
  });
});

describe('no report', () => {
  test.each([
    ['an automatic reply', OUT_OF_OFFICE],
    ['nothing', ''],
    ['an empty status', 'Content-Type: message/delivery-status\r\n\r\n'],
    ['a multipart without boundary', 'Content-Type: multipart/report\r\n\r\n--\r\n'],
  ])('is %s', (_name, text) => {
    expect(read(text)).toBeNull();
  });
});

describe('any bytes', () => {
  test('are read without a fault', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2000 }), (bytes) => {
        const report = readReport(bytes);
        expect(report === null || report.kind.length === 3).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  test('that were a report once are read without a fault, and what comes out is bounded', () => {
    const samples = [postfixBounce(), gmailBounce(), exchangeBounce(), eximBounce(), complaint()];
    const edit = fc.record({ at: fc.nat(4000), drop: fc.nat(80), put: fc.string({ unit: 'binary', maxLength: 40 }) });
    fc.assert(
      fc.property(fc.constantFrom(...samples), fc.array(edit, { maxLength: 6 }), (sample, edits) => {
        let text = sample;
        for (const { at, drop, put } of edits) text = text.slice(0, at) + put + text.slice(at + drop);
        expect(JSON.stringify(readReport(Buffer.from(text))).length).toBeLessThan(20_000);
      }),
      { numRuns: 300 },
    );
  });

  test.each([
    ['boundaries', 'Content-Type: multipart/mixed; boundary=b\r\n\r\n', '--b\r\n'],
    ['half boundaries', 'Content-Type: multipart/mixed; boundary=b\r\n\r\n', '--b'],
    ['folds', 'Content-Type: message/delivery-status\r\n\r\nStatus: 5.1.1\r\n', ' x\r\n'],
    ['fields', 'Content-Type: message/delivery-status\r\n\r\n', 'Status: 5\r\n'],
    ['parentheses', 'Content-Type: message/delivery-status\r\n\r\nAction: ', '('],
    [
      'equals signs',
      'Content-Type: message/delivery-status\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n',
      '=',
    ],
    ['quotes', 'Content-Type: multipart/mixed; boundary="', '\\"'],
  ])('of a megabyte of %s come to an end', (_name, start, unit) => {
    const text = start + unit.repeat(Math.ceil(1_000_000 / unit.length));
    expect(JSON.stringify(read(text)).length).toBeLessThan(20_000);
  });
});

describe('a multipart', () => {
  const parts = (body: string, boundary = 'b') =>
    splitMultipart(readPart(Buffer.from(`Content-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n${body}`))).map(
      (part) => Buffer.from(part).toString(),
    );

  test('gives its parts without the line end in front of the boundary', () => {
    expect(parts('preamble\r\n--b\r\none\r\n\r\n--b \r\ntwo\r\n--b--\r\nepilogue\r\n--b\r\nno')).toEqual([
      'one\r\n',
      'two',
    ]);
  });

  test('takes a boundary at the start of a line and with nothing behind it only', () => {
    expect(parts('--b\r\nx --b\r\n--bc\r\ny\r\n--b--')).toEqual(['x --b\r\n--bc\r\ny']);
  });

  test('that was cut off gives what is there', () => {
    expect(parts('--b\r\none\r\n--b\r\ntw')).toEqual(['one', 'tw']);
  });

  test('gives so many parts and no more', () => {
    expect(parts('--b\r\nx\r\n'.repeat(MAX_PARTS + 10))).toHaveLength(MAX_PARTS);
  });

  test('has a Content-Type whose parameters may be quoted', () => {
    const type = parseContentType('Multipart/Report; Report-Type=delivery-status; boundary="a;b\\"c" ; x');
    expect(type.type).toBe('multipart/report');
    expect([...type.parameters]).toEqual([
      ['report-type', 'delivery-status'],
      ['boundary', 'a;b"c'],
    ]);
  });
});

describe('what a diagnostic quotes of the message', () => {
  const QUOTE = 'smtp; 550 5.7.1 Message with subject Your code is 482913 Bluebird Walrus looks like phishing';
  const report = (returned: string): string =>
    [
      'From: mailer-daemon@example.org',
      'Content-Type: multipart/report; report-type=delivery-status; boundary=b',
      '',
      '--b',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example.org',
      '',
      'Final-Recipient: rfc822; ann@example.net',
      'Action: failed',
      'Status: 5.7.1',
      `Diagnostic-Code: ${QUOTE}`,
      '',
      returned,
      '--b--',
      '',
    ].join('\r\n');
  const diagnosticOf = (returned: string): string => {
    const read = readReport(Buffer.from(report(returned)));
    if (read?.kind !== 'dsn') throw new Error('no report');
    return read.recipients[0]?.diagnostic ?? '';
  };

  test.each([
    [
      'the whole message',
      '--b\r\nContent-Type: message/rfc822\r\n\r\nSubject: Your code is 482913 Bluebird Walrus\r\n\r\nHello\r\n',
    ],
    [
      'its header without a last line end',
      '--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Your code is 482913 Bluebird Walrus',
    ],
    [
      'its header',
      '--b\r\nContent-Type: text/rfc822-headers\r\n\r\nSubject: Your code is 482913 Bluebird Walrus\r\n\r\n',
    ],
    ['a header without a subject', '--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: <a@example.com>\r\n'],
    ['nothing', ''],
  ])('is not kept when the report brings %s', (_what, returned) => {
    const diagnostic = diagnosticOf(returned);
    expect(diagnostic).not.toMatch(/482913|Bluebird|Walrus/);
    expect(diagnostic).toMatch(/^smtp; 550 5\.7\.1/);
  });
});
