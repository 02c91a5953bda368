/** Direct delivery: TLS where it is offered, floors that are remembered or demanded, MTA-STS. */
import { expect, test } from 'vitest';
import { RelayError } from '../../src/core/errors.ts';
import { createManualClock } from '../support/clock.ts';
import { hangUp, type NextHop, type NextHopOptions, raw, reply, replyAndHangUp } from '../support/next-hop.ts';
import {
  certificateFor,
  DAY_MS,
  DOMAIN,
  domainsOf,
  hopsOn,
  mxBench,
  type MxBench,
  type MxBenchOptions,
  NOW,
  ONE_HOST,
  policyOf,
  TWO_HOSTS,
} from './mx-fixture.ts';

const MX1 = 'mx1.example.net';
const MX2 = 'mx2.example.net';

/** A hop on 127.0.0.2 with STARTTLS and a certificate for `names`, and a transport that trusts its authority. */
async function secured(
  names: readonly string[] = [MX1],
  over: Partial<MxBenchOptions> = {},
  options: NextHopOptions = {},
): Promise<MxBench & { readonly hop: NextHop }> {
  const [hop] = await hopsOn({ tls: 'starttls', certificate: await certificateFor(...names), ...options });
  if (hop === undefined) throw new Error('no hop');
  return { hop, ...mxBench({ zone: ONE_HOST, port: hop.port, ...over, route: { ca: hop.ca, ...over.route } }) };
}

const seen = (level: 'encrypted' | 'verified', at = NOW): ReturnType<typeof domainsOf> =>
  domainsOf({ [DOMAIN]: { level, at } });
const clock = (): ReturnType<typeof createManualClock> => createManualClock(NOW);

// ------------------------------------------------------------- opportunistic

test('STARTTLS is used where it is offered', async () => {
  const { deliver } = await secured();
  expect(await deliver()).toMatchObject({ kind: 'delivered', tls: { version: 'TLSv1.3' } });
});

test('where nothing demands more, a certificate for another name will do', async () => {
  const { hop, deliver } = await secured(['other.example.org']);
  expect(await deliver()).toMatchObject({ kind: 'delivered', tls: { version: 'TLSv1.3' } });
  expect(hop.connections()).toBe(1);
});

test('where nothing demands TLS, a host without it gets the message in the clear', async () => {
  const [hop] = await hopsOn({});
  expect(await mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 }).deliver()).toMatchObject({
    kind: 'delivered',
    tls: null,
  });
});

test.each([
  ['hangs up after it was accepted', raw('220 go ahead\r\nnonsense')],
  ['is refused', reply('454 4.7.0 TLS not available')],
  ['is answered by silence and FIN', hangUp],
] as const)('when STARTTLS %s, a new connection goes on in the clear, never the same one', async (_what, behaviour) => {
  const [hop] = await hopsOn({ extensions: ['STARTTLS'], on: { STARTTLS: behaviour } });
  const { deliver, logged } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  const outcome = deliver();
  if (behaviour.kind === 'say' && !behaviour.thenHangUp) {
    await hop?.until(() => hop.reached('STARTTLS') === 1);
    hop?.dropAll('hang-up');
  }
  expect(await outcome).toMatchObject({ kind: 'delivered', tls: null });
  expect(hop?.messages.map(({ connection }) => connection)).toEqual([2]);
  expect(logged).toMatchObject([{ event: 'mx.plain', next_hop: `${MX1}[127.0.0.2]:${hop?.port}` }]);
});

