import { expect, test } from 'vitest';
import { hangUp, replyAndHangUp, reply } from '../support/next-hop.ts';
import { bench, CONTENT } from './fixture.ts';

test('a message that the next hop takes is delivered, with what it said', async () => {
  const { hop, deliver } = await bench();
  const outcome = await deliver();
  expect(outcome).toMatchObject({
    kind: 'delivered',
    stage: 'dot',
    code: 250,
    enhanced: '2.0.0',
    response: 'Ok: queued as 1-1',
    nextHop: `127.0.0.1:${hop.port}`,
    tls: null,
  });
  expect(hop.messages[0]?.content.toString()).toBe(CONTENT);
  expect(hop.lines[0]?.line).toBe('EHLO relay.example.com');
});

test('the name in EHLO is the one of the route when it has one', async () => {
  const { hop, deliver } = await bench({}, { ehlo: 'mail.example.org' });
  await deliver();
  expect(hop.lines[0]?.line).toBe('EHLO mail.example.org');
});

test('a server that knows only HELO gets the message all the same', async () => {
  const { hop, deliver } = await bench({ on: { EHLO: reply('502 5.5.1 unknown') } });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages[0]?.mailParameters).toBe('');
});

test('a server without PIPELINING gets one command at a time', async () => {
  const { hop, deliver } = await bench({ extensions: ['8BITMIME'] });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages).toHaveLength(1);
});

test('content is relayed octet for octet, dots, 8-bit octets and all', async () => {
  const { hop, deliver } = await bench();
  const body = Buffer.from([...Array(256).keys()].filter((octet) => octet !== 10 && octet !== 13 && octet !== 0));
  const content = Buffer.concat([Buffer.from('A: b\r\n\r\n.\r\n..x\r\n.\r\n'), body, Buffer.from('\r\n')]);
  await deliver({ content, eightBit: true });
  expect(hop.messages[0]?.content.equals(content)).toBe(true);
});

test('a message of many megabytes arrives whole', async () => {
  const { hop, deliver } = await bench();
  const content = Buffer.from(`A: b\r\n\r\n${'.123456789abcdef\r\n'.repeat(500_000)}`);
  expect((await deliver({ content })).kind).toBe('delivered');
  expect(hop.messages[0]?.content.equals(content)).toBe(true);
});

test('timings are whole milliseconds, and those of opening are absent on a kept connection', async () => {
  const { deliver } = await bench();
  const first = (await deliver()).timings;
  const second = (await deliver()).timings;
  expect(Object.keys(first).sort()).toEqual(['connect', 'session', 'transaction']);
  expect(Object.keys(second)).toEqual(['transaction']);
  expect(Object.values(first).every(Number.isInteger)).toBe(true);
});

// ------------------------------------------------------------- replies

const REFUSALS = [
  ['connect', 'greeting'],
  ['EHLO', 'ehlo'],
  ['MAIL', 'mail'],
  ['RCPT', 'rcpt'],
  ['DATA', 'data'],
  ['dot', 'dot'],
] as const;

for (const extensions of [['PIPELINING'], []]) {
  const how = extensions.length > 0 ? 'pipelined' : 'one by one';

  test.each(REFUSALS)(`421 at %s (${how}) is the route's trouble, at stage %s`, async (step, stage) => {
    const { deliver, hop } = await bench({ extensions, on: { [step]: replyAndHangUp('421 4.3.2 closing down') } });
    expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage, code: 421, enhanced: '4.3.2' });
    expect(hop.accepted()).toHaveLength(0);
  });

  test.each([
    ['MAIL', 'mail', '451 4.3.0 no', { kind: 'deferred', cause: 'route', code: 451, enhanced: '4.3.0' }],
    ['RCPT', 'rcpt', '450 4.2.1 busy', { kind: 'deferred', cause: 'recipient', code: 450, enhanced: '4.2.1' }],
    ['DATA', 'data', '451 4.3.0 no', { kind: 'deferred', cause: 'route', code: 451 }],
    ['dot', 'dot', '451 4.7.1 later', { kind: 'deferred', cause: 'content', code: 451, enhanced: '4.7.1' }],
    ['MAIL', 'mail', '550 5.7.1 no', { kind: 'rejected', cause: 'content', code: 550, enhanced: '5.7.1' }],
    ['RCPT', 'rcpt', '550 5.1.1 unknown', { kind: 'rejected', cause: 'recipient', code: 550, response: 'unknown' }],
    ['DATA', 'data', '554 5.7.1 no', { kind: 'rejected', cause: 'content', code: 554 }],
    [
      'dot',
      'dot',
      '554-5.7.1 looks\n554 5.7.1 like spam',
      { kind: 'rejected', cause: 'content', response: 'looks like spam' },
    ],
  ] as const)(`at %s (stage %s, ${how}) "%s" gives %o`, async (step, stage, text, expected) => {
    const { hop, deliver } = await bench({ extensions, on: { [step]: reply(text) } });
    expect(await deliver()).toMatchObject({ ...expected, stage });
    expect(hop.accepted()).toHaveLength(0);
  });
}

test("a 5xx greeting is the route's trouble, not a bounce", async () => {
  const { deliver } = await bench({ on: { connect: reply('554 5.7.1 you are listed') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'greeting', code: 554 });
});

test('RCPT refused by a server that takes DATA all the same sends no content', async () => {
  const { hop, deliver } = await bench({ on: { RCPT: reply('250 ok') } });
  hop.on('RCPT', reply('550 5.1.1 unknown'));
  hop.on('DATA', reply('354 go on'));
  expect(await deliver()).toMatchObject({ kind: 'rejected', cause: 'recipient', stage: 'rcpt' });
  expect(hop.messages).toHaveLength(0);
});

test('what a server says is shown on one line, without control characters, links and excess', async () => {
  const { deliver } = await bench({
    on: {
      dot: reply(`554-5.7.1 \u001b[31mbad link https://example.com/reset?token=abc\n554 5.7.1 ${'x'.repeat(5000)}`),
    },
  });
  const { response } = await deliver();
  expect(response).toMatch(/^bad link https:\/\/example\.com\//);
  expect(response).not.toMatch(/token|abc|\u001b|\n/);
  expect(response.length).toBeLessThanOrEqual(500);
});

// ------------------------------------------------------------- stop and bounds

test('stop closes the kept connections with QUIT and resolves when they are gone', async () => {
  const { hop, transport, deliver } = await bench();
  await deliver();
  expect(hop.openConnections()).toBe(1);
  await transport.stop();
  expect(hop.reached('QUIT')).toBe(1);
  await hop.until(() => hop.openConnections() === 0);
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop.connections()).toBe(1);
});

test('stop drops a connection whose server does not answer QUIT', async () => {
  const { hop, transport, deliver } = await bench({ on: { QUIT: hangUp } });
  await deliver();
  await transport.stop();
  await hop.until(() => hop.openConnections() === 0);
});

test('as many deliveries as the route allows run at the same time, each on its own connection', async () => {
  const { hop, deliver, transport } = await bench({}, { connections: 3 });
  expect(transport.capacity).toBe(3);
  const outcomes = await Promise.all([deliver(), deliver(), deliver()]);
  expect(outcomes.map((outcome) => outcome.kind)).toEqual(['delivered', 'delivered', 'delivered']);
  expect(new Set(hop.messages.map((message) => message.connection)).size).toBe(3);
});
