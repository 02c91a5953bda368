/**
 * How much of something that deliveries share each lane may take, in the shape that the queue uses for routes and domains: of
 * 2 places or more at least one, and about a fifth, is for critical mail alone; of 3 or more another, and about a tenth, is
 * closed to bulk. Pure.
 */
import type { Priority } from '../../core/message.ts';

/** A place is given to mail of a lane while fewer than this are taken. Less urgent lanes never have more than others. */
export function laneRoom(limit: number): Readonly<Record<Priority, number>> {
  const forCritical = limit >= 2 ? Math.max(1, Math.floor(limit / 5)) : 0;
  const notForBulk = limit >= 3 ? Math.max(1, Math.floor(limit / 10)) : 0;
  return { critical: limit, normal: limit - forCritical, bulk: limit - forCritical - notForBulk };
}
