/**
 * Errors over HTTP: `application/problem+json` (RFC 9457), and the closed list of their codes.
 *
 * `code` is for programs and stable; `detail` is for people. Neither repeats what a client sent, and a bug's own text
 * stays in the log: the client gets the `request_id` to ask with.
 */
import { z } from 'zod';

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';

/** Every problem that the HTTP server answers with, by its code. The table in README.md is made of this. */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'Bad request', meaning: 'Not HTTP, or not JSON, that can be read.' },
  unauthorized: { status: 401, title: 'Token missing or wrong', meaning: 'Send a token of `http.tokens`.' },
  forbidden: { status: 403, title: 'Scope missing', meaning: 'The token has not the scope that the call needs.' },
  'cross-origin': { status: 403, title: 'From another site', meaning: 'A page of another site made this request.' },
  'not-found': { status: 404, title: 'Not found', meaning: 'There is no such thing, or no such call.' },
  'content-gone': {
    status: 410,
    title: 'Content is gone',
    meaning: 'It was destroyed with its last delivery, or is past its retention.',
  },
  'too-large': { status: 413, title: 'Request too large', meaning: 'The body is larger than the call takes.' },
  'unsupported-media-type': {
    status: 415,
    title: 'Unsupported media type',
    meaning: 'The body has another `content-type` than the call takes.',
  },
  'wrong-host': {
    status: 421,
    title: 'Host name not served here',
    meaning: 'A loopback listener answers to its own names.',
  },
  'not-allowed': {
    status: 403,
    title: 'Not allowed to send this',
    meaning: 'The sender, a header or a routing rule does not let this message pass; `detail` says which.',
  },
  'link-policy': {
    status: 422,
    title: 'A link breaks the policy',
    meaning: 'The tag has a link policy (`tags.*.links`) and a link breaks it; `detail` says how.',
  },
  'malformed-message': {
    status: 422,
    title: 'Malformed message',
    meaning: 'The message, or a header of it, is not as it must be; `detail` says what.',
  },
  'no-secure-route': {
    status: 422,
    title: 'No route with verified TLS',
    meaning: 'The message asks for verified TLS and no route of its rule has that.',
  },
  'idempotency-conflict': {
    status: 422,
    title: 'Idempotency key used before',
    meaning: 'The same key came with another message within 24 hours: use a new key for each new message.',
  },
  validation: {
    status: 422,
    title: 'Values not accepted',
    meaning: '`errors` names each value and what is wrong with it.',
  },
  'too-many-requests': { status: 429, title: 'Too many requests', meaning: 'Wait as long as `retry-after` says.' },
  internal: { status: 500, title: 'Internal error', meaning: 'A bug: the log has the reason under the `request_id`.' },
  unavailable: { status: 503, title: 'Not available just now', meaning: 'Try again when `retry-after` says.' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

/** One value of a request that is not accepted. */
export interface ProblemError {
  /** JSON Pointer (RFC 6901) into what `in` names; empty: all of it. */
  readonly pointer: string;
  readonly in: 'body' | 'query' | 'path' | 'header';
  readonly detail: string;
}

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly request_id: string;
  readonly errors?: readonly ProblemError[];
}

export const problemSchema: z.ZodType<Problem> = z
  .object({
    type: z.string().describe('Where the code is explained.'),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('For people.'),
    code: z.enum(codes()).describe('For programs; stable.'),
    request_id: z.string().describe('In the log, and in the header `x-request-id`.'),
    errors: z
      .array(
        z.object({
          pointer: z.string().describe('JSON Pointer (RFC 6901); empty: all of it.'),
          in: z.enum(['body', 'query', 'path', 'header']),
          detail: z.string(),
        }),
      )
      .exactOptional(),
  })
  .meta({ id: 'Problem', description: 'RFC 9457.' });

/** Builds the body of an error answer. */
export function problem(
  code: ProblemCode,
  detail: string,
  requestId: string,
  errors: readonly ProblemError[] = [],
): Problem {
  const { status, title } = PROBLEMS[code];
  const type = `/docs#problem-${code}`;
  return { type, title, status, detail, code, request_id: requestId, ...(errors.length > 0 ? { errors } : {}) };
}

/** Every code. */
export function codes(): readonly ProblemCode[] {
  return Object.keys(PROBLEMS).filter((code): code is ProblemCode => code in PROBLEMS);
}
