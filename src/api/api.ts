/**
 * What the calls of `/v1` are built with: the typed server, and the words that each call adds about itself.
 *
 * Each call names its scope in `config`; one without a scope is a bug that keeps the server from being made. Its schema gives
 * validation and documentation at once.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { FastifyBaseLogger, FastifyInstance, RawServerDefault } from 'fastify';
import type { ZodTypeProvider } from 'fastify-type-provider-zod';
import type { TokenScope } from '../config/types.ts';
import type { Caller } from './caller.ts';
import { PROBLEMS, type ProblemCode, problemSchema } from './problem.ts';

export type Api = FastifyInstance<
  RawServerDefault,
  IncomingMessage,
  ServerResponse,
  FastifyBaseLogger,
  ZodTypeProvider
>;

declare module 'fastify' {
  interface FastifyContextConfig {
    /** What a caller needs. */
    scope?: TokenScope;
  }
  interface FastifyRequest {
    /** Who makes the request; null outside `/v1`. */
    caller: Caller | null;
  }
}

interface ProblemResponse {
  readonly description: string;
  readonly content: { readonly 'application/problem+json': { readonly schema: typeof problemSchema } };
}

/** Documents the problems `codes` of a call, by status; those that every call may have are added by themselves. */
export function problems(...codes: readonly ProblemCode[]): Record<number, ProblemResponse> {
  const found: Record<number, ProblemResponse> = {};
  for (const code of codes) {
    const { status, meaning } = PROBLEMS[code];
    const before = found[status]?.description;
    found[status] = {
      description: `${before === undefined ? '' : `${before} `}\`${code}\`: ${meaning}`,
      content: { 'application/problem+json': { schema: problemSchema } },
    };
  }
  return found;
}
