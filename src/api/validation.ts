/** Checks requests against their zod schemas, and says which values were not accepted and why, never repeating them. */
import type { FastifySchemaCompiler } from 'fastify';
import type { z } from 'zod';
import type { ProblemError } from './problem.ts';

/** At most so many errors are listed. */
const MAX_ERRORS = 50;

const PLACES: Readonly<Record<string, ProblemError['in']>> = {
  body: 'body',
  querystring: 'query',
  params: 'path',
  headers: 'header',
};

/** Thrown through the framework to the error handler, which answers 422. */
export class ValidationError extends Error {
  readonly errors: readonly ProblemError[];

  constructor(errors: readonly ProblemError[]) {
    super('values not accepted');
    this.name = 'ValidationError';
    this.errors = errors;
  }
}

/** Makes the check of one part of a request. */
export const compileValidator: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (value) => {
    const result = schema.safeParse(value);
    if (result.success) return { value: result.data };
    return { error: new ValidationError(errorsOf(result.error.issues, PLACES[httpPart ?? ''] ?? 'body')) };
  };

/** `issues` of a schema as errors of a problem. */
export function errorsOf(issues: readonly z.core.$ZodIssue[], place: ProblemError['in']): readonly ProblemError[] {
  return issues
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ path: [...issue.path, key], detail: 'is not known here' }))
        : [{ path: issue.path, detail: wordsOf(issue) }],
    )
    .slice(0, MAX_ERRORS)
    .map(({ path, detail }) => ({ pointer: pointerOf(path), in: place, detail }));
}

/** What a schema says of its own accord is kept; what the library says for it is put into our words. */
function wordsOf(issue: z.core.$ZodIssue): string {
  if (!issue.message.startsWith('Invalid ')) return issue.message;
  if (issue.code === 'invalid_value') return `write one of ${issue.values.map(String).join(', ')}`;
  if (issue.message.endsWith('received undefined')) return 'is missing';
  return issue.code === 'invalid_type' ? `is not of the type ${issue.expected}` : 'is missing, or not as it must be';
}

/** RFC 6901, section 3. */
function pointerOf(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}
