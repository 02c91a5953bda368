/**
 * The text of a DKIM key record (RFC 6376, section 3.6.1; RFC 8463, section 4). Pure, and it never throws.
 *
 * A record without `v=` is one all the same when it has `p=`, for verifiers take it so.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { parseTagList } from './tag-list.ts';

export type DkimRecordKey =
  | { readonly kind: 'key'; readonly key: KeyObject }
  /** `p=` is empty: the key was taken back. */
  | { readonly kind: 'revoked' }
  | { readonly kind: 'unusable'; readonly reason: string };

export interface DkimRecord {
  /** `rsa` unless it says otherwise; lower case. */
  readonly type: string;
  readonly key: DkimRecordKey;
  /** `t=y`: verifiers treat the domain as one that only tries DKIM out. */
  readonly isTest: boolean;
  /** `h=` leaves SHA-256 out, or `s=` leaves mail out: in words. */
  readonly limits: readonly string[];
  readonly problems: readonly string[];
}

const MAX_KEY_CHARS = 16_384;
const RAW_ED25519_OCTETS = 32;
/** What stands before the 32 octets of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410, section 4). */
const ED25519_SPKI = Buffer.from('302a300506032b6570032100', 'hex');

/** Reads a TXT record; null when it is no key record at all. */
export function parseDkimRecord(text: string): DkimRecord | null {
  const { tags, problems } = parseTagList(text);
  const version = tags.get('v');
  if (version === undefined ? !tags.has('p') : !/^dkim1$/i.test(version)) return null;
  const type = (tags.get('k') ?? 'rsa').toLowerCase();
  return {
    type,
    key: parseKey(tags.get('p'), type),
    isTest: wordsOf(tags.get('t')).includes('y'),
    limits: limitsOf(tags),
    problems: [
      ...problems.map((problem) => (problem.includes('\\') ? `${problem}: a backslash has no business here` : problem)),
      ...(version !== undefined && [...tags.keys()][0] !== 'v' ? ['v= does not come first'] : []),
    ],
  };
}

function parseKey(value: string | undefined, type: string): DkimRecordKey {
  if (value === undefined) return { kind: 'unusable', reason: 'it has no p=' };
  // Folding white space may stand within the base64.
  const base64 = value.replace(/[ \t\r\n]+/g, '');
  if (base64 === '') return { kind: 'revoked' };
  if (base64.length > MAX_KEY_CHARS) return { kind: 'unusable', reason: 'p= is longer than any key' };
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    return { kind: 'unusable', reason: 'p= is not base64: it holds characters that do not belong there' };
  }
  const bytes = Buffer.from(base64, 'base64');
  if (type !== 'rsa' && type !== 'ed25519') return { kind: 'unusable', reason: `k=${type} is no key type of DKIM` };
  if (type === 'ed25519' && bytes.length !== RAW_ED25519_OCTETS) {
    return { kind: 'unusable', reason: `p= holds ${bytes.length} octets; an Ed25519 key has ${RAW_ED25519_OCTETS}` };
  }
  const der = type === 'ed25519' ? Buffer.concat([ED25519_SPKI, bytes]) : bytes;
  try {
    return { kind: 'key', key: createPublicKey({ key: der, format: 'der', type: 'spki' }) };
  } catch {
    return { kind: 'unusable', reason: 'p= is no whole key: a part of it may be missing' };
  }
}

function limitsOf(tags: ReadonlyMap<string, string>): readonly string[] {
  const limits: string[] = [];
  const hashes = tags.get('h');
  if (hashes !== undefined && !wordsOf(hashes).includes('sha256')) limits.push(`h=${hashes} leaves SHA-256 out`);
  const services = tags.get('s');
  if (services !== undefined && !wordsOf(services).some((word) => word === '*' || word === 'email')) {
    limits.push(`s=${services} leaves mail out`);
  }
  return limits;
}

/** The words of a list that colons part. */
function wordsOf(value: string | undefined): readonly string[] {
  return (value ?? '').split(':').map((word) => word.trim().toLowerCase());
}
