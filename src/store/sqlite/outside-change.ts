/**
 * Notices commits of other processes: a command on the same machine that retried or canceled a delivery.
 *
 * SQLite tells only when asked: a look takes microseconds, and no file is read for it.
 */
import type { Clock } from '../../core/time.ts';

const LOOK_EVERY_MS = 500;

/** Calls `onChange` after each change of what `dataVersion` answers; returns the end of the watch. */
export function watchOutsideChanges(
  clock: Clock,
  dataVersion: () => Promise<number>,
  onChange: () => void,
): { stop(): void } {
  let known: number | null = null;
  let stopped = false;
  let cancel = clock.after(0, look);

  function look(): void {
    dataVersion()
      .then((version) => {
        if (known !== null && version !== known && !stopped) onChange();
        known = version;
      })
      // The store is in trouble, which the commits tell; the next look may do better.
      .catch(() => undefined)
      .finally(() => {
        if (!stopped) cancel = clock.after(LOOK_EVERY_MS, look);
      });
  }

  return {
    stop() {
      stopped = true;
      cancel();
    },
  };
}
