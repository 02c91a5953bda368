import { describe, expect, it } from 'vitest';
import {
  type Breaker,
  createBreaker,
  FAULTS_TO_OPEN,
  FIRST_PROBE_MS,
  LONGEST_PROBE_MS,
} from '../../src/queue/breaker.ts';

/** A breaker that faults at `stage` have opened at the time 0. */
function opened(stage: 'connect' | 'mail' = 'connect'): Breaker {
  const breaker = createBreaker(false, 0);
  for (let i = 0; i < FAULTS_TO_OPEN; i++) breaker.fault(stage, 0, 0);
  return breaker;
}

describe('the breaker', () => {
  it('stays closed below the number of faults', () => {
    const breaker = createBreaker(false, 0);
    for (let i = 1; i < FAULTS_TO_OPEN; i++) expect(breaker.fault('connect', 0, 0)).toBeNull();
    expect(breaker.state()).toBe('closed');
  });

  it('opens at the number of faults, and says so once', () => {
    const breaker = createBreaker(false, 0);
    for (let i = 1; i < FAULTS_TO_OPEN; i++) breaker.fault('connect', 0, 0);
    expect(breaker.fault('connect', 0, 0)).toBe('down');
    expect(breaker.fault('connect', 0, 0)).toBeNull();
    expect(breaker.state()).toBe('open');
  });

  it('counts faults in a row only', () => {
    const breaker = createBreaker(false, 0);
    for (let i = 0; i < 10; i++) {
      for (let fault = 1; fault < FAULTS_TO_OPEN; fault++) breaker.fault('connect', 0, 0);
      breaker.success(0);
    }
    expect(breaker.state()).toBe('closed');
  });

  it('wants a probe after the first wait', () => {
    expect(opened().probeAt()).toBe(FIRST_PROBE_MS);
  });

  it('wants no second probe while one is under way', () => {
    const breaker = opened();
    breaker.probing(0);
    expect(breaker.probeAt()).toBeNull();
  });

  it('closes when a probe comes through to a route that could not be reached', () => {
    const breaker = opened('connect');
    breaker.probing(0);
    expect(breaker.probed(true, 6000)).toBe('up');
    expect(breaker.state()).toBe('closed');
  });

  it('doubles the wait with each failed probe, up to the longest', () => {
    const breaker = opened();
    const waits: number[] = [];
    for (let i = 0; i < 6; i++) {
      breaker.probing(0);
      breaker.probed(false, 0);
      waits.push(breaker.probeAt() ?? -1);
    }
    expect(waits).toEqual([10_000, 20_000, 40_000, LONGEST_PROBE_MS, LONGEST_PROBE_MS, LONGEST_PROBE_MS]);
  });

  it('only half-opens after a probe when messages were refused beyond the reach of one', () => {
    const breaker = opened('mail');
    breaker.probing(0);
    expect(breaker.probed(true, 6000)).toBeNull();
    expect(breaker.state()).toBe('half-open');
  });

  it('closes when a message comes through the half-open route', () => {
    const breaker = opened('mail');
    breaker.probing(0);
    breaker.probed(true, 6000);
    expect(breaker.success(7000)).toBe('up');
    expect(breaker.state()).toBe('closed');
  });

  it('opens again, without saying so, when a message meets a fault on the half-open route', () => {
    const breaker = opened('mail');
    breaker.probing(0);
    breaker.probed(true, 6000);
    expect(breaker.fault('mail', 6500, 7000)).toBeNull();
    expect(breaker.state()).toBe('open');
    expect(breaker.probeAt()).toBe(7000 + 2 * FIRST_PROBE_MS);
  });

  it('closes when a message that was still under way comes through', () => {
    const breaker = opened();
    expect(breaker.success(100)).toBe('up');
  });

  it('is not opened by attempts that began before it closed', () => {
    const breaker = opened();
    breaker.probing(0);
    breaker.probed(true, 6000);
    for (let i = 0; i < FAULTS_TO_OPEN; i++) breaker.fault('connect', 5999, 6100);
    expect(breaker.state()).toBe('closed');
  });

  it('probes soon when critical mail waits, and not more often than once a second', () => {
    const breaker = opened();
    for (let i = 0; i < 4; i++) {
      breaker.probing(0);
      breaker.probed(false, 0);
    }
    breaker.hurry(500);
    expect(breaker.probeAt()).toBe(1000);
    breaker.hurry(3000);
    expect(breaker.probeAt()).toBe(1000);
  });

  it('that begins open is probed at once', () => {
    const breaker = createBreaker(true, 500);
    expect(breaker.state()).toBe('open');
    expect(breaker.probeAt()).toBe(500);
  });
});
