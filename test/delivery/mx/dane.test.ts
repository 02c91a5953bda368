/** Whether certificates fit TLSA records, judged on chains made on the spot. */
import { createHash, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import tls from 'node:tls';
import { generate } from 'selfsigned';
import { beforeAll, describe, expect, test } from 'vitest';
import { daneVerdict, hasUsableTlsa, presentedChain } from '../../../src/delivery/mx/dane.ts';
import type { TlsaRecord } from '../../../src/delivery/mx/lookup.ts';
import fc from '../../support/properties.ts';

const NOW = Date.UTC(2026, 0, 15);
const DAY = 86_400_000;
const NAMES = ['mx.a.test', 'a.test'];

interface Made {
  readonly pem: string;
  readonly key: string;
  readonly x509: X509Certificate;
}

interface MakeOptions {
  readonly name: string;
  readonly key?: { readonly publicKey: string; readonly privateKey: string };
  readonly issuer?: Made;
  readonly isAuthority?: boolean;
  readonly from?: number;
  readonly to?: number;
  readonly usage?: 'serverAuth' | 'clientAuth';
}

function makeKey(): { readonly publicKey: string; readonly privateKey: string } {
  return generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
}

const KEYS = { authority: makeKey(), other: makeKey(), leaf: makeKey() };

async function make(options: MakeOptions): Promise<Made> {
  const { name, key = KEYS.leaf, issuer, isAuthority = false, from = NOW - DAY, to = NOW + DAY } = options;
  const made = await generate([{ name: 'commonName', value: name }], {
    keyType: 'rsa',
    algorithm: 'sha256',
    keyPair: key,
    notBeforeDate: new Date(from),
    notAfterDate: new Date(to),
    ...(issuer === undefined ? {} : { ca: { key: issuer.key, cert: issuer.pem } }),
    extensions: isAuthority
      ? [
          { name: 'basicConstraints', cA: true, critical: true },
          { name: 'keyUsage', keyCertSign: true, critical: true },
        ]
      : [
          { name: 'basicConstraints', cA: false },
          ...(options.usage === 'clientAuth'
            ? [{ name: 'extKeyUsage', clientAuth: true } as const]
            : [{ name: 'extKeyUsage', serverAuth: true } as const]),
          { name: 'subjectAltName', altNames: [{ type: 2, value: name }] },
        ],
  });
  return { pem: made.cert, key: made.private, x509: new X509Certificate(made.cert) };
}

let root: Made;
let intermediate: Made;
let leaf: Made;
let chain: readonly X509Certificate[];

beforeAll(async () => {
  root = await make({ name: 'Root', key: KEYS.authority, isAuthority: true });
  intermediate = await make({ name: 'Between', key: KEYS.other, issuer: root, isAuthority: true });
  leaf = await make({ name: 'mx.a.test', issuer: intermediate });
  chain = [leaf.x509, intermediate.x509, root.x509];
});

function selected(certificate: X509Certificate, selector: number): Buffer {
  return selector === 0 ? certificate.raw : certificate.publicKey.export({ type: 'spki', format: 'der' });
}

function recordFor(certificate: X509Certificate, usage: number, selector: number, matchingType: number): TlsaRecord {
  const bytes = selected(certificate, selector);
  const algorithm = matchingType === 1 ? 'sha256' : 'sha512';
  const data = matchingType === 0 ? bytes : createHash(algorithm).update(bytes).digest();
  return { usage, selector, matchingType, data: Uint8Array.from(data) };
}

const FORMS: readonly (readonly [number, number])[] = [0, 1].flatMap((selector) =>
  [0, 1, 2].map((matchingType) => [selector, matchingType] as const),
);

describe('a record for the server itself (DANE-EE)', () => {
  test.each(FORMS)('fits its certificate: 3 %i %i', (selector, matchingType) => {
    const record = recordFor(leaf.x509, 3, selector, matchingType);
    expect(daneVerdict([record], chain, NAMES, NOW)).toEqual({
      kind: 'match',
      text: `TLSA 3 ${selector} ${matchingType}`,
    });
  });

  test.each(FORMS)('does not fit another certificate: 3 %i %i', (selector, matchingType) => {
    const record = recordFor(root.x509, 3, selector, matchingType);
    expect(daneVerdict([record], chain, NAMES, NOW).kind).toBe('mismatch');
  });

  test('asks neither for names nor for dates', () => {
    expect(daneVerdict([recordFor(leaf.x509, 3, 1, 1)], [leaf.x509], [], NOW + 1000 * DAY).kind).toBe('match');
  });

  test('fits when one of several does', () => {
    const records = [recordFor(root.x509, 3, 1, 1), recordFor(leaf.x509, 3, 1, 1)];
    expect(daneVerdict(records, chain, NAMES, NOW).kind).toBe('match');
  });

  test('never fits a server that shows no certificate', () => {
    expect(daneVerdict([recordFor(leaf.x509, 3, 1, 1)], [], NAMES, NOW).kind).toBe('mismatch');
  });

  test('does not fit when one octet of it is another', () => {
    const record = recordFor(leaf.x509, 3, 1, 1);
    fc.assert(
      fc.property(fc.nat(31), fc.integer({ min: 1, max: 255 }), (at, change) => {
        const data = Uint8Array.from(record.data);
        data[at] = (data[at] ?? 0) ^ change;
        expect(daneVerdict([{ ...record, data }], chain, NAMES, NOW).kind).toBe('mismatch');
      }),
    );
  });
});

describe('a record for an authority (DANE-TA)', () => {
  test.each(FORMS)('fits a chain up to it: 2 %i %i', (selector, matchingType) => {
    for (const authority of [intermediate, root]) {
      const record = recordFor(authority.x509, 2, selector, matchingType);
      expect(daneVerdict([record], chain, NAMES, NOW).kind).toBe('match');
    }
  });

  test('fits a certificate for the domain in place of the host', async () => {
    const forDomain = await make({ name: 'a.test', issuer: root });
    expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], [forDomain.x509, root.x509], NAMES, NOW).kind).toBe('match');
  });

  test('fits a certificate with a wildcard', async () => {
    const wild = await make({ name: '*.a.test', issuer: root });
    expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], [wild.x509, root.x509], NAMES, NOW).kind).toBe('match');
  });

  test('does not fit when the authority was not shown', () => {
    const verdict = daneVerdict([recordFor(root.x509, 2, 0, 1)], chain.slice(0, 2), NAMES, NOW);
    expect(verdict).toMatchObject({ kind: 'mismatch', text: expect.stringContaining('not shown') });
  });

  test('does not fit the server’s own certificate', () => {
    expect(daneVerdict([recordFor(leaf.x509, 2, 0, 1)], chain, NAMES, NOW).kind).toBe('mismatch');
  });

  test('does not fit a certificate for another name', () => {
    const verdict = daneVerdict([recordFor(root.x509, 2, 0, 1)], chain, ['mx.b.test'], NOW);
    expect(verdict).toMatchObject({ kind: 'mismatch', text: expect.stringContaining('not for mx.b.test') });
  });

  test('does not fit before or after the dates of the server’s certificate', () => {
    for (const at of [NOW - 2 * DAY, NOW + 2 * DAY]) {
      expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], chain, NAMES, at).kind).toBe('mismatch');
    }
  });

  test('does not fit after the dates of a certificate between', async () => {
    const old = await make({ name: 'Between', key: KEYS.other, issuer: root, isAuthority: true, to: NOW - 1000 });
    const shown = [leaf.x509, old.x509, root.x509];
    expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], shown, NAMES, NOW)).toMatchObject({
      kind: 'mismatch',
      text: expect.stringContaining('expired'),
    });
  });

  test('does not fit an authority of the same name that did not sign', async () => {
    const impostor = await make({ name: 'Between', key: KEYS.leaf, issuer: root, isAuthority: true });
    const shown = [leaf.x509, impostor.x509, root.x509];
    expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], shown, NAMES, NOW)).toMatchObject({
      kind: 'mismatch',
      text: expect.stringContaining('not signed'),
    });
  });

  test('does not fit when a certificate that is no authority has signed', async () => {
    const notAuthority = await make({ name: 'Server', key: KEYS.other, issuer: root });
    const forged = await make({ name: 'mx.a.test', issuer: notAuthority });
    const shown = [forged.x509, notAuthority.x509, root.x509];
    expect(daneVerdict([recordFor(root.x509, 2, 0, 1)], shown, NAMES, NOW).kind).toBe('mismatch');
  });

  test('does not fit a certificate that is for clients', async () => {
    const client = await make({ name: 'mx.a.test', issuer: root, usage: 'clientAuth' });
    const verdict = daneVerdict([recordFor(root.x509, 2, 0, 1)], [client.x509, root.x509], NAMES, NOW);
    expect(verdict).toMatchObject({ kind: 'mismatch', text: expect.stringContaining('not for servers') });
  });
});

