/**
 * The text on links beside a browser: made-up style sheets hide, show and add text on made-up links. A name that the browser shows
 * must be found, unless the audit says that it has not read the page whole.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readLinks } from '../../src/mail/links.ts';
import { type BrowserPage, openBrowserPage } from '../support/browser-page.ts';
import fc from '../support/properties.ts';

const PAGES = 3000;
/** The same pages each time; others were tried by hand. */
const SEED = 20_261_128;

const SELECTORS =
  '.h .s i b span .h.s i.h #k * .btn .btn>.h a a,b i,.s .h::after i:before .s:after .h:not(.s) [class=h] .h+.s div'
    .split(' ')
    .concat('a .h', 'a *', '* b');
const DECLARATIONS = [
  'display:none',
  'display:none!important',
  'display:inline',
  'display:inline !important',
  'display:block',
  'visibility:hidden',
  'visibility:visible',
  'font-size:0',
  'font-size:14px',
  'font:0/0 a',
  'opacity:0',
  'opacity:1',
  'color:red',
  'content:"bank.com"',
  'content:".com"',
  'content:""',
];
const AROUND = [
  '',
  '',
  '',
  '',
  '',
  '@media all',
  '@media screen',
  '@media print',
  '@media (max-width:1px)',
  '@media (min-width:1px)',
  '@supports (display:none)',
];
const PIECES = [
  'ba',
  'nk',
  '.com',
  'bank',
  'bank.com',
  'zz',
  ' ',
  'zz',
  ...'<i> <b> <span> <i&class=h> <b&class=h> <b&class=s> <span&class=s> <i&class="h&s"> <span&id=k> <div> <div&class=h> <br> <br&class=h>'
    .split(' ')
    .map((tag) => tag.replaceAll('&', ' ')),
  ...'</i> </b> </span> </i> </b> </span> </div>'.split(' '),
];

const rule = fc
  .tuple(
    fc.constantFrom(...AROUND),
    fc.constantFrom(...SELECTORS),
    fc.array(fc.constantFrom(...DECLARATIONS), { minLength: 1, maxLength: 2 }),
  )
  .map(([around, selector, declarations]) => {
    const plain = `${selector}{${declarations.join(';')}}`;
    return around === '' ? plain : `${around}{${plain}}`;
  });
const source = fc
  .tuple(
    fc.array(rule, { minLength: 1, maxLength: 3 }),
    fc.array(fc.constantFrom(...PIECES), { minLength: 2, maxLength: 12 }),
  )
  .map(
    ([rules, pieces]) => `<style>${rules.join(' ')}</style><a class=btn href=https://evil.com/>${pieces.join('')}</a>`,
  );

let opened: BrowserPage;

beforeAll(async () => {
  opened = await openBrowserPage('<iframe></iframe>');
}, 60_000);

afterAll(() => opened?.close());

/** Runs in the page, which is no place of this program. */
const READ_PAGES = `(sources) => {
  const frame = document.querySelector('iframe');
  const added = (element, which) => {
    const { content, display, fontSize, visibility, opacity } = frame.contentWindow.getComputedStyle(element, which);
    const shown = display !== 'none' && fontSize !== '0px' && visibility === 'visible' && opacity !== '0';
    return shown && content.startsWith('"') ? (display === 'block' ? ' ' : '') + content.slice(1, -1) : '';
  };
  const textOf = (element) => {
    const { display, fontSize, visibility, opacity } = frame.contentWindow.getComputedStyle(element);
    if (display === 'none' || opacity === '0') return '';
    if (element.localName === 'br') return ' ';
    const seen = fontSize !== '0px' && visibility === 'visible';
    const inner = [...element.childNodes].map((child) => child.nodeType === 3 ? (seen ? child.data : '') : textOf(child)).join('');
    const text = added(element, '::before') + inner + added(element, '::after');
    return display.startsWith('inline') ? text : ' ' + text + ' ';
  };
  return sources.map((source) => {
    frame.contentDocument.body.innerHTML = source;
    return [...frame.contentDocument.querySelectorAll('a')].filter((link) => link.getClientRects().length > 0).map(textOf).join(' | ');
  });
}`;

test('finds the name that a browser shows on a link, whatever the style sheet hides', {
  timeout: 120_000,
}, async () => {
  const pages = fc.sample(source, { numRuns: PAGES, seed: SEED });
  const seen = await opened.page.evaluate<readonly string[]>(`(${READ_PAGES})(${JSON.stringify(pages)})`);
  const found = { whole: 0, names: 0 };
  for (const [at, text] of pages.entries()) {
    const { links, whole } = readLinks([{ kind: 'html', type: 'text/html', text, octets: text.length }]);
    if (!whole) continue;
    found.whole++;
    if (!/(?:^|\s)bank\.com(?:\s|$)/.test(seen[at] ?? '')) continue;
    found.names++;
    expect(
      links.flatMap(({ textHosts }) => textHosts),
      `${text} shows ${seen[at]}`,
    ).toContain('bank.com');
  }
  expect(found.whole).toBeGreaterThan(PAGES / 4);
  expect(found.names).toBeGreaterThan(PAGES / 50);
});
