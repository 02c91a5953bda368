/** Moments as people write them: RFC 3339, with the day really in the calendar. Pure. */

const DATE = /^(\d{4})-(\d{2})-(\d{2})/;
const TIME = /^[T ]([01]\d|2[0-3]):[0-5]\d(?::[0-5]\d(?:[.]\d{1,9})?)?(?:Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)?$/i;
/** What RFC 3339 leaves no choice about: seconds and an offset are there. */
const WHOLE = /:\d{2}:\d{2}(?:[.]\d{1,9})?(?:Z|[+-]\d{2}:\d{2})$/i;

/**
 * `whole`: RFC 3339, section 5.6, with `T`. `loose`: also a day alone (it begins at midnight UTC), and a time without seconds or
 * without an offset (that of this machine).
 */
export type MomentForm = 'whole' | 'loose';

/**
 * `text` in epoch milliseconds, which may be below 0; null when it is not written so, or there is no such day or time:
 * `Date.parse` takes 30 February for 2 March. A leap second is none that this clock has.
 */
export function parseMoment(text: string, form: MomentForm): number | null {
  const [date, year, month, day] = DATE.exec(text) ?? [];
  if (date === undefined || !isDay(Number(year), Number(month), Number(day))) return null;
  const time = text.slice(date.length);
  const isAlone = time === '' && form === 'loose';
  if (!isAlone && !TIME.test(time)) return null;
  if (form === 'whole' && !(/^T/i.test(time) && WHOLE.test(time))) return null;
  const at = Date.parse(text.toUpperCase());
  return Number.isNaN(at) ? null : at;
}

function isDay(year: number, month: number, day: number): boolean {
  if (month < 1 || month > 12 || day < 1) return false;
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 ? (isLeap ? 29 : 28) : [4, 6, 9, 11].includes(month) ? 30 : 31;
  return day <= days;
}
