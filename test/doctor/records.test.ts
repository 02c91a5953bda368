/** The readers of SPF, DKIM and DMARC records: what they make of good ones, of broken ones, and of anything at all. */
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { parseDkimRecord } from '../../src/doctor/dkim-record.ts';
import { isDmarcRecord, parseDmarcRecord } from '../../src/doctor/dmarc-record.ts';
import { isSpfRecord, parseSpfRecord } from '../../src/doctor/spf-record.ts';
import { parseTagList } from '../../src/doctor/tag-list.ts';
import fc from '../support/properties.ts';

/** Texts that look like records more often than chance would have it. */
const recordLike = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 400 }),
  fc
    .array(
      fc.constantFrom(
        'v=spf1',
        ' ',
        ';',
        '=',
        'include:',
        'a',
        'mx',
        '/24',
        '//64',
        '%{i}',
        'all',
        '-',
        '~',
        '?',
        '+',
        'redirect=',
        'ip4:192.0.2.1',
        'ip6:2001:db8::',
        'example.com',
        'v=DKIM1',
        'k=rsa',
        'p=',
        'AAAA',
        't=y',
        'v=DMARC1',
        'p=none',
        'sp=',
        'rua=mailto:',
        '@',
        ',',
        '!',
        'pct=',
        '100',
        '\\',
        '"',
        '\0',
        '/',
        ':',
        '.',
      ),
      { maxLength: 60 },
    )
    .map((parts) => parts.join('')),
);

describe('a list of tags', () => {
  test('is read with white space around names and values', () => {
    const { tags, problems } = parseTagList(' v = DKIM1 ;p=abc; ');
    expect([...tags]).toEqual([
      ['v', 'DKIM1'],
      ['p', 'abc'],
    ]);
    expect(problems).toEqual([]);
  });

  test.each([
    ['v=1; v=2', 'v= is there twice'],
    ['v=1;; p=2', 'two semicolons with nothing between them'],
    ['v=1; rubbish', '"rubbish" is not name=value'],
    ['v=1; 9=x', '"9=x" is not name=value'],
  ])('%s: %s', (text, problem) => {
    expect(parseTagList(text).problems).toEqual([problem]);
  });
});

describe('an SPF record', () => {
  test.each([
    ['v=spf1', true],
    ['v=spf1 -all', true],
    ['V=SPF1 -all', true],
    ['v=spf10 -all', false],
    ['v=spf1;-all', false],
    ['spf2.0/pra -all', false],
  ])('is told from other texts: %s %s', (text, is) => {
    expect(isSpfRecord(text)).toBe(is);
  });

  test('is read with qualifiers, targets, network lengths and modifiers', () => {
    const { terms, problems } = parseSpfRecord(
      'v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 a:Mail.example.com/28//64 mx ~include:_spf.example.net ?exists:%{i}.x.test redirect=other.example -all',
    );
    expect(problems).toEqual([]);
    expect(terms).toMatchObject([
      { name: 'ip4', qualifier: '+', target: '192.0.2.0', prefix4: 24 },
      { name: 'ip6', target: '2001:db8::', prefix6: 32 },
      { name: 'a', target: 'mail.example.com', prefix4: 28, prefix6: 64 },
      { name: 'mx', target: null, prefix4: 32, prefix6: 128 },
      { name: 'include', qualifier: '~', target: '_spf.example.net', hasMacro: false },
      { name: 'exists', qualifier: '?', hasMacro: true },
      { kind: 'modifier', name: 'redirect', target: 'other.example' },
      { name: 'all', qualifier: '-' },
    ]);
  });

  test.each([
    ['ip4:192.0.2.300', 'has no IPv4 address'],
    ['ip4:2001:db8::1', 'has no IPv4 address'],
    ['ip6:192.0.2.1', 'has no IPv6 address'],
    ['ip4:192.0.2.0/33', 'has a network length that cannot be'],
    ['a/024', 'has a network length that cannot be'],
    ['include', 'names no domain'],
    ['include:', 'does not name a domain'],
    ['include:example', 'does not name a domain'],
    ['include:example.com/24', 'takes no network length'],
    ['redirect=nowhere', 'does not name a domain'],
    ['al', 'is no mechanism of SPF'],
    ['192.0.2.1', 'is no mechanism of SPF'],
    ['-all:x', 'takes nothing behind `all`'],
  ])('with %s is broken: %s', (term, problem) => {
    expect(parseSpfRecord(`v=spf1 ${term} -all`).problems).toEqual([`"${term}" ${problem}`]);
  });
});

