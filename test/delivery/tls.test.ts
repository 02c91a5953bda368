import tls from 'node:tls';
import { expect, test } from 'vitest';
import type { SmtpRouteConfig } from '../../src/config/types.ts';
import { makeTestCertificate } from '../support/next-hop-certificate.ts';
import { hangUp, type NextHopOptions, raw, reply, stall } from '../support/next-hop.ts';
import { bench, benchFor, hopWith, manualBench, routeTo } from './fixture.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/** A hop with TLS, and a transport that trusts its authority. */
async function trusting(
  tlsMode: 'required' | 'implicit',
  options: NextHopOptions = {},
  over: Partial<SmtpRouteConfig> = {},
): Promise<Awaited<ReturnType<typeof bench>>> {
  const hop = await hopWith({ tls: tlsMode === 'implicit' ? 'implicit' : 'starttls', ...options });
  return { hop, ...benchFor(routeTo(hop.port, { tls: tlsMode, ca: hop.ca, ...over })) };
}

for (const mode of ['required', 'implicit'] as const) {
  test(`tls ${mode}: a message goes over verified TLS, and version and cipher are told`, async () => {
    const { hop, deliver } = await trusting(mode);
    const outcome = await deliver();
    expect(outcome).toMatchObject({ kind: 'delivered', tls: { version: 'TLSv1.3' } });
    expect(outcome.tls?.cipher).toMatch(/^TLS_/);
    expect(Object.keys(outcome.timings).sort()).toEqual(['connect', 'session', 'tls', 'transaction']);
    expect(hop.messages[0]?.tls).toBe('TLSv1.3');
    expect((await deliver()).tls).toEqual(outcome.tls);
  });

  test(`tls ${mode}: the name that is verified is the route's servername when it has one`, async () => {
    const certificate = await makeTestCertificate({ names: ['mail.example.org'] });
    const { deliver } = await trusting(mode, { certificate }, { servername: 'mail.example.org' });
    expect((await deliver()).kind).toBe('delivered');
  });

  test(`tls ${mode}: a certificate for another name defers, and nothing is sent`, async () => {
    const certificate = await makeTestCertificate({ names: ['other.example.org'] });
    const { hop, deliver } = await trusting(mode, { certificate });
    const outcome = await deliver();
    expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls', tls: null });
    expect(outcome.response).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID\) \(set ca or servername of the route\)$/);
    expect(hop.reached('MAIL')).toBe(0);
  });

  test(`tls ${mode}: an expired certificate defers, and nothing is sent`, async () => {
    const now = Date.now();
    const certificate = await makeTestCertificate({
      notBefore: new Date(now - 10 * DAY_MS),
      notAfter: new Date(now - DAY_MS),
    });
    const { hop, deliver } = await trusting(mode, { certificate });
    const outcome = await deliver();
    expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
    expect(outcome.response).toMatch(/CERT_HAS_EXPIRED/);
    expect(hop.reached('MAIL')).toBe(0);
  });

  test(`tls ${mode}: a certificate of an unknown authority defers, and nothing is sent`, async () => {
    const { hop, deliver } = await trusting(mode, {}, { ca: null });
    const outcome = await deliver();
    expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
    expect(outcome.response).toMatch(/certificate.*\(set ca or servername of the route\)$/);
    expect(outcome.response).not.toContain('Node.js');
    expect(hop.reached('MAIL')).toBe(0);
  });

  test(`tls ${mode}: a server that takes nothing newer than TLS 1.1 defers`, async () => {
    const certificate = await makeTestCertificate();
    const old = tls.createServer({
      cert: certificate.cert,
      key: certificate.key,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'ALL@SECLEVEL=0',
    });
    old.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => old.listen(0, '127.0.0.1', resolve));
    const { port } = old.address() as { port: number };
    const { deliver } = benchFor(routeTo(port, { tls: 'implicit', ca: certificate.ca }));
    expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
    await new Promise((resolve) => old.close(resolve));
  });
}

test('STARTTLS that is not offered defers and says so, and nothing is sent in the clear', async () => {
  const { hop, deliver } = await bench({}, { tls: 'required' });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(outcome.response).toMatch(/does not offer STARTTLS/);
  expect(hop.reached('MAIL')).toBe(0);
});

test('STARTTLS that is offered and refused defers', async () => {
  const { hop, deliver } = await trusting('required', { on: { STARTTLS: reply('454 4.7.0 not now') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls', code: 454 });
  expect(hop.reached('MAIL')).toBe(0);
});

test('a server that hangs up at STARTTLS defers', async () => {
  const { deliver } = await trusting('required', { on: { STARTTLS: hangUp } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
});

test('a server that refuses EHLO cannot lead us past STARTTLS', async () => {
  const { hop, deliver } = await trusting('required', { on: { EHLO: reply('502 5.5.1 unknown') } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'route', stage: 'ehlo', code: 502 });
  expect(hop.reached('MAIL')).toBe(0);
});

test('replies put behind the 220 of STARTTLS in the clear are not taken for replies within TLS', async () => {
  const { hop, deliver } = await trusting('required', {
    on: { STARTTLS: raw('220 go ahead\r\n250-evil\r\n250 AUTH PLAIN\r\n') },
  });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(hop.reached('MAIL')).toBe(0);
});

test('what is offered in the clear is forgotten after the handshake', async () => {
  const { hop, deliver } = await trusting('required', {
    on: {
      EHLO: ({ connection: _, hop: h }) =>
        h.reached('EHLO') === 1 ? reply('250-x\n250-STARTTLS\n250 SIZE 1') : reply('250 x'),
    },
  });
  expect((await deliver()).kind).toBe('delivered');
  expect(hop.messages[0]?.mailParameters).toBe('');
});

test('tls none speaks plain even where STARTTLS is offered', async () => {
  const hop = await hopWith({ tls: 'starttls' });
  const { deliver } = benchFor(routeTo(hop.port, { tls: 'none' }));
  expect(await deliver()).toMatchObject({ kind: 'delivered', tls: null });
  expect(hop.reached('STARTTLS')).toBe(0);
});

test('a handshake after STARTTLS that does not come to an end is given up', async () => {
  // The hop says 220, and then its side of the handshake never begins.
  const { hop, clock, deliver } = await manualBench(
    { extensions: ['STARTTLS'], on: { STARTTLS: raw('220 go ahead\r\n') } },
    { tls: 'required' },
  );
  const outcome = deliver();
  await hop.until(() => hop.reached('STARTTLS') === 1);
  const before = hop.octets();
  await hop.until(() => hop.octets() > before);
  await clock.advance(15_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
});

test('an implicit handshake that does not come to an end is given up', async () => {
  const { hop, clock, deliver } = await manualBench({ on: { connect: stall } }, { tls: 'implicit' });
  const outcome = deliver();
  await hop.until(() => hop.octets() > 0);
  await clock.advance(15_000);
  expect(await outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
});
