/** Certificates for next hops in tests, signed by an authority made on the spot. RSA: `selfsigned` fails at making EC ones. */
import { generateKeyPairSync } from 'node:crypto';
import { generate } from 'selfsigned';

export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  /** PEM of the authority to trust. */
  readonly ca: string;
}

export interface TestCertificateOptions {
  /** DNS names; default `localhost`, and then the address 127.0.0.1 too. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** One key for the authority and all its certificates: making one takes longer than most tests. */
let keyPair: { readonly publicKey: string; readonly privateKey: string } | null = null;

/** Makes a certificate; by default valid from yesterday to tomorrow. */
export async function makeTestCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  keyPair ??= generateKeyPairSync('rsa', {
    modulusLength: 2048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const now = Date.now();
  const common = { keyType: 'rsa', algorithm: 'sha256', keyPair } as const;
  const authority = await generate([{ name: 'commonName', value: 'Test Authority' }], {
    ...common,
    notBeforeDate: new Date(now - 365 * DAY_MS),
    notAfterDate: new Date(now + 365 * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const names = options.names ?? ['localhost'];
  const altNames = [
    ...names.map((value) => ({ type: 2, value }) as const),
    ...(options.names === undefined ? [{ type: 7, ip: '127.0.0.1' } as const] : []),
  ];
  const leaf = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    ...common,
    notBeforeDate: options.notBefore ?? new Date(now - DAY_MS),
    notAfterDate: options.notAfter ?? new Date(now + DAY_MS),
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  });
  return { cert: leaf.cert, key: leaf.private, ca: authority.cert };
}
