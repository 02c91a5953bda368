/**
 * How many deliveries work on the hosts of one network at the same time, whatever domains they are for: many domains share
 * the hosts of one provider, and providers count connections.
 *
 * Part of the places is closed to less urgent mail (`lane-room.ts`). Who waits is let in by lane, and within a lane in the
 * order of coming. Waiting ends by a place, by the time limit, or by the abort of the attempt.
 *
 * Who waits holds a connection's worth of the whole route, so that few may: of each lane a quarter of the places, and two at
 * least. A network that takes for ever would else hold up all others. Whoever comes then is turned away.
 */
import { lanesOf } from '../../core/lane-room.ts';
import { PRIORITIES, type Priority } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import { runStep } from '../smtp/step.ts';

/** `crowded`: as many of the lane wait as may. */
export type Entry = 'entered' | 'late' | 'crowded' | 'aborted';

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
  const room = lanesOf(limit);
  const roomOf = (priority: Priority): number => room[PRIORITIES.indexOf(priority)] ?? 0;
  const mayWait = Math.max(2, Math.floor(limit / 4));
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
        if (taken >= roomOf(priority)) return;
        queues[priority].delete(admit);
        taken++;
        admit();
      }
    }
  };

  const isOpen = (priority: Priority): boolean => taken < roomOf(priority) && queues[priority].size === 0;

  return {
    enter(priority, limitMs, signal) {
      if (!signal.aborted && queues[priority].size >= mayWait && !isOpen(priority)) return Promise.resolve('crowded');
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
    isOpen,
    inUse: () => taken,
    waiting: () => PRIORITIES.reduce((sum, priority) => sum + queues[priority].size, 0),
  };
}
