/**
 * What went wrong between a command and a relay elsewhere, in words, and what to do about it.
 *
 * Everything that the other side says is cleaned and cut; the token is never repeated. `passing` tells whoever follows
 * whether to try again: no connection, no answer in time, and answers that ask for patience.
 */
import { z } from 'zod';
import { errorCode, errorText, RelayError } from '../../core/errors.ts';
import { clean, cut } from '../../api/story/clean.ts';
import type { RemoteTarget } from './target.ts';

export class RemoteError extends RelayError {
  readonly passing: boolean;

  constructor(message: string, hint: string, passing: boolean, cause?: unknown) {
    super(clean(message), { code: 'remote', op: 'cli.remote', hint, ...(cause === undefined ? {} : { cause }) });
    this.passing = passing;
  }
}

/** An answer that is no success. */
export interface Refused {
  readonly status: number;
  readonly location: string | null;
  readonly retryAfter: string | null;
  readonly body: string;
}

const MAX_TEXT = 500;
const MAX_ERRORS = 10;

/** Looser than our own schema: a newer relay may have further codes. */
const problem = z.object({
  title: z.string(),
  detail: z.string(),
  code: z.string(),
  request_id: z.string().optional(),
  errors: z.array(z.object({ pointer: z.string(), in: z.string(), detail: z.string() })).optional(),
});
type Problem = z.infer<typeof problem>;

const NETWORK: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there',
  ENOTFOUND: 'there is no such host',
  EAI_AGAIN: 'the name of the host cannot be looked up just now',
  ETIMEDOUT: 'the host does not answer',
  UND_ERR_CONNECT_TIMEOUT: 'the host does not answer',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the host cannot be reached',
  ECONNRESET: 'the connection was closed',
  UND_ERR_SOCKET: 'the connection was closed',
};

const CERTIFICATES: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is not known here',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is not known here',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is not known here',
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for another name',
};

/** No answer came: from what fetch threw. */
export function noAnswer(target: RemoteTarget, thrown: unknown): RemoteError {
  const cause = thrown instanceof Error && thrown.cause !== undefined ? thrown.cause : thrown;
  const code = errorCode(cause) ?? '';
  const certificate = CERTIFICATES[code];
  if (certificate !== undefined) {
    return new RemoteError(
      `the certificate of ${target.text} is not accepted: ${certificate}`,
      'A certificate of your own authority: name that in NODE_EXTRA_CA_CERTS=FILE.',
      false,
      thrown,
    );
  }
  if (code === 'EPROTO' || code.startsWith('ERR_SSL_') || code.startsWith('ERR_TLS_')) {
    return new RemoteError(
      `${target.text} does not speak TLS as it should: ${cut(errorText(cause), MAX_TEXT)}`,
      "Is that the port of the TLS proxy? The relay's own HTTP port has no TLS.",
      false,
      thrown,
    );
  }
  const why = NETWORK[code] ?? cut(errorText(cause), MAX_TEXT);
  return new RemoteError(
    `no answer from ${target.text}: ${why}`,
    code === 'ENOTFOUND' ? 'Look at --url.' : 'Does the relay run there, and is that the address of its HTTP listener?',
    true,
    thrown,
  );
}

/** The user wanted an end. */
export function brokenOff(target: RemoteTarget): RemoteError {
  return new RemoteError(`broken off while ${target.text} was asked`, '', false);
}

/** It took longer than a command waits. */
export function tooSlow(target: RemoteTarget, ms: number): RemoteError {
  return new RemoteError(`no answer from ${target.text} within ${Math.round(ms / 1000)} s`, 'Try again.', true);
}

/** What came is not what a relay answers. */
export function notUnderstood(target: RemoteTarget, what: string): RemoteError {
  return new RemoteError(
    `the answer of ${target.text} is not one of a relay of this version: ${what}`,
    'Is that the HTTP listener of a relay, and is it as new as this command (leadpush-relay --version)?',
    false,
  );
}

/** The relay answered, and refused. */
export function refusedBy(target: RemoteTarget, answer: Refused): RemoteError {
  const { status } = answer;
  if (status >= 300 && status < 400) return redirected(target, answer);
  const said = readProblem(answer.body);
  if (said === null) {
    const hint =
      status === 404
        ? 'Is that the address of a relay, with the path that a proxy gives it?'
        : 'That answer is not of the relay: a proxy before it, or another server.';
    return new RemoteError(`${target.text} answered ${status} without saying why`, hint, isPassing(status));
  }
  return new RemoteError(sentence(target, said), hintOn(target, answer, said), isPassing(status));
}

function redirected(target: RemoteTarget, { status, location }: Refused): RemoteError {
  const to =
    location !== null && URL.canParse(location, target.base.href) ? new URL(location, target.base).origin : null;
  return new RemoteError(
    `${target.text} answered ${status}: it sends us elsewhere${to === null ? '' : `, to ${cut(to, MAX_TEXT)}`}`,
    'That is not followed, for the token would go along. If the relay is there, name it with --url.',
    false,
  );
}

function readProblem(body: string): Problem | null {
  try {
    const parsed = problem.safeParse(JSON.parse(body));
    return parsed.success ? parsed.data : null;
  } catch {
    return null;
  }
}

function sentence(target: RemoteTarget, { detail, title, errors = [] }: Problem): string {
  const values = errors
    .slice(0, MAX_ERRORS)
    .map(
      (one) =>
        `${clean(one.in)} ${cut(clean(one.pointer.replace(/^\//, '')), 100)}: ${cut(clean(one.detail), MAX_TEXT)}`,
    );
  const what = [cut(clean(detail === '' ? title : detail), MAX_TEXT), ...values].join('; ');
  return `${target.text} refused: ${what}`;
}

function hintOn(target: RemoteTarget, { retryAfter }: Refused, { code, request_id: id }: Problem): string {
  switch (code) {
    case 'unauthorized':
      return target.token === null
        ? 'Give one with --token-file FILE or LEADPUSH_TOKEN; `leadpush-relay credential token` makes one for http.tokens of that relay.'
        : `The token is from ${target.tokenSource}. http.tokens in the config of that relay has the hashes of those that it knows.`;
    case 'forbidden':
      return target.token === null
        ? 'Give a token that has the scope.'
        : `The token is from ${target.tokenSource}; http.tokens[].scopes in the config of that relay says what it may do.`;
    case 'wrong-host':
      return 'Call it by its own name, or have the proxy before it send that name as Host.';
    case 'too-many-requests':
    case 'unavailable':
      return retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? `Try again in ${retryAfter} s.` : 'Try again later.';
    case 'internal':
      return id === undefined ? '' : `Its log has the reason under ${cut(clean(id), 60)}.`;
    default:
      return '';
  }
}

function isPassing(status: number): boolean {
  return status === 408 || status === 429 || status >= 500;
}