describe('records that cannot be used for SMTP', () => {
  test.each([
    ['PKIX-TA', { usage: 0 }],
    ['PKIX-EE', { usage: 1 }],
    ['an unknown usage', { usage: 4 }],
    ['an unknown selector', { selector: 2 }],
    ['an unknown matching type', { matchingType: 3 }],
    ['a digest of the wrong length', { data: new Uint8Array(31) }],
    ['no data', { matchingType: 0, data: new Uint8Array() }],
  ])('%s: unusable alone, passed over beside others', (_what, change) => {
    const good = recordFor(leaf.x509, 3, 1, 1);
    const bad = { ...good, ...change };
    expect(daneVerdict([bad], chain, NAMES, NOW).kind).toBe('unusable');
    expect(hasUsableTlsa([bad])).toBe(false);
    expect(hasUsableTlsa([bad, good])).toBe(true);
    expect(daneVerdict([bad, good], chain, NAMES, NOW).kind).toBe('match');
    expect(daneVerdict([bad, recordFor(root.x509, 3, 1, 1)], chain, NAMES, NOW).kind).toBe('mismatch');
  });

  test('of any numbers are judged without a throw', () => {
    const record = fc.record({
      usage: fc.nat(5),
      selector: fc.nat(3),
      matchingType: fc.nat(4),
      data: fc.uint8Array({ maxLength: 70 }),
    });
    fc.assert(
      fc.property(fc.array(record, { maxLength: 4 }), (records) => {
        expect(daneVerdict(records, chain, NAMES, NOW).kind).not.toBe('match');
      }),
    );
  });
});

describe('the chain of a connection', () => {
  test('is what the server showed, its own certificate first, whether anybody trusts it or not', async () => {
    const server = tls.createServer({
      key: leaf.key,
      cert: [leaf, intermediate, root].map(({ pem }) => `${pem.trim()}\n`).join(''),
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = tls.connect({ host: '127.0.0.1', port, servername: 'mx.a.test', rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const shown = presentedChain(socket);
    socket.destroy();
    server.close();
    expect(shown.map(({ fingerprint256 }) => fingerprint256)).toEqual(
      chain.map(({ fingerprint256 }) => fingerprint256),
    );
    expect(daneVerdict([recordFor(root.x509, 2, 1, 2)], shown, NAMES, NOW).kind).toBe('match');
  });

  test('is one certificate when the server shows one', async () => {
    const server = tls.createServer({ key: leaf.key, cert: leaf.pem });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const socket = tls.connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
    await once(socket, 'secureConnect');
    const shown = presentedChain(socket);
    socket.destroy();
    server.close();
    expect(shown.length).toBe(1);
  });
});
