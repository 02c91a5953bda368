import { expect, test } from 'vitest';
import { DEFERRED, until } from '../store/fixture.ts';
import { type ApiBench, startApi } from './support.ts';

async function delivered(b: ApiBench, tag: string): Promise<void> {
  await b.accept({ record: { tag } });
  const lease = await b.claimOne();
  await b.clock.advance(40);
  await b.deliver(lease);
}

test('statistics come by tag, and by piece of time when one is asked for', async () => {
  const b = await startApi();
  await delivered(b, 'otp');
  await b.clock.advance(20 * 60_000);
  await delivered(b, 'password-reset');
  const whole = await b.call('/v1/stats');
  expect(whole.json).toMatchObject({ tags: [{ tag: 'otp' }, { tag: 'password-reset' }], buckets: [] });
  const pieces = await b.call('/v1/stats?since=1h&bucket=15m');
  expect(pieces.json).toMatchObject({
    buckets: [
      { from: '2026-01-05T10:00:00.000Z', tags: [{ tag: 'otp', accepted: 1, states: { delivered: 1 } }] },
      { from: '2026-01-05T10:15:00.000Z', tags: [{ tag: 'password-reset', accepted: 1 }] },
    ],
  });
});

test('statistics of one tag hold no other', async () => {
  const b = await startApi();
  await delivered(b, 'otp');
  await delivered(b, 'password-reset');
  expect((await b.call('/v1/stats?tag=otp&bucket=5m')).json).toMatchObject({
    tags: [{ tag: 'otp' }],
    buckets: [{ tags: [{ tag: 'otp' }] }],
  });
});

test('statistics name what stood in the way', async () => {
  const b = await startApi();
  await b.accept();
  await b.settle(await b.claimOne(), DEFERRED, until(b.clock.now() + 60_000));
  expect((await b.call('/v1/stats')).json).toMatchObject({
    faults: [{ route: 'ses', outcome: 'deferred', code: 450, enhanced: '4.2.1', count: 1, response: 'try later' }],
  });
});

test('as many kinds of what stood in the way are named as are asked for, those that came most often', async () => {
  const b = await startApi();
  for (const code of [450, 451, 451]) {
    await b.accept();
    await b.settle(await b.claimOne(), { ...DEFERRED, code }, until(b.clock.now() + 60_000));
  }
  expect((await b.call('/v1/stats?top=1')).json).toMatchObject({ faults: [{ code: 451, count: 2 }] });
  expect((await b.call('/v1/stats?top=0')).json).toMatchObject({ faults: [] });
});

test('pieces that would be too many are refused', async () => {
  const b = await startApi();
  expect((await b.call('/v1/stats?since=30d&bucket=5m')).status).toBe(422);
  expect((await b.call('/v1/stats?since=30d&bucket=6h')).status).toBe(200);
});
