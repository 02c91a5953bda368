/**
 * Bearer tokens (RFC 6750) as a source of proof. The config holds their SHA-256 only; a random token needs no slow hash.
 *
 * Every configured hash is compared, each in constant time, so that the time tells nothing about which one was near.
 */
import { createHash, timingSafeEqual } from 'node:crypto';
import { TOKEN_PREFIX, type TokenConfig } from '../config/types.ts';
import type { ProofSource } from './caller.ts';

const MAX_TOKEN_LENGTH = 512;
/** Of a token that nobody finds by trying: 32 hexadecimal digits have some 120, 22 characters of base64 some 90. */
const MIN_BITS = 80;

/** Makes the source over `tokens`. Throws on a hash that is not 64 hexadecimal digits. */
export function createTokenSource(tokens: readonly TokenConfig[]): ProofSource {
  const known = tokens.map((token) => ({ token, hash: Buffer.from(token.sha256, 'hex') }));
  if (known.some(({ hash }) => hash.length !== 32)) throw new Error('a token hash is not a SHA-256');

  return ({ headers }) => {
    const { authorization } = headers;
    if (authorization === undefined || known.length === 0) return { kind: 'none' };
    const given = /^Bearer +([^\s]+)$/i.exec(authorization.slice(0, MAX_TOKEN_LENGTH))?.[1];
    const hash = createHash('sha256')
      .update(given ?? authorization)
      .digest();
    const wrong = { kind: 'wrong', digest: hash.toString('base64') } as const;
    if (given === undefined) return wrong;
    let found: TokenConfig | null = null;
    for (const candidate of known) {
      if (timingSafeEqual(candidate.hash, hash)) found = candidate.token;
    }
    if (found === null) return wrong;
    return {
      kind: 'caller',
      guessable: isGuessable(given),
      caller: {
        name: found.name,
        scopes: found.scopes,
        submitsAs:
          found.credential === null
            ? { kind: 'own-name', name: `${TOKEN_PREFIX}${found.name}` }
            : { kind: 'credential', username: found.credential },
      },
    };
  };
}

/**
 * Whether `token` may have been made up by a person: fewer than 80 bits, were each of its characters drawn from those that are in
 * it. An estimate from above, so a long sentence passes; at the pace of HTTP that is not found either.
 */
export function isGuessable(token: string): boolean {
  return token.length * Math.log2(new Set(token).size) < MIN_BITS;
}
