import type { LinkAudit } from '../../src/core/link-audit.ts';
import { describe, expect, test } from 'vitest';
import { type MailParts, readParts, type TextPart, type Unread } from '../../src/mail/parts.ts';
import { formatAudit } from '../../src/policy/format-audit.ts';
import { type FindingPlace, LINK_CODES, sentenceOf, severityOf } from '../../src/policy/link-findings.ts';
import { auditLinks, GMAIL_CLIPS_AT, type LinkPolicy, MAX_LISTED, refusalOfAudit } from '../../src/policy/links.ts';
import fc from '../support/properties.ts';

const POLICY: LinkPolicy = { hosts: ['accounts.acme.com', '*.cdn.acme.com'], schemes: ['https'], action: 'reject' };
const GOOD = 'https://accounts.acme.com/reset?token=S3CRET';

interface Given {
  readonly text?: string | null;
  readonly html?: string | null;
  readonly policy?: Partial<LinkPolicy>;
  readonly recovery?: boolean;
  readonly parts?: Partial<MailParts>;
}

function partsOf({ text = GOOD, html = null, parts = {} }: Given): MailParts {
  const part = (kind: TextPart['kind'], content: string | null): TextPart[] =>
    content === null
      ? []
      : [{ kind, type: kind === 'text' ? 'text/plain' : 'text/html', text: content, octets: content.length }];
  return {
    texts: [...part('text', text), ...part('html', html)],
    attachments: [],
    fieldNames: new Set(),
    unread: new Set(),
    ...parts,
  };
}

const audit = (given: Given): LinkAudit =>
  auditLinks(partsOf(given), { ...POLICY, ...given.policy }, { recovery: given.recovery ?? true });
const codes = (given: Given): string[] => audit(given).findings.map(({ code }) => code);

test('a star allows any public host and takes nothing back from hosts that are bad in themselves', () => {
  const policy = { hosts: ['accounts.example.com', '*'] };
  expect(codes({ text: 'https://accounts.example.com/x https://any.acme.com/ see.acme.com', policy })).toEqual([]);
  expect(codes({ text: 'https://example.com/x', policy })).toEqual(['reserved-host']);
  expect(codes({ text: 'https://bit.ly/x http://localhost/', policy })).toEqual([
    'local-host',
    'shortener',
    'scheme-not-allowed',
  ]);
});

test('a mail that keeps to the policy passes, without findings', () => {
  const result = audit({ html: `<a href="${GOOD}">Reset your password</a> <img src="cid:logo">` });
  expect(result.verdict).toBe('pass');
  expect(result.findings).toEqual([]);
  expect(result.links).toEqual([
    { scheme: 'https', host: 'accounts.acme.com', shown: null, kind: 'text', count: 1, verdict: 'pass', codes: [] },
    { scheme: 'https', host: 'accounts.acme.com', shown: null, kind: 'a', count: 1, verdict: 'pass', codes: [] },
    { scheme: 'cid', host: null, shown: null, kind: 'image', count: 1, verdict: 'pass', codes: [] },
  ]);
});

describe('findings in text', () => {
  test.each([
    ['https://evil.com/x', ['host-not-allowed']],
    ['http://localhost:3000/reset', ['local-host', 'scheme-not-allowed']],
    ['https://intranet/x', ['local-host']],
    ['https://app.internal/x', ['local-host']],
    ['https://example.com/x', ['reserved-host']],
    ['https://192.0.2.7/x', ['ip-host']],
    ['https://2130706433/', ['ip-host']],
    ['https://[2001:db8::1]/x', ['ip-host']],
    ['https://bit.ly/x', ['shortener']],
    ['https://аccounts.acme.com/x', ['look-alike-host']],
    ['https://accounts.acrne.com/x', ['look-alike-host']],
    ['http://accounts.acme.com/x', ['scheme-not-allowed']],
    ['myapp://reset/x', ['scheme-not-allowed']],
    ['https://accounts.acme.com@evil.com/', ['host-not-allowed', 'userinfo']],
    ['https://accounts.acme.com:8443/', ['odd-port']],
    ['https://img.cdn.acme.com/', []],
    ['https://cdn.acme.com/', ['host-not-allowed']],
    ['https://accounts.acme.com.evil.com/', ['host-not-allowed']],
    ['www.evil.com', ['host-not-allowed']],
    ['evil.com/x', ['host-not-allowed']],
    ['Hi evil.com, welcome', ['bare-host']],
    ['accounts.acme.com', []],
  ])('%s: %j', (text, expected) => {
    expect(codes({ text })).toEqual(expected);
  });
});