describe('a DKIM key record', () => {
  const { publicKey } = generateKeyPairSync('ed25519');
  const p = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');

  test('is read with its key', () => {
    const record = parseDkimRecord(`v=DKIM1; k=ed25519; p=${p}`);
    expect(record).toMatchObject({ type: 'ed25519', isTest: false, limits: [], problems: [] });
    expect(record?.key.kind === 'key' && record.key.key.equals(publicKey)).toBe(true);
  });

  test('may have white space inside the key, and no version', () => {
    const record = parseDkimRecord(`k=ed25519; p=${p.slice(0, 9)} \t${p.slice(9)}`);
    expect(record?.key.kind).toBe('key');
  });

  test.each([
    ['v=DKIM1; p=', { key: { kind: 'revoked' } }],
    ['v=DKIM1; k=rsa', { key: { kind: 'unusable', reason: 'it has no p=' } }],
    ['v=DKIM1; k=dsa; p=AAAA', { key: { kind: 'unusable', reason: 'k=dsa is no key type of DKIM' } }],
    ['v=DKIM1; p=not*base64', { key: { kind: 'unusable' } }],
    ['v=DKIM1; p=AAAA', { key: { kind: 'unusable', reason: 'p= is no whole key: a part of it may be missing' } }],
    [`v=DKIM1; k=ed25519; p=AAAA`, { key: { kind: 'unusable' } }],
    [`v=DKIM1; t=s:y; k=ed25519; p=${p}`, { isTest: true }],
    [`v=DKIM1; h=sha1; k=ed25519; p=${p}`, { limits: ['h=sha1 leaves SHA-256 out'] }],
    [`v=DKIM1; s=tlsrpt; k=ed25519; p=${p}`, { limits: ['s=tlsrpt leaves mail out'] }],
    [`k=ed25519; v=DKIM1; p=${p}`, { problems: ['v= does not come first'] }],
  ])('%s', (text, expected) => {
    expect(parseDkimRecord(text)).toMatchObject(expected);
  });

  test.each(['v=spf1 -all', 'v=DKIM2; p=AAAA', '', 'google-site-verification=x'])('is none: %s', (text) => {
    expect(parseDkimRecord(text)).toBeNull();
  });
});

describe('a DMARC record', () => {
  test.each([
    ['v=DMARC1', true],
    ['v=DMARC1; p=none', true],
    ['V = dmarc1 ;p=none', true],
    ['v=DMARC10; p=none', false],
    ['p=none; v=DMARC1', false],
  ])('is told from other texts: %s %s', (text, is) => {
    expect(isDmarcRecord(text)).toBe(is);
  });

  test('is read with its policies, alignment and where reports go', () => {
    const record = parseDmarcRecord(
      'v=DMARC1; p=reject; sp=quarantine; aspf=s; pct=50; rua=mailto:a@example.com!10m, mailto:b@reports.example',
    );
    expect(record).toMatchObject({
      policy: 'reject',
      subdomainPolicy: 'quarantine',
      strictSpf: true,
      strictDkim: false,
      percent: 50,
      problems: [],
    });
    expect(record.reports.map(({ domain }) => domain)).toEqual(['example.com', 'reports.example']);
  });

  test('without sp, the policy holds for subdomains too', () => {
    expect(parseDmarcRecord('v=DMARC1; p=quarantine').subdomainPolicy).toBe('quarantine');
  });

  test.each([
    ['v=DMARC1', 'it has no p='],
    ['v=DMARC1; p=rejct', 'p=rejct is not none, quarantine or reject'],
    ['v=DMARC1; p=none; pct=200', 'pct=200 is not a number from 0 to 100'],
    ['v=DMARC1; p=none; aspf=x', 'aspf=x is not r or s'],
    ['v=DMARC1; p=none; rua=a@example.com', 'rua: "a@example.com" is not mailto:address'],
  ])('%s: %s', (text, problem) => {
    expect(parseDmarcRecord(text).problems).toEqual([problem]);
  });
});

describe('whatever stands in a TXT record', () => {
  test('no reader throws', () => {
    fc.assert(
      fc.property(recordLike, (text) => {
        parseTagList(text);
        parseSpfRecord(text);
        parseSpfRecord(`v=spf1 ${text}`);
        parseDkimRecord(text);
        parseDkimRecord(`v=DKIM1; ${text}`);
        isDmarcRecord(text);
        parseDmarcRecord(`v=DMARC1; ${text}`);
      }),
    );
  });

  test('each word of an SPF record becomes a term or a problem', () => {
    fc.assert(
      fc.property(recordLike, (text) => {
        const words = text.split(/ +/).filter((word) => word !== '');
        const { terms, problems } = parseSpfRecord(`v=spf1 ${words.join(' ')}`);
        const repeated = problems.filter((problem) => problem.endsWith('= is there twice'));
        expect(terms.length + problems.length - repeated.length).toBe(words.length);
      }),
    );
  });

  test.each([
    ['spaces', ' '.repeat(60_000)],
    ['slashes', 'a:'.concat('/'.repeat(60_000))],
    ['colons', ':'.repeat(60_000)],
    ['equals signs', 'a='.repeat(30_000)],
    ['semicolons', ';'.repeat(60_000)],
    ['letters', 'a'.repeat(60_000)],
    ['dots', 'include:'.concat('a.'.repeat(30_000))],
    ['commas', 'rua='.concat('mailto:,'.repeat(8000))],
    ['base64', 'p='.concat('A'.repeat(60_000))],
    ['white space in a key', 'p='.concat('A '.repeat(30_000))],
  ])('the largest record there can be, of %s, takes no time', (_name, text) => {
    const began = performance.now();
    parseSpfRecord(`v=spf1 ${text}`);
    parseDkimRecord(`v=DKIM1; ${text}`);
    isDmarcRecord(`v=DMARC1 ${text}`);
    parseDmarcRecord(`v=DMARC1; ${text}`);
    expect(performance.now() - began).toBeLessThan(500);
  });
});
