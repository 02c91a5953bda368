/**
 * DKIM private keys: read from their PEM files once, checked, and kept as key objects.
 *
 * Every problem of every key is found before anything is thrown, so that an operator mends them all in one go. No message
 * holds key material. Files are not watched: a changed key takes effect with the next load of the config.
 */
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { SenderConfig } from '../config/types.ts';
import { errorCode, errorText, RelayError } from '../core/errors.ts';

export type DkimAlgorithm = 'rsa-sha256' | 'ed25519-sha256';

export interface SigningKey {
  readonly domain: string;
  readonly selector: string;
  readonly algorithm: DkimAlgorithm;
  readonly key: KeyObject;
}

/** RFC 8301, section 3.2: signers use 2048 bits or more; verifiers need not take more than 4096. */
export const MIN_RSA_BITS = 2048;
export const MAX_RSA_BITS = 4096;

const MAX_KEY_FILE_OCTETS = 65_536;
const SELECTOR = /^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?)*$/i;

/** Reads a file's text; the real one is `node:fs`. */
export type ReadKeyFile = (path: string) => Promise<string>;

export const readKeyFile: ReadKeyFile = (path) => readFile(path, 'utf8');

/** The keys of `senders` by domain, in the order of the config; rejects with a `RelayError` (`key`) that lists every problem. */
export async function loadSigningKeys(
  senders: readonly SenderConfig[],
  read: ReadKeyFile,
): Promise<ReadonlyMap<string, readonly SigningKey[]>> {
  const keys = new Map<string, SigningKey[]>();
  const problems: string[] = [];
  let hint =
    'Use PEM private keys without a passphrase, RSA of 2048 to 4096 bits or Ed25519; `leadpush-relay dkim generate` makes them';
  for (const { domain, dkim } of senders) {
    const loaded: SigningKey[] = keys.get(domain) ?? [];
    for (const { selector, key: path } of dkim) {
      const fail = (what: string): void => void problems.push(`${domain}, selector ${selector}, ${path}: ${what}`);
      if (!SELECTOR.test(selector)) fail('the selector is not made of DNS labels');
      if (loaded.some((other) => other.selector.toLowerCase() === selector.toLowerCase())) {
        fail('a second key under the same selector; each selector has one DNS record');
      }
      let pem: string;
      try {
        pem = await read(path);
      } catch (error) {
        if (errorCode(error) === 'ENOENT') {
          fail('no such file');
          hint = `Make the key with: leadpush-relay dkim generate --domain ${domain} --selector ${selector} --out ${path}`;
        } else fail(`cannot be read (${errorText(error)})`);
        continue;
      }
      const parsed = parseSigningKey(pem);
      if (parsed.kind === 'unusable') fail(parsed.reason);
      else loaded.push({ domain, selector, algorithm: parsed.algorithm, key: parsed.key });
    }
    if (loaded.length > 0) keys.set(domain, loaded);
  }
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'a DKIM key' : `${problems.length} DKIM keys`;
    throw new RelayError(`${count} cannot be used:\n${problems.map((problem) => `  ${problem}`).join('\n')}`, {
      code: 'key',
      op: 'signing.load',
      hint,
    });
  }
  return keys;
}

export type ParsedKey =
  | { readonly kind: 'key'; readonly algorithm: DkimAlgorithm; readonly key: KeyObject }
  | { readonly kind: 'unusable'; readonly reason: string };

/** Reads one PEM private key and checks that DKIM can use it. */
export function parseSigningKey(pem: string): ParsedKey {
  if (pem.length > MAX_KEY_FILE_OCTETS) return unusable('too large for a key file');
  const label = /-----BEGIN ([A-Z0-9 ]+)-----/.exec(pem)?.[1];
  if (label === undefined) return unusable('not a PEM file (no -----BEGIN ... PRIVATE KEY-----)');
  if (!label.endsWith('PRIVATE KEY')) return unusable(`holds a ${label.toLowerCase()}, not a private key`);
  if (label.startsWith('ENCRYPTED') || pem.includes('Proc-Type: 4,ENCRYPTED')) {
    return unusable('encrypted with a passphrase; store it without one, readable by the relay alone');
  }
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch {
    // The library's text adds nothing that an operator could use.
    return unusable('a damaged PEM private key');
  }
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return { kind: 'key', algorithm: 'ed25519-sha256', key };
    case 'rsa': {
      const bits = key.asymmetricKeyDetails?.modulusLength ?? 0;
      if (bits < MIN_RSA_BITS) return unusable(`RSA with ${bits} bits; at least ${MIN_RSA_BITS} are needed`);
      if (bits > MAX_RSA_BITS) return unusable(`RSA with ${bits} bits; verifiers take ${MAX_RSA_BITS} at most`);
      return { kind: 'key', algorithm: 'rsa-sha256', key };
    }
    default:
      return unusable(`a ${key.asymmetricKeyType ?? 'unknown'} key; DKIM uses RSA or Ed25519`);
  }
}

function unusable(reason: string): ParsedKey {
  return { kind: 'unusable', reason };
}
