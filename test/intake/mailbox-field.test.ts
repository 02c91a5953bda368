import { describe, expect, it } from 'vitest';
import { mailboxField } from '../../src/intake/mailbox-field.ts';
import { parseFrom } from '../../src/mail/from.ts';
import { scanHeader } from '../../src/mail/header.ts';
import fc from '../support/properties.ts';

describe('a mailbox field', () => {
  it.each([
    ['', 'From: a@example.com\r\n'],
    ['Example Security', 'From: Example Security <a@example.com>\r\n'],
    ['Example, Inc.', 'From: "Example, Inc." <a@example.com>\r\n'],
    ['Jörg', 'From: =?UTF-8?B?SsO2cmc=?= <a@example.com>\r\n'],
    ['=?utf-8?q?x?=', 'From: =?UTF-8?B?PT91dGYtOD9xP3g/PQ==?= <a@example.com>\r\n'],
  ])('with the name %j is %j', (name, field) => {
    expect(mailboxField('From', name, 'a@example.com')).toBe(field);
  });

  it('has lines of at most 78 characters, and is read back as name and address, whatever the name', () => {
    const name = fc
      .string({
        unit: fc.constantFrom('a', 'B', ' ', '.', ',', 'ö', '日', '😀', '?', '=', '_', '(', ')'),
        maxLength: 120,
      })
      .map((text) => text.replace(/\s+/g, ' ').trim());
    fc.assert(
      fc.property(name, (text) => {
        const field = mailboxField('From', text, 'a@example.com');
        const bytes = Buffer.from(`${field}\r\n`);
        const scan = scanHeader(bytes);
        if (scan.kind === 'malformed') throw new Error(scan.reason);
        const ascii = /^[\x20-\x7e]*$/.test(text);
        // A quoted string is one token: it is not folded inside.
        if (!ascii) for (const line of field.split('\r\n')) expect(line.length).toBeLessThanOrEqual(78);
        const from = parseFrom(bytes, scan.fields);
        expect(from).toEqual({ kind: 'from', address: 'a@example.com', name: text });
      }),
      { numRuns: 300 },
    );
  });
});
