/** Values of options: spans, moments and counts as people type them. */
import { InvalidArgumentError } from 'commander';
import { durationText, parseDuration } from '../config/units.ts';
import { parseMoment } from '../core/moment.ts';
import type { Clock } from '../core/time.ts';

/** Reads `--since`: a span back from now (`24h`), or a moment (`2026-01-05T10:00:00Z`); epoch milliseconds. */
export function sinceOption(clock: Clock): (text: string) => number {
  return (text) => {
    const spanMs = parseDuration(text);
    if (spanMs !== null) return Math.max(0, clock.now() - spanMs);
    const moment = parseMoment(text, 'loose');
    if (moment === null) {
      throw new InvalidArgumentError('Give a span (90s, 15m, 24h, 7d) or a moment (2026-01-05T10:00:00Z).');
    }
    return moment;
  };
}

/** Reads a span from `minMs` to `maxMs`, in milliseconds. */
export function spanOption(minMs: number, maxMs: number): (text: string) => number {
  return (text) => {
    const ms = parseDuration(text);
    if (ms === null || ms < minMs || ms > maxMs) {
      throw new InvalidArgumentError(
        `Give a span such as 12h or 30d, from ${durationText(minMs)} to ${durationText(maxMs)}.`,
      );
    }
    return ms;
  };
}

/** Reads a whole number from `min` to `max`. */
export function countOption(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
    if (!(value >= min && value <= max)) throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
    return value;
  };
}
