/**
 * What the SDK needs of the world besides fetch: time, chance and Web Crypto. The only file that asks for them.
 *
 * It imports nothing: what is used is there in Node from 18, Bun, Deno, browsers and workers. Node 18 alone has no Web Crypto
 * among its globals; without it keys come from Math.random, and `hmac.ts` does without.
 */

export interface Runtime {
  /** Wall-clock time in milliseconds since the epoch. */
  now(): number;
  /** Runs `fire` once after `delayMs`; what comes back takes that back. */
  after(delayMs: number, fire: () => void): () => void;
  /** Chance for back-off: at least 0, below 1. Never used for a secret. */
  random(): number;
  /** A text that nobody else makes: 128 random bits. */
  uniqueKey(): string;
}

/** The parts of Web Crypto that are used. */
export interface WebCrypto {
  getRandomValues(into: Uint8Array<ArrayBuffer>): unknown;
  readonly subtle: {
    importKey(
      format: 'raw',
      key: Uint8Array<ArrayBuffer>,
      algorithm: { readonly name: 'HMAC'; readonly hash: 'SHA-256' },
      extractable: false,
      usages: ['verify'],
    ): Promise<HmacKey>;
    verify(
      algorithm: 'HMAC',
      key: HmacKey,
      signature: Uint8Array<ArrayBuffer>,
      data: Uint8Array<ArrayBuffer>,
    ): Promise<boolean>;
  };
}

/** A key as Web Crypto hands it out: nothing to look into. */
export type HmacKey = Parameters<typeof globalThis.crypto.subtle.verify>[1];

/** Web Crypto of `host`, or null where it has none. */
export function webCrypto(host: { readonly crypto?: WebCrypto } = globalThis): WebCrypto | null {
  return host.crypto ?? null;
}

/** The real thing. */
export const systemRuntime: Runtime = {
  now: () => Date.now(),
  after(delayMs, fire) {
    const timer = setTimeout(fire, delayMs);
    return () => clearTimeout(timer);
  },
  random: () => Math.random(),
  uniqueKey: () => uniqueKey(webCrypto()),
};

/** 32 hexadecimal digits; without Web Crypto from Math.random: such a key must differ from others, not be unguessable. */
export function uniqueKey(crypto: WebCrypto | null): string {
  const bytes = new Uint8Array(16);
  if (crypto === null) bytes.forEach((_, at) => (bytes[at] = Math.floor(Math.random() * 256)));
  else crypto.getRandomValues(bytes);
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Resolves after `delayMs`; rejects with the signal's reason when `signal` aborts first. */
export function pause(runtime: Runtime, delayMs: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted === true) return reject(signal.reason);
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    const cancel = runtime.after(delayMs, () => {
      signal?.removeEventListener('abort', onAbort);
      resolve();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
  });
}
