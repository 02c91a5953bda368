/** Keys, a signer, and the odd messages that every verifier has to agree on. */
import type { SenderConfig } from '../../src/config/types.ts';
import { parseMessage } from '../../src/mail/parse.ts';
import { dnsRecord, generateDkimKey } from '../../src/signing/generate.ts';
import { createSigner, type SignatureCheck, type Signer } from '../../src/signing/sign.ts';

export const NOW: number = Date.UTC(2026, 0, 5, 10, 0, 0);
export const DOMAIN = 'example.com';

export interface SigningFixture {
  readonly signer: Signer & SignatureCheck;
  /** `selector._domainkey.domain` to TXT value. */
  readonly records: ReadonlyMap<string, string>;
  /** `message` with its signatures in front. */
  readonly sign: (message: Uint8Array) => Promise<Buffer>;
  /** PEM of the RSA key. */
  readonly rsaPem: string;
}

export function bytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

/** A signer with an RSA and an Ed25519 key made for this run. */
export async function createSigningFixture(): Promise<SigningFixture> {
  const pems = new Map([
    ['rsa.pem', (await generateDkimKey({ algorithm: 'rsa' })).privatePem],
    ['ed.pem', (await generateDkimKey({ algorithm: 'ed25519' })).privatePem],
  ]);
  const read = (path: string): Promise<string> => Promise.resolve(pems.get(path) ?? '');
  const sender: SenderConfig = {
    domain: DOMAIN,
    returnPath: null,
    dkim: [
      { selector: 'rsa1', key: 'rsa.pem' },
      { selector: 'ed1', key: 'ed.pem' },
    ],
  };
  const signer = await createSigner([sender], { readKeyFile: read });
  const records = new Map<string, string>();
  for (const { selector, key } of sender.dkim) {
    const record = dnsRecord(await read(key), DOMAIN, selector);
    records.set(record.name, record.value);
  }
  return {
    signer,
    records,
    rsaPem: await read('rsa.pem'),
    async sign(message) {
      const parsed = parseMessage(message);
      if (parsed.kind === 'malformed') throw new Error(parsed.reason);
      const { header } = await signer.sign(DOMAIN, parsed.bytes, parsed.fields, parsed.bodyStart, NOW);
      return Buffer.concat([header, parsed.bytes]);
    },
  };
}

const HEAD = [
  'From: Ann <ann@example.com>',
  'To: bob@example.net',
  'Subject: Reset your password',
  'Date: Mon, 05 Jan 2026 10:00:00 +0000',
  'Message-ID: <1@example.com>',
  'MIME-Version: 1.0',
  'Content-Type: text/plain; charset=utf-8',
  '',
].join('\r\n');

function withBody(body: string): Buffer {
  return bytes(`${HEAD}\r\n${body}`);
}

function withField(field: string): Buffer {
  return bytes(`${HEAD}${field}\r\n\r\nHello\r\n`);
}

export const PLAIN: Buffer = withBody('Hello,\r\n\r\nhttps://accounts.example.com/reset?token=1\r\n');

/** OpenDKIM takes form feed and vertical tab in a field for white space; RFC 6376 (section 2.8), mailauth and dkimpy do not. */
export const FORM_FEED_IN_FIELD: Buffer = withField('Cc: a\f b\v <c@example.net>');

/** Messages as they may come out of `parseMessage`; octets are written as ISO-8859-1. */
export const ODD_MESSAGES: readonly (readonly [name: string, message: Buffer])[] = [
  ['an ordinary message', PLAIN],
  ['an empty body', withBody('')],
  ['a body of one empty line', withBody('\r\n')],
  ['a body of empty lines alone', withBody('\r\n\r\n\r\n')],
  ['a body of white space alone', withBody(' \t \r\n\t\r\n')],
  ['no body and no empty line', bytes(HEAD)],
  ['trailing empty lines', withBody('Hello\r\n\r\n\r\n')],
  ['trailing lines of white space', withBody('Hello\r\n \r\n\t\t\r\n')],
  ['leading empty lines', withBody('\r\n\r\nHello\r\n')],
  ['white space at line ends', withBody('Hello \t\r\nyou\t \r\n')],
  ['runs of white space inside lines', withBody('a  b\t\tc \t d\r\n  indented\r\n\tindented\r\n')],
  ['no CRLF at the end', withBody('Hello')],
  ['octets above 127 in the body', withBody('Gr\xfc\xdfe \x80\xff\xfe\r\n')],
  ['UTF-8 in the body', withBody('Gr\xc3\xbc\xc3\x9fe \xe2\x82\xac\r\n')],
  ['no-break spaces', withBody('a\xa0\xa0b \xa0\r\n\xc2\xa0\xc2\xa0c\xc2\xa0\r\n')],
  ['form feed and vertical tab', withBody('a\fb\vc \f \v\r\n\f\r\n\v\r\n')],
  ['other control characters', withBody('\x01\x02\x1b[31m\x7f\x85\r\n')],
  ['lines that start with dots', withBody('.\r\n..\r\n.a\r\n')],
  ['a line of 998 octets', withBody(`${'x'.repeat(998)}\r\n`)],
  [
    'a long folded field',
    withField(`References: ${Array.from({ length: 60 }, (_, i) => `<${i}.abc@example.com>`).join('\r\n ')}`),
  ],
  ['a field folded with tabs', withField('Reply-To:\r\n\tAnn\r\n\t \t<ann@example.com>')],
  ['a field folded at its end', withField('Reply-To: ann@example.com\r\n ')],
  ['an empty field', withField('Reply-To:')],
  ['a field of white space', withField('Cc: \t ')],
  ['a field without a space behind the colon', withField('Cc:carl@example.net')],
  ['names in odd case', withField('rEPLY-tO: Ann <ann@example.com>')],
  ['octets above 127 in a field', withField('Cc: J\xf6rg <j@example.net>')],
  ['a no-break space around a value', withField('Cc: \xa0carl@example.net\xa0')],
  ['fields of one name', withField('Cc: a@example.net\r\nX-Between: 1\r\nCC:  b@example.net')],
  [
    'fields that are not signed',
    withField('X-Mailer: keycloak\r\nReceived: from a by b; Mon, 05 Jan 2026 10:00:00 +0000'),
  ],
  ['a From field alone', bytes('From: ann@example.com\r\n\r\nHello\r\n')],
];
