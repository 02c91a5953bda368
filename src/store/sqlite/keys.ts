/**
 * The short key of a delivery contains its message's: `did = mid * 65536 + its number`. The deliveries of a message then lie
 * side by side in their table, and no index from messages to deliveries is kept: one page less in every commit.
 */

const DELIVERIES_PER_MESSAGE = 65_536;

/** The key of a message's delivery number `index` (from 0); throws when a message has more deliveries than keys. */
export function deliveryKey(mid: number, index: number): number {
  if (index >= DELIVERIES_PER_MESSAGE) throw new RangeError(`more than ${DELIVERIES_PER_MESSAGE} deliveries`);
  return mid * DELIVERIES_PER_MESSAGE + index;
}

/** The first and the last key that a delivery of the message can have, for `did BETWEEN ? AND ?`. */
export function deliveryKeys(mid: number): [first: number, last: number] {
  return [mid * DELIVERIES_PER_MESSAGE, (mid + 1) * DELIVERIES_PER_MESSAGE - 1];
}

/** A condition that holds where the delivery `d` is the message `m`'s. */
export const DELIVERY_OF_MESSAGE: string = `d.did BETWEEN m.mid * ${DELIVERIES_PER_MESSAGE} AND m.mid * ${DELIVERIES_PER_MESSAGE} + ${DELIVERIES_PER_MESSAGE - 1}`;
