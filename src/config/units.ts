/**
 * Durations, sizes and rates as they are written in the config.
 *
 * duration = digits ( "ms" | "s" | "m" | "h" | "d" )      500ms 10s 15m 2h 7d
 * size     = digits ( "KB" | "MB" | "GB" )                64KB 10MB 1GB; 1 KB is 1024 octets, 1 MB is 1024 * 1024
 * rate     = digits "/" duration                          14/1s: at most 14 in any second
 *
 * A number without a unit is refused: whether `900` meant seconds or milliseconds is not ours to guess.
 */

const DURATION = /^(\d{1,12})(ms|s|m|h|d)$/;
const SIZE = /^(\d{1,12})(KB|MB|GB)$/;
const RATE = /^(\d{1,9})\/(\d{1,12}(?:ms|s|m|h|d))$/;

const UNIT_MS: ReadonlyMap<string, number> = new Map([
  ['ms', 1],
  ['s', 1000],
  ['m', 60_000],
  ['h', 3_600_000],
  ['d', 86_400_000],
]);
const UNIT_BYTES: ReadonlyMap<string, number> = new Map([
  ['KB', 1024],
  ['MB', 1024 ** 2],
  ['GB', 1024 ** 3],
]);

export interface Rate {
  readonly count: number;
  readonly perMs: number;
}

/** `text` in milliseconds, or null when it is not a duration or too long to count exactly. */
export function parseDuration(text: string): number | null {
  return scaled(DURATION.exec(text), UNIT_MS);
}

/** `text` in octets, or null when it is not a size or too large to count exactly. */
export function parseSize(text: string): number | null {
  return scaled(SIZE.exec(text), UNIT_BYTES);
}

/** `text` as a rate; null when it is not one, or when one of its numbers is 0. */
export function parseRate(text: string): Rate | null {
  const match = RATE.exec(text);
  const perMs = parseDuration(match?.[2] ?? '');
  const count = Number(match?.[1]);
  return perMs !== null && perMs > 0 && count > 0 ? { count, perMs } : null;
}

/** `ms` in the largest unit that says it exactly: 900000 is `15m`. */
export function durationText(ms: number): string {
  const units = [...UNIT_MS].reverse();
  const [name, unitMs] = units.find(([, unit]) => ms > 0 && ms % unit === 0) ?? ['ms', 1];
  return `${ms / unitMs}${name}`;
}

function scaled(match: RegExpExecArray | null, units: ReadonlyMap<string, number>): number | null {
  const product = Number(match?.[1]) * (units.get(match?.[2] ?? '') ?? Number.NaN);
  return Number.isSafeInteger(product) ? product : null;
}
