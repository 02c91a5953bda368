import { describe, expect, it } from 'vitest';
import { lanesOf } from '../../src/core/lane-room.ts';
import fc from '../support/properties.ts';

describe('the reserve', () => {
  it('keeps a fifth for critical mail, and a tenth more from bulk', () => {
    expect(lanesOf(20)).toEqual([20, 16, 14]);
  });

  it('keeps one of two places for critical mail', () => {
    expect(lanesOf(2)).toEqual([2, 1, 1]);
  });

  it('cannot divide one place', () => {
    expect(lanesOf(1)).toEqual([1, 1, 1]);
  });

  it('leaves every lane a place, and no lane more than a more urgent one', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2000 }), (limit) => {
        const [critical, normal, bulk] = lanesOf(limit);
        expect(critical).toBe(limit);
        expect(normal).toBeLessThanOrEqual(critical);
        expect(bulk).toBeLessThanOrEqual(normal);
        expect(bulk).toBeGreaterThanOrEqual(1);
      }),
    );
  });
});