describe('findings in HTML', () => {
  test.each([
    ['<a href="https://accounts.acme.com/">https://accounts.acme.com/reset</a>', []],
    ['<a href="https://accounts.acme.com/">acme.com</a>', []],
    ['<a href="https://accounts.acme.com/">https://login.acme.com/</a>', ['text-mismatch']],
    ['<a href="javascript:x">x</a>', ['script-link']],
    ['<a href="data:text/html,x">x</a>', ['script-link']],
    ['<img src="data:image/png;base64,x">', []],
    ['<a href="/reset">x</a>', ['incomplete-link']],
    ['<a href="//accounts.acme.com/reset">x</a>', ['incomplete-link']],
    ['<a href="">x</a>', ['incomplete-link']],
    ['<a href="https://">x</a>', ['unreadable-link']],
    ['<a href="mailto:help@acme.com">x</a><a href="tel:+1">y</a>', []],
    ['<img src="https://accounts.acme.com/logo.png">', ['remote-image']],
    ['<img src="https://accounts.acme.com/o" width=1 height=1>', ['tracking-pixel']],
    ['<a ping="https://accounts.acme.com/p">x</a>', ['tracking-pixel']],
    ['<form></form>', ['form']],
    ['<script>x</script>', ['script']],
    ['<p onclick="x">', ['script']],
    ['<iframe></iframe>', ['frame']],
    ['<meta http-equiv="refresh" content="5">', ['refresh']],
    ['<!--[if mso]><v:rect href="https://evil.com"/><![endif]-->', ['host-not-allowed']],
    ['<base href="https://evil.com/"><a href="/x">x</a>', ['host-not-allowed', 'host-not-allowed']],
  ])('%s: %j', (html, expected) => {
    expect(codes({ html })).toEqual(expected);
  });
});

describe('findings about the message', () => {
  test('no text part', () => {
    expect(codes({ text: null, html: `<a href="${GOOD}">x</a>` })).toEqual(['no-text-part']);
  });

  test('a link in the HTML and none in the text', () => {
    expect(codes({ text: 'hello', html: `<a href="${GOOD}">x</a>` })).toEqual(['link-not-in-text']);
  });

  test('HTML at and over the size where Gmail cuts', () => {
    expect(codes({ html: 'x'.repeat(GMAIL_CLIPS_AT) })).toEqual([]);
    expect(codes({ html: 'x'.repeat(GMAIL_CLIPS_AT + 1) })).toEqual(['html-too-long']);
  });

  test('an HTML attachment', () => {
    expect(codes({ parts: { attachments: ['application/pdf', 'text/html'] } })).toEqual(['html-attachment']);
  });

  test('List-Unsubscribe counts on recovery mail alone', () => {
    const parts = { fieldNames: new Set(['from', 'list-unsubscribe']) };
    expect(codes({ parts })).toEqual(['list-unsubscribe']);
    expect(codes({ parts, recovery: false })).toEqual([]);
  });

  test('what was not read whole is a breach, with the reason', () => {
    const result = audit({ parts: { unread: new Set<Unread>(['size', 'charset']) } });
    expect(result.verdict).toBe('reject');
    expect(result.findings.map(({ code }) => code)).toEqual(['not-read-whole', 'not-read-whole']);
    expect(refusalOfAudit(result)).toContain('256 KB');
  });
});

