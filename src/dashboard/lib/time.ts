/**
 * Times and spans for people: times in the browser's own zone, the exact one (UTC, milliseconds) for the hover.
 *
 * Formatters are made once; making one costs more than using it a thousand times.
 */
const CLOCK = new Intl.DateTimeFormat(undefined, {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  hourCycle: 'h23',
});
const DAY = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });
const YEAR = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short', year: 'numeric' });
const ZONE = new Intl.DateTimeFormat(undefined, { timeZoneName: 'short' });

/** `10:02:33` today, `27 Nov 10:02:33` this year, with the year else. */
export function shortTime(iso: string, nowMs: number): string {
  const date = new Date(iso);
  const today = new Date(nowMs);
  const clock = CLOCK.format(date);
  if (date.toDateString() === today.toDateString()) return clock;
  return `${(date.getFullYear() === today.getFullYear() ? DAY : YEAR).format(date)} ${clock}`;
}

/** `10:02:33.123`, for a time line. */
export function preciseClock(iso: string): string {
  const date = new Date(iso);
  return `${CLOCK.format(date)}.${String(date.getMilliseconds()).padStart(3, '0')}`;
}

/** Both clocks in full: `2026-11-28T10:02:33.123Z · 28 Nov 2026 11:02:33 GMT+1`. */
export function exactTime(iso: string): string {
  const date = new Date(iso);
  const zone = ZONE.formatToParts(date).find(({ type }) => type === 'timeZoneName')?.value ?? '';
  return `${date.toISOString()} · ${YEAR.format(date)} ${CLOCK.format(date)} ${zone}`;
}

/** A span: `63 ms`, `1.2 s`, `4 min 10 s`, `3 h 5 min`, `2 d 4 h`. Below 0 counts as 0. */
export function span(ms: number): string {
  const value = Math.max(0, ms);
  if (value < 999.5) return `${Math.round(value)} ms`;
  if (value < 59_950) return `${(value / 1000).toFixed(1).replace(/\.0$/, '')} s`;
  const seconds = Math.round(value / 1000);
  if (seconds < 3600) return pair(Math.floor(seconds / 60), 'min', seconds % 60, 's');
  const minutes = Math.round(seconds / 60);
  if (minutes < 48 * 60) return pair(Math.floor(minutes / 60), 'h', minutes % 60, 'min');
  const hours = Math.round(minutes / 60);
  return pair(Math.floor(hours / 24), 'd', hours % 24, 'h');
}

function pair(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `in 4 min`, `12 s ago`. */
export function relative(iso: string, nowMs: number): string {
  const distance = Date.parse(iso) - nowMs;
  return distance >= 0 ? `in ${coarse(distance)}` : `${coarse(-distance)} ago`;
}

/** Of something that comes next: `in 4 min`, and when that is past and it waits for its turn, `was due 12 s ago`. */
export function due(iso: string, nowMs: number): string {
  return `${Date.parse(iso) < nowMs ? 'was due ' : ''}${relative(iso, nowMs)}`;
}

/** A span to the second, and from an hour on to the minute, so that a page that counts does not flicker. */
function coarse(ms: number): string {
  return span(ms < 60_000 ? Math.max(1000, Math.round(ms / 1000) * 1000) : ms);
}

/** `1,234`. */
export function count(value: number): string {
  return value.toLocaleString();
}

/** Octets: `812 B`, `3.2 kB`, `1.4 MB`. */
export function octets(value: number): string {
  if (value < 1000) return `${value} B`;
  if (value < 999_950) return `${(value / 1000).toFixed(1).replace(/\.0$/, '')} kB`;
  return `${(value / 1e6).toFixed(1).replace(/\.0$/, '')} MB`;
}
