/** Connections are kept between messages, and one that died in the meantime costs no attempt. */
import { expect, test } from 'vitest';
import { hangUp, type Hook, once, raw, reply, replyAndHangUp, stall } from '../support/next-hop.ts';
import { bench, manualBench } from './fixture.ts';

/** `behaviour` at the first transaction but one of the first connection. */
const secondOf = (connection: number, behaviour: ReturnType<typeof reply>): Hook => {
  return (context) => (context.connection === connection && context.transaction === 2 ? behaviour : null);
};

test('messages one after another go over one connection', async () => {
  const { hop, deliver } = await bench();
  for (let i = 0; i < 5; i++) await deliver();
  expect(hop.messages).toHaveLength(5);
  expect(hop.connections()).toBe(1);
  expect(hop.reached('RSET')).toBe(0);
});

test('after 100 messages a connection is closed with QUIT and another one opened', async () => {
  const { hop, deliver } = await bench();
  for (let i = 0; i < 101; i++) await deliver();
  expect(hop.connections()).toBe(2);
  expect(hop.messages.map((message) => message.connection)).toEqual([...Array(100).fill(1), 2]);
  await hop.until(() => hop.reached('QUIT') === 1);
});

test('after a refusal the connection is kept, and reset before the next message', async () => {
  const { hop, deliver } = await bench({ on: { RCPT: once(reply('550 5.1.1 unknown')) } });
  expect((await deliver()).kind).toBe('rejected');
  expect((await deliver()).kind).toBe('delivered');
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(1);
  expect(hop.reached('RSET')).toBe(1);
});

test('an unused connection is closed with QUIT after 30 s', async () => {
  const { hop, clock, deliver } = await manualBench();
  await deliver();
  await clock.advance(29_999);
  expect(hop.reached('QUIT')).toBe(0);
  await clock.advance(1);
  await hop.until(() => hop.openConnections() === 0);
  expect(hop.reached('QUIT')).toBe(1);
});

test('a connection that is used again begins its 30 s anew', async () => {
  const { hop, clock, deliver } = await manualBench();
  await deliver();
  await clock.advance(20_000);
  await deliver();
  await clock.advance(20_000);
  expect(hop.openConnections()).toBe(1);
  await clock.advance(10_000);
  await hop.until(() => hop.openConnections() === 0);
});

test.each(['hang-up', 'reset'] as const)('a server that closes its idle connection (%s) costs nothing', async (how) => {
  const { hop, deliver } = await bench();
  await deliver();
  hop.dropAll(how);
  await hop.until(() => hop.openConnections() === 0);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages).toHaveLength(2);
  expect(hop.connections()).toBe(2);
});

test.each([
  ['closed', hangUp],
  ['closed with 421', replyAndHangUp('421 4.4.2 idle for too long')],
] as const)(
  'a kept connection that is %s at MAIL is replaced within the attempt: one copy',
  async (_how, behaviour) => {
    const { hop, deliver } = await bench({ on: { MAIL: secondOf(1, behaviour) } });
    await deliver();
    expect((await deliver()).kind).toBe('delivered');
    expect(hop.messages).toHaveLength(2);
    expect(hop.messages.map((message) => message.connection)).toEqual([1, 2]);
  },
);

test('a kept connection that stays silent at MAIL for 10 s is replaced within the attempt: one copy', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { MAIL: secondOf(1, stall) } });
  await deliver();
  const outcome = deliver();
  await hop.until(() => hop.reached('MAIL') === 2);
  await clock.advance(10_000);
  expect((await outcome).kind).toBe('delivered');
  expect(hop.messages.map((message) => message.connection)).toEqual([1, 2]);
});

test('a kept connection that answered MAIL in time has the usual 60 s for the rest', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { RCPT: secondOf(1, stall) } });
  await deliver();
  let over = false;
  const outcome = deliver().finally(() => {
    over = true;
  });
  await hop.until(() => hop.reached('RCPT') === 2);
  await clock.advance(59_999);
  expect(over).toBe(false);
  await clock.advance(1);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'rcpt' });
});

test('a kept connection that dies at RSET is replaced within the attempt', async () => {
  const { hop, deliver } = await bench({ on: { RCPT: once(reply('550 5.1.1 unknown')), RSET: hangUp } });
  await deliver();
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(2);
});

test('the replacement is tried once: when it dies too, the attempt is over', async () => {
  const { hop, deliver } = await bench();
  await deliver();
  hop.on('MAIL', hangUp);
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'mail' });
  expect(hop.connections()).toBe(2);
});

test('the replacement is a fresh connection, not another kept one', async () => {
  const { hop, deliver } = await bench();
  await Promise.all([deliver(), deliver(), deliver()]);
  hop.on('MAIL', (context) => (context.connection <= 3 ? hangUp : null));
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages.at(-1)?.connection).toBe(4);
});

test('a fresh connection that dies at MAIL is not replaced', async () => {
  const { hop, deliver } = await bench({ on: { MAIL: hangUp } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'mail' });
  expect(hop.connections()).toBe(1);
});

test.each([
  ['one reply too many', '250 ok\r\n250 ok\r\n'],
  ['two replies too many', '250 ok\r\n250 ok\r\n250 ok\r\n'],
  ['the beginning of a reply', '250 ok\r\n250'],
])('a connection on which the server says %s is not used again', async (_what, octets) => {
  const { hop, deliver } = await bench({ on: { dot: once(raw(octets)) } });
  expect((await deliver()).kind).toBe('delivered');
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages.map((message) => message.connection)).toEqual([1, 2]);
});

test('a connection on which the server speaks while nothing was asked is dropped', async () => {
  const { hop, deliver } = await bench();
  let say = (): void => {};
  hop.on('dot', async (context) => {
    say = () => context.say('250 ok\r\n');
    return null;
  });
  await deliver();
  say();
  await hop.until(() => hop.openConnections() === 0);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(2);
});

test.each([1, 2, 3])('%i replies too many at EHLO are not taken for answers to the message', async (spare) => {
  const said = `250-hop\r\n250 PIPELINING\r\n${'250 ok\r\n'.repeat(spare)}`;
  const { hop, deliver } = await bench({ on: { EHLO: raw(said), dot: reply('554 5.7.1 no') } });
  expect((await deliver()).kind).toBe('deferred');
  expect(hop.messages).toHaveLength(0);
});

test.each([1, 2, 3])('%i replies too many at AUTH are not taken for answers to the message', async (spare) => {
  const auth = { username: 'relay', password: 'x' };
  const said = `235 ok\r\n${'250 ok\r\n'.repeat(spare)}`;
  const { hop, deliver } = await bench(
    { auth, on: { AUTH: raw(said), MAIL: reply('250 ok'), dot: reply('554 5.7.1 no') } },
    { auth },
  );
  expect((await deliver()).kind).toBe('deferred');
  expect(hop.messages).toHaveLength(0);
});

test('a reply too many at RSET costs the connection, not the message', async () => {
  const { hop, deliver } = await bench({
    on: { RCPT: once(reply('550 5.1.1 unknown')), RSET: raw('250 ok\r\n250 ok\r\n250 ok\r\n') },
  });
  await deliver();
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages.map((message) => message.connection)).toEqual([2]);
});

test('after trouble of the route the connection is not used again', async () => {
  const { hop, deliver } = await bench({ on: { MAIL: once(reply('451 4.3.0 trouble')) } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route' });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.connections()).toBe(2);
});
