/**
 * New DKIM keys and the DNS records that publish them (RFC 6376, section 3.6.1; RFC 8463, section 4).
 *
 * Nothing is written to disk here. The private key leaves as PEM (PKCS #8) and is for a file that the relay alone reads.
 */
import { createPublicKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { promisify } from 'node:util';
import { RelayError } from '../core/errors.ts';
import { MIN_RSA_BITS, parseSigningKey } from './keys.ts';

export interface DkimKeyRequest {
  readonly algorithm: 'rsa' | 'ed25519';
}

export interface DkimKeyPair {
  /** PKCS #8 PEM. */
  readonly privatePem: string;
}

export interface DnsRecord {
  /** `selector._domainkey.domain`, without the last dot. */
  readonly name: string;
  /** The whole TXT value, as a verifier joins it: `v=DKIM1; k=rsa; p=...`. */
  readonly value: string;
  /** A line for a zone file, with the value cut into strings of 255 octets at most. */
  readonly zoneLine: string;
}

/** Octets in one character-string of a TXT record (RFC 1035, section 3.3). */
const MAX_STRING_OCTETS = 255;

const generate = promisify(generateKeyPair);

/** Makes a key: RSA of 2048 bits (whose record fits every DNS host), or Ed25519. */
export async function generateDkimKey(request: DkimKeyRequest): Promise<DkimKeyPair> {
  const { privateKey } =
    request.algorithm === 'rsa' ? await generate('rsa', { modulusLength: MIN_RSA_BITS }) : await generate('ed25519');
  return { privatePem: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString() };
}

/** The TXT record for the public half of `keyPem`; throws a `RelayError` (`key`) when DKIM cannot use the key. */
export function dnsRecord(keyPem: string, domain: string, selector: string): DnsRecord {
  const parsed = parseSigningKey(keyPem);
  if (parsed.kind === 'unusable') {
    throw new RelayError(`the DKIM key cannot be used: ${parsed.reason}`, {
      code: 'key',
      op: 'signing.dns-record',
      hint: 'Make a new one with `leadpush-relay dkim generate`',
    });
  }
  const publicKey = createPublicKey(parsed.key);
  const value =
    parsed.algorithm === 'rsa-sha256'
      ? `v=DKIM1; k=rsa; p=${publicKey.export({ format: 'der', type: 'spki' }).toString('base64')}`
      : `v=DKIM1; k=ed25519; p=${rawEd25519(publicKey)}`;
  const name = `${selector}._domainkey.${domain}`;
  const strings: string[] = [];
  for (let i = 0; i < value.length; i += MAX_STRING_OCTETS) strings.push(`"${value.slice(i, i + MAX_STRING_OCTETS)}"`);
  return { name, value, zoneLine: `${name}. IN TXT ( ${strings.join(' ')} )` };
}

/** RFC 8463 publishes the 32 octets alone, in base64; a JWK holds them in base64url. */
function rawEd25519(publicKey: KeyObject): string {
  return Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url').toString('base64');
}
