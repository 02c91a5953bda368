import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createSlots } from '../../src/queue/slots.ts';
import { createManualClock } from '../support/clock.ts';

describe('slots', () => {
  it('are as many as the capacity and come back when given', () => {
    const slots = createSlots(2, null, createManualClock(0));
    slots.take();
    slots.take();
    expect(slots.free()).toBe(0);
    slots.give();
    expect(slots.free()).toBe(1);
  });

  it('say how long until the rate lets the next one start', async () => {
    const clock = createManualClock(0);
    const slots = createSlots(10, { count: 2, perMs: 1000 }, clock);
    slots.take();
    await clock.advance(300);
    slots.take();
    expect(slots.free()).toBe(0);
    expect(slots.waitMs()).toBe(700);
    await clock.advance(700);
    expect(slots.free()).toBe(1);
  });

  it('wait for a give, not for time, when every connection is busy', () => {
    const slots = createSlots(1, { count: 5, perMs: 1000 }, createManualClock(0));
    slots.take();
    expect(slots.waitMs()).toBeNull();
  });

  it('never start more than the rate within any window', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 5 }),
        fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 60 }),
        async (count, waits) => {
          const clock = createManualClock(0);
          const slots = createSlots(1000, { count, perMs: 1000 }, clock);
          const starts: number[] = [];
          for (const wait of waits) {
            await clock.advance(wait);
            if (slots.free() > 0) {
              slots.take();
              starts.push(clock.monotonicMs());
            }
          }
          for (const [index, start] of starts.entries()) {
            const later = starts[index + count];
            if (later !== undefined) expect(later - start).toBeGreaterThanOrEqual(1000);
          }
        },
      ),
      { numRuns: 60 },
    );
  });
});
