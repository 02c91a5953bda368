/**
 * Errors over HTTP: `application/problem+json` (RFC 9457).
 *
 * `code` is for programs and stable; `detail` is for people. Neither repeats what a client sent, and a bug's own text
 * stays in the log: the client gets the `request_id` to ask with.
 */

export const PROBLEM_CONTENT_TYPE = 'application/problem+json; charset=utf-8';

/** Every problem that the HTTP server answers with, by its code. */
const PROBLEMS = {
  'not-found': { status: 404, title: 'Not found' },
  unauthorized: { status: 401, title: 'Token missing or wrong' },
  forbidden: { status: 403, title: 'Token without the scope' },
  'wrong-host': { status: 421, title: 'Host name not served here' },
  'too-large': { status: 413, title: 'Request too large' },
  'bad-request': { status: 400, title: 'Bad request' },
  unavailable: { status: 503, title: 'Not available just now' },
  internal: { status: 500, title: 'Internal error' },
} as const;

export type ProblemCode = keyof typeof PROBLEMS;

export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ProblemCode;
  readonly request_id: string;
}

/** Builds the body of an error answer. `type` is `about:blank`: the code says all there is to say. */
export function problem(code: ProblemCode, detail: string, requestId: string): Problem {
  const { status, title } = PROBLEMS[code];
  return { type: 'about:blank', title, status, detail, code, request_id: requestId };
}
