import { createHash, createPrivateKey, sign } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { fieldsNamed, type HeaderField, scanHeader } from '../../src/mail/header.ts';
import { createBodyHasher, writeRelaxedField } from '../../src/signing/canonical.ts';
import { dnsRecord } from '../../src/signing/generate.ts';
import { bytes } from './fixture.ts';
import { verifyWithMailauth } from './verifiers.ts';

/** RFC 8463, appendix A.1. */
const SEED = 'nWGxne/9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A=';
const PUBLIC_KEY = '11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=';

/** Appendix A.3, the Ed25519 signature alone. */
const MESSAGE = bytes(
  [
    'DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;',
    ' d=football.example.com; i=@football.example.com;',
    ' q=dns/txt; s=brisbane; t=1528637909; h=from : to :',
    ' subject : date : message-id : from : subject : date;',
    ' bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;',
    ' b=/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus',
    ' Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==',
    'From: Joe SixPack <joe@football.example.com>',
    'To: Suzie Q <suzie@shopping.example.net>',
    'Subject: Is dinner ready?',
    'Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)',
    'Message-ID: <20030712040037.46341.5F8J@football.example.com>',
    '',
    'Hi.',
    '',
    'We lost the game.  Are you hungry yet?',
    '',
    'Joe.',
    '',
  ].join('\r\n'),
);
const BODY_HASH = '2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=';
const SIGNATURE = '/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11BusFa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw==';

/** An Ed25519 key in PKCS #8 is this and the 32 octets. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex');
const key = createPrivateKey({
  key: Buffer.concat([PKCS8_PREFIX, Buffer.from(SEED, 'base64')]),
  format: 'der',
  type: 'pkcs8',
});

const scan = scanHeader(MESSAGE);

function relaxed(source: Uint8Array, field: HeaderField | undefined): string {
  if (field === undefined) throw new Error('no such field');
  const target = Buffer.alloc(field.end - field.start);
  return target.toString('latin1', 0, writeRelaxedField(source, field, target, 0));
}

describe('the example of RFC 8463, appendix A', () => {
  test('our body hash is the one in the example', async () => {
    const start = scan.kind === 'header' ? scan.bodyStart : 0;
    expect(await createBodyHasher(() => Promise.resolve())(MESSAGE, start)).toBe(BODY_HASH);
  });

  test('our canonical header and its key give the signature in the example', () => {
    if (scan.kind === 'malformed') throw new Error(scan.reason);
    const names = ['from', 'to', 'subject', 'date', 'message-id'];
    const signed = names.map((name) => relaxed(MESSAGE, fieldsNamed(scan.fields, name)[0])).join('');
    const unsigned = bytes(MESSAGE.toString('latin1').replace(/ b=[^;]*?==/, ' b='));
    const field = scanHeader(unsigned);
    if (field.kind === 'malformed') throw new Error(field.reason);
    const last = relaxed(unsigned, field.fields[0]).slice(0, -2);
    const digest = createHash('sha256').update(signed).update(last).digest();
    expect(sign(null, digest, key).toString('base64')).toBe(SIGNATURE);
  });

  test('our record publishes the public key of the example, and with it the message verifies', async () => {
    const pem = key.export({ format: 'pem', type: 'pkcs8' }).toString();
    const record = dnsRecord(pem, 'football.example.com', 'brisbane');
    expect(record.value).toBe(`v=DKIM1; k=ed25519; p=${PUBLIC_KEY}`);
    expect(await verifyWithMailauth(MESSAGE, new Map([[record.name, record.value]]))).toEqual(['pass']);
  });
});
