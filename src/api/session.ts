/**
 * Sign-in for people: a token, sent once as JSON, becomes a cookie that no script can read. For the dashboard; programs send tokens.
 *
 *   POST /session {token}    204 and a cookie, or 401, 429
 *   GET /session             who one is, and what a newcomer needs to know
 *   DELETE /session          the session ends, the cookie goes
 *
 * Sessions live in memory, bounded in number and time: a restart signs everybody out. Only a hash of the cookie's value is kept, and a
 * session is found by it, so no time of an answer tells how near a guess was. The cookie is HttpOnly, SameSite=Strict, and Secure where
 * the page came over TLS; pages of other sites are refused besides, and only JSON is taken. A wrong token counts against the client's
 * address just as it does for the API.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { Clock } from '../core/time.ts';
import { isoTime } from '../core/time.ts';
import { VERSION } from '../version.ts';
import { refuse } from './answer.ts';
import type { Caller, CallerCheck, ProofSource } from './caller.ts';
import { isCrossOrigin } from './origin.ts';
import { errorsOf } from './validation.ts';

export interface SessionDeps {
  readonly callers: Pick<CallerCheck, 'admit'>;
  /** Proof by bearer token. */
  readonly tokens: ProofSource;
  /** Nobody needs a token. */
  readonly open: boolean;
  readonly hostname: string;
  /** Where mail is taken, as far as it is by now. */
  readonly smtp: () => readonly { readonly host: string; readonly port: number; readonly tls: string }[];
  readonly clock: Clock;
}

export interface Sessions {
  /** Proof by cookie, to be asked after the tokens. */
  readonly proof: ProofSource;
  /** Adds the three calls. */
  addTo(server: FastifyInstance, deps: SessionDeps): void;
}

interface Session {
  readonly caller: Caller;
  readonly expiresAt: number;
}

/** What `GET /session` answers. */
interface WireSession {
  readonly state: 'open' | 'signed-in' | 'signed-out';
  readonly name: string | null;
  readonly scopes: readonly string[];
  readonly expires_at: string | null;
  /** Of the relay; these are for whoever is in. */
  readonly version: string | null;
  readonly hostname: string | null;
  readonly smtp: readonly { readonly host: string; readonly port: number; readonly tls: string }[];
}

const COOKIE = 'leadpush_session';
const LIFETIME_MS = 12 * 3_600_000;
const MAX_SESSIONS = 1000;
const MAX_COOKIE_HEADER = 8192;
const MAX_BODY_BYTES = 2048;
const ALL_SCOPES = ['read', 'send', 'admin'] as const;

const signInBody = z.strictObject({ token: z.string().min(1).max(512) });

/** Makes the sessions of one relay. */
export function createSessions(clock: Clock): Sessions {
  const sessions = new Map<string, Session>();

  const find = (cookies: string | undefined): Session | null => {
    const value = cookieOf(cookies);
    const key = value === null ? null : keyOf(value);
    const session = key === null ? undefined : sessions.get(key);
    if (key === null || session === undefined) return null;
    if (session.expiresAt > clock.now()) return session;
    sessions.delete(key);
    return null;
  };

  const begin = (caller: Caller): string => {
    // They stand in the order of their beginning, which is that of their end.
    for (const [key, { expiresAt }] of sessions) {
      if (expiresAt > clock.now() && sessions.size < MAX_SESSIONS) break;
      sessions.delete(key);
    }
    const value = randomBytes(32).toString('base64url');
    sessions.set(keyOf(value), { caller, expiresAt: clock.now() + LIFETIME_MS });
    return value;
  };

  return {
    proof({ headers }) {
      const session = find(headers.cookie);
      // A cookie of a session that has ended is no attempt at anything.
      if (session === null) return { kind: 'none' };
      return {
        kind: 'caller',
        caller: { ...session.caller, isOver: () => find(headers.cookie) !== session },
        guessable: false,
      };
    },

    addTo(server, { callers, tokens, open, hostname, smtp }) {
      const wireSession = (session: Session | null): WireSession => {
        const isIn = open || session !== null;
        return {
          state: session !== null ? 'signed-in' : open ? 'open' : 'signed-out',
          name: session?.caller.name ?? null,
          scopes: session === null ? (open ? ALL_SCOPES : []) : [...session.caller.scopes],
          expires_at: session === null ? null : isoTime(session.expiresAt),
          version: isIn ? VERSION : null,
          hostname: isIn ? hostname : null,
          smtp: isIn ? smtp() : [],
        };
      };

      void server.register(async (scope) => {
        scope.addContentTypeParser(
          'application/json',
          { parseAs: 'string', bodyLimit: MAX_BODY_BYTES },
          (_request, body, done) => done(null, parseJson(String(body))),
        );
        scope.addHook('onRequest', (request, reply, done) => {
          if (isCrossOrigin(request.headers)) refuse(reply, 'cross-origin', 'Pages of other sites may not call this.');
          else done();
        });

        scope.get('/session', (request, reply) => reply.send(wireSession(find(request.headers.cookie))));

        scope.post('/session', (request, reply) => {
          const body = signInBody.safeParse(request.body);
          if (!body.success) {
            return refuse(reply, 'validation', 'Send {"token": "..."} as JSON.', errorsOf(body.error.issues, 'body'));
          }
          const caller = callers.admit(request, reply, 'read', [
            ({ method }) => tokens({ headers: { authorization: `Bearer ${body.data.token}` }, method }),
          ]);
          if (caller === null) return reply;
          const old = cookieOf(request.headers.cookie);
          if (old !== null) sessions.delete(keyOf(old));
          const value = begin(caller);
          setCookie(request, reply, value, LIFETIME_MS / 1000);
          return reply.send(wireSession(sessions.get(keyOf(value)) ?? null));
        });

        scope.delete('/session', (request, reply) => {
          const value = cookieOf(request.headers.cookie);
          if (value !== null) sessions.delete(keyOf(value));
          setCookie(request, reply, '', 0);
          return reply.code(204).send();
        });
      });
    },
  };
}

function keyOf(value: string): string {
  return createHash('sha256').update(value).digest('base64');
}

/** The value of our cookie (RFC 6265, section 4.2.1), or null. */
function cookieOf(header: string | undefined): string | null {
  for (const pair of (header ?? '').slice(0, MAX_COOKIE_HEADER).split(';')) {
    const [name, value] = pair.trim().split('=', 2);
    if (name === COOKIE && value !== undefined && value !== '') return value;
  }
  return null;
}

function setCookie(request: FastifyRequest, reply: FastifyReply, value: string, maxAgeS: number): void {
  // TLS ends at a proxy: its word only ever makes the cookie stricter.
  const isSecure = request.protocol === 'https' || request.headers['x-forwarded-proto'] === 'https';
  const flags = `Path=/; Max-Age=${maxAgeS}; HttpOnly; SameSite=Strict${isSecure ? '; Secure' : ''}`;
  void reply.header('set-cookie', `${COOKIE}=${value}; ${flags}`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The schema says what is wanted.
    return null;
  }
}
