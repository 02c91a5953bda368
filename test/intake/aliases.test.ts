import { describe, expect, it } from 'vitest';
import type { AliasFamily } from '../../src/config/types.ts';
import { readRelayHeaders, type RelayHeaders } from '../../src/intake/relay-headers.ts';
import { scanHeader } from '../../src/mail/header.ts';
import { testCredential } from '../support/config.ts';

function read(header: string, aliases: readonly AliasFamily[] | null): RelayHeaders {
  const bytes = Buffer.from(`${header}\r\n\r\n`);
  const scan = scanHeader(bytes);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  const credential = aliases === null ? null : testCredential({ headers: { allow: 'all', aliases: new Set(aliases) } });
  return readRelayHeaders(bytes, scan.fields, credential);
}

describe('aliases of our headers', () => {
  it.each<[AliasFamily, string, string]>([
    ['postmark', 'X-PM-Tag: password-reset', 'password-reset'],
    ['postmark', 'x-pm-tag: Password Reset', 'password-reset'],
    ['postmark', 'X-PM-Tag: =?utf-8?q?Password_Reset?=', 'password-reset'],
    ['ses', 'X-SES-MESSAGE-TAGS: user=42, tag=otp', 'otp'],
    ['ses', 'X-SES-Configuration-Set: recovery', 'recovery'],
    ['ses', 'X-SES-Configuration-Set: recovery\r\nX-SES-MESSAGE-TAGS: tag=otp', 'otp'],
    ['mailgun', 'X-Mailgun-Tag: otp', 'otp'],
    ['symfony', 'X-Tag: otp', 'otp'],
    ['postal', 'X-Postal-Tag: otp', 'otp'],
  ])('%s: "%s" gives the tag %s', (family, header, tag) => {
    expect(read(header, [family])).toMatchObject({ kind: 'wishes', aliasTag: tag, warnings: [] });
  });

  it('are not read without the family, nor for a client without a credential', () => {
    expect(read('X-PM-Tag: otp', ['ses'])).toMatchObject({ aliasTag: null });
    expect(read('X-PM-Tag: otp', null)).toMatchObject({ aliasTag: null });
  });

  it('give metadata, and our own header goes first', () => {
    const header = 'X-PM-Metadata-User: 1\r\nX-Metadata-Plan: free\r\nX-Leadpush-Metadata-User: 2';
    expect(read(header, ['postmark', 'symfony'])).toMatchObject({ wishes: { metadata: { user: '2', plan: 'free' } } });
  });

  it('take the pairs of SES but for the tag as metadata', () => {
    expect(read('X-SES-MESSAGE-TAGS: tag=otp, User=42', ['ses'])).toMatchObject({
      wishes: { metadata: { user: '42' } },
    });
  });

  it.each<[string, string]>([
    ['X-PM-Tag: résumé', 'Bad header X-PM-Tag: it must be a tag'],
    ['X-PM-Tag:', 'Bad header X-PM-Tag: it must be a tag'],
    [`X-PM-Metadata-A: ${'x'.repeat(513)}`, 'Bad header X-PM-Metadata-a: it must be at most 512'],
  ])('refuse a value that cannot be used, by name: %s', (header, text) => {
    const result = read(header, ['postmark']);
    expect(result.kind === 'refused' ? `${result.code} ${result.text}` : 'taken').toContain(`550 ${text}`);
  });

  it('use the first of several, and say so of another one', () => {
    expect(read('X-Mailgun-Tag: otp\r\nX-Mailgun-Tag: otp\r\nX-Mailgun-Tag: news', ['mailgun'])).toMatchObject({
      aliasTag: 'otp',
      warnings: ['X-Mailgun-Tag says news: not used, X-Mailgun-Tag came before it'],
    });
  });
});
