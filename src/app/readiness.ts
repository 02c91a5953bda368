/**
 * Whether the relay is fit to take mail and moves what it has: the answer behind `/readyz`.
 *
 * A next hop that is down does not make the relay unready: mail is safer here than refused. What counts is a store that can
 * keep mail, and a queue that starts what is due.
 */
import { PRIORITIES } from '../core/message.ts';
import type { Clock } from '../core/time.ts';
import type { Scheduler } from '../queue/scheduler.ts';
import type { HealthStore, QueueStore } from '../store/store.ts';
import { errorText, RelayError } from '../core/errors.ts';

/** Work that is due and could start, yet did not for this long, means that the queue is stuck. */
const STUCK_MS = 60_000;

export interface ReadinessDeps {
  readonly health: HealthStore;
  readonly queue: Pick<QueueStore, 'nextDue'>;
  readonly scheduler: Pick<Scheduler, 'room' | 'destinations'>;
  readonly clock: Clock;
  readonly stopping: () => boolean;
}

/** Looks now; `reasons` is empty when ready. */
export async function checkReadiness(
  deps: ReadinessDeps,
): Promise<{ readonly ready: boolean; readonly reasons: readonly string[] }> {
  const reasons: string[] = [];
  if (deps.stopping()) reasons.push('the relay is stopping');
  const health = deps.health.current();
  if (!health.accepting) reasons.push(`store: ${health.reason}`);
  try {
    const { routes } = await deps.queue.nextDue(deps.scheduler.destinations());
    const now = deps.clock.now();
    for (const [route, times] of routes) {
      const room = deps.scheduler.room(route);
      for (const [lane, priority] of PRIORITIES.entries()) {
        const lateMs = now - (times[lane] ?? now);
        if (lateMs <= STUCK_MS || (room[lane] ?? 0) === 0) continue;
        const late = `${Math.round(lateMs / 1000)} s late`;
        reasons.push(`queue: ${priority} mail for route ${route} is ${late} although the route has room`);
      }
    }
  } catch (error) {
    if (!(error instanceof RelayError)) throw error;
    reasons.push(`queue: ${errorText(error)}`);
  }
  return { ready: reasons.length === 0, reasons };
}
