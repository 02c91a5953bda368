/** Times, spans and sizes for people. Times are UTC, as in the log and in events. */
import { isoTime } from '../../core/time.ts';

/** `2026-01-05T10:00:00.123Z` or epoch milliseconds as `10:00:00.123`. */
export function timeOfDay(time: string | number): string {
  const iso = typeof time === 'number' ? isoTime(time) : time;
  return iso.slice(11, 23);
}

/** The day of `time`, as `2026-01-05`. */
export function dayOf(time: string | number): string {
  return (typeof time === 'number' ? isoTime(time) : time).slice(0, 10);
}

/** Epoch milliseconds as `2026-01-05 10:00:00Z`. */
export function dateTime(epochMs: number): string {
  const iso = isoTime(epochMs);
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}Z`;
}

/** A span for people: `63 ms`, `1.2 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`. Below 0 counts as 0. */
export function span(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${trimZero((value / 1000).toFixed(1))} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

/** Octets for people: `812 B`, `3.2 kB`, `1.4 MB`. */
export function size(octets: number): string {
  if (octets < 1000) return `${octets} B`;
  if (octets < 999_950) return `${trimZero((octets / 1000).toFixed(1))} kB`;
  return `${trimZero((octets / 1e6).toFixed(1))} MB`;
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

function trimZero(text: string): string {
  return text.replace(/\.0$/, '');
}
