import { describe, expect, it } from 'vitest';
import { createSlots } from '../../src/queue/slots.ts';
import { createManualClock } from '../support/clock.ts';
import fc from '../support/properties.ts';

describe('slots', () => {
  it('are as many as the capacity for critical mail, and come back when given', () => {
    const slots = createSlots(2, null, createManualClock(0));
    slots.take();
    slots.take();
    expect(slots.room()).toEqual([0, 0, 0]);
    slots.give();
    expect(slots.room()[0]).toBe(1);
  });

  it('keep the last place free for critical mail', () => {
    const slots = createSlots(2, null, createManualClock(0));
    slots.take();
    expect(slots.room()).toEqual([1, 0, 0]);
  });

  it('keep part of the rate free for critical mail', () => {
    const slots = createSlots(100, { count: 10, perMs: 1000 }, createManualClock(0));
    for (let i = 0; i < 8; i++) slots.take();
    expect(slots.room()).toEqual([2, 0, 0]);
  });

  it('say how long until the rate lets the next one start', async () => {
    const clock = createManualClock(0);
    const slots = createSlots(10, { count: 2, perMs: 1000 }, clock);
    slots.take();
    await clock.advance(300);
    slots.take();
    expect(slots.room()[0]).toBe(0);
    expect(slots.waitMs(0)).toBe(700);
    await clock.advance(700);
    expect(slots.room()[0]).toBe(1);
  });

  it('let bulk wait longer than critical mail when the rate is used up', async () => {
    const clock = createManualClock(0);
    const slots = createSlots(10, { count: 2, perMs: 1000 }, clock);
    slots.take();
    await clock.advance(300);
    slots.take();
    expect(slots.waitMs(2)).toBe(1000);
  });

  it('wait for a give, not for time, when every connection is busy', () => {
    const slots = createSlots(1, { count: 5, perMs: 1000 }, createManualClock(0));
    slots.take();
    expect(slots.waitMs(0)).toBeNull();
  });

  it('have room exactly when the wait is over', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 0, max: 2 }),
        fc.array(fc.integer({ min: 0, max: 300 }), { minLength: 1, maxLength: 40 }),
        async (count, lane, waits) => {
          const clock = createManualClock(0);
          const slots = createSlots(1000, { count, perMs: 1000 }, clock);
          for (const wait of waits) {
            await clock.advance(wait);
            if ((slots.room()[0] ?? 0) > 0) slots.take();
          }
          const waitMs = slots.waitMs(lane);
          if (waitMs === null) {
            expect(slots.room()[lane]).toBeGreaterThan(0);
            return;
          }
          expect(slots.room()[lane]).toBe(0);
          await clock.advance(waitMs);
          expect(slots.room()[lane]).toBeGreaterThan(0);
        },
      ),
      { numRuns: 60 },
    );
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
            if ((slots.room()[0] ?? 0) > 0) {
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
