/**
 * HMAC-SHA-256 (RFC 2104, FIPS 180-4): whether a signature fits.
 *
 * Web Crypto does it, and compares in constant time. Node 18 has no Web Crypto among its globals, and a module of Node's own cannot be
 * imported where workers and bundlers must be able to load this file: for it alone there is an implementation here. It touches
 * secrets with additions, rotations and xors only, and never branches or indexes by them.
 */
import type { WebCrypto } from './runtime.ts';

/** A key; hand the same one to several checks. */
export interface Hmac {
  /** True when `signature` is that of `data`; takes the same time whatever differs. */
  fits(signature: Uint8Array<ArrayBuffer>, data: Uint8Array<ArrayBuffer>): Promise<boolean>;
}

/** Makes a key of `secret`; with `crypto` null, it is done here. */
export async function createHmac(secret: Uint8Array<ArrayBuffer>, crypto: WebCrypto | null): Promise<Hmac> {
  if (crypto === null) return { fits: async (signature, data) => same(signature, hmac(secret, data)) };
  const algorithm = { name: 'HMAC', hash: 'SHA-256' } as const;
  const key = await crypto.subtle.importKey('raw', secret, algorithm, false, ['verify']);
  return { fits: (signature, data) => crypto.subtle.verify('HMAC', key, signature, data) };
}

const BLOCK = 64;

function hmac(secret: Uint8Array, data: Uint8Array): Uint8Array {
  const key = secret.length > BLOCK ? sha256(secret) : secret;
  const padded = (pad: number, rest: Uint8Array): Uint8Array => {
    const whole = new Uint8Array(BLOCK + rest.length).fill(pad, 0, BLOCK);
    key.forEach((byte, at) => (whole[at] = byte ^ pad));
    whole.set(rest, BLOCK);
    return whole;
  };
  return sha256(padded(0x5c, sha256(padded(0x36, data))));
}

function same(a: Uint8Array, b: Uint8Array): boolean {
  let differs = a.length ^ b.length;
  b.forEach((byte, at) => (differs |= byte ^ (a[at] ?? 0)));
  return differs === 0;
}

/** The first 32 bits of the fractional parts of the square roots of the first 8 primes. */
const START = Uint32Array.of(
  0x6a09e667,
  0xbb67ae85,
  0x3c6ef372,
  0xa54ff53a,
  0x510e527f,
  0x9b05688c,
  0x1f83d9ab,
  0x5be0cd19,
);
/** The same of the cube roots of the first 64. */
const ROUNDS = Uint32Array.of(
  0x428a2f98,
  0x71374491,
  0xb5c0fbcf,
  0xe9b5dba5,
  0x3956c25b,
  0x59f111f1,
  0x923f82a4,
  0xab1c5ed5,
  0xd807aa98,
  0x12835b01,
  0x243185be,
  0x550c7dc3,
  0x72be5d74,
  0x80deb1fe,
  0x9bdc06a7,
  0xc19bf174,
  0xe49b69c1,
  0xefbe4786,
  0x0fc19dc6,
  0x240ca1cc,
  0x2de92c6f,
  0x4a7484aa,
  0x5cb0a9dc,
  0x76f988da,
  0x983e5152,
  0xa831c66d,
  0xb00327c8,
  0xbf597fc7,
  0xc6e00bf3,
  0xd5a79147,
  0x06ca6351,
  0x14292967,
  0x27b70a85,
  0x2e1b2138,
  0x4d2c6dfc,
  0x53380d13,
  0x650a7354,
  0x766a0abb,
  0x81c2c92e,
  0x92722c85,
  0xa2bfe8a1,
  0xa81a664b,
  0xc24b8b70,
  0xc76c51a3,
  0xd192e819,
  0xd6990624,
  0xf40e3585,
  0x106aa070,
  0x19a4c116,
  0x1e376c08,
  0x2748774c,
  0x34b0bcb5,
  0x391c0cb3,
  0x4ed8aa4a,
  0x5b9cca4f,
  0x682e6ff3,
  0x748f82ee,
  0x78a5636f,
  0x84c87814,
  0x8cc70208,
  0x90befffa,
  0xa4506ceb,
  0xbef9a3f7,
  0xc67178f2,
);

function sha256(data: Uint8Array): Uint8Array {
  const state = Uint32Array.from(START);
  // One bit, zeros, and the length in bits, up to whole blocks.
  const whole = new Uint8Array(Math.ceil((data.length + 9) / BLOCK) * BLOCK);
  whole.set(data);
  whole[data.length] = 0x80;
  const words = new DataView(whole.buffer);
  words.setBigUint64(whole.length - 8, BigInt(data.length) * 8n);
  const schedule = new Uint32Array(64);
  for (let at = 0; at < whole.length; at += BLOCK) addBlock(state, schedule, words, at);
  const digest = new DataView(new ArrayBuffer(32));
  state.forEach((word, index) => digest.setUint32(index * 4, word));
  return new Uint8Array(digest.buffer);
}

/** FIPS 180-4, section 6.2.2. */
function addBlock(state: Uint32Array, w: Uint32Array, words: DataView, at: number): void {
  const word = (index: number): number => w[index] ?? 0;
  for (let t = 0; t < 16; t++) w[t] = words.getUint32(at + t * 4);
  for (let t = 16; t < 64; t++) {
    const [x, y] = [word(t - 15), word(t - 2)];
    const s0 = turn(x, 7) ^ turn(x, 18) ^ (x >>> 3);
    const s1 = turn(y, 17) ^ turn(y, 19) ^ (y >>> 10);
    w[t] = s1 + word(t - 7) + s0 + word(t - 16);
  }
  let [a = 0, b = 0, c = 0, d = 0, e = 0, f = 0, g = 0, h = 0] = state;
  for (let t = 0; t < 64; t++) {
    const s1 = turn(e, 6) ^ turn(e, 11) ^ turn(e, 25);
    const t1 = h + s1 + ((e & f) ^ (~e & g)) + (ROUNDS[t] ?? 0) + word(t);
    const s0 = turn(a, 2) ^ turn(a, 13) ^ turn(a, 22);
    const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
    [h, g, f, e, d, c, b, a] = [g, f, e, (d + t1) | 0, c, b, a, (t1 + t2) | 0];
  }
  [a, b, c, d, e, f, g, h].forEach((value, index) => (state[index] = (state[index] ?? 0) + value));
}

/** `value` rotated right by `by` bits. */
function turn(value: number, by: number): number {
  return (value >>> by) | (value << (32 - by));
}
