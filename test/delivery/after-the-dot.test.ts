/** What happens once the final dot may have left: a proper answer decides, and everything else is uncertain. */
import { expect, test } from 'vitest';
import { drip, flood, hangUp, once, raw, rawAndHangUp, reply, reset, stall } from '../support/next-hop.ts';
import { bench, manualBench } from './fixture.ts';

test.each([
  ['is closed', hangUp],
  ['is reset', reset],
  ['carries garbage', raw('what?\r\n')],
  ['carries a code that is none', raw('2000 ok\r\n')],
  ['carries 354 once more', reply('354 go on')],
  ['carries an endless line', flood('2')],
  ['carries an endless reply', flood('250-ok\r\n')],
  ['is closed in the middle of a confirmation', rawAndHangUp('250 2.0')],
  ['is closed in the middle of a refusal', rawAndHangUp('550 5.7.1 n')],
  ['is closed in the middle of a 421', rawAndHangUp('421 4.3.2 clos')],
] as const)('a connection that %s after the dot leaves the message uncertain', async (_what, behaviour) => {
  const { hop, deliver } = await bench({ on: { dot: behaviour } });
  expect(await deliver()).toMatchObject({ kind: 'uncertain', cause: 'route', stage: 'dot' });
  hop.on('dot', null);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(2);
});

test.each([
  ['silence', stall],
  ['a dripping answer', drip('250-\r\n')],
])('%s after the dot is waited for 60 s, then the message is uncertain', async (_what, behaviour) => {
  const { hop, clock, deliver } = await manualBench({ on: { dot: behaviour } });
  let over = false;
  const outcome = deliver().finally(() => {
    over = true;
  });
  await hop.until(() => hop.reached('dot') === 1);
  await clock.advance(59_999);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(await outcome).toMatchObject({ kind: 'uncertain', cause: 'route', stage: 'dot', code: null });
});

test('an answer that comes after the time is up is not taken for the answer to the next message', async () => {
  const { promise: later, resolve: answerNow } = Promise.withResolvers<void>();
  const late = once(reply('250 2.0.0 Ok: late'));
  const { hop, clock, deliver } = await manualBench({
    on: {
      dot: async (context) => {
        if (context.connection > 1) return null;
        await later;
        return late(context);
      },
    },
  });
  const first = deliver();
  await hop.until(() => hop.reached('dot') === 1);
  await clock.advance(60_000);
  expect((await first).kind).toBe('uncertain');
  hop.on('RCPT', reply('550 5.1.1 unknown'));
  answerNow();
  expect(await deliver({ recipient: 'bob@example.net' })).toMatchObject({ kind: 'rejected', cause: 'recipient' });
  expect(hop.connections()).toBe(2);
});

test('an abort after the dot waits for the answer', async () => {
  const { promise: later, resolve: answerNow } = Promise.withResolvers<void>();
  const { hop, deliver } = await bench({
    on: {
      dot: async () => {
        await later;
        return null;
      },
    },
  });
  const abort = new AbortController();
  const outcome = deliver({}, abort.signal);
  await hop.until(() => hop.reached('dot') === 1);
  abort.abort();
  answerNow();
  expect((await outcome).kind).toBe('delivered');
});

test('an abort after the dot waits no longer than for any answer', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { dot: stall } });
  const abort = new AbortController();
  const outcome = deliver({}, abort.signal);
  await hop.until(() => hop.reached('dot') === 1);
  abort.abort();
  await clock.advance(60_000);
  expect(await outcome).toMatchObject({ kind: 'uncertain', stage: 'dot' });
});

test('a refusal after the dot is no doubt: it decides', async () => {
  const { hop, deliver } = await bench({ on: { dot: once(reply('451 4.3.0 try later')) } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'content', stage: 'dot' });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.accepted()).toHaveLength(1);
});
