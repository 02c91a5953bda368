/**
 * Password hashes of credentials: `scrypt:N:r:p:salt:hash` with salt and hash in base64 (scrypt: RFC 7914).
 *
 * Bounds on the parameters keep a hash from the config from eating the machine: anyone who can connect can make the relay
 * compute it. Verifying compares in constant time and computes in the thread pool, so the event loop goes on.
 */
import { randomBytes, type ScryptOptions, scrypt, timingSafeEqual } from 'node:crypto';
import type { ScryptHash } from './types.ts';

/** 16 MiB and some 30 ms for a hash on a current core. */
const NEW_HASH = { n: 16_384, r: 8, p: 1, saltBytes: 16, hashBytes: 32 } as const;

const MIN_N = 1024;
const MAX_R = 32;
const MAX_P = 16;
const MAX_MEMORY_BYTES = 128 * 1024 ** 2;
/** N * r * p: 2^17 : 8 : 1, the costliest that is commonly recommended. */
const MAX_WORK = 2 ** 20;
const SALT_BYTES = { min: 8, max: 64 } as const;
const HASH_BYTES = { min: 16, max: 64 } as const;

const FORM = /^scrypt:(\d{1,7}):(\d{1,2}):(\d{1,2}):([A-Za-z0-9+/]{1,100}={0,2}):([A-Za-z0-9+/]{1,100}={0,2})$/;

export type ParsedScryptHash =
  | { readonly kind: 'hash'; readonly hash: ScryptHash }
  /** `reason` never repeats a part of the text. */
  | { readonly kind: 'malformed'; readonly reason: string };

/** Parses `scrypt:N:r:p:salt:hash`; parameters outside the bounds are malformed too. */
export function parseScryptHash(text: string): ParsedScryptHash {
  const match = FORM.exec(text);
  if (match === null) return malformed('is not of the form scrypt:N:r:p:salt:hash');
  const [n, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  const salt = decodeBase64(match[4] ?? '');
  const hash = decodeBase64(match[5] ?? '');
  if (salt === null || hash === null) return malformed('has a salt or hash that is not base64');
  if (n < MIN_N || (n & (n - 1)) !== 0) return malformed(`has an N that is not a power of two from ${MIN_N}`);
  if (r < 1 || r > MAX_R) return malformed(`has an r outside 1 to ${MAX_R}`);
  if (p < 1 || p > MAX_P) return malformed(`has a p outside 1 to ${MAX_P}`);
  if (128 * n * r > MAX_MEMORY_BYTES) return malformed('asks for more than 128 MiB of memory (128 * N * r)');
  if (n * r * p > MAX_WORK) return malformed(`asks for too much work (N * r * p over ${MAX_WORK})`);
  if (salt.length < SALT_BYTES.min || salt.length > SALT_BYTES.max) {
    return malformed(`has a salt outside ${SALT_BYTES.min} to ${SALT_BYTES.max} octets`);
  }
  if (hash.length < HASH_BYTES.min || hash.length > HASH_BYTES.max) {
    return malformed(`has a hash outside ${HASH_BYTES.min} to ${HASH_BYTES.max} octets`);
  }
  return { kind: 'hash', hash: { n, r, p, salt, hash } };
}

/** Hashes `password` with a new salt, as `scrypt:16384:8:1:<base64 salt>:<base64 hash>`. */
export async function hashPassword(password: string): Promise<string> {
  const { n, r, p, saltBytes, hashBytes } = NEW_HASH;
  const salt = randomBytes(saltBytes);
  const hash = await derive(password, { n, r, p, salt, length: hashBytes });
  return `scrypt:${n}:${r}:${p}:${salt.toString('base64')}:${hash.toString('base64')}`;
}

/** Whether `password` is the one that `hash` was made of; takes as long for a wrong one as for the right one. */
export async function verifyPassword(hash: ScryptHash, password: string): Promise<boolean> {
  const { n, r, p, salt } = hash;
  const derived = await derive(password, { n, r, p, salt, length: hash.hash.length });
  return timingSafeEqual(derived, hash.hash);
}

interface Derivation {
  readonly n: number;
  readonly r: number;
  readonly p: number;
  readonly salt: Uint8Array;
  readonly length: number;
}

function derive(password: string, { n, r, p, salt, length }: Derivation): Promise<Buffer> {
  // OpenSSL counts 128 * r * (N + p) and some bookkeeping; Node's own limit (32 MiB) is below what we allow.
  const options: ScryptOptions = { N: n, r, p, maxmem: 128 * r * (n + p) + 1024 ** 2 };
  return new Promise((resolve, reject) => {
    scrypt(password, salt, length, options, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

/** The octets, or null when `text` is not in canonical base64 (RFC 4648, section 3.5). */
function decodeBase64(text: string): Uint8Array | null {
  const octets = Buffer.from(text, 'base64');
  return octets.toString('base64') === text ? Uint8Array.from(octets) : null;
}

function malformed(reason: string): ParsedScryptHash {
  return { kind: 'malformed', reason };
}
