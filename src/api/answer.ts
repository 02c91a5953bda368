/** Answers with a problem. */
import type { FastifyReply } from 'fastify';
import { problem, type ProblemCode, type ProblemError, PROBLEM_CONTENT_TYPE } from './problem.ts';

/** What of a reply an error answer needs, whatever types its route gave it. */
type AnyReply = Pick<FastifyReply, 'request' | 'code' | 'raw'>;

/** Answers with the problem `code`; `detail` is for people and repeats nothing that the client sent. */
export function refuse(
  reply: AnyReply,
  code: ProblemCode,
  detail: string,
  errors: readonly ProblemError[] = [],
): FastifyReply {
  const body = problem(code, detail, reply.request.id, errors);
  return reply.code(body.status).type(PROBLEM_CONTENT_TYPE).send(body);
}
