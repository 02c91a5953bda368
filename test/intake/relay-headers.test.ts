import { describe, expect, it } from 'vitest';
import { parseTtl, readRelayHeaders, type RelayHeaders } from '../../src/intake/relay-headers.ts';
import { scanHeader } from '../../src/mail/header.ts';
import type { CredentialConfig } from '../../src/config/types.ts';
import { testCredential } from '../support/config.ts';
import fc from '../support/properties.ts';

function read(header: string, credential: CredentialConfig | null = null): RelayHeaders {
  const bytes = Buffer.from(`From: a@example.com\r\n${header}\r\n\r\nbody\r\n`);
  const scan = scanHeader(bytes);
  if (scan.kind === 'malformed') throw new Error(scan.reason);
  return readRelayHeaders(bytes, scan.fields, credential);
}

describe('relay headers', () => {
  it('are read whatever their letter case', () => {
    expect(read('x-LEADPUSH-tag: password-reset')).toMatchObject({ wishes: { tag: 'password-reset' } });
  });

  it('are read when folded', () => {
    expect(read('X-Leadpush-Flow:\r\n f-1')).toMatchObject({ wishes: { flow: 'f-1' } });
  });

  it('give all wishes together', () => {
    const header = [
      'X-Leadpush-Tag: otp',
      'X-Leadpush-TTL: 15m',
      'X-Leadpush-Collapse-Key: ann',
      'X-Leadpush-Idempotency-Key: k-1',
      'X-Leadpush-Priority: critical',
      'X-Leadpush-Require-TLS: true',
      'X-Leadpush-Metadata-User-Id: 42',
    ].join('\r\n');
    expect(read(header)).toEqual({
      kind: 'wishes',
      aliasTag: null,
      wishes: {
        tag: 'otp',
        flow: null,
        metadata: { 'user-id': '42' },
        ttlMs: 900_000,
        collapseKey: 'ann',
        idempotencyKey: 'k-1',
        priority: 'critical',
        requireTls: true,
      },
      warnings: [],
    });
  });

  it.each([
    ['X-Leadpush-Tag: Password Reset', 'X-Leadpush-Tag'],
    ['X-Leadpush-Tag:', 'X-Leadpush-Tag'],
    ['X-Leadpush-TTL: soon', 'X-Leadpush-TTL'],
    ['X-Leadpush-TTL: 0', 'X-Leadpush-TTL'],
    ['X-Leadpush-Priority: urgent', 'X-Leadpush-Priority'],
    ['X-Leadpush-Require-TLS: yes', 'X-Leadpush-Require-TLS'],
    [`X-Leadpush-Flow: ${'x'.repeat(129)}`, 'X-Leadpush-Flow'],
    [`X-Leadpush-Metadata-a: ${'x'.repeat(513)}`, 'X-Leadpush-Metadata-A'],
    ['X-Leadpush-Tag: a\r\nX-Leadpush-Tag: b', 'X-Leadpush-Tag'],
  ])('refuse %j with 550 5.6.0 that names the header', (header, name) => {
    const result = read(header);
    expect(result).toMatchObject({ kind: 'refused', code: 550, enhanced: '5.6.0' });
    expect(result.kind === 'refused' && result.text).toContain(name);
  });

  it('take 20 metadata headers', () => {
    const header = Array.from({ length: 20 }, (_, i) => `X-Leadpush-Metadata-k${i}: v`).join('\r\n');
    expect(read(header).kind).toBe('wishes');
  });

  it('refuse the 21st metadata header', () => {
    const header = Array.from({ length: 21 }, (_, i) => `X-Leadpush-Metadata-k${i}: v`).join('\r\n');
    expect(read(header).kind).toBe('refused');
  });

  it('treat an unknown name as a warning', () => {
    expect(read('X-Leadpush-Colour: red')).toMatchObject({
      kind: 'wishes',
      warnings: ['unknown header X-Leadpush-Colour was removed'],
    });
  });

  it('are refused when the credential may not use them', () => {
    const credential = testCredential({ headers: { allow: new Set(['tag']), aliases: new Set() } });
    expect(read('X-Leadpush-TTL: 15m', credential)).toMatchObject({ kind: 'refused', enhanced: '5.7.1' });
  });

  it('pass when the credential may use them', () => {
    const credential = testCredential({ headers: { allow: new Set(['tag']), aliases: new Set() } });
    expect(read('X-Leadpush-Tag: otp', credential).kind).toBe('wishes');
  });

  it('keep a metadata key such as __proto__ out', () => {
    expect(read('X-Leadpush-Metadata-__proto__: x').kind).toBe('refused');
  });

  it('never throw, whatever the value', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('Tag', 'Flow', 'TTL', 'Priority', 'Require-TLS', 'Collapse-Key', 'Metadata-x', 'Nonsense'),
        fc.string({ unit: 'grapheme' }).map((text) => text.replace(/[\r\n\0]/g, '')),
        (name, value) => {
          expect(['wishes', 'refused']).toContain(read(`X-Leadpush-${name}: ${value}`).kind);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('TTL values', () => {
  it.each([
    ['900', 900_000],
    ['15m', 900_000],
    ['2h', 7_200_000],
    ['1d', 86_400_000],
    ['15 m', 900_000],
    ['1', 1000],
    ['30d', 2_592_000_000],
    ['31d', null],
    ['500ms', null],
    ['-5', null],
    ['1.5h', null],
    ['', null],
  ])('%j is %s ms', (text, expected) => {
    expect(parseTtl(text)).toBe(expected);
  });
});
