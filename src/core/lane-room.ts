/**
 * How much of a limit each lane may use, so that some of it is always free for more urgent mail. Pure.
 *
 * Of a limit of 2 or more at least one place, and about a fifth, is for critical mail alone; of 3 or more another, and about
 * a tenth, is closed to bulk. A limit of 1 cannot be divided: there critical mail waits for the one delivery in work.
 */

/** A number for each lane, most urgent first; less urgent lanes never have more than more urgent ones. */
export type LaneRoom = readonly [critical: number, normal: number, bulk: number];

/** What may be in use, all lanes together, while one more of each lane may start; never less than 1. */
export function lanesOf(limit: number): LaneRoom {
  const forCritical = limit >= 2 ? Math.max(1, Math.floor(limit / 5)) : 0;
  const notForBulk = limit >= 3 ? Math.max(1, Math.floor(limit / 10)) : 0;
  return [limit, limit - forCritical, limit - forCritical - notForBulk];
}
