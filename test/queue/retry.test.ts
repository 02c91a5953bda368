import { describe, expect, it } from 'vitest';
import { nextAttemptAt } from '../../src/queue/retry.ts';
import { testConfig } from '../support/config.ts';

const { retry } = testConfig();
const far = 1e12;

describe('the retry ladder', () => {
  it('takes the first step after the first attempt', () => {
    expect(nextAttemptAt(retry, 'critical', 1, 1000, far)).toBe(6000);
  });

  it('takes the next step after the second attempt', () => {
    expect(nextAttemptAt(retry, 'critical', 2, 0, far)).toBe(15_000);
  });

  it('repeats the last step', () => {
    expect(nextAttemptAt(retry, 'critical', 9, 0, far)).toBe(30_000);
  });

  it('is the lane’s own', () => {
    expect(nextAttemptAt(retry, 'bulk', 1, 0, far)).toBe(300_000);
  });

  it('never goes past the deadline', () => {
    expect(nextAttemptAt(retry, 'critical', 3, 1000, 2000)).toBe(2000);
  });
});
