/** Direct delivery: which hosts are asked, in which order, and when an attempt goes on to the next one. */
import { expect, test } from 'vitest';
import { reply, replyAndHangUp, hangUp, reset, stall } from '../support/next-hop.ts';
import { createManualClock } from '../support/clock.ts';
import { hopsOn, mxBench, NOW, ONE_HOST, TWO_HOSTS, type Zone } from './mx-fixture.ts';

// ------------------------------------------------------------- what DNS says

test('a message goes to the mail host of its domain, and the outcome names host, address and port', async () => {
  const [hop] = await hopsOn({});
  const { deliver, lookup } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  expect(await deliver({ recipient: 'Ann@EXAMPLE.Net' })).toMatchObject({
    kind: 'delivered',
    stage: 'dot',
    nextHop: `mx1.example.net[127.0.0.2]:${hop?.port}`,
    tls: null,
  });
  expect(lookup.asked).toEqual(['mx example.net', 'addresses mx1.example.net']);
  expect(hop?.lines[0]?.line).toBe('EHLO relay.example.com');
});

test.each(['5.1.2', '5.1.10', '5.4.4'])(
  'a domain that takes no mail (%s) is a bounce of the recipient',
  async (enhanced) => {
    const { deliver } = mxBench({ zone: { mx: { kind: 'none', enhanced, text: 'no mail here' } } });
    expect(await deliver()).toMatchObject({
      kind: 'rejected',
      cause: 'recipient',
      stage: 'dns',
      enhanced,
      nextHop: null,
      response: 'no mail here',
    });
  },
);

test('an answer that cannot be had defers', async () => {
  const { deliver } = mxBench({ zone: { mx: { kind: 'failed', text: 'SERVFAIL' } } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'dns', stage: 'dns', response: 'SERVFAIL' });
});

test('addresses that cannot be had now defer', async () => {
  const zone: Zone = {
    mx: [[10, 'mx1.example.net']],
    addresses: { 'mx1.example.net': { kind: 'failed', text: 'timeout' } },
  };
  expect(await mxBench({ zone }).deliver()).toMatchObject({ kind: 'deferred', cause: 'dns', stage: 'dns' });
});

test('hosts without any address are a bounce', async () => {
  const { deliver } = mxBench({ zone: { mx: TWO_HOSTS.mx } });
  expect(await deliver()).toMatchObject({ kind: 'rejected', cause: 'recipient', stage: 'dns', enhanced: '5.4.4' });
});

test('a host without an address does not end it while the addresses of another cannot be had now', async () => {
  const zone: Zone = { mx: TWO_HOSTS.mx, addresses: { 'mx2.example.net': { kind: 'failed', text: 'timeout' } } };
  expect(await mxBench({ zone }).deliver()).toMatchObject({ kind: 'deferred', cause: 'dns' });
});

test('a host whose addresses cannot be had is passed over for the next', async () => {
  const [, hop] = await hopsOn({}, {});
  const zone: Zone = {
    mx: TWO_HOSTS.mx,
    addresses: { 'mx1.example.net': { kind: 'failed', text: 'SERVFAIL' }, 'mx2.example.net': ['127.0.0.3'] },
  };
  expect((await mxBench({ zone, port: hop?.port ?? 0 }).deliver()).kind).toBe('delivered');
});

// ------------------------------------------------------------- special networks

test('a domain whose hosts are all in private networks is a bounce, and nothing is connected to', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, route: { allowPrivate: false } });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'rejected', cause: 'recipient', stage: 'dns', enhanced: '5.4.4' });
  expect(outcome.response).toMatch(/mx1\.example\.net has only addresses in private .*\(127\.0\.0\.2\).*allow_private/);
  expect(hop?.connections()).toBe(0);
});

test('a host in a private network is passed over for one that is not', async () => {
  const [first, second] = await hopsOn({}, {});
  const { deliver } = mxBench({
    zone: TWO_HOSTS,
    port: second?.port ?? 0,
    route: { allowPrivate: false },
    isPrivate: (address) => address === '127.0.0.2',
  });
  expect((await deliver()).kind).toBe('delivered');
  expect(first?.connections()).toBe(0);
});

