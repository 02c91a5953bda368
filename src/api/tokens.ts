/**
 * Bearer tokens (RFC 6750). The config holds their SHA-256 only; a random token needs no slow hash.
 *
 * Every configured hash is compared, each in constant time, so that the time tells nothing about which one was near.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { TokenConfig, TokenScope } from '../config/types.ts';

export type TokenCheck =
  | { readonly kind: 'allowed'; readonly name: string }
  /** No token, or none that is configured. */
  | { readonly kind: 'unknown' }
  | { readonly kind: 'scope-missing'; readonly name: string };

const MAX_TOKEN_LENGTH = 512;

/** Makes the check of an Authorization header against `tokens`. Throws on a hash that is not 64 hexadecimal digits. */
export function createTokenCheck(
  tokens: readonly TokenConfig[],
): (authorization: string | undefined, scope: TokenScope) => TokenCheck {
  const known = tokens.map((token) => ({ token, hash: Buffer.from(token.sha256, 'hex') }));
  if (known.some(({ hash }) => hash.length !== 32)) throw new Error('a token hash is not a SHA-256');

  return (authorization, scope) => {
    const given = /^Bearer +([^\s]+)$/i.exec((authorization ?? '').slice(0, MAX_TOKEN_LENGTH))?.[1];
    if (given === undefined) return { kind: 'unknown' };
    const hash = createHash('sha256').update(given).digest();
    let found: TokenConfig | null = null;
    for (const candidate of known) {
      if (timingSafeEqual(candidate.hash, hash)) found = candidate.token;
    }
    if (found === null) return { kind: 'unknown' };
    return found.scopes.has(scope)
      ? { kind: 'allowed', name: found.name }
      : { kind: 'scope-missing', name: found.name };
  };
}
