import { describe, expect, test } from 'vitest';
import { refuse } from '../../src/core/refusal.ts';
import { address } from '../support/address.ts';
import { DEFERRED, START_MS, until } from '../store/fixture.ts';
import type { WireTrace } from '../../src/api/wire/trace.ts';
import { startApi } from './support.ts';

describe('the story of a message', () => {
  test('has the verdict, the message with its attempts, its events and everything in time order', async () => {
    const api = await startApi();
    const { id } = await api.accept();
    await api.settle(await api.claimOne(), DEFERRED, until(START_MS + 1000));
    await api.store.queue.routeChanged({ type: 'route.down', route: 'ses', reason: 'connect: refused', at: START_MS });
    await api.clock.advance(1000);
    await api.deliver(await api.claimOne());
    const answer = await api.call(`/v1/messages/${id}/trace`);
    expect(answer.json).toMatchObject({
      id,
      state: 'delivered',
      verdict: expect.stringMatching(/^Delivered to ann@example\.net on .*: ses .*answered: 250 2\.0\.0 Ok 1\. If it/),
      outcome: expect.stringMatching(/^Delivered to ann@example\.net on .* Ok 1\.$/),
      why_late: null,
      next_step: 'If it is not in the inbox, ask there and look in the spam folder.',
      came_back: false,
      message: { id, deliveries: [{ attempt_count: 2, attempts: [{ number: 1 }, { number: 2 }] }] },
      events: [{ type: 'message.accepted' }, { type: 'message.deferred' }, { type: 'message.delivered' }],
      route_events: [{ type: 'route.down' }],
      timeline: [{ word: 'accepted' }, { word: 'deferred' }, { word: 'route.down' }, { word: 'delivered' }],
    });
  });

  test('says apart why it was late and what comes next, naming no command', async () => {
    const api = await startApi();
    const { id } = await api.accept();
    await api.settle(await api.claimOne(), DEFERRED, until(START_MS + 300_000));
    await api.clock.advance(70_000);
    const json = (await api.call(`/v1/messages/${id}/trace`)).json as WireTrace;
    expect(json).toMatchObject({
      state: 'deferred',
      outcome: expect.stringContaining(
        'Not delivered to ann@example.net yet, 1 min 10 s after it was accepted: tried once',
      ),
      why_late: expect.stringMatching(/^Most of that time is the wait after ses answered .* at dot \(1 min 10 s\)\.$/),
      next_step: 'The next attempt is in 3 min 50 s, over ses.',
    });
    expect(json.verdict).toBe(`${json.outcome} ${json.why_late} ${json.next_step}`);
  });

  test('is told of one recipient when it is asked about him', async () => {
    const api = await startApi();
    const { id } = await api.accept({ recipients: ['ann@example.net', 'bob@example.net'] });
    await api.deliver(await api.claimOne());
    expect((await api.call(`/v1/messages/${id}/trace`)).json).toMatchObject({ state: 'mixed' });
    const answer = await api.call(`/v1/messages/${id}/trace?recipient=BOB@example.net`);
    expect(answer.json).toMatchObject({ state: 'queued', verdict: expect.stringContaining('bob@example.net') });
  });

  test('is told of mail that was refused, which has no message', async () => {
    const api = await startApi();
    const id = api.ids.message();
    const refusal = refuse(550, '5.7.1', 'Sender is not allowed', 'matches no pattern');
    const recipients = [address('ann@example.net')];
    const facts = { headerMessageId: null, tag: null, credential: null, rule: null, recipients };
    await api.store.intake.reject({ id, at: START_MS, refusal, ...facts });
    expect((await api.call(`/v1/messages/${id}/trace`)).json).toMatchObject({
      state: 'rejected',
      verdict: expect.stringContaining('550 5.7.1 Sender is not allowed'),
      message: null,
      timeline: [{ word: 'rejected', recipient: 'ann@example.net' }],
    });
  });

  test('of nothing is not found', async () => {
    const api = await startApi();
    expect((await api.call(`/v1/messages/${api.ids.message()}/trace`)).status).toBe(404);
    expect((await api.call('/v1/messages/x/trace')).status).toBe(404);
  });
});

describe('the story of a flow', () => {
  test('says whether its reset was delivered, message by message', async () => {
    const api = await startApi();
    const first = await api.accept({ record: { flow: 'f-1', tag: 'compromised-account' } });
    await api.clock.advance(60_000);
    const second = await api.accept({ record: { flow: 'f-1' } });
    for (const lease of await api.claim()) await api.deliver(lease);
    expect((await api.call('/v1/flows/f-1')).json).toMatchObject({
      flow: 'f-1',
      verdict: 'delivered',
      text: expect.stringContaining('The reset for ann@example.net was delivered'),
      started_at: '2026-01-05T10:00:00.000Z',
      messages: [
        { id: first.id, tag: 'compromised-account', is_reset: false, gap_ms: null },
        { id: second.id, tag: 'password-reset', is_reset: true, gap_ms: 60_000, deliveries: [{ state: 'delivered' }] },
      ],
      timeline: expect.arrayContaining([expect.objectContaining({ word: 'accepted', message: second.id })]),
    });
  });

  test('that nobody named is not found', async () => {
    const api = await startApi();
    expect((await api.call('/v1/flows/f-2')).status).toBe(404);
  });
});
