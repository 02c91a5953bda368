/**
 * Whether the certificates that an SMTP server showed fit the TLSA records of its name (RFC 6698, RFC 7671, RFC 7672).
 *
 * Pure. The caller made the connection without judging certificates (`rejectUnauthorized: false`), takes them from the socket
 * with `presentedChain`, and sends nothing on a mismatch. Usable are DANE-EE(3) and DANE-TA(2), whole certificate or key, plain
 * or as SHA-256 or SHA-512. The PKIX usages 0 and 1 say nothing for SMTP (RFC 7672, section 3.1.3). DANE-EE is about the key
 * alone: neither names nor dates count (section 3.1.1). DANE-TA names an authority, which must have been shown too, and
 * everything that an authority is for counts: signatures, dates, names.
 *
 * Known limits: name constraints and path lengths of authorities are not looked at; an authority that stands whole in the
 * record but was not shown is not used (section 3.1.2 has the server show it); the strongest digest is not preferred.
 */
import { createHash, X509Certificate } from 'node:crypto';
import type { DetailedPeerCertificate, PeerCertificate, TLSSocket } from 'node:tls';
import type { TlsaRecord } from './lookup.ts';

export interface DaneVerdict {
  /**
   * `match`: the server is who the domain says. `mismatch`: nothing must be sent to it. `unusable`: no record can be used;
   * TLS is demanded all the same, with any certificate (RFC 7672, section 2.2).
   */
  readonly kind: 'match' | 'mismatch' | 'unusable';
  /** For people: what fitted, or why nothing did. */
  readonly text: string;
}

const DANE_TA = 2;
const DANE_EE = 3;
const DIGESTS: ReadonlyMap<number, { readonly algorithm: string; readonly bytes: number }> = new Map([
  [1, { algorithm: 'sha256', bytes: 32 }],
  [2, { algorithm: 'sha512', bytes: 64 }],
]);
const MAX_CHAIN = 10;
const EXTENDED_USAGES_FOR_SERVERS: readonly string[] = ['1.3.6.1.5.5.7.3.1', '2.5.29.37.0'];

/** Whether any of `records` can be used for SMTP: asked before connecting, it decides whether DANE holds at all. */
export function hasUsableTlsa(records: readonly TlsaRecord[]): boolean {
  return records.some(isUsable);
}

/**
 * Judges `chain` (the server's own certificate first) by `records`. `names`: what the certificate may be for where names count:
 * the MX host's name, and the recipient domain (RFC 7672, section 3.2.2). `nowMs`: epoch milliseconds.
 */
export function daneVerdict(
  records: readonly TlsaRecord[],
  chain: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): DaneVerdict {
  const usable = records.filter(isUsable);
  if (usable.length === 0) return { kind: 'unusable', text: 'no TLSA record can be used for SMTP' };
  const [leaf] = chain;
  if (leaf === undefined) return { kind: 'mismatch', text: 'the server showed no certificate' };
  const faults = new Set<string>();
  for (const record of usable) {
    const fault = record.usage === DANE_EE ? judgeEndEntity(record, leaf) : judgeAuthority(record, chain, names, nowMs);
    if (fault === null) return { kind: 'match', text: `TLSA ${recordText(record)}` };
    faults.add(fault);
  }
  return { kind: 'mismatch', text: `the certificate does not fit the TLSA records: ${[...faults].join('; ')}` };
}

/** The certificates that the server showed on `socket`, its own first, each followed by its issuer; empty when none. */
export function presentedChain(socket: TLSSocket): readonly X509Certificate[] {
  const chain: X509Certificate[] = [];
  let shown: DetailedPeerCertificate | PeerCertificate = socket.getPeerCertificate(true);
  // The object is empty when there is no certificate; a self-signed one is its own issuer.
  while (chain.length < MAX_CHAIN && Buffer.isBuffer(shown.raw)) {
    chain.push(new X509Certificate(shown.raw));
    const issuer: DetailedPeerCertificate | undefined =
      'issuerCertificate' in shown ? shown.issuerCertificate : undefined;
    if (issuer === undefined || issuer === shown) break;
    shown = issuer;
  }
  return chain;
}

