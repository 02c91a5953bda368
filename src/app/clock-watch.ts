/** Compares the relay's clock with the machine's every second, and says so when somebody set the one or the machine slept. */
import type { SteadyClock } from '../core/steady-clock.ts';
import type { CancelTimer } from '../core/time.ts';
import type { Log } from '../telemetry/log.ts';

const CHECK_MS = 1000;

/** Watches until `stop`; `onSleep`: time has passed that no timer counted. */
export function startClockWatch(clock: SteadyClock, log: Log, onSleep: () => void): { stop(): void } {
  let cancel: CancelTimer = clock.after(CHECK_MS, look);
  return { stop: () => cancel() };

  function look(): void {
    cancel = clock.after(CHECK_MS, look);
    const found = clock.check();
    if (found === null) return;
    if (found.sleptMs > 0) {
      log.warn({ event: 'clock.slept', moved_ms: found.sleptMs }, 'the machine slept: what is due now is seen to');
      onSleep();
    }
    if (found.steppedMs !== 0) {
      log.warn(
        { event: 'clock.stepped', moved_ms: found.steppedMs },
        'the machine’s clock was set; the relay’s time goes on evenly and follows slowly',
      );
    }
  }
}