test('421 at STARTTLS is the host going away, and no reason to go on in the clear', async () => {
  const { hop, deliver } = await secured([MX1], {}, { on: { STARTTLS: replyAndHangUp('421 4.3.2 busy') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', code: 421 });
  expect(hop.connections()).toBe(1);
});

// ------------------------------------------------------------- what is remembered

test.each([
  ['verified', [MX1]],
  ['encrypted', ['other.example.org']],
] as const)('a session that is %s is remembered for its domain, once a day', async (level, names) => {
  const domains = domainsOf();
  const time = clock();
  const { deliver } = await secured(names, { domains, clock: time });
  await deliver();
  await deliver();
  await time.advance(DAY_MS - 60_000);
  await deliver();
  expect(domains.notes).toEqual([`${DOMAIN} ${level}`]);
  await time.advance(120_000);
  await deliver();
  await time.advance(0);
  expect(domains.notes).toEqual([`${DOMAIN} ${level}`, `${DOMAIN} ${level}`]);
});

test('a level that was noted less than a day ago, by another process or before a restart, is not written again', async () => {
  const domains = seen('verified', NOW - DAY_MS / 2);
  const { deliver, transport } = await secured([MX1], { domains, clock: clock() });
  await deliver();
  await transport.stop();
  expect(domains.notes).toEqual([]);
});

test('a session in the clear leaves no mark', async () => {
  const [hop] = await hopsOn({});
  const domains = domainsOf();
  await mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, domains }).deliver();
  expect(domains.notes).toEqual([]);
});

test('a domain that had TLS gets nothing in the clear: deferred, and it says why', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, domains: seen('encrypted'), clock: clock() });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(outcome.response).toMatch(/does not offer STARTTLS, and example\.net offered TLS within the last 90 days/);
  expect(hop?.reached('MAIL')).toBe(0);
});

test('a domain that had TLS gets nothing in the clear when the handshake fails', async () => {
  const [hop] = await hopsOn({ extensions: ['STARTTLS'], on: { STARTTLS: reply('454 4.7.0 no') } });
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, domains: seen('encrypted'), clock: clock() });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', code: 454 });
  expect(outcome.response).toMatch(/offered TLS within the last 90 days/);
  expect(hop?.connections()).toBe(1);
});

test('after 90 days without TLS a domain gets its mail in the clear again', async () => {
  const [hop] = await hopsOn({});
  const domains = seen('encrypted', NOW - 90 * DAY_MS - 1);
  expect((await mxBench({ zone: ONE_HOST, port: hop?.port ?? 0, domains, clock: clock() }).deliver()).kind).toBe(
    'delivered',
  );
});

test('a domain that was verified gets nothing under a certificate that does not verify', async () => {
  const { hop, deliver } = await secured(['other.example.org'], { domains: seen('verified'), clock: clock() });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(outcome.response).toMatch(/ALTNAME.*offered verified TLS within the last 90 days/);
  expect(hop.reached('MAIL')).toBe(0);
});

test('a host below the floor is left for the next one', async () => {
  const certificate = await certificateFor(MX2);
  const [first, second] = await hopsOn({}, { tls: 'starttls', certificate });
  const { deliver } = mxBench({
    zone: TWO_HOSTS,
    port: first?.port ?? 0,
    route: { ca: certificate.ca },
    domains: seen('verified'),
    clock: clock(),
  });
  expect((await deliver()).nextHop).toBe(`${MX2}[127.0.0.3]:${second?.port}`);
  expect(first?.reached('MAIL')).toBe(0);
});

test('when what is remembered cannot be read, nothing is sent', async () => {
  const domains = domainsOf();
  domains.fail(new RelayError('disk error', { code: 'store-io', op: 'store.tlsLevel' }));
  const { hop, deliver } = await secured([MX1], { domains });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'local' });
  expect(hop.connections()).toBe(0);
});

test('a note that cannot be written does not touch the delivery, and is made up for', async () => {
  const domains = domainsOf();
  const { hop, deliver, logged } = await secured([MX1], { domains });
  hop.on('EHLO', () => {
    domains.fail(new RelayError('disk error', { code: 'store-io', op: 'store.noteTlsLevel' }));
    return null;
  });
  expect((await deliver()).kind).toBe('delivered');
  expect(logged).toMatchObject([{ event: 'mx.tls-memory', domain: DOMAIN }]);
  domains.fail(null);
  await deliver();
  expect(domains.notes).toEqual([`${DOMAIN} verified`]);
});

// ------------------------------------------------------------- demanded

test.each([
  ['the message asks for it', {}, { requireTls: true }, /the message asks for verified TLS/],
  ['the route requires it', { route: { tls: 'required' } }, {}, /the route requires verified TLS/],
  [
    'a policy is enforced',
    { sts: policyOf('enforce', [MX1]) },
    {},
    /the MTA-STS policy of example\.net requires verified TLS/,
  ],
] as const)('when %s, TLS that verifies is used, and nothing less', async (_what, over, request, why) => {
  const good = await secured([MX1], over);
  expect(await good.deliver(request)).toMatchObject({ kind: 'delivered', tls: { version: 'TLSv1.3' } });

  const wrongName = await secured(['other.example.org'], over);
  const refused = await wrongName.deliver(request);
  expect(refused).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(refused.response).toMatch(why);
  expect(wrongName.hop.reached('MAIL')).toBe(0);

  const [plain] = await hopsOn({});
  const stripped = await mxBench({ zone: ONE_HOST, port: plain?.port ?? 0, ...over }).deliver(request);
  expect(stripped).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(stripped.response).toMatch(why);
  expect(plain?.reached('MAIL')).toBe(0);
});

