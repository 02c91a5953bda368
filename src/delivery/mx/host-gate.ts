/**
 * How many deliveries work on one MX host at the same time, whatever domains they are for: many domains share the hosts of
 * one provider, and providers count connections.
 *
 * Part of the places is closed to less urgent mail, in the shape that the queue uses for routes and domains: of 2 places or
 * more at least one, and about a fifth, is for critical mail alone; of 3 or more another, and about a tenth, is closed to
 * bulk. Who waits is let in by lane, and within a lane in the order of coming. Waiting ends by a place, by the time limit, or
 * by the abort of the attempt.
 */
import { PRIORITIES, type Priority } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import { runStep } from '../smtp/step.ts';

export type Entry = 'entered' | 'late' | 'aborted';

export interface HostGate {
  /** Takes a place, at once or within `limitMs`; whoever `entered` must `leave`. */
  enter(priority: Priority, limitMs: number, signal: AbortSignal): Promise<Entry>;
  leave(): void;
  /** Whether mail of `priority` would get a place at once. */
  isOpen(priority: Priority): boolean;
  /** Places taken, and deliveries that wait for one. */
  inUse(): number;
  waiting(): number;
}

/** Makes a gate with `limit` places. */
export function createHostGate(limit: number, clock: Clock): HostGate {
  const forCritical = limit >= 2 ? Math.max(1, Math.floor(limit / 5)) : 0;
  const notForBulk = limit >= 3 ? Math.max(1, Math.floor(limit / 10)) : 0;
  /** A place is given to mail of a lane while fewer than this are taken. */
  const room: Readonly<Record<Priority, number>> = {
    critical: limit,
    normal: limit - forCritical,
    bulk: limit - forCritical - notForBulk,
  };
  const queues: Readonly<Record<Priority, Set<() => void>>> = {
    critical: new Set(),
    normal: new Set(),
    bulk: new Set(),
  };
  let taken = 0;

  const letIn = (): void => {
    for (const priority of PRIORITIES) {
      for (const admit of queues[priority]) {
        // Less urgent lanes never have more room than this one.
        if (taken >= room[priority]) return;
        queues[priority].delete(admit);
        taken++;
        admit();
      }
    }
  };

  return {
    enter(priority, limitMs, signal) {
      let admit: () => void = () => {};
      const stepBack = (entry: Entry): Entry => {
        queues[priority].delete(admit);
        return entry;
      };
      return runStep<Entry>(
        clock,
        signal,
        () => stepBack('aborted'),
        (step) => {
          admit = () => step.settle('entered');
          step.limit(limitMs, () => step.settle(stepBack('late')));
          queues[priority].add(admit);
          letIn();
        },
      );
    },
    leave() {
      taken--;
      letIn();
    },
    isOpen: (priority) => taken < room[priority] && queues[priority].size === 0,
    inUse: () => taken,
    waiting: () => PRIORITIES.reduce((sum, priority) => sum + queues[priority].size, 0),
  };
}
