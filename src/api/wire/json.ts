/**
 * The pieces that the schemas of the API are built from.
 *
 * A schema is written once, in zod, and gives the validation of requests and the OpenAPI document; its annotation with the
 * type of the value makes the compiler hold the one to the other. `meta({ id })` makes it a component of the document.
 */
import { z } from 'zod';
import { parseMoment } from '../../core/moment.ts';
import { isoTime } from '../../core/time.ts';

/** `T` as JSON has it: branded ids and addresses are strings. */
export type Plain<T> = T extends string
  ? T extends object
    ? string
    : T
  : T extends readonly (infer Item)[]
    ? readonly Plain<Item>[]
    : T extends object
      ? { readonly [Key in keyof T]: Plain<T[Key]> }
      : T;

export interface Page<T> {
  readonly data: readonly T[];
  readonly has_more: boolean;
  /** For the next page; null: there is none. */
  readonly next_cursor: string | null;
}

/** The most that a page of a list holds. */
export const MAX_LIMIT = 100;
const DEFAULT_LIMIT = 25;

/** A page of `item`s, a component named `id`. */
export function pageOf<T>(id: string, item: z.ZodType<T>): z.ZodType<Page<T>> {
  return z
    .object({
      data: z.array(item),
      has_more: z.boolean().describe('Whether there are more at this moment.'),
      next_cursor: z.string().nullable().describe('Give it as `cursor` to get what follows; null: there is nothing.'),
    })
    .meta({ id });
}

/** A moment in RFC 3339. It is checked where an answer is read: `--url` may be somebody else's server. */
export function time(meaning: string): z.ZodString {
  const isMoment = (text: string): boolean => parseMoment(text, 'whole') !== null;
  return z.string().refine(isMoment, 'no moment').meta({ format: 'date-time', description: meaning });
}

/** `limit` of a list: 1 to 100. */
export function limitQuery(): z.ZodType<number> {
  return countQuery(1, MAX_LIMIT).default(DEFAULT_LIMIT).describe(`How many at most: 1 to ${MAX_LIMIT}.`);
}

/** A whole number in a query, in decimal digits. */
export function countQuery(min: number, max: number): z.ZodPreprocess<z.ZodInt> {
  return z.preprocess(
    (input) => (typeof input === 'string' && /^\d{1,16}$/.test(input) ? Number(input) : input),
    z.int(`write a whole number from ${min} to ${max}`).min(min).max(max),
  );
}

/** One page out of `found`, of which one more than `limit` was asked for. */
export function page<T>(found: readonly T[], limit: number, cursorOf: (last: T) => string): Page<T> {
  const data = found.slice(0, limit);
  const last = data.at(-1);
  const more = found.length > limit;
  return { data, has_more: more, next_cursor: more && last !== undefined ? cursorOf(last) : null };
}

/** `epochMs` in RFC 3339. */
export function timeOrNull(epochMs: number | null): string | null {
  return epochMs === null ? null : isoTime(epochMs);
}
