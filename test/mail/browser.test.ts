/**
 * The link audit beside a browser: made-up pages that take markup apart are read by both. Every address that the browser has in an
 * element, and every host that it shows on a link, must be found, unless the audit says that it has not read the page whole.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLinks } from '../../src/mail/links.ts';
import { type BrowserPage, openBrowserPage } from '../support/browser-page.ts';
import fc from '../support/properties.ts';

const PAGES = 4000;
/** The same pages each time; others were tried by hand. */
const SEED = 20_260_105;
const words = (text: string): readonly string[] => text.split(' ');
const ELEMENTS = words(
  'b i p div br table tr td th caption tbody svg math mtext mi foreignObject desc title style textarea noscript template select option xmp iframe ' +
    'noembed noframes script object button marquee applet form input li ul h1 nobr body head html frameset x-foo span center dd ruby rt hr a',
);
const LINKS = [1, 2, 3].flatMap((number) => [
  `<a href="https://evil${number}.com/x">`,
  `<a href=https://evil${number}.com>`,
  `<img src="https://evil${number}.com/p">`,
]);
const PIECES = [
  ...LINKS,
  ...LINKS,
  ...ELEMENTS.map((name) => `<${name}>`),
  ...ELEMENTS.map((name) => `</${name}>`),
  ...Array.from({ length: 8 }, () => '</a>'),
  ...Array.from({ length: 5 }, () => 'bank.com'),
  ...words(
    'bank .com bank.com <!-- --> --!> <!--> <!---> <! <![CDATA[ ]]> <? </ < > " \' / = &lt; &quot; &#62; &colon; <plaintext> <style/>',
  ),
  ...words(
    '<!--[if&#32;mso]> <![endif]--> <![endif]> <!doctype> <a/href=https://evil3.com> </a/> <area&#32;href=https://evil1.com>',
  ).map((piece) => piece.replaceAll('&#32;', ' ')),
  ' bank.com ',
  '</p x="',
  "</x y='>",
  `<a href='https://evil1.com' title="`,
  '<a b=c href="https://evil1.com"',
  '<A HREF=https&colon;//evil2.com>',
  '<a name=x>',
  '<annotation-xml encoding="text/html">',
  '<link rel=x href="https://evil3.com/l">',
  '<base href="https://evil2.com/">',
  '<image src=https://evil2.com>',
  '<font color=red size=1>',
  '<p title="</noscript>',
  '\n',
  '\t',
  '\0',
];

interface Seen {
  readonly addresses: readonly string[];
  readonly links: readonly (readonly [address: string, text: string])[];
}

let opened: BrowserPage;

beforeAll(async () => {
  opened = await openBrowserPage('<body></body>');
}, 60_000);

afterAll(() => opened?.close());

/** Runs in the page, which is no place of this program: each source as a document without scripts, and as a part of one with scripts. */
const READ_PAGES = `(sources) => {
  const lines = new Set('br p div td th tr table li ul h1 hr caption tbody center address dd dt option select textarea title body'.split(' '));
  const unseen = new Set('style script template noembed noframes iframe noscript'.split(' '));
  const textOf = (node) =>
    [...node.childNodes].map((child) => {
      if (child instanceof Text) return child.data;
      // Text on a link in the link leads where that one leads.
      if (!(child instanceof Element) || unseen.has(child.localName)) return '';
      if (child.localName === 'a' && child.hasAttribute('href')) return ' ';
      return lines.has(child.localName) ? ' ' + textOf(child) + ' ' : textOf(child);
    }).join('');
  const look = (root) => {
    const elements = [...root.querySelectorAll('*')];
    return {
      addresses: elements.flatMap((element) => ['href', 'src', 'action', 'xlink:href'].flatMap((name) => element.getAttribute(name) ?? [])),
      links: elements.filter(({ localName }) => localName === 'a').map((element) => [element.getAttribute('href') ?? '', textOf(element)]),
    };
  };
  return sources.map((source) => {
    const part = document.createElement('div');
    part.innerHTML = source;
    return [look(new DOMParser().parseFromString(source, 'text/html')), look(part)];
  });
}`;

const hostOf = (address: string): string | undefined => /^\s*https:\/\/(evil\d\.com)(?:\/|\s*$)/.exec(address)?.[1];

test('finds every link that a browser finds, and the name on it', { timeout: 120_000 }, async () => {
  const pages = fc.sample(
    fc.array(fc.constantFrom(...PIECES), { minLength: 2, maxLength: 16 }).map((pieces) => pieces.join('')),
    { numRuns: PAGES, seed: SEED },
  );
  const found = { whole: 0, addresses: 0, names: 0 };
  const seen = await opened.page.evaluate<readonly (readonly Seen[])[]>(`(${READ_PAGES})(${JSON.stringify(pages)})`);
  for (const [at, source] of pages.entries()) {
    const { links, whole } = readLinks([{ kind: 'html', type: 'text/html', text: source, octets: source.length }]);
    if (!whole) continue;
    found.whole++;
    for (const { addresses, links: shown } of seen[at] ?? []) {
      for (const host of addresses.flatMap((address) => hostOf(address) ?? [])) {
        found.addresses++;
        expect(
          links.map(({ target }) => target.host),
          source,
        ).toContain(host);
      }
      for (const [address, text] of shown) {
        const host = hostOf(address);
        if (host === undefined || !/(?:^|\s)bank\.com(?:\s|$)/.test(text)) continue;
        found.names++;
        expect(
          links.filter(({ target }) => target.host === host).flatMap(({ textHosts }) => textHosts),
          source,
        ).toContain('bank.com');
      }
    }
  }
  // It says of few that it has not read them whole, and there was something to be found.
  expect(found.whole).toBeGreaterThan(PAGES / 2);
  expect(found.addresses).toBeGreaterThan(PAGES / 2);
  expect(found.names).toBeGreaterThan(PAGES / 50);
});
