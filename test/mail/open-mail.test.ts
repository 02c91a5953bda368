import { describe, expect, test } from 'vitest';
import { openMail } from '../../src/mail/open-mail.ts';
import fc from '../support/properties.ts';

const lines = (...text: readonly string[]): Buffer => Buffer.from(text.join('\r\n'), 'latin1');

const ALTERNATIVE = lines(
  'From: a@example.com',
  'Subject: =?utf-8?Q?Zur=C3=BCcksetzen?=',
  'Content-Type: multipart/mixed; boundary="out"',
  '',
  '--out',
  'Content-Type: multipart/alternative; boundary="in"',
  '',
  '--in',
  'Content-Type: text/plain; charset=utf-8',
  'Content-Transfer-Encoding: quoted-printable',
  '',
  'Gr=C3=BC=C3=9Fe',
  '--in',
  'Content-Type: text/html; charset=utf-8',
  '',
  '<link rel=stylesheet href=//evil.example><base href=//evil.example><meta http-equiv=refresh content=0><p>Hi</p><img src="cid:logo@x">',
  '--in--',
  '--out',
  'Content-Type: image/png',
  'Content-ID: <logo@x>',
  'Content-Transfer-Encoding: base64',
  '',
  'iVBORw0KGgo=',
  '--out',
  'Content-Type: application/pdf; name="x.pdf"',
  "Content-Disposition: attachment; filename*=utf-8''r%C3%A9sum%C3%A9.pdf",
  'Content-Transfer-Encoding: base64',
  '',
  'aGVsbG8=',
  '--out--',
  '',
);

describe('an opened mail', () => {
  const mail = openMail(ALTERNATIVE);

  test('has its header decoded, its text and its HTML', () => {
    expect(mail.fields.map(({ name }) => name)).toEqual(['From', 'Subject', 'Content-Type']);
    expect(mail.fields[1]?.value).toBe('Zurücksetzen');
    expect(mail.text).toBe('Grüße');
    expect(mail.html).toContain('<p>Hi</p>');
    expect(mail.whole).toBe(true);
  });

  test('brings its pictures along in the HTML', () => {
    expect(mail.html).toContain('src="data:image/png;base64,iVBORw0KGgo="');
  });

  test('lists its attachments with name, type and octets', () => {
    expect(mail.attachments.map(({ name, type, inline }) => [name, type, inline])).toEqual([
      ['', 'image/png', true],
      ['résumé.pdf', 'application/pdf', false],
    ]);
    expect(Buffer.from(mail.attachments[1]?.octets ?? []).toString()).toBe('hello');
  });

  test('loses what reaches out by itself', () => {
    expect(mail.html).not.toMatch(/<(?:link|base|meta)/i);
    const halves = openMail(
      lines('Content-Type: text/html', '', '<ifr<link>ame src=//evil.example><IFRAME/src=//evil.example>'),
    );
    expect(halves.html).not.toMatch(/<(?:link|iframe)/i);
  });

  test('of a plain message is its text', () => {
    const plain = openMail(lines('Subject: x', '', 'just text', ''));
    expect(plain).toMatchObject({ text: 'just text\r\n', html: null, attachments: [] });
  });

  test('does not take an SVG for a picture: it may hold a program', () => {
    const svg = openMail(
      lines(
        'Content-Type: multipart/related; boundary=b',
        '',
        '--b',
        'Content-Type: text/html',
        '',
        '<img src="cid:s">',
        '--b',
        'Content-Type: image/svg+xml',
        'Content-ID: <s>',
        '',
        '<svg onload="alert(1)"/>',
        '--b--',
        '',
      ),
    );
    expect(svg.html).toContain('src="cid:s"');
  });

  test('says so when it was not read whole', () => {
    const part = ['--b', '', 'x'];
    const many = lines(
      'Content-Type: multipart/mixed; boundary=b',
      '',
      ...Array.from({ length: 300 }, () => part).flat(),
      '--b--',
      '',
    );
    expect(openMail(many).attachments.length + (openMail(many).text?.length ?? 0)).toBeGreaterThan(0);
  });

  test('never throws, whatever the octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (octets) => {
        openMail(octets);
        openMail(Buffer.concat([Buffer.from('Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n'), octets]));
      }),
    );
  });
});
