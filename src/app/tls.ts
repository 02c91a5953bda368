/** The certificate that the listeners show: the configured one, or a self-signed one in the data folder. */
import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Config } from '../config/types.ts';
import { errorText, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import { ensureSelfSigned, type TlsMaterial } from '../intake/certificate.ts';

/** Reads or makes it; null when no listener offers TLS. Rejects with a `RelayError` (`key`) when it cannot be used. */
export async function loadTls(config: Config, clock: Clock): Promise<TlsMaterial | null> {
  const listeners = [...config.smtp.listeners, ...config.bounces.listeners];
  if (listeners.every((listener) => listener.tls === 'none')) return null;
  const files = config.smtp.tls;
  if (files === null) return ensureSelfSigned(path.join(config.dataDir, 'tls'), config.hostname, clock);
  try {
    const [cert, key] = await Promise.all([readFile(files.cert, 'utf8'), readFile(files.key, 'utf8')]);
    createSecureContext({ cert, key });
    return { cert, key };
  } catch (error) {
    throw new RelayError(`the TLS certificate cannot be used: ${errorText(error)}`, {
      code: 'key',
      op: 'app.tls',
      hint: `Check smtp.tls.cert (${files.cert}) and smtp.tls.key (${files.key}): PEM files that belong together.`,
      cause: error,
    });
  }
}

/** When the certificate that clients see first ends; epoch milliseconds. */
export function endOfCertificate({ cert }: TlsMaterial): number {
  return Date.parse(new X509Certificate(cert).validTo);
}
