import { describe, expect, it } from 'vitest';
import { createSteadyClock, type SteadyClock } from '../../src/core/steady-clock.ts';

/** A machine whose clocks the test moves one by one. */
function createMachine() {
  const state = { wall: 1_000_000, monotonic: 50, boot: 9_000 };
  const clock: SteadyClock = createSteadyClock(
    { now: () => state.wall, monotonicMs: () => state.monotonic, after: () => () => {} },
    () => state.boot,
  );
  const pass = (ms: number): void => {
    state.wall += ms;
    state.monotonic += ms;
    state.boot += ms;
  };
  return { state, clock, pass };
}

describe('the steady clock', () => {
  it('begins with the machine’s time and goes on with it', () => {
    const { clock, pass } = createMachine();
    pass(1234);
    expect(clock.now()).toBe(1_001_234);
    expect(clock.check()).toBeNull();
  });

  it('does not follow a step forward', () => {
    const { clock, state, pass } = createMachine();
    state.wall += 3_600_000;
    pass(1000);
    clock.check();
    expect(clock.now()).toBe(1_001_100);
  });

  it('does not follow a step back', () => {
    const { clock, state, pass } = createMachine();
    state.wall -= 3_600_000;
    pass(1000);
    clock.check();
    expect(clock.now()).toBe(1_000_900);
  });

  it('tells of a step once, and how far it went', () => {
    const { clock, state, pass } = createMachine();
    state.wall -= 3_600_000;
    pass(1000);
    expect(clock.check()).toEqual({ sleptMs: 0, steppedMs: -3_600_000 });
    pass(1000);
    expect(clock.check()).toBeNull();
  });

  it('tells of a second step while the first is still being taken over', () => {
    const { clock, state, pass } = createMachine();
    state.wall += 600_000;
    pass(1000);
    clock.check();
    state.wall += 60_000;
    pass(1000);
    expect(clock.check()).toEqual({ sleptMs: 0, steppedMs: 60_000 });
  });

  it('takes a step over in time', () => {
    const { clock, state, pass } = createMachine();
    state.wall += 10_000;
    for (let second = 0; second < 101; second++) {
      pass(1000);
      clock.check();
    }
    expect(clock.now()).toBe(state.wall);
  });

  it('follows at once when the machine slept', () => {
    const { clock, state, pass } = createMachine();
    pass(1000);
    state.wall += 7_200_000;
    state.boot += 7_200_000;
    expect(clock.check()).toEqual({ sleptMs: 7_200_000, steppedMs: 0 });
    expect(clock.now()).toBe(state.wall);
  });

  it('never goes back', () => {
    const { clock, state, pass } = createMachine();
    let last = clock.now();
    for (let second = 0; second < 50; second++) {
      if (second % 7 === 0) state.wall -= 100_000;
      pass(1000);
      clock.check();
      expect(clock.now()).toBeGreaterThan(last);
      last = clock.now();
    }
  });
});
