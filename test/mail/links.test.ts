import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findCssAddresses } from '../../src/mail/css-links.ts';
import { readTarget } from '../../src/mail/link-target.ts';
import { type Link, MAX_LINKS, readLinks } from '../../src/mail/links.ts';
import { findTextLinks } from '../../src/mail/text-links.ts';

const part = (kind: 'text' | 'html', text: string) => ({ kind, type: `text/${kind}`, text, octets: text.length });
const html = (text: string): readonly Link[] => readLinks([part('html', text)]).links;
const brief = (links: readonly Link[]): string[] =>
  links.map(({ kind, target }) => `${kind} ${target.scheme}:${target.host ?? target.form}`);

describe('a target', () => {
  test.each([
    ['https://Accounts.Example.com/reset?t=x', 'host', 'https', 'accounts.example.com', null, false],
    ['https://x.com:8443/', 'host', 'https', 'x.com', 8443, false],
    ['https://x.com:443/', 'host', 'https', 'x.com', null, false],
    ['https://good.com@evil.com/', 'host', 'https', 'evil.com', null, true],
    ['https://good.com\\@evil.com', 'host', 'https', 'good.com', null, false],
    [' \u0000https://x.com', 'host', 'https', 'x.com', null, false],
    ['ht\ntps://x\t.com', 'host', 'https', 'x.com', null, false],
    ['https:x.com', 'host', 'https', 'x.com', null, false],
    ['https:\\\\x.com', 'host', 'https', 'x.com', null, false],
    ['https:////x.com', 'host', 'https', 'x.com', null, false],
    ['http://2130706433/', 'host', 'http', '127.0.0.1', null, false],
    ['http://0x7f.1/', 'host', 'http', '127.0.0.1', null, false],
    ['http://[::1]:3000/', 'host', 'http', '[::1]', 3000, false],
    ['https://%65vil.com/', 'host', 'https', 'evil.com', null, false],
    ['https://ｅvil。com/', 'host', 'https', 'evil.com', null, false],
    ['https://x.com./', 'host', 'https', 'x.com', null, false],
    ['//x.com/y', 'host', '', 'x.com', null, false],
    ['java\nscript:alert(1)', 'script', 'javascript', null, null, false],
    ['\u0001JavaScript:alert(1)', 'script', 'javascript', null, null, false],
    ['data:text/html,x', 'data', 'data', null, null, false],
    ['mailto:a@b.example', 'contact', 'mailto', null, null, false],
    ['tel:+1', 'contact', 'tel', null, null, false],
    ['cid:logo', 'inside', 'cid', null, null, false],
    ['myapp://S3CRET/x', 'other', 'myapp', null, null, false],
    ['file:///etc/passwd', 'other', 'file', null, null, false],
    ['/reset', 'relative', '', null, null, false],
    ['', 'relative', '', null, null, false],
    ['{{ url }}', 'relative', '', null, null, false],
    ['localhost:3000/reset', 'relative', '', null, null, false],
    ['accounts.example.com:80/x', 'relative', '', null, null, false],
    ['https://', 'unreadable', 'https', null, null, false],
    ['https://a b/', 'unreadable', 'https', null, null, false],
    [`https://${'a'.repeat(5000)}@x.com/`, 'unreadable', 'https', null, null, false],
  ])('target %# is read as %s %s', (raw, form, scheme, host, port, userinfo) => {
    expect(readTarget(raw, null)).toMatchObject({ form, scheme, host, port, userinfo });
  });

  test('a host in other letters is shown as people see it', () => {
    expect(readTarget('https://bücher.de/', null)).toMatchObject({ host: 'xn--bcher-kva.de', shown: 'bücher.de' });
  });

  test('a place in the same mail is no link', () => {
    expect(readTarget('#top', null)).toBeNull();
  });

  test('agrees with the URL parser of the platform about the host of any web address', () => {
    const piece = fc.constantFrom(
      'https:',
      'http:',
      '/',
      '\\',
      '@',
      ':',
      '.',
      'a',
      'evil.com',
      'b',
      '?',
      '#',
      '%41',
      ' ',
      '\t',
      '[',
      'ü',
      '1',
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const raw = `https://${pieces.join('')}`;
        const url = URL.parse(raw);
        const host = readTarget(raw, null)?.host ?? null;
        expect(host).toBe(url === null ? null : url.hostname.replace(/\.$/, '') || null);
      }),
      { numRuns: 3000 },
    );
  });
});

