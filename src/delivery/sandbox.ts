/**
 * The sandbox route: every message is captured and counts as delivered at once. Nothing leaves the machine.
 *
 * It keeps nothing itself: the message is in the store already, and the queue settles it as captured, so that its content
 * stays readable for `retention.sandbox`.
 */
import type { Outcome } from '../core/outcome.ts';
import type { Transport } from './transport.ts';

/** Deliveries at the same time. There is no one to wait for; the number only bounds what the queue holds in hand. */
const CAPACITY = 50;

const CAPTURED: Outcome = {
  kind: 'delivered',
  stage: 'dot',
  nextHop: 'sandbox',
  tls: null,
  code: 250,
  enhanced: '2.0.0',
  response: 'captured by the sandbox',
  timings: { transaction: 0 },
};

/** A transport whose every attempt is `delivered`, whatever the signal says. */
export function createSandboxTransport(): Transport {
  return {
    capacity: CAPACITY,
    rate: null,
    perDestination: null,
    probe: null,
    deliver: () => Promise.resolve(CAPTURED),
    stop: () => Promise.resolve(),
  };
}
