/**
 * Whose trouble an outcome is, for fail-over and the breaker. Pure.
 *
 * A fault of the route (it cannot be reached, agreed with or logged in to, it throttles, it is out of quota) says nothing of
 * the message: another route may take it at once, as long as the final dot cannot have been written. A recipient's or a
 * content's refusal is an answer: the route works.
 */
import type { Outcome } from '../core/outcome.ts';

export type RouteHealth = 'works' | 'fault' | 'unknown';

/** What `outcome` says about the route that it came over. */
export function routeHealth(outcome: Outcome): RouteHealth {
  if (outcome.kind === 'delivered') return 'works';
  switch (outcome.cause) {
    case 'recipient':
    case 'content':
      return outcome.code === null ? 'unknown' : 'works';
    case 'connect':
    case 'tls':
    case 'auth':
    case 'route':
    case 'dns':
      return 'fault';
    case 'local':
      return 'unknown';
  }
}

/** Whether the message may go over another route at once: the route is at fault, and the final dot was not written. */
export function mayMoveOn(outcome: Outcome): boolean {
  return outcome.kind === 'deferred' && outcome.stage !== 'dot' && routeHealth(outcome) === 'fault';
}
