/** Certificates for next hops in tests, signed by an authority made on the spot. */
import { generate } from 'selfsigned';

export interface TestCertificate {
  readonly cert: string;
  readonly key: string;
  /** PEM of the authority to trust. */
  readonly ca: string;
}

export interface TestCertificateOptions {
  /** DNS names; default `localhost`. 127.0.0.1 is always included unless names are given. */
  readonly names?: readonly string[];
  readonly notBefore?: Date;
  readonly notAfter?: Date;
}

const DAY_MS = 24 * 60 * 60 * 1000;

/** Makes a certificate; by default valid from yesterday to tomorrow, for `localhost` and 127.0.0.1. */
export async function makeTestCertificate(options: TestCertificateOptions = {}): Promise<TestCertificate> {
  const now = Date.now();
  const notBeforeDate = options.notBefore ?? new Date(now - DAY_MS);
  const notAfterDate = options.notAfter ?? new Date(now + DAY_MS);
  const authority = await generate([{ name: 'commonName', value: 'Test Authority' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate: new Date(now - 365 * DAY_MS),
    notAfterDate: new Date(now + 365 * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: true, critical: true },
      { name: 'keyUsage', keyCertSign: true, critical: true },
    ],
  });
  const names = options.names ?? ['localhost'];
  const leaf = await generate([{ name: 'commonName', value: names[0] ?? 'localhost' }], {
    keyType: 'ec',
    algorithm: 'sha256',
    notBeforeDate,
    notAfterDate,
    ca: { key: authority.private, cert: authority.cert },
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true },
      { name: 'extKeyUsage', serverAuth: true },
      {
        name: 'subjectAltName',
        altNames: [
          ...names.map((value) => ({ type: 2 as const, value })),
          ...(options.names === undefined ? [{ type: 7 as const, ip: '127.0.0.1' }] : []),
        ],
      },
    ],
  });
  return { cert: leaf.cert, key: leaf.private, ca: authority.cert };
}
