import { expect, test } from 'vitest';
import { parseCapabilities } from '../../src/delivery/smtp/capabilities.ts';
import fc from '../support/properties.ts';

test('the keywords of an EHLO reply are read whatever their case', () => {
  const reply = '250-mx.example.net\n250-pipelining\n250-SIZE 1000\n250-8BitMime\n250-SMTPUTF8\n250-StartTLS\n250 DSN';
  expect(parseCapabilities(reply)).toEqual({
    startTls: true,
    pipelining: true,
    eightBitMime: true,
    smtpUtf8: true,
    dsn: true,
    deliverBySeconds: null,
    maxBytes: 1000,
    authMechanisms: new Set(),
  });
});

test('a keyword in the name of the server is not an extension', () => {
  expect(parseCapabilities('250 DSN PIPELINING').dsn).toBe(false);
  expect(parseCapabilities('250-dsn.example.net\n250 HELP').dsn).toBe(false);
});

test('AUTH mechanisms are read in the present and in the old form', () => {
  const reply = '250-mx\n250-AUTH login PLAIN\n250 AUTH=CRAM-MD5 XOAUTH2';
  expect(parseCapabilities(reply).authMechanisms).toEqual(new Set(['LOGIN', 'PLAIN', 'CRAM-MD5', 'XOAUTH2']));
});

test('SIZE without a number, or with one that is none, names no limit', () => {
  expect(parseCapabilities('250-mx\n250 SIZE').maxBytes).toBe(0);
  expect(parseCapabilities('250-mx\n250 SIZE 12x').maxBytes).toBe(0);
  expect(parseCapabilities('250-mx\n250 SIZE 99999999999999999999999').maxBytes).toBe(0);
  expect(parseCapabilities('250-mx\n250 HELP').maxBytes).toBe(null);
});

test('any text is read without an error, and a limit is a whole number', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const { maxBytes } = parseCapabilities(text);
      expect(maxBytes === null || (Number.isSafeInteger(maxBytes) && maxBytes >= 0)).toBe(true);
    }),
    { numRuns: 300 },
  );
});