test('a certificate that has expired does not verify', async () => {
  const { makeTestCertificate } = await import('../support/next-hop-certificate.ts');
  const now = Date.now();
  const certificate = await makeTestCertificate({
    names: [MX1],
    notBefore: new Date(now - 10 * DAY_MS),
    notAfter: new Date(now - DAY_MS),
  });
  const { deliver } = await secured([MX1], { sts: policyOf('enforce', [MX1]) }, { certificate });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls' });
  expect(outcome.response).toMatch(/CERT_HAS_EXPIRED/);
});

// ------------------------------------------------------------- MTA-STS

test('an enforced policy keeps hosts out that it does not name', async () => {
  const certificate = await certificateFor(MX1, MX2);
  const [first, second] = await hopsOn({ tls: 'starttls', certificate }, { tls: 'starttls', certificate });
  const zone = TWO_HOSTS;
  const { deliver } = mxBench({
    zone,
    port: first?.port ?? 0,
    route: { ca: certificate.ca },
    sts: policyOf('enforce', [MX2]),
  });
  expect((await deliver()).nextHop).toBe(`${MX2}[127.0.0.3]:${second?.port}`);
  expect(first?.connections()).toBe(0);
});

test('when an enforced policy names none of the hosts, the message waits', async () => {
  const { hop, deliver } = await secured([MX1], { sts: policyOf('enforce', ['other.example.net']) });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls' });
  expect(outcome.response).toBe('the MTA-STS policy of example.net does not allow its mail host mx1.example.net');
  expect(hop.connections()).toBe(0);
});

test.each([
  ['does not name the host', [], [MX1], /does not allow this host/],
  ['names a host whose certificate does not verify', [MX1], ['other.example.org'], /does not verify/],
] as const)(
  'a policy that is being tested and %s stops nothing, and is logged',
  async (_what, allowed, names, reason) => {
    const { deliver, logged } = await secured(names, { sts: policyOf('testing', allowed) });
    expect((await deliver()).kind).toBe('delivered');
    expect(logged).toMatchObject([
      { event: 'mx.sts-testing', domain: DOMAIN, reason: expect.stringMatching(reason) as string },
    ]);
  },
);

test('a policy that is being tested and kept is not logged', async () => {
  const { deliver, logged } = await secured([MX1], { sts: policyOf('testing', [MX1]) });
  await deliver();
  expect(logged).toEqual([]);
});

test('a route without MTA-STS does not ask for policies', async () => {
  const { deliver } = await secured([MX1], { sts: policyOf('enforce', []), route: { mtaSts: false } });
  expect((await deliver()).kind).toBe('delivered');
});

// ------------------------------------------------------------- kept sessions

test('a kept session without TLS is not used for a message that asks for it', async () => {
  const [hop] = await hopsOn({});
  const { deliver } = mxBench({ zone: ONE_HOST, port: hop?.port ?? 0 });
  expect((await deliver()).kind).toBe('delivered');
  expect(await deliver({ requireTls: true })).toMatchObject({ kind: 'deferred', cause: 'tls' });
  expect(hop?.messages).toHaveLength(1);
});

test('a kept session whose certificate does not verify is not used for a message that asks for it', async () => {
  const { hop, deliver } = await secured(['other.example.org']);
  expect((await deliver()).kind).toBe('delivered');
  expect(await deliver({ requireTls: true })).toMatchObject({ kind: 'deferred', cause: 'tls' });
  expect(hop.messages).toHaveLength(1);
});

test('a kept session that verifies is used for a message that asks for it', async () => {
  const { hop, deliver } = await secured([MX1]);
  await deliver();
  expect((await deliver({ requireTls: true })).kind).toBe('delivered');
  expect(hop.connections()).toBe(1);
});