test('more links than are looked at are a breach, not a pass', () => {
  const result = audit({ text: `${GOOD} `.repeat(1001) });
  expect([result.verdict, result.findings.map(({ code }) => code)]).toEqual(['reject', ['not-read-whole']]);
});

describe('the policy', () => {
  test('names a host that is bad in itself, and takes the blame back', () => {
    const policy = { hosts: ['localhost', '192.0.2.7', 'bit.ly'], schemes: ['http', 'https'] };
    expect(codes({ policy, text: 'http://localhost:3000/x https://192.0.2.7/ https://bit.ly/x' })).toEqual([
      'http-link',
    ]);
  });

  test('without hosts allows any public one, and still no bad one', () => {
    expect(codes({ policy: { hosts: [] }, text: 'https://anything.com/ https://localhost/' })).toEqual(['local-host']);
  });

  test('without schemes allows https alone', () => {
    expect(codes({ policy: { schemes: [] }, text: 'http://accounts.acme.com/' })).toEqual(['scheme-not-allowed']);
  });

  test('names hosts in any letters', () => {
    expect(codes({ policy: { hosts: ['Bücher.de'] }, text: 'https://xn--bcher-kva.de/' })).toEqual([]);
  });

  test('allows a scheme of an app', () => {
    expect(codes({ policy: { schemes: ['https', 'myapp'] }, text: 'myapp://reset/x' })).toEqual([]);
  });

  test('rejects on a breach, and warns on the same under action warn', () => {
    expect(audit({ text: 'https://evil.com' }).verdict).toBe('reject');
    expect(audit({ text: 'https://evil.com', policy: { action: 'warn' } }).verdict).toBe('warn');
    expect(audit({ text: 'evil.com' }).verdict).toBe('warn');
  });
});

describe('what is said', () => {
  test('a link to localhost is refused in words that a developer can use', () => {
    expect(refusalOfAudit(audit({ text: 'http://localhost:3000/reset?token=S3CRET' }))).toBe(
      "Link policy: A link to http://localhost:3000 in the text part: this host is known on the app's own machine or network only. Set the app's public base URL (often named BASE_URL, APP_URL or SITE_URL); in development, name the host under links.hosts of the tag. (1 more)",
    );
  });

  test('every code has a severity and a sentence in ASCII', () => {
    const place: FindingPlace = { part: 'html', kind: 'a', scheme: 'https', host: 'x.com', port: 81, detail: null };
    for (const code of LINK_CODES) {
      expect(sentenceOf(code, place)).toMatch(/^[\x20-\x7e]{40,400}$/);
      expect(['breach', 'warning']).toContain(severityOf(code));
    }
  });

  test('a refusal stays one short line, however long the hosts are', () => {
    const host = `${'a'.repeat(60)}.${'b'.repeat(60)}.${'c'.repeat(60)}.com`;
    const text = Array.from({ length: 200 }, (_, at) => `https://${at}.${host}/`).join(' ');
    expect(refusalOfAudit(audit({ text }))).toMatch(/^[\x20-\x7e]{1,450}$/);
  });

  test('the text form shows the verdict, what to do, and every host', () => {
    const shown = formatAudit(audit({ text: 'https://evil.com/a https://evil.com/b https://bücher.de/' }));
    expect(shown).toBe(`reject: the message is refused

breach   host-not-allowed (2 times)
         A link to https://evil.com in the text part: the host is not in links.hosts of the tag. Correct the link, turn link tracking off, or add the host there.
breach   host-not-allowed
         A link to https://xn--bcher-kva.de in the text part: the host is not in links.hosts of the tag. Correct the link, turn link tracking off, or add the host there.

links
  reject  text        https://evil.com (2 times)  host-not-allowed
  reject  text        https://xn--bcher-kva.de (bücher.de)  host-not-allowed
`);
  });

  test('lists are bounded, tell what they leave out, and keep breaches', () => {
    const many = Array.from({ length: 300 }, (_, at) => `name${at}.com`).join(' ');
    const result = audit({ text: `${many} https://evil.com/` });
    expect(result.links.length).toBe(MAX_LISTED);
    expect(result.findings.length).toBe(MAX_LISTED);
    expect(result.omitted).toEqual({ links: 301 - MAX_LISTED, findings: 301 - MAX_LISTED });
    expect(result.findings[0]?.code).toBe('host-not-allowed');
    expect(result.links[0]?.host).toBe('evil.com');
  });
});

