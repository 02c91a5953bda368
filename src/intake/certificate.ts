/**
 * The relay's own certificate, for listeners on loopback when the config names none.
 *
 * Made at the first start and remade when it ran out, was damaged, or names another host. Nobody can verify it: it keeps mail
 * from being read on the way, and proves nothing. Both files are replaced by a rename, key first: a crash in between leaves a
 * pair that does not match, which is remade at the next start. The key is readable by the relay's user alone.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { chmod, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generate } from 'selfsigned';
import { errorCode, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';

/** A certificate chain and its key, both PEM. */
export interface TlsMaterial {
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const VALID_DAYS = 3650;
const KEY_BITS = 2048;
/** Clocks of clients may be behind. */
const BACKDATED_DAYS = 1;
/** A process runs for long: a certificate with less left is remade at a start. */
const RENEW_DAYS = 30;

/**
 * The certificate and key in `dir` (`self-signed.cert.pem`, `self-signed.key.pem`), made anew where needed; rejects with a
 * RelayError `key` when they cannot be read or written.
 */
export async function ensureSelfSigned(dir: string, hostname: string, clock: Clock): Promise<TlsMaterial> {
  const certFile = join(dir, 'self-signed.cert.pem');
  const keyFile = join(dir, 'self-signed.key.pem');
  try {
    const [cert, key] = [await readIfThere(certFile), await readIfThere(keyFile)];
    if (cert !== null && key !== null && isFit(cert, key, hostname, clock.now())) {
      await chmod(keyFile, 0o600);
      return { cert, key };
    }
    const made = await make(hostname, clock.now());
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await replace(keyFile, made.key, 0o600);
    await replace(certFile, made.cert, 0o644);
    return made;
  } catch (cause) {
    throw new RelayError(`cannot keep a self-signed certificate in ${dir}`, {
      code: 'key',
      op: 'smtp.certificate',
      hint: 'make the folder writable for the relay, or set smtp.tls.cert and smtp.tls.key',
      cause,
    });
  }
}

async function make(hostname: string, now: number): Promise<{ readonly cert: string; readonly key: string }> {
  const altNames = [
    ...[...new Set([hostname, 'localhost'])].map((value) => ({ type: 2, value }) as const),
    ...['127.0.0.1', '::1'].map((ip) => ({ type: 7, ip }) as const),
  ];
  const pem = await generate([{ name: 'commonName', value: hostname }], {
    keyType: 'rsa',
    keySize: KEY_BITS,
    algorithm: 'sha256',
    notBeforeDate: new Date(now - BACKDATED_DAYS * DAY_MS),
    notAfterDate: new Date(now + VALID_DAYS * DAY_MS),
    extensions: [
      { name: 'basicConstraints', cA: false },
      { name: 'keyUsage', digitalSignature: true, keyEncipherment: true },
      { name: 'extKeyUsage', serverAuth: true },
      { name: 'subjectAltName', altNames },
    ],
  });
  return { cert: pem.cert, key: pem.private };
}

function isFit(cert: string, key: string, hostname: string, now: number): boolean {
  try {
    const certificate = new X509Certificate(cert);
    return (
      certificate.validFromDate.getTime() <= now &&
      certificate.validToDate.getTime() > now + RENEW_DAYS * DAY_MS &&
      certificate.checkHost(hostname) !== undefined &&
      certificate.checkPrivateKey(createPrivateKey(key))
    );
  } catch {
    // Damaged PEM: as good as absent.
    return false;
  }
}

async function readIfThere(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return null;
    throw error;
  }
}

async function replace(file: string, text: string, mode: number): Promise<void> {
  const next = `${file}.next`;
  await writeFile(next, text, { mode });
  await chmod(next, mode);
  await rename(next, file);
}
