/**
 * The states of a delivery and the only table of its legal moves.
 *
 *              +--------------- deferred <--------------+
 *              v                                        |
 *   queued -> sending -> delivered | bounced | quarantined
 *     |          ^
 *     |          +--- queued (released before anything was sent)
 *     +-> expired | superseded | canceled      (also from deferred and quarantined)
 *
 * A delivery is born `queued`, or `sending` when its first attempt may start with the commit, or `suppressed` or
 * `throttled`, and then nothing is ever sent. One that is superseded while it is sent becomes `superseded` only when its
 * attempt ends without a delivery.
 * Every accepted recipient ends in exactly one final state. A final state is left in one way only: an operator's
 * `queue retry` puts a quarantined, bounced, expired or canceled delivery whose content is still kept back to `queued`.
 */

export const DELIVERY_STATES = [
  'queued',
  'sending',
  'deferred',
  'delivered',
  'bounced',
  'expired',
  'superseded',
  'suppressed',
  'throttled',
  'canceled',
  'quarantined',
] as const;
export type DeliveryState = (typeof DELIVERY_STATES)[number];

const TRANSITIONS: Readonly<Record<DeliveryState, readonly DeliveryState[]>> = {
  queued: ['sending', 'expired', 'superseded', 'canceled'],
  sending: ['delivered', 'deferred', 'bounced', 'queued', 'expired', 'superseded', 'quarantined'],
  deferred: ['sending', 'queued', 'expired', 'superseded', 'canceled'],
  delivered: [],
  bounced: ['queued'],
  expired: ['queued'],
  superseded: [],
  suppressed: [],
  throttled: [],
  canceled: ['queued'],
  quarantined: ['queued', 'expired', 'superseded', 'canceled'],
};

const PENDING: ReadonlySet<DeliveryState> = new Set(['queued', 'sending', 'deferred']);

/** True when nothing more happens to a delivery in `state` by itself. */
export function isFinal(state: DeliveryState): boolean {
  return !PENDING.has(state);
}

/** The states from which a delivery may move to `to`, for use in a store's WHERE clause. */
export function statesBefore(to: DeliveryState): readonly DeliveryState[] {
  return DELIVERY_STATES.filter((from) => TRANSITIONS[from].includes(to));
}