describe('secrecy', () => {
  const CANARY = 'zq7CANARY7qz';
  // Where a secret stands in a mail: behind the host, in front of it as user information, in an app's link, in plain text.
  const url = fc
    .tuple(
      fc.constantFrom('https://', 'http://', 'HTTPS:\\\\', 'ftp://', '//', 'https:/'),
      fc.constantFrom('', `${CANARY}@`, `u:${CANARY}@`),
      fc.constantFrom('accounts.acme.com', 'evil.com', 'localhost', '192.0.2.7', '[::1]', 'bücher.de', 'bit.ly', ''),
      fc.constantFrom('', ':8443', ':x'),
      fc.constantFrom(
        `/${CANARY}`,
        `/a/${CANARY}/b`,
        `?t=${CANARY}`,
        `#${CANARY}`,
        `\\${CANARY}`,
        `/x?u=https://${CANARY}.com/`,
        `/,${CANARY}.com/x`,
      ),
    )
    // An empty host makes the first segment the host, for browsers too.
    .map(([scheme, user, host, port, rest]) => `${scheme}${user}${host === '' ? 'evil.com' : host}${port}${rest}`);
  const address = fc.oneof(
    url,
    fc.constantFrom(
      `myapp://${CANARY}`,
      `myapp:${CANARY}`,
      `javascript:x('${CANARY}')`,
      `data:text/html,${CANARY}`,
      `mailto:${CANARY}@x.com`,
      `/reset/${CANARY}`,
      `#${CANARY}`,
      `cid:${CANARY}`,
      `{{${CANARY}}}`,
      `tel:${CANARY}`,
      `localhost:3000/${CANARY}`,
    ),
  );
  const wrap = fc.constantFrom<(value: string) => string>(
    (value) => value,
    (value) => `<a href="${value}">x</a>`,
    (value) => `<a href='${value}'>${value}</a>`,
    (value) => `<img src="${value}" width=1 height=1>`,
    (value) => `<img srcset="${value} 2x">`,
    (value) => `<form action="${value}"></form>`,
    // In CSS a backslash begins an escape: it would make the canary a part of the host.
    (value) => `<p style="background:url(${value.replaceAll('\\', '/')})">`,
    (value) => `<style>@import "${value.replaceAll('\\', '/')}";</style>`,
    (value) => `<meta http-equiv=refresh content="0;url=${value}">`,
    (value) => `<base href="${value}">`,
    (value) => `<!--[if mso]><v:rect href="${value}"/><![endif]-->`,
    (value) => `(${value})`,
    (value) => `text ${CANARY} code ${CANARY}. ${value}.`,
  );

  test('no field of an audit holds a path, query, fragment or user name', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(wrap, address), { maxLength: 6 }), fc.boolean(), (pieces, anyHost) => {
        const content = pieces.map(([around, value]) => around(value)).join('\n');
        const policy: LinkPolicy = { ...POLICY, hosts: anyHost ? [] : POLICY.hosts };
        const message = Buffer.from(
          `Subject: ${CANARY}\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n` +
            `--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n${content}\r\n--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n${content}\r\n--b--\r\n`,
        );
        const result = auditLinks(readParts(message), policy, { recovery: true });
        const all = (JSON.stringify(result) + formatAudit(result) + refusalOfAudit(result)).toLowerCase();
        expect(all).not.toContain('canary');
      }),
      { numRuns: 2000 },
    );
  });

  test('an audit goes through JSON unchanged', () => {
    const result = audit({ text: 'https://evil.com http://localhost', html: '<form>' });
    expect(JSON.parse(JSON.stringify(result))).toEqual(result);
  });
});