test('of a host with private and public addresses only the public ones are used', async () => {
  const [first, second] = await hopsOn({}, {});
  const { deliver } = mxBench({
    zone: { mx: ONE_HOST.mx, addresses: { 'mx1.example.net': ['127.0.0.2', '127.0.0.3'] } },
    port: second?.port ?? 0,
    route: { allowPrivate: false },
    isPrivate: (address) => address === '127.0.0.2',
  });
  expect((await deliver()).nextHop).toBe(`mx1.example.net[127.0.0.3]:${second?.port}`);
  expect(first?.connections()).toBe(0);
});

// ------------------------------------------------------------- order

test('hosts are asked in order of preference', async () => {
  const [first, second] = await hopsOn({}, {});
  const zone: Zone = {
    ...TWO_HOSTS,
    mx: [
      [20, 'mx2.example.net'],
      [10, 'mx1.example.net'],
    ],
  };
  await mxBench({ zone, port: first?.port ?? 0 }).deliver();
  expect([first?.messages.length, second?.messages.length]).toEqual([1, 0]);
});

test.each([
  [0, [1, 0]],
  [0.99, [0, 1]],
])('among equals chance decides: at %d the messages are %j', async (chance, expected) => {
  const [first, second] = await hopsOn({}, {});
  const zone: Zone = {
    ...TWO_HOSTS,
    mx: [
      [10, 'mx1.example.net'],
      [10, 'mx2.example.net'],
    ],
  };
  await mxBench({ zone, port: first?.port ?? 0, random: () => chance }).deliver();
  expect([first?.messages.length, second?.messages.length]).toEqual(expected);
});

test('mail that would come back to this relay is returned as a loop', async () => {
  const zone: Zone = {
    mx: [
      [10, 'relay.example.com'],
      [20, 'mx2.example.net'],
    ],
    addresses: TWO_HOSTS.addresses ?? {},
  };
  const outcome = await mxBench({ zone }).deliver();
  expect(outcome).toMatchObject({ kind: 'rejected', cause: 'route', stage: 'dns', enhanced: '5.4.6' });
  expect(outcome.response).toMatch(/loops back/);
});

test('hosts that are preferred to this relay are used, those that are not are not', async () => {
  const [first, second] = await hopsOn({ on: { connect: hangUp } }, {});
  const zone: Zone = {
    ...TWO_HOSTS,
    mx: [
      [10, 'mx1.example.net'],
      [20, 'relay.example.com'],
      [20, 'mx2.example.net'],
    ],
  };
  const { deliver, lookup } = mxBench({ zone, port: first?.port ?? 0 });
  expect((await deliver()).kind).toBe('deferred');
  expect(second?.connections()).toBe(0);
  expect(lookup.asked).not.toContain('addresses relay.example.com');
});

// ------------------------------------------------------------- the next host

test.each([
  ['refuses the connection', 'down', null],
  ['resets at once', 'connect', reset],
  ['hangs up at the greeting', 'connect', hangUp],
  ['greets with 554', 'connect', reply('554 5.7.1 no service')],
  ['greets with 421', 'connect', replyAndHangUp('421 4.3.2 too busy')],
  ['refuses EHLO and HELO', 'EHLO', replyAndHangUp('421 4.3.2 no')],
  ['says 421 at MAIL', 'MAIL', replyAndHangUp('421 4.3.2 no')],
  ['hangs up at RCPT', 'RCPT', hangUp],
  ['says 421 at DATA', 'DATA', replyAndHangUp('421 4.3.2 no')],
  ['has a local error at MAIL', 'MAIL', reply('451 4.3.0 no')],
  ['has no room at RCPT', 'RCPT', reply('452 4.3.1 no storage')],
  ['has an error without a code of its own at RCPT', 'RCPT', reply('450 try elsewhere')],
] as const)(
  'when the first host %s, the second gets the message within the attempt',
  async (_what, step, behaviour) => {
    const [first, second] = await hopsOn({}, {});
    if (step === 'down') await first?.close();
    else first?.on(step, behaviour);
    const outcome = await mxBench({ zone: TWO_HOSTS, port: second?.port ?? 0 }).deliver();
    expect(outcome).toMatchObject({ kind: 'delivered', nextHop: `mx2.example.net[127.0.0.3]:${second?.port}` });
    expect(first?.messages).toHaveLength(0);
    expect(second?.messages).toHaveLength(1);
  },
);

