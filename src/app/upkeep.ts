/**
 * What the relay does for itself between messages: looks after the store's health, and deletes what is past its time.
 *
 * Each step is bounded, so that a large clean-up never holds up mail; nothing that is not final is ever deleted.
 */
import type { Config } from '../config/types.ts';
import { RelayError } from '../core/errors.ts';
import type { CancelTimer, Clock } from '../core/time.ts';
import type { HealthStore, UpkeepStore } from '../store/store.ts';
import type { Log } from '../telemetry/log.ts';

const PROBE_WELL_MS = 10_000;
const PROBE_ILL_MS = 1000;
const CLEAN_MS = 60_000;
/** Between two bounded steps of one clean-up. */
const CLEAN_STEP_MS = 50;
const CLEAN_BATCH = 200;

export interface UpkeepDeps {
  readonly health: HealthStore;
  readonly upkeep: UpkeepStore;
  readonly retention: () => Config['retention'];
  readonly clock: Clock;
  readonly log: Log;
  /** Called when the store takes mail again after it did not. */
  readonly onRecovered: () => void;
}

/** Starts both watches; `stop()` ends them after the step under way. */
export function startUpkeep(deps: UpkeepDeps): { stop(): Promise<void> } {
  const { health, upkeep, clock, log } = deps;
  let stopped = false;
  const loops = [
    startLoop(async () => {
      const before = health.current();
      const after = await health.probe();
      if (before.accepting && !after.accepting) {
        log.error({ event: 'store.unwell', reason: after.reason }, 'no mail is taken until this is mended');
      }
      if (!before.accepting && after.accepting) {
        log.info({ event: 'store.recovered' }, 'mail is taken again');
        deps.onRecovered();
      }
      return after.accepting ? PROBE_WELL_MS : PROBE_ILL_MS;
    }, PROBE_WELL_MS),
    startLoop(async () => {
      const { contentMs, sandboxMs, eventsMs } = deps.retention();
      const now = clock.now();
      const dropped =
        (await upkeep.dropContent(now - contentMs, now - sandboxMs, CLEAN_BATCH)) +
        (await upkeep.dropHistory(now - eventsMs, CLEAN_BATCH));
      return dropped >= CLEAN_BATCH ? CLEAN_STEP_MS : CLEAN_MS;
    }, CLEAN_MS),
  ];

  return {
    async stop() {
      stopped = true;
      for (const loop of loops) await loop.end();
    },
  };

  /** Runs `step` after `firstMs`, then again after as many milliseconds as it answers. */
  function startLoop(step: () => Promise<number>, firstMs: number): { end(): Promise<void> } {
    let cancel: CancelTimer = () => {};
    let running: Promise<void> = Promise.resolve();
    const arm = (ms: number): void => {
      cancel = clock.after(ms, () => {
        running = run();
      });
    };
    const run = async (): Promise<void> => {
      let nextMs = PROBE_WELL_MS;
      try {
        nextMs = await step();
      } catch (error) {
        if (!(error instanceof RelayError)) throw error;
        if (error.code !== 'store-closed') log.warn({ event: 'upkeep.failed', reason: error.message }, 'upkeep failed');
      }
      if (!stopped) arm(nextMs);
    };
    arm(firstMs);
    return {
      async end() {
        cancel();
        await running;
      },
    };
  }
}
