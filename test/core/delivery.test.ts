import { describe, expect, it } from 'vitest';
import { DELIVERY_STATES, isFinal, statesBefore } from '../../src/core/delivery.ts';

describe('the states of a delivery', () => {
  it('are final but for queued, sending and deferred', () => {
    expect(DELIVERY_STATES.filter((state) => !isFinal(state))).toEqual(['queued', 'sending', 'deferred']);
  });

  it('come to delivered and bounced from sending alone', () => {
    expect([statesBefore('delivered'), statesBefore('bounced')]).toEqual([['sending'], ['sending']]);
  });

  it('never leave delivered, superseded, suppressed or throttled', () => {
    const left = DELIVERY_STATES.flatMap((to) => statesBefore(to));
    expect(left.filter((state) => ['delivered', 'superseded', 'suppressed', 'throttled'].includes(state))).toEqual([]);
  });
});
