import { expect, test } from 'vitest';
import { sleep } from '../../src/core/time.ts';
import { createManualClock } from '../support/clock.ts';

test('sleep ends when its time is over, and not before', async () => {
  const clock = createManualClock(0);
  let over = false;
  const slept = sleep(clock, 100, new AbortController().signal).then(() => (over = true));
  await clock.advance(99);
  expect(over).toBe(false);
  await clock.advance(1);
  await slept;
});

test.each(['before', 'during'])('sleep rejects with the reason of an abort %s it', async (moment) => {
  const abort = new AbortController();
  const reason = new Error('the relay stops');
  if (moment === 'before') abort.abort(reason);
  const slept = sleep(createManualClock(0), 100, abort.signal);
  abort.abort(reason);
  await expect(slept).rejects.toBe(reason);
});

test('sleep that is over is not undone by an abort', async () => {
  const clock = createManualClock(0);
  const abort = new AbortController();
  const slept = sleep(clock, 100, abort.signal);
  await clock.advance(100);
  abort.abort(new Error('too late'));
  await expect(slept).resolves.toBeUndefined();
});