function isUsable({ usage, selector, matchingType, data }: TlsaRecord): boolean {
  if ((usage !== DANE_TA && usage !== DANE_EE) || (selector !== 0 && selector !== 1)) return false;
  return matchingType === 0 ? data.length > 0 : DIGESTS.get(matchingType)?.bytes === data.length;
}

function recordText({ usage, selector, matchingType }: TlsaRecord): string {
  return `${usage} ${selector} ${matchingType}`;
}

function judgeEndEntity(record: TlsaRecord, leaf: X509Certificate): string | null {
  return matches(record, leaf)
    ? null
    : `${recordText(record)} names another ${record.selector === 0 ? 'certificate' : 'key'}`;
}

function judgeAuthority(
  record: TlsaRecord,
  chain: readonly X509Certificate[],
  names: readonly string[],
  nowMs: number,
): string | null {
  const at = chain.findIndex((certificate, index) => index > 0 && matches(record, certificate));
  if (at === -1) return `${recordText(record)} names an authority that was not shown`;
  const path = chain.slice(0, at + 1);
  const [leaf] = path;
  for (const [index, certificate] of path.entries()) {
    if (nowMs < Date.parse(certificate.validFrom)) return 'a certificate in the chain is not valid yet';
    if (nowMs > Date.parse(certificate.validTo)) return 'a certificate in the chain has expired';
    const issuer = path[index + 1];
    if (issuer !== undefined && !isIssuedBy(certificate, issuer)) return 'the chain is not signed up to the authority';
  }
  if (leaf === undefined || !isForServers(leaf)) return 'the certificate is not for servers';
  const named = names.some((name) => leaf.checkHost(name, { partialWildcards: false }) !== undefined);
  return named ? null : `the certificate is not for ${names.join(' or ')}`;
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  try {
    return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
  } catch {
    // A key that OpenSSL cannot use has signed nothing that counts.
    return false;
  }
}

/** Without the extension a certificate is for everything (RFC 5280, section 4.2.1.12); Node calls it `keyUsage`. */
function isForServers(leaf: X509Certificate): boolean {
  const usages: readonly string[] | undefined = leaf.keyUsage;
  return usages === undefined || usages.some((usage) => EXTENDED_USAGES_FOR_SERVERS.includes(usage));
}

function matches({ selector, matchingType, data }: TlsaRecord, certificate: X509Certificate): boolean {
  const selected = selector === 0 ? certificate.raw : publicKeyInfo(certificate.raw);
  if (selected === null) return false;
  const digest = DIGESTS.get(matchingType);
  const wanted = digest === undefined ? selected : createHash(digest.algorithm).update(selected).digest();
  return Buffer.compare(wanted, data) === 0;
}

/**
 * The SubjectPublicKeyInfo inside `certificate` (DER), as it stands there: a key that is read and written anew may have other
 * bytes. null when it is not found.
 */
function publicKeyInfo(certificate: Buffer): Buffer | null {
  const outer = readElement(certificate, 0);
  const body = outer === null ? null : readElement(certificate, outer.contentAt);
  if (body === null) return null;
  let at = body.contentAt;
  const version = readElement(certificate, at);
  // [0] version is left out in certificates of version 1.
  if (version?.tag === 0xa0) at = version.end;
  // serialNumber, signature, issuer, validity, subject (RFC 5280, section 4.1)
  for (let field = 0; field < 5; field++) {
    const element = readElement(certificate, at);
    if (element === null) return null;
    at = element.end;
  }
  const key = readElement(certificate, at);
  return key === null || key.end > body.end ? null : certificate.subarray(at, key.end);
}

function readElement(
  der: Buffer,
  at: number,
): { readonly tag: number; readonly contentAt: number; readonly end: number } | null {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return null;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  if (lengthBytes > 4 || at + 2 + lengthBytes > der.length) return null;
  const length = lengthBytes === 0 ? first : der.readUIntBE(at + 2, lengthBytes);
  const contentAt = at + 2 + lengthBytes;
  return contentAt + length > der.length ? null : { tag, contentAt, end: contentAt + length };
}
