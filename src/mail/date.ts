/**
 * Date and time for header fields (RFC 5322, section 3.3), always in UTC.
 */
import { isoTime } from '../core/time.ts';

const DAYS = ['Thu', 'Fri', 'Sat', 'Sun', 'Mon', 'Tue', 'Wed'] as const;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'] as const;
const MS_PER_DAY = 86_400_000;

/** `epochMs` as a header date: `Mon, 05 Jan 2026 10:00:00 +0000`. Years 1970 to 9999. */
export function formatMailDate(epochMs: number): string {
  const iso = isoTime(epochMs);
  // Day 0 of the epoch was a Thursday.
  const day = DAYS[Math.floor(epochMs / MS_PER_DAY) % DAYS.length];
  const month = MONTHS[Number(iso.slice(5, 7)) - 1];
  return `${day}, ${iso.slice(8, 10)} ${month} ${iso.slice(0, 4)} ${iso.slice(11, 19)} +0000`;
}