test.each([
  ['MAIL', '550 5.7.1 sender refused', { kind: 'rejected', cause: 'content' }],
  ['RCPT', '550 5.1.1 unknown', { kind: 'rejected', cause: 'recipient' }],
  ['RCPT', '554 5.7.1 Relay access denied', { kind: 'rejected', cause: 'recipient' }],
  ['dot', '554 5.7.1 spam', { kind: 'rejected', cause: 'content' }],
  ['dot', '451 4.3.0 later', { kind: 'deferred', cause: 'content' }],
  ['RCPT', '450 4.2.1 mailbox busy', { kind: 'deferred', cause: 'recipient' }],
  ['RCPT', '452 4.2.2 mailbox full', { kind: 'deferred', cause: 'recipient' }],
  ['RCPT', '450 4.7.1 come back later', { kind: 'deferred', cause: 'recipient' }],
  ['RCPT', '451 Greylisted, try again', { kind: 'deferred', cause: 'recipient' }],
  ['MAIL', '450 4.7.1 too many messages from you', { kind: 'deferred', cause: 'route' }],
] as const)('at %s "%s" is the word of the domain: no other host is asked', async (step, text, expected) => {
  const [first, second] = await hopsOn({ on: { [step]: reply(text) } }, {});
  expect(await mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0 }).deliver()).toMatchObject(expected);
  expect(second?.connections()).toBe(0);
});

test.each([
  ['hangs up', hangUp],
  ['resets', reset],
  ['answers nonsense', reply('what?')],
] as const)(
  'when a host %s after the final dot, no other host gets the message: uncertain',
  async (_what, behaviour) => {
    const [first, second] = await hopsOn({ on: { dot: behaviour } }, {});
    expect(await mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0 }).deliver()).toMatchObject({
      kind: 'uncertain',
      stage: 'dot',
      nextHop: `mx1.example.net[127.0.0.2]:${first?.port}`,
    });
    expect(second?.connections()).toBe(0);
  },
);

test('a temporary refusal is taken to one more host, not to all', async () => {
  const busy = { on: { RCPT: reply('451 4.3.0 trouble') } };
  const [first, second, third] = await hopsOn(busy, busy, {});
  const zone: Zone = {
    mx: [
      [10, 'a.example.net'],
      [20, 'b.example.net'],
      [30, 'c.example.net'],
    ],
    addresses: { 'a.example.net': ['127.0.0.2'], 'b.example.net': ['127.0.0.3'], 'c.example.net': ['127.0.0.4'] },
  };
  const outcome = await mxBench({ zone, port: first?.port ?? 0 }).deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'recipient', code: 451 });
  expect([first, second, third].map((hop) => hop?.connections())).toEqual([1, 1, 0]);
});

test('the addresses of a host are tried in turn', async () => {
  const [first, second] = await hopsOn({ on: { connect: hangUp } }, {});
  const zone: Zone = { mx: ONE_HOST.mx, addresses: { 'mx1.example.net': ['127.0.0.2', '127.0.0.3'] } };
  const outcome = await mxBench({ zone, port: first?.port ?? 0 }).deliver();
  expect(outcome).toMatchObject({ kind: 'delivered', nextHop: `mx1.example.net[127.0.0.3]:${second?.port}` });
});

test('an attempt connects to five addresses and no more', async () => {
  const hops = await hopsOn(...Array(6).fill({ on: { connect: hangUp } }));
  const zone: Zone = {
    mx: ONE_HOST.mx,
    addresses: { 'mx1.example.net': hops.map((hop) => hop.host) },
  };
  expect((await mxBench({ zone, port: hops[0]?.port ?? 0 }).deliver()).kind).toBe('deferred');
  expect(hops.map((hop) => hop.connections())).toEqual([1, 1, 1, 1, 1, 0]);
});