describe('links in text', () => {
  test.each([
    ['go to https://x.example/a?b now', ['https:x.example']],
    ['(https://x.example).', ['https:x.example']],
    ['<https://x.example/a>', ['https:x.example']],
    ['URL:https://x.example,', ['https:x.example']],
    ["'https://x.example'", ['https:x.example']],
    ['https://good.example@evil.example/', ['https:evil.example']],
    ['https://a.example/?next=https://b.example/', ['https:a.example']],
    ['https://a.example/x,b.com/c', ['https:a.example']],
    ['myapp://x/y', ['myapp:-']],
    ['=https://x.example', ['https:x.example']],
    ['x.com/y?next=https://z.com', [':x.com']],
    ['/https://z.com', ['https:-']],
    ['www.x.de', [':www.x.de']],
    ['x.com/reset', [':x.com']],
    ['see evil.com!', [':evil.com bare']],
    ['localhost:3000/reset', [':localhost']],
    ['https://bücher.de/x', ['https:xn--bcher-kva.de']],
    ['mail a@b.com or a@b.com/x', []],
    ['e.g. this and/or that 1.5/2 v1.2 node.js README.md', []],
    ['://', []],
    ['1://x', []],
  ])('%j', (text, expected) => {
    const found = findTextLinks(text, 100).map(
      ({ target, bare }) => `${target.scheme}:${target.host ?? '-'}${bare ? ' bare' : ''}`,
    );
    expect(found).toEqual(expected);
  });
});

describe('addresses in CSS', () => {
  test.each([
    ['background:url(https://x/a)', ['https://x/a']],
    ["background: URL( 'https://x/a' )", ['https://x/a']],
    ['@import "https://x/a";', ['https://x/a']],
    ['@import url("https://x/a");', ['https://x/a']],
    ['background:\\75 rl(https://x)', ['https://x']],
    ['color:red; content:"url"', []],
  ])('%j', (css, expected) => {
    expect(findCssAddresses(css, 10)).toEqual(expected);
  });
});

describe('links in HTML', () => {
  test.each([
    ['<a href="https://x.com/y">go</a>', ['a https:x.com']],
    ['<A HREF=https://x.com>go', ['a https:x.com']],
    ['<a href="https&#58;//x.com">go</a>', ['a https:x.com']],
    ['<a href="java&#x0A;script:x">go</a>', ['a javascript:script']],
    ['<a href="https://a.com" href="https://b.com">x</a>', ['a https:a.com']],
    ['<map><area href=https://x.com></map>', ['area https:x.com']],
    [
      '<img src=https://x.com/a srcset="https://y.com/a,b 1x, https://z.com/b 2x">',
      ['image https:x.com', 'image https:y.com', 'image https:z.com'],
    ],
    ['<form action=https://x.com><button formaction=https://y.com></form>', ['form https:x.com', 'form https:y.com']],
    ['<link rel=stylesheet href=https://x.com/a.css>', ['stylesheet https:x.com']],
    [
      '<style>@import "https://x.com/a"; p { background: url(https://y.com) }</style>',
      ['css https:x.com', 'css https:y.com'],
    ],
    ['<p style="background:url(&quot;https://x.com/a&quot;)">', ['css https:x.com']],
    ['<td background="https://x.com/a">', ['background https:x.com']],
    ['<meta http-equiv=Refresh content="0; URL=\'https://x.com/y\'">', ['refresh https:x.com']],
    ['<base href=https://x.com/><a href=/y>z</a>', ['base https:x.com', 'a https:x.com']],
    ['<a href=/y>z</a><base href=https://x.com/>', ['a https:x.com', 'base https:x.com']],
    ['<iframe src=https://x.com>', ['frame https:x.com']],
    ['<object data=https://x.com>', ['frame https:x.com']],
    ['<svg><image xlink:href=https://x.com /></svg>', ['image https:x.com']],
    ['<!--[if mso]><v:roundrect href="https://x.com/y"></v:roundrect><![endif]-->', ['a https:x.com']],
    ['<!-- <a href=https://x.com>no</a> -->', []],
    ['<![CDATA[><a href=https://x.com>y</a>]]>', ['a https:x.com']],
    ['<p>see https://x.com/y</p>', ['text https:x.com']],
    ['<p>https://x.com</p>y.com/z', ['text https:x.com', 'text :y.com']],
    ['<script>var u = "https://x.com"</script><title>https://t.com</title>', ['text https:t.com']],
    ['<html xmlns="http://www.w3.org/1999/xhtml">', []],
    ['<a href="https://x.com', []],
  ])('%j', (source, expected) => {
    expect(brief(html(source))).toEqual(expected);
  });

  test.each([
    ['<a href=https://a.com>https://b.com/x</a>', 'b.com'],
    ['<a href=https://a.com>https://<b>b</b>.com</a>', 'b.com'],
    ['<a href=https://a.com>b&#8203;.com</a>', 'b.com'],
    ['<a href=https://a.com>Reset<br>www.b.com</a>', 'www.b.com'],
    ['<a href=https://a.com>Reset your password</a>', null],
    ['<a href=https://a.com>help@b.com</a>', null],
  ])('the visible text of %j shows %s', (source, expected) => {
    expect(html(source)[0]?.textHost).toBe(expected);
  });

  test.each([
    ['width=1 height=1', true],
    ['width="0" height="0"', true],
    ['style="width:1px;height:1px"', true],
    ['style="display: none"', true],
    ['width=600 height=1', false],
    ['width=120 style="max-width:100%;height:auto"', false],
  ])('an image with %s is a pixel: %s', (attributes, expected) => {
    expect(html(`<img src=https://x.com/p ${attributes}>`)[0]?.pixel).toBe(expected);
  });

  test('forms, scripts, handlers, frames and refreshes are marked', () => {
    const source = '<form><script></script><p onclick=x><iframe></iframe><meta http-equiv=refresh content=5>';
    expect(Object.fromEntries(readLinks([part('html', source)]).marks)).toEqual({
      form: 1,
      script: 1,
      handler: 1,
      frame: 1,
      refresh: 1,
    });
  });
});

