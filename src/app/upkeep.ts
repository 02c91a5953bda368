/**
 * Deletes what is past its time: content of settled mail, captured content, old history.
 *
 * Each step is bounded, so that a large clean-up never holds up mail; nothing that is not final is ever deleted.
 */
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import type { UpkeepStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';

const EVERY_MS = 60_000;
/** Between two bounded steps of one clean-up. */
const STEP_MS = 50;
const BATCH = 200;

export interface UpkeepDeps {
  readonly upkeep: UpkeepStore;
  readonly retention: () => Config['retention'];
  readonly clock: Clock;
  readonly log: Log;
  /** A clean-up came to its end without trouble. */
  readonly onDone: () => void;
}

/** Cleans up once a minute; `stop()` ends that after the step under way. */
export function startUpkeep(deps: UpkeepDeps): { stop(): Promise<void> } {
  const { upkeep, clock, log } = deps;
  let stopped = false;
  let cancel: CancelTimer = () => {};
  let running: Promise<void> = Promise.resolve();
  const arm = (ms: number): void => {
    cancel = clock.after(ms, () => {
      running = step();
    });
  };
  arm(EVERY_MS);
  return {
    async stop() {
      stopped = true;
      cancel();
      await running;
    },
  };

  async function step(): Promise<void> {
    let nextMs = EVERY_MS;
    try {
      const { contentMs, sandboxMs, eventsMs } = deps.retention();
      const now = clock.now();
      const contents = await upkeep.dropContent(now - contentMs, now - sandboxMs, BATCH);
      const messages = await upkeep.dropHistory(now - eventsMs, BATCH);
      if (contents === BATCH || messages === BATCH) nextMs = STEP_MS;
      else deps.onDone();
    } catch (error) {
      if (!(error instanceof RelayError)) throw error;
      if (error.code !== 'store-closed') log.warn({ event: 'upkeep.failed', reason: error.message }, 'clean-up failed');
    }
    if (!stopped) arm(nextMs);
  }
}
