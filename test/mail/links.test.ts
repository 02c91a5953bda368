import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { findCssAddresses } from '../../src/mail/css-links.ts';
import { readTarget } from '../../src/mail/link-target.ts';
import { type Link, MAX_LINKS, readLinks } from '../../src/mail/links.ts';
import { findTextLinks } from '../../src/mail/text-links.ts';
import fc from '../support/properties.ts';

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
    ['https://ok.example,https://evil.example', ['https:ok.example', 'https:evil.example']],
    ['https://ok.example/a|https://evil.example/', ['https:ok.example', 'https:evil.example']],
    ['[https://ok.example/](https://evil.example/)', ['https:ok.example', 'https:evil.example']],
    ['https://ok.example/?u=https://evil.example', ['https:ok.example']],
    ['https://ok.com~.evil.com/', ['https:ok.com', 'https:ok.com~.evil.com']],
    ['https://evil.com\u200b.ok.com/', ['https:evil.com', 'https:evil.com.ok.com']],
    ['https://evil.com&.ok.com/', ['https:evil.com', 'https:evil.com&.ok.com']],
    ['https://ok.com,', ['https:ok.com']],
    ['https://ok.com...', ['https:ok.com']],
    ['(https://ok.com)!', ['https:ok.com']],
    ['https://ok.com|Reset', ['https:ok.com']],
    ['evil.com,ok.com/x', [':evil.com bare', ':ok.com']],
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
    ['@import"https://x/a"', ['https://x/a']],
    ["@import/* a */'https://x/a'", ['https://x/a']],
    ['@\\69mport "https://x/a"', ['https://x/a']],
    ['background:\\75\r\nrl(https://x)', ['https://x']],
    ['background:image-set("https://x/a" 1x, url(https://y/b) 2x)', ['https://y/b', 'https://x/a']],
    ["background:-webkit-image-set('//x/a' 1x)", ['//x/a']],
    ['src: src("https://x/a")', ['https://x/a']],
    ["filter:progid:X.AlphaImageLoader(src='https://x/a')", ['https://x/a']],
    ['/* url(https://x) */ a { content: "url(https://y)" }', ['https://x', 'https://y']],
    ['content:"\\22 /*"; background:url(https://x)/*"*/', ['https://x']],
    ['p { font-family: "https://x" }', []],
  ])('%j', (css, expected) => {
    expect(findCssAddresses(css, 10)).toEqual({ addresses: expected, whole: true });
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
    expect(html(source)[0]?.textHosts).toEqual(expected === null ? [] : [expected]);
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

describe('what readers see in different ways', () => {
  const whole = (source: string): boolean => readLinks([part('html', source)]).whole;
  const shows = (source: string, host = 'evil.com'): readonly string[] =>
    html(source).find(({ kind, target }) => kind === 'a' && target.host === host)?.textHosts ?? [];
  const EVIL = '<a href="https://evil.com/">';

  test.each([
    ['a style that a comment for Outlook leaves open', `<!--[if mso]><style>p{}<![endif]-->${EVIL}bank.com</a>`],
    ['a title that a comment leaves open', `<!--[if mso]><title>x<![endif]-->${EVIL}bank.com</a>`],
    [
      'a link that begins in a comment for Outlook',
      `<!--[if mso]>${EVIL}<![endif]-->bank.com<!--[if mso]></a><![endif]-->`,
    ],
    ['a space in a comment for Outlook', `${EVIL}bank<!--[if mso]> <![endif]-->.com</a>`],
    ['hidden text in a name', `${EVIL}bank<span style="display:none"> </span>.com</a>`],
    ['a hidden block in a name', `${EVIL}bank<div hidden> </div>.com</a>`],
    ['an element hidden for Outlook alone', `${EVIL}<!--[if mso]><div hidden><![endif]-->bank<i hidden> </i>.com</a>`],
    ['an element that is hidden around the link', `<p hidden><div>${EVIL}bank<i hidden> </i>.com</a>`],
    ['a link in hidden text', `${EVIL}bank<i hidden><table><td><a name=x></a></table> </i>.com</a>`],
    ['text without size in a name', `${EVIL}bank<i style="font-size:0">-x </i>.com</a>`],
    ['an element nobody knows in a name', `${EVIL}bank<x-y></x-y>.com</a>`],
    ['a block that stands in the line', `${EVIL}bank<div style="display:inline">.com</div></a>`],
    ['letters without width', `${EVIL}bank&#xfe00;&#x2062;&shy;.com</a>`],
    ['full-width letters', `${EVIL}ｂａｎｋ．ｃｏｍ</a>`],
    ['a leader for a dot', `${EVIL}bank&#x2024;com</a>`],
    ['letters that are turned around', `${EVIL}&#x202e;moc.knab</a>`],
    [
      'letters that a style turns around',
      `${EVIL}<span style="unicode-bidi:bidi-override;direction:rtl">moc.knab</span></a>`,
    ],
    ['letters that an element turns around', `${EVIL}<bdo dir=rtl>moc.knab</bdo></a>`],
    ['the alternative text of an image', `${EVIL}<img src="cid:x" alt="https://bank.com/"></a>`],
    [
      'an anchor in the cell of a table in the link',
      `${EVIL}<table><tr><td><a name=x></a>bank.com</td></tr></table></a>`,
    ],
    ['an end of the link in the cell of a table', `${EVIL}<table><tr><td></a>bank.com</td></tr></table>`],
    ['a link in a table in the link', `${EVIL}<table><td><a href="https://ok.com">ok</a>bank.com</td></table></a>`],
    ['another name in front of it', `${EVIL}www.evil.com or bank.com</a>`],
    ['much white space in front of it', `${EVIL}${' &nbsp;\n'.repeat(3000)}bank.com</a>`],
    ['a button of Outlook', `<v:roundrect href="https://evil.com/"><center>bank.com</center></v:roundrect>`],
    ['a link in XHTML with a prefix', `<h:a href="https://evil.com/">bank.com</h:a>`],
    ['a link in SVG', `<svg><a xlink:href="https://evil.com/"><text>bank.com</text></a></svg>`],
    ['a link with a prefix of its own', `<svg><a q:href="https://evil.com/"><text>bank.com</text></a></svg>`],
    ['a cell without a table', `<td>${EVIL}</td>bank.com</a>`],
    ['a name beside an image', `${EVIL}bank.com<img src=cid:x>bank</a>`],
    ['an image without size in a name', `${EVIL}bank<img src=cid:x width=0 height=0>.com</a>`],
    ['a link that begins in it', `${EVIL}bank.com<a href="https://ok.com"></a>bank</a>`],
  ])('the text of a link is seen through %s', (_how, source) => {
    expect(shows(source)).toContain('bank.com');
  });

  test('a country that no reader makes a link of is the name of a site for a person', () => {
    expect(shows(`${EVIL}bank.hu</a>`)).toEqual(['bank.hu']);
    expect(shows(`${EVIL}readme.md</a>`)).toEqual([]);
  });

  test.each([
    ['a block', `${EVIL}Go to<div>www.bank.com</div></a>`],
    ['a line break', `${EVIL}Go to<br>www.bank.com</a>`],
    ['a line in the style', `${EVIL}Go to<span style="display:block">www.bank.com</span></a>`],
  ])('%s ends a word of the text of a link', (_how, source) => {
    expect(shows(source)).toEqual(['www.bank.com']);
  });

  test('what follows a link is not its text', () => {
    expect(shows(`<p>${EVIL}<b>x</a></b> bank.com</p>`)).toEqual([]);
    expect(shows(`<table><tr><td>${EVIL}x</a> bank.com</td></tr></table>`)).toEqual([]);
    expect(shows(`<table><tr><td>${EVIL}x</td><td>bank.com</td></tr></table>`)).toEqual([]);
  });

  test('an end of a block that was never begun parts no name', () => {
    expect(shows(`${EVIL}bank</div>.com</a>`)).toEqual(['bank.com']);
    expect(shows(`<div>${EVIL}go</div>bank.com</a>`)).toEqual(['bank.com']);
  });

  test('the text on what is no link for some readers is looked through for links', () => {
    expect(brief(html('<a href="#top">https://evil.com/</a>'))).toEqual(['text https:evil.com']);
    expect(brief(html('<a name=x>https://evil.com/</a>'))).toEqual(['text https:evil.com']);
    expect(brief(html('<a href="mailto:a@b.com">www.evil.com</a>'))).toEqual([
      'a mailto:contact',
      'text :www.evil.com',
    ]);
  });

  test.each([
    ['a style in SVG', `<svg><style>${EVIL}x</a></style></svg>`, false],
    ['a style in MathML', `<math><style>${EVIL}x</a></style></math>`, false],
    ['a title in SVG', `<svg><title>${EVIL}x</a></title></svg>`, false],
    ['a style that <noscript> ends', `<noscript><style></noscript>${EVIL}x</a></style>`, true],
    ['a title', `<title>${EVIL}x</a></title>`, true],
    ['a text area', `<textarea>${EVIL}x</a></textarea>`, true],
    ['<xmp>', `<xmp>${EVIL}x</a></xmp>`, true],
    ['a frame', `<iframe>${EVIL}x</a></iframe>`, true],
    ['<noembed>', `<noembed>${EVIL}x</a></noembed>`, true],
    ['<noframes>', `<noframes>${EVIL}x</a></noframes>`, true],
    ['<noscript>', `<noscript>${EVIL}x</a></noscript>`, true],
    ['<template>', `<template>${EVIL}x</a></template>`, true],
    ['<plaintext>', `<plaintext>${EVIL}x</a>`, false],
    ['a tag that does not end', `<noscript><p title="</noscript>${EVIL.replaceAll('"', "'")}`, false],
    ['a comment for Outlook in a style', `<style><!--[if mso]>${EVIL}x</a><![endif]--></style>`, true],
    ['a comment for all but Outlook', `<!--[if !mso]><!-->${EVIL}x</a><!--<![endif]-->`, true],
    ['a comment that <noscript> ends', `<noscript><!--</noscript>${EVIL}x</a>-->`, false],
    ['an attribute in which <noscript> ends', `<noscript><p title="</noscript>${EVIL.replaceAll('"', "'")}">`, false],
    ['a comment that never ends', `<!-- ${EVIL}x</a>`, false],
    ['CDATA', `<![CDATA[ >${EVIL}x</a>`, false],
    ['a hidden paragraph in a link', `${EVIL}<p hidden><div>bank<i hidden> </i>.com</div></a>`, false],
    ['an end tag with a quote in it', `</p x="><!--">${EVIL}x</a><!-- -->`, false],
  ])('a link in %s is found, or the doubt is told', (_where, source, expected) => {
    expect(whole(source)).toBe(expected);
    if (expected) expect(brief(html(source)).some((link) => link.endsWith('https:evil.com'))).toBe(true);
  });

  test('what Outlook, old styles and buttons are made of is no doubt', () => {
    const template = readFileSync(path.join(import.meta.dirname, 'reset-template.html'), 'utf8');
    const found = readLinks([part('html', template)]);
    expect(found.whole).toBe(true);
    expect(new Set(brief(found.links))).toEqual(
      new Set(['a https:accounts.acme.com', 'a mailto:contact', 'a tel:contact', 'image cid:inside']),
    );
    for (const { textHosts } of found.links) for (const host of textHosts) expect(host).toBe('accounts.acme.com');
  });

  test('a link text or a tree that is too large to be looked at is told', () => {
    expect(whole(`${EVIL}${'x '.repeat(6000)}</a>`)).toBe(false);
    expect(whole('<table>'.repeat(300))).toBe(false);
    expect(whole('<br>'.repeat(20_000))).toBe(false);
    expect(whole(`<p ${'x '.repeat(90)}>`.repeat(1000))).toBe(false);
    expect(whole('&nbsp;'.repeat(20_000))).toBe(false);
    expect(whole(`<p style="${'\\61'.repeat(2000)}">`)).toBe(false);
  });
});

describe('addresses in attributes', () => {
  test.each([
    ['<meta itemprop=url content="https://x.com/a">', ['other https:x.com']],
    ['<span property=url content="//x.com/a">', ['other :x.com']],
    ['<meta itemprop=name content="Reset: now">', []],
    ['<div itemscope resource="https://x.com/">', ['other https:x.com']],
    ['<blockquote cite="https://x.com/">', ['other https:x.com']],
    ['<img src=cid:a longdesc="https://x.com/">', ['image cid:inside', 'other https:x.com']],
    ['<video poster="https://x.com/">', ['image https:x.com']],
    ['<input type=image src="https://x.com/">', ['image https:x.com']],
    ['<form action-xhr="https://x.com/">', ['form https:x.com']],
    ['<link rel=preload imagesrcset="https://x.com/a 1x">', ['image https:x.com']],
    [
      '<svg><animate attributeName=href values="https://x.com/;https://y.com/">',
      ['other https:x.com', 'other https:y.com'],
    ],
    ['<math href="https://x.com/">', ['other https:x.com']],
    ['<meta http-equiv=refresh content="0; https://x.com/">', ['refresh https:x.com']],
    ['<p data-href="https://x.com/" data-src="https://y.com/">', []],
  ])('%j', (source, expected) => {
    expect(brief(html(source))).toEqual(expected);
  });

  test('the first base counts for links, and each is a link of its own', () => {
    expect(brief(html('<base target=x><base href=https://x.com/><base href=https://y.com/><a href=/z>z</a>'))).toEqual([
      'base https:x.com',
      'base https:y.com',
      'a https:x.com',
    ]);
  });

  test.each([
    ['srcset', (addresses: readonly string[]) => `<img srcset="${addresses.map((one) => `${one} 1x`).join(', ')}">`],
    ['ping', (addresses: readonly string[]) => `<a href="https://a.com/" ping="${addresses.join(' ')}">`],
    [
      'url()',
      (addresses: readonly string[]) => `<p style="${addresses.map((one) => `background:url(${one})`).join(';')}">`,
    ],
  ])('the last of a long list in %s is found, and more than is looked at is told', (_list, source) => {
    const list = (count: number): readonly string[] => [
      ...Array.from({ length: count }, (_, at) => `https://a${at}.com/`),
      'https://evil.com/',
    ];
    const some = readLinks([part('html', source(list(300)))]);
    expect([some.whole, some.links.some(({ target }) => target.host === 'evil.com')]).toEqual([true, true]);
    expect(readLinks([part('html', source(list(MAX_LINKS)))]).whole).toBe(false);
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

  // A step that grows faster than its input would not end here: a quarter of a million characters of each.
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
  ])('a quarter of a megabyte of %j is read', (piece) => {
    const text = piece.repeat(Math.ceil(262_144 / piece.length));
    for (const source of [text, `<p style="${text}">`, `<a href="https://${text}">${text}`, `<img srcset="${text}">`]) {
      expect(readLinks([part('html', source.slice(0, 262_144))]).links.length).toBeLessThanOrEqual(MAX_LINKS);
    }
    expect(readLinks([part('text', text)]).links.length).toBeLessThanOrEqual(MAX_LINKS);
  });
});
