/** Problem details (RFC 9457) as they came over the wire, read with care: what answers may be no relay, or a newer one. */
import type { Problem, ProblemCode } from './types.ts';

/** The closed list of the API. The types come from its document, so that a code too many or too few does not compile. */
const KNOWN: Readonly<Record<ProblemCode, true>> = {
  'bad-request': true,
  'content-gone': true,
  'cross-origin': true,
  forbidden: true,
  'idempotency-conflict': true,
  internal: true,
  'link-policy': true,
  'malformed-message': true,
  'no-secure-route': true,
  'not-allowed': true,
  'not-found': true,
  'too-large': true,
  'too-many-requests': true,
  unauthorized: true,
  unavailable: true,
  'unsupported-media-type': true,
  validation: true,
  'wrong-host': true,
};

/** The problem in `value` and its code, `unknown` when this SDK does not know it; null when `value` is no problem. */
export function readProblem(
  value: unknown,
): { readonly code: ProblemCode | 'unknown'; readonly problem: Problem } | null {
  if (!isProblem(value)) return null;
  return { code: Object.hasOwn(KNOWN, value.code) ? value.code : 'unknown', problem: value };
}

function isProblem(value: unknown): value is Problem {
  return (
    typeof value === 'object' &&
    value !== null &&
    ['code', 'title', 'detail', 'request_id'].every((name) => typeof Reflect.get(value, name) === 'string') &&
    typeof Reflect.get(value, 'status') === 'number'
  );
}
