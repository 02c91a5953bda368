/** What style sheets hide on links, and add to them. */
import { describe, expect, test } from 'vitest';
import { readLinks } from '../../src/mail/links.ts';

const read = (css: string, link: string, head = `<style>${css}</style>`) => {
  const text = `${head}<p class="h">x</p><a href="https://evil.com/" class="btn">${link}</a>`;
  const { links, whole } = readLinks([{ kind: 'html', type: 'text/html', text, octets: text.length }]);
  return { whole, hosts: links.find(({ kind }) => kind === 'a')?.textHosts ?? [] };
};
const CUT = 'ba<i class="h">zzz</i>nk.com';

describe('a style sheet that hides what stands in a link', () => {
  test.each([
    '.h{display:none}',
    '.H { DISPLAY : none !important }',
    'i{visibility:hidden}',
    'i.h{font-size:0}',
    'p,i.h , b{opacity:0;color:red}',
    '.h{font:0/0 a}',
    '/* } */ .h/**/{display:none}',
    'b{content:"}"} .h{display:none}',
    '.\\68 {d\\isplay:none}',
    '@media all{.h{display:none}}',
    '@media screen{.h{display:none}}',
    '@media (max-width:600px){.h{display:none!important}}',
    '@supports (display:grid){.h{display:none}}',
    '@media (min-width:1px){a *{font-size:0}}',
    '[class="h"]{display:none}',
    '.h{display:none',
    '.h{color:red}.h{display:none}',
    'i{display:inline}.h{display:none!important}',
  ])('%s: the name that is left is read', (css) => {
    expect(read(css, CUT)).toEqual({ whole: true, hosts: expect.arrayContaining(['bank.com']) });
  });

  test.each([
    ['.h{width:0}', CUT],
    ['.h{text-indent:-9999px}', CUT],
    ['a i{display:none}', CUT],
    ['.btn > .h{display:none}', CUT],
    ['i:not(.k){display:none}', CUT],
    ['.h{display:none}.h.s{display:inline}', 'ba<i class=h>zz</i>n<i class="h s">k.com</i>'],
    ['.h{font-size:0}', 'ba<i class=h>zz<b style="font-size:14px">nk</b></i>.com'],
    ['.h{font-size:0}.s{font-size:14px}', 'ba<i class=h>zz<b class=s>nk</b></i>.com'],
    ['.s{display:inline!important}', 'ba<i class=s style="display:none">nk</i>.com'],
    ['div{display:inline}', '<div>bank</div><div>.com</div>'],
    ['.btn{font-size:0}', 'zz<b style="font-size:14px">bank</b>zz.com'],
    ['.h{unicode-bidi:bidi-override;direction:rtl}', '<i class=h>moc.knab</i>'],
    ['.h::after{content:"bank.com"}', '<i class=h></i>'],
    ['.btn:before{content:attr(data-x)}', ''],
    ['.btn::after{content:"\\62 ank.com"}', ''],
    ['a{}a::after{content:"b" "ank.com"}', ''],
    ['.h{display:none}'.repeat(1100), CUT],
    ['{'.repeat(40), CUT],
    [';'.repeat(25_000), CUT],
  ])('%s on %s: the doubt is told', (css, link) => {
    expect(read(css.slice(0, 200_000), link).whole).toBe(false);
  });

  test.each([
    ['a comment', '<!-- <style>.h{display:none}</style> -->'],
    ['another style behind it', '<style>p{color:red}</style><style media="screen">.h{display:none}</style>'],
  ])('counts in %s', (_where, head) => {
    expect(read('', CUT, head).hosts).toContain('bank.com');
  });

  test('in a tag that may end at two places is told', () => {
    expect(read('', CUT, '<style title="x>y">.h{display:none}</style>').whole).toBe(false);
  });

  test('a line break that is hidden parts no name', () => {
    expect(read('br{display:none}', 'bank<br>.com').hosts).toContain('bank.com');
    expect(read('', 'bank<br style="display:none">.com').hosts).toContain('bank.com');
  });

  test.each([
    ['print', '@media print{a[href]:after{content:" (" attr(href) ")"}}'],
    ['a clearing hack', '.btn:after,.h::before{content:"";display:table}'],
    ['an arrow', '.btn::after{content:" \u2192"}'],
    [
      'preheaders and fixes for readers',
      '#outlook a{padding:0}.preheader{display:none!important}a[x-apple-data-detectors]{font-size:inherit!important}',
    ],
    [
      'MJML',
      '@media only screen and (max-width:480px){table.mj-full-width-mobile{width:100%!important}td.mj-full-width-mobile{width:auto!important}}.mj-outlook-group-fix{width:100%!important}',
    ],
    [
      'Foundation',
      '.hide-for-large{display:none!important;mso-hide:all;overflow:hidden;max-height:0;font-size:0;width:0;line-height:0}@media only screen and (max-width:596px){.hide-for-large{display:block!important;width:auto!important;overflow:visible!important;max-height:none!important;font-size:inherit!important}}',
    ],
    [
      'Maizzle',
      '@media (max-width:600px){.sm-hidden{display:none!important}.sm-w-full{width:100%!important}.sm\\:block{display:block!important}}.hover-underline:hover{text-decoration:underline!important}',
    ],
    [
      'a dark theme',
      '.dark-img{display:none}@media (prefers-color-scheme:dark){.dark-img{display:block!important}.light-img{display:none!important}}[data-ogsc] .dark-img{display:block!important}[data-ogsc] .light-img{display:none!important}',
    ],
  ])('%s is no doubt', (_name, css) => {
    const link =
      '<img class="light-img" src="cid:l" alt="Acme"><img class="dark-img" style="display:none" src="cid:d" alt="Acme">' +
      '<span class="sm-hidden">Reset</span><span class="hide-for-large">your</span><span class="sm-w-full mj-full-width-mobile">password</span>';
    expect(read(css, link)).toEqual({ whole: true, hosts: [] });
  });
});
