/**
 * Hosts that could not be connected to a moment ago. They are asked last for a while, so that each message to a domain whose
 * first host is dead does not wait for it anew. Nothing is skipped: without another host they are asked as ever.
 */
import type { Clock } from '../../core/time.ts';

/** Short, so that a host that is back gets its share again soon. */
const DOWN_MS = 60_000;
/** More dead hosts than this at one time are a fault of our own network: the list starts anew. */
const MAX_HOSTS = 1_000;

export interface DownHosts {
  has(name: string): boolean;
  /** What the last visit showed. */
  note(name: string, unreachable: boolean): void;
}

export function createDownHosts(clock: Clock): DownHosts {
  const until = new Map<string, number>();
  return {
    has: (name) => (until.get(name) ?? Number.NEGATIVE_INFINITY) > clock.monotonicMs(),
    note(name, unreachable) {
      until.delete(name);
      if (!unreachable) return;
      if (until.size >= MAX_HOSTS) until.clear();
      until.set(name, clock.monotonicMs() + DOWN_MS);
    },
  };
}
