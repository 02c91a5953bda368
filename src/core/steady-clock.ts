/**
 * Wall-clock time that does not jump when somebody sets the clock.
 *
 * Deadlines are points in wall-clock time and are kept over restarts. While the relay runs, its time goes on evenly, whatever
 * is done to the machine's clock: a step forward would expire mail that has time left, a step back would send mail that is
 * too old. A step is taken over slowly, a tenth of a second a second. When the machine slept, time did pass: that part is
 * taken over at once; it shows in the time since boot, which counts sleep, against the monotonic clock, which does not.
 *
 * Not known: what was done to the clock while the relay did not run. Then the machine's clock is believed.
 */
import os from 'node:os';
import { type Clock, systemClock } from './time.ts';

/** Smaller differences are the ordinary work of a time daemon, or the two clocks not being read at one moment. */
const STEP_MS = 1000;
/** How much of a second a step is taken over by, each second. */
const SLEW = 0.1;

export interface SteadyClock extends Clock {
  /**
   * Compares the clocks; to be called every second or so. Says what has happened since the last call, once: the machine slept
   * for `sleptMs`, or its clock was set by `steppedMs` (negative: back). null: nothing.
   */
  check(): { readonly sleptMs: number; readonly steppedMs: number } | null;
}

/** A steady clock over `machine`; `sinceBootMs` counts the time that the machine sleeps too. */
export function createSteadyClock(
  machine: Clock = systemClock,
  sinceBootMs: () => number = () => os.uptime() * 1000,
): SteadyClock {
  /** What is added to the monotonic time. */
  let offset = machine.now() - machine.monotonicMs();
  /** The part of a known step that is not taken over yet, as far as it was told. */
  let toldStep = 0;
  let lastMs = machine.monotonicMs();
  let lastBootMs = sinceBootMs();

  return {
    now: () => Math.round(machine.monotonicMs() + offset),
    monotonicMs: machine.monotonicMs,
    after: machine.after,
    check() {
      const nowMs = machine.monotonicMs();
      const bootMs = sinceBootMs();
      const passedMs = nowMs - lastMs;
      const sleptMs = bootMs - lastBootMs - passedMs;
      lastMs = nowMs;
      lastBootMs = bootMs;
      const slept = sleptMs >= STEP_MS ? Math.round(sleptMs) : 0;
      offset += slept;

      const behind = machine.now() - nowMs - offset;
      const most = SLEW * passedMs;
      const taken = Math.abs(behind) <= most ? behind : Math.sign(behind) * most;
      offset += taken;
      const rest = behind - taken;
      const news = Math.abs(behind - toldStep) >= STEP_MS;
      const stepped = news ? Math.round(behind - toldStep) : 0;
      toldStep = rest;
      return slept !== 0 || news ? { sleptMs: slept, steppedMs: stepped } : null;
    },
  };
}