test('an attempt that has searched long enough opens no more connections', async () => {
  const [first, second] = await hopsOn({ on: { connect: stall } }, {});
  const clock = createManualClock(NOW);
  const { deliver } = mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0, clock, timeouts: { greetingMs: 60_000 } });
  const outcome = deliver();
  await first?.until(() => first.reached('connect') === 1);
  await clock.advance(60_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'greeting' });
  expect(second?.connections()).toBe(0);
});

test('critical mail leaves a host that does not greet after 10 s for the next', async () => {
  const [first, second] = await hopsOn({ on: { connect: stall } }, {});
  const clock = createManualClock(NOW);
  const { deliver } = mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0, clock });
  const outcome = deliver({ priority: 'critical' });
  await first?.until(() => first.reached('connect') === 1);
  await clock.advance(10_000);
  expect((await outcome).nextHop).toBe(`mx2.example.net[127.0.0.3]:${second?.port}`);
});

test('a host that could not be connected to is asked last by the next messages, for a minute', async () => {
  const [first, second] = await hopsOn({}, {});
  await first?.close();
  const clock = createManualClock(NOW);
  const { deliver, lookup } = mxBench({ zone: TWO_HOSTS, port: second?.port ?? 0, clock });
  const order = async (): Promise<readonly string[]> => {
    const from = lookup.asked.length;
    await deliver();
    return lookup.asked.slice(from).filter((question) => question.startsWith('addresses'));
  };
  expect(await order()).toEqual(['addresses mx1.example.net', 'addresses mx2.example.net']);
  expect(await order()).toEqual(['addresses mx2.example.net']);
  await clock.advance(60_000);
  expect(await order()).toEqual(['addresses mx1.example.net', 'addresses mx2.example.net']);
});

test('when several hosts failed, the most telling fault is the outcome and the others are told in short', async () => {
  const [first, second] = await hopsOn({ on: { connect: reply('554 5.7.1 you are listed') } }, {});
  await second?.close();
  const outcome = await mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0 }).deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'greeting', code: 554, enhanced: '5.7.1' });
  expect(outcome.response).toMatch(/^you are listed \(2 tried; .*127\.0\.0\.3.*ECONNREFUSED/);
});

test('530 to MAIL from a mail host is about TLS, not a bounce', async () => {
  const [first] = await hopsOn({ on: { MAIL: reply('530 5.7.0 Must issue a STARTTLS command first') } });
  expect(await mxBench({ zone: ONE_HOST, port: first?.port ?? 0 }).deliver()).toMatchObject({
    kind: 'deferred',
    cause: 'tls',
  });
});

// ------------------------------------------------------------- abort

test('an attempt that is aborted before it begins asks nothing', async () => {
  const { deliver, lookup } = mxBench({ zone: ONE_HOST });
  expect(await deliver({}, AbortSignal.abort())).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(lookup.asked).toEqual([]);
});

test.each(['connect', 'EHLO', 'MAIL', 'DATA'] as const)(
  'an abort at %s ends the attempt as local, and no other host is asked',
  async (step) => {
    const [first, second] = await hopsOn({ on: { [step]: stall } }, {});
    const abort = new AbortController();
    const outcome = mxBench({ zone: TWO_HOSTS, port: first?.port ?? 0 }).deliver({}, abort.signal);
    await first?.until(() => first.reached(step) === 1);
    abort.abort();
    expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'local' });
    expect(second?.connections()).toBe(0);
    await first?.until(() => first.openConnections() === 0);
  },
);

test('an abort during a look-up ends the attempt as local', async () => {
  const { transport, lookup } = mxBench({ zone: ONE_HOST });
  const abort = new AbortController();
  Object.assign(lookup, {
    mx: (_domain: string, signal: AbortSignal) =>
      new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
  });
  const { requestFor } = await import('./fixture.ts');
  const outcome = transport.deliver(requestFor(), abort.signal);
  abort.abort();
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'local' });
});
