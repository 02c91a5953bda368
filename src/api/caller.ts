/**
 * Who makes a request, and whether he may. Sources of proof are asked in order, and the first that finds one decides; without
 * any configured token everybody who reaches the listener, which is then on loopback, may do everything.
 *
 * A proof that is wrong counts against the client's address: after some failures in a row it waits, longer each time, before
 * anything of it is looked at again (429). The same wrong one counts once: a program that was forgotten when tokens changed is no
 * guesser, and must not shut out the app beside it.
 *
 * The wait is there for tokens that can be guessed. One that is right and too random to be guessed is let in whatever its
 * neighbours behind the same proxy do, and so is a session's cookie; a right one that people made up waits with the rest, for it
 * may be a guess, unless it worked from that address before. All of it lives in memory, bounded; a restart forgives.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { CredentialConfig, Identity, TokenScope } from '../config/types.ts';
import type { Clock } from '../core/time.ts';
import { addressGroup } from '../intake/networks.ts';
import { createBackoff } from '../intake/smtp-backoff.ts';
import type { Log } from '../telemetry/log.ts';
import { refuse } from './answer.ts';

/** Who makes a request. */
export interface Caller {
  /** For the log: the name of the token, or what else proved him. */
  readonly name: string;
  readonly scopes: ReadonlySet<TokenScope>;
  readonly submitsAs: SubmitsAs;
  /** For an answer that goes on: whether what proved him has ended since. Absent: it does not end. */
  readonly isOver?: () => boolean;
}

/** As whom a caller submits mail: a credential of the config, under a name of his own, or like a trusted client without one. */
export type SubmitsAs =
  | { readonly kind: 'credential'; readonly username: string }
  | { readonly kind: 'own-name'; readonly name: string }
  | { readonly kind: 'nobody' };

export type Proof =
  /** `guessable`: who tried long enough could have found it. */
  | { readonly kind: 'caller'; readonly caller: Caller; readonly guessable: boolean }
  /** The request brings nothing that this source looks at. */
  | { readonly kind: 'none' }
  /** It brings something, and it is wrong. `digest`: the same for the same thing, and tells nothing about it. */
  | { readonly kind: 'wrong'; readonly digest: string };

/** A source of proof: bearer tokens, a session ... Constant time; looks at the request's headers alone. */
export type ProofSource = (request: Pick<FastifyRequest, 'headers' | 'method'>) => Proof;

export interface CallerCheck {
  /**
   * The caller, when he may do what needs `scope`; null: the request was answered with 401, 403 or 429. `sources`: others than those of
   * every request.
   */
  admit(
    request: FastifyRequest,
    reply: FastifyReply,
    scope: TokenScope,
    sources?: readonly ProofSource[],
  ): Caller | null;
}

export interface CallerCheckDeps {
  readonly sources: readonly ProofSource[];
  /** Whether everybody may do everything. */
  readonly open: boolean;
  readonly clock: Clock;
  readonly log: Log;
}

/** The identity under which `caller` submits mail; null: none. Throws when its credential is not in `credentials`. */
export function identityOf(caller: Caller, credentials: readonly CredentialConfig[]): Identity | null {
  const { submitsAs } = caller;
  switch (submitsAs.kind) {
    case 'nobody':
      return null;
    case 'own-name':
      return {
        username: submitsAs.name,
        from: [],
        tag: null,
        headers: { allow: 'all', aliases: new Set() },
        rate: null,
      };
    case 'credential': {
      const found = credentials.find(({ username }) => username === submitsAs.username);
      // The config is refused where a token names a credential that is not there.
      if (found === undefined) throw new Error(`the credential of token ${caller.name} is gone`);
      return withIdempotency(found);
    }
  }
}

/** `Idempotency-Key` is a header of the request, which every client may send, whatever its mail may hold. */
function withIdempotency(credential: CredentialConfig): Identity {
  const { headers } = credential;
  if (headers.allow === 'all') return credential;
  return { ...credential, headers: { ...headers, allow: new Set([...headers.allow, 'idempotency-key']) } };
}

/** With no tokens configured. */
const ANYBODY: Caller = { name: 'local', scopes: new Set(['read', 'send', 'admin']), submitsAs: { kind: 'nobody' } };

const FREE_FAILURES = 10;
const MAX_REMEMBERED = 10_000;
/** The same refusal of one address has a line in the log so often: nobody fills a disk with them. */
const TELL_AGAIN_MS = 60_000;
const WAITS = {
  free: FREE_FAILURES,
  baseMs: 1000,
  maxMs: 60_000,
  forgetMs: 15 * 60_000,
  maxKeys: MAX_REMEMBERED,
} as const;

/** Makes the check. */
export function createCallerCheck({ sources, open, clock, log }: CallerCheckDeps): CallerCheck {
  const failures = createBackoff(clock, WAITS);
  const welcome = new Map<string, true>();
  /** What was refused, and when the log told it last. */
  const refused = new Map<string, number>();

  const prove = (request: FastifyRequest, asked: readonly ProofSource[]): Proof => {
    for (const source of asked) {
      const proof = source(request);
      if (proof.kind !== 'none') return proof;
    }
    return open ? { kind: 'caller', caller: ANYBODY, guessable: false } : { kind: 'none' };
  };

  return {
    admit(request, reply, scope, own = sources) {
      const group = addressGroup(request.ip);
      const proof = prove(request, own);
      const waits = proof.kind !== 'caller' || (proof.guessable && !welcome.has(`${group} ${proof.caller.name}`));
      const waitMs = waits ? failures.waitMs(group) : 0;
      if (waitMs > 0) {
        void reply.header('retry-after', String(Math.ceil(waitMs / 1000)));
        refuse(reply, 'too-many-requests', 'Too many requests from this address had a wrong token.');
        return null;
      }
      if (proof.kind !== 'caller') {
        const brought = `${group} ${proof.kind === 'wrong' ? proof.digest : 'nothing'}`;
        const toldAt = refused.get(brought);
        if (proof.kind === 'wrong' && toldAt === undefined) failures.fail(group);
        if (toldAt === undefined || clock.monotonicMs() - toldAt >= TELL_AGAIN_MS) {
          log.warn({ event: 'http.unauthorized', request_id: request.id, client: request.ip }, 'no or wrong token');
          remember(refused, brought, clock.monotonicMs());
        }
        void reply.header('www-authenticate', 'Bearer realm="leadpush-relay"');
        refuse(reply, 'unauthorized', 'Send a token of http.tokens: `Authorization: Bearer ...`.');
        return null;
      }
      remember(welcome, `${group} ${proof.caller.name}`, true);
      if (!proof.caller.scopes.has(scope)) {
        refuse(reply, 'forbidden', `This needs a token with the scope ${scope}.`);
        return null;
      }
      return proof.caller;
    },
  };
}

/** The one that was not seen for the longest time goes. */
function remember<T>(known: Map<string, T>, key: string, value: T): void {
  known.delete(key);
  known.set(key, value);
  if (known.size <= MAX_REMEMBERED) return;
  const oldest = known.keys().next();
  if (oldest.done !== true) known.delete(oldest.value);
}
