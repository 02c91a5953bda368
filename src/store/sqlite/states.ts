/** Delivery states in SQL, taken from the one transition table. */
import { DELIVERY_STATES, type DeliveryState, isFinal, statesBefore } from '../../core/delivery.ts';

/** A quarantined delivery still waits: for an operator, or for its deadline. Its content stays as long. */
export const OPEN_STATES: readonly DeliveryState[] = DELIVERY_STATES.filter(
  (state) => !isFinal(state) || state === 'quarantined',
);

/** `('a', 'b')`. */
export function sqlList(states: readonly DeliveryState[]): string {
  return `(${states.map((state) => `'${state}'`).join(', ')})`;
}

/** A condition that holds for rows that may legally move to `to`. */
export function mayBecome(to: DeliveryState): string {
  return `state IN ${sqlList(statesBefore(to))}`;
}