describe('hostile input', () => {
  test('so many links are read, and more are told', () => {
    const some = readLinks([part('html', '<img src=//x>'.repeat(MAX_LINKS))]);
    expect([some.links.length, some.whole]).toEqual([MAX_LINKS, true]);
    const more = readLinks([part('html', '<img src=//x>'.repeat(MAX_LINKS + 1))]);
    expect([more.links.length, more.whole]).toEqual([MAX_LINKS, false]);
  });

  test('comments in comments are followed so deep, and then told', () => {
    expect(readLinks([part('html', `${'<!--[if mso]>'.repeat(20)}<a href=https://x.com>-->`)]).whole).toBe(false);
  });

  test('any HTML is read, without a throw', () => {
    const piece = fc.oneof(
      fc.constantFrom(
        '<a href="',
        '<img src=',
        "'",
        '"',
        '>',
        '</a>',
        '<!--',
        '-->',
        '<![CDATA[',
        ']]>',
        '<style>',
        '</style',
        '<script',
        'url(',
        'https://',
        '&#x110000;',
        '&#',
        '&amp',
        'srcset="a,b',
        '<base href=//b>',
        '<plaintext>',
        ' on',
        'x.com/',
        '@',
        '\\',
      ),
      fc.string({ unit: 'binary', maxLength: 6 }),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
        expect(
          readLinks([part('html', pieces.join('')), part('text', pieces.join(''))]).links.length,
        ).toBeLessThanOrEqual(MAX_LINKS);
      }),
      { numRuns: 2000 },
    );
  });

  // A step that grows faster than its input would not end here: half a million characters of each.
  test.each([
    '<b>',
    '<a href=x>',
    '</i>',
    '<!--',
    '<!--[if',
    '<![CDATA[',
    '<p a=',
    'a.',
    'a-',
    'a@',
    '://',
    'a://',
    'http://',
    'url(',
    'url("',
    '@import ',
    '\\61',
    '(',
    '&',
    '&#x',
    '<style>',
    '< ',
    'style="',
    '<img srcset="a,',
    'é.',
    '!',
    'aa.com/',
    ':1',
    '.',
  ])('half a megabyte of %j is read', (piece) => {
    const text = piece.repeat(Math.ceil(524_288 / piece.length));
    for (const source of [text, `<p style="${text}">`, `<a href="https://${text}">${text}`, `<img srcset="${text}">`]) {
      expect(readLinks([part('html', source.slice(0, 524_288))]).links.length).toBeLessThanOrEqual(MAX_LINKS);
    }
    expect(readLinks([part('text', text)]).links.length).toBeLessThanOrEqual(MAX_LINKS);
  });
});
