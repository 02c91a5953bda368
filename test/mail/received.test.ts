import { describe, expect, test } from 'vitest';
import { parseMessageId } from '../../src/core/ids.ts';
import { fieldValue, scanHeader } from '../../src/mail/header.ts';
import { formatReceived, type ReceivedFacts } from '../../src/mail/received.ts';
import { address } from '../support/address.ts';
import fc from '../support/properties.ts';

const id = parseMessageId('msg_01jgzkp8r0abcdefghjkmnpqrs');
if (id === null) throw new Error('not an id');

const FACTS: ReceivedFacts = {
  helo: 'app.example.com',
  address: '192.0.2.7',
  hostname: 'relay.example.com',
  protocol: 'ESMTPSA',
  tls: 'TLSv1.3',
  id,
  recipient: address('bob@example.net'),
  at: Date.UTC(2026, 0, 5, 10, 0, 0),
};

describe('the field', () => {
  test('has every clause of RFC 5321, folded', () => {
    expect(formatReceived(FACTS).split('\r\n')).toEqual([
      'Received: from app.example.com ([192.0.2.7])',
      '\tby relay.example.com with ESMTPSA (TLSv1.3)',
      '\tid msg_01jgzkp8r0abcdefghjkmnpqrs',
      '\tfor <bob@example.net>;',
      '\tMon, 05 Jan 2026 10:00:00 +0000',
      '',
    ]);
  });

  test('names no recipient and no TLS where there is none to name', () => {
    expect(
      formatReceived({ ...FACTS, recipient: null, tls: null, protocol: 'ESMTP' })
        .split('\r\n')
        .slice(1, 4),
    ).toEqual([
      '\tby relay.example.com with ESMTP',
      '\tid msg_01jgzkp8r0abcdefghjkmnpqrs;',
      '\tMon, 05 Jan 2026 10:00:00 +0000',
    ]);
  });

  test('leaves out a recipient that is not ASCII', () => {
    expect(formatReceived({ ...FACTS, recipient: address('jörg@example.net') })).not.toContain('for');
  });

  test.each([
    ['2001:db8::1', '[IPv6:2001:db8::1]'],
    ['fe80::1%eth0', '[IPv6:fe80::1]'],
    ['::ffff:192.0.2.7', '[IPv6:::ffff:192.0.2.7]'],
    ['', 'unknown'],
    ['no address', 'unknown'],
  ])('writes the client address %j as %s', (client, expected) => {
    expect(formatReceived({ ...FACTS, address: client })).toContain(` (${expected})\r\n`);
  });

  test.each([
    ['[192.0.2.7]', '[192.0.2.7]'],
    ['bad name(x)\r\nBcc: y', 'badnamexBcc:y'],
    ['', 'unknown'],
    ['()', 'unknown'],
  ])('cleans the HELO name %j to %s', (helo, expected) => {
    expect(formatReceived({ ...FACTS, helo })).toContain(`Received: from ${expected} (`);
  });
});

test('for any HELO name, host and protocol it is one header field of printable ASCII with lines under 998 octets', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.string(), fc.string(), (helo, hostname, protocol) => {
      const bytes = Buffer.from(formatReceived({ ...FACTS, helo, hostname, protocol, tls: hostname }));
      const scan = scanHeader(bytes);
      if (scan.kind === 'malformed') throw new Error(scan.reason);
      expect(scan.fields.map((field) => field.key)).toEqual(['received']);
      expect(fieldValue(bytes, scan.fields[0] ?? { key: '', start: 0, valueStart: 0, end: 0 })).toMatch(/^[\t -~]+$/);
      expect(
        Math.max(
          ...bytes
            .toString()
            .split('\r\n')
            .map((line) => line.length),
        ),
      ).toBeLessThan(998);
    }),
  );
});
