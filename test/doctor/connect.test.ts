/** The checks that connect, against next hops that misbehave, and listeners that take what they should not. */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Config, SmtpRouteConfig } from '../../src/config/types.ts';
import { systemClock } from '../../src/core/time.ts';
import { checkDirect } from '../../src/doctor/check-direct.ts';
import { checkRelaying } from '../../src/doctor/check-relaying.ts';
import { checkSmarthost } from '../../src/doctor/check-routes.ts';
import { checkConnections } from '../../src/doctor/connect-checks.ts';
import { createAtMost } from '../../src/core/at-most.ts';
import { createDoctorClient } from '../../src/doctor/client.ts';
import { createDoctorDns } from '../../src/doctor/dns.ts';
import type { CheckFinding } from '../../src/doctor/finding.ts';
import { createManualClock } from '../support/clock.ts';
import { testConfig, testMxRoute, testSender, testSmtpRoute } from '../support/config.ts';
import { type DnsZone, startDnsServer } from '../support/dns-server.ts';
import {
  hangUp,
  type NextHop,
  type NextHopOptions,
  raw,
  reply,
  replyAndHangUp,
  startNextHop,
} from '../support/next-hop.ts';
import { freePort } from '../support/postfix.ts';
import { SIGNAL } from './stage.ts';

const AUTH = { username: 'relay', password: 'secret word' };

async function hop(options: NextHopOptions = {}): Promise<NextHop> {
  const started = await startNextHop(options);
  onTestFinished(() => started.close());
  return started;
}

const route = (at: NextHop, over: Partial<SmtpRouteConfig> = {}): SmtpRouteConfig =>
  testSmtpRoute({ host: 'localhost', port: at.port, ca: at.ca === '' ? null : at.ca, auth: AUTH, ...over });

const tryRoute = (given: SmtpRouteConfig): Promise<readonly CheckFinding[]> =>
  checkSmarthost(given, { hostname: 'relay.example.com', clock: systemClock, signal: SIGNAL });

describe('a smarthost', () => {
  test('that takes the login is in order; it hears EHLO, STARTTLS, AUTH and QUIT, and no mail', async () => {
    const server = await hop({ tls: 'starttls', auth: AUTH });
    expect(await tryRoute(route(server))).toMatchObject([
      { level: 'ok', subject: 'provider', message: expect.stringContaining('the login succeeds') },
      { code: 'route.certificate-ends' },
    ]);
    expect(server.lines.map(({ line }) => line.split(' ')[0])).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'AUTH', 'QUIT']);
    await server.until(() => server.openConnections() === 0);
  });

  test('without TLS, where the route says so, is in order', async () => {
    const server = await hop();
    expect(await tryRoute(route(server, { tls: 'none', auth: null }))).toMatchObject([
      { level: 'ok', message: expect.stringContaining('answers without TLS, no login is configured') },
    ]);
  });

  test.each([
    [
      'that refuses the greeting',
      { on: { connect: replyAndHangUp('554 5.7.1 go away') } },
      'route.refused',
      '554 5.7.1 go away',
    ],
    ['that hangs up', { on: { connect: hangUp } }, 'route.refused', 'closed'],
    ['that is no SMTP server', { on: { connect: raw('HTTP/1.1 400 Bad Request\r\n\r\n') } }, 'route.refused', ''],
    [
      'that refuses STARTTLS',
      { tls: 'starttls', on: { STARTTLS: reply('454 4.7.0 not now') } },
      'route.tls',
      '454 4.7.0',
    ],
    ['that offers no AUTH', { tls: 'starttls' }, 'route.auth', 'offers no AUTH'],
    [
      'that cannot check logins now',
      { tls: 'starttls', auth: AUTH, on: { AUTH: reply('454 4.7.0 later') } },
      'route.auth',
      '454',
    ],
  ] as const)('%s is told with what it means', async (_what, options, code, words) => {
    const findings = await tryRoute(route(await hop(options)));
    expect(findings).toMatchObject([{ level: 'error', code, message: expect.stringContaining(words) }]);
    expect(findings[0]?.hint).not.toBe('');
  });

  test('that repeats the password in its refusal does not get it into the finding', async () => {
    const base64 = Buffer.from(`\0${AUTH.username}\0${AUTH.password}`).toString('base64');
    const server = await hop({
      tls: 'starttls',
      auth: AUTH,
      on: { AUTH: reply(`535 5.7.8 not with ${base64} or ${AUTH.password}`) },
    });
    const [finding] = await tryRoute(route(server));
    expect(finding?.message).toContain('[password]');
    expect(JSON.stringify(finding)).not.toContain(AUTH.password);
    expect(JSON.stringify(finding)).not.toContain(base64);
  });

  test('whose name does not exist is told', async () => {
    const findings = await tryRoute(testSmtpRoute({ host: 'no-such-host.invalid', port: 25 }));
    expect(findings).toMatchObject([{ level: 'error', code: 'route.no-address' }]);
  });

  test('of an authority that is not known is told with the setting that names it', async () => {
    const server = await hop({ tls: 'starttls', auth: AUTH });
    expect(await tryRoute(route(server, { ca: null }))).toMatchObject([
      { code: 'route.tls', hint: expect.stringContaining('set ca of the route') },
    ]);
    expect(server.lines.some(({ line }) => line.startsWith('AUTH'))).toBe(false);
  });
});

describe('direct delivery', () => {
  async function direct(zone: DnsZone, port: number, senders = ['example.com']): Promise<readonly CheckFinding[]> {
    const dns = await startDnsServer({ zone });
    onTestFinished(() => dns.close());
    const config = testConfig({ senders: senders.map((domain) => testSender({ domain })) });
    const client = createDoctorClient({ config: () => config, named: [dns.address], clock: systemClock });
    return checkDirect(testMxRoute({ port }), {
      config,
      dns: createDoctorDns(client, createAtMost(5), SIGNAL),
      clock: systemClock,
      signal: SIGNAL,
    });
  }

  const ZONE: DnsZone = { 'example.com': { MX: ['10 mail.example.com'] }, 'mail.example.com': { A: ['127.0.0.1'] } };

  test('that reaches the mail host of an own domain is in order, and sends nothing', async () => {
    const server = await hop({ tls: 'starttls' });
    expect(await direct(ZONE, server.port)).toMatchObject([
      { level: 'ok', message: expect.stringContaining('greets us, over TLSv1.3') },
    ]);
    expect(server.lines.map(({ line }) => line.split(' ')[0])).toEqual(['EHLO', 'STARTTLS', 'EHLO', 'QUIT']);
  });

  test('that is turned away has got out all the same', async () => {
    const server = await hop({ on: { connect: replyAndHangUp('554 5.7.1 no') } });
    expect(await direct(ZONE, server.port)).toMatchObject([
      { level: 'ok', message: expect.stringContaining('554 5.7.1 no') },
    ]);
  });

  test('that gets nowhere is a warning about port 25', async () => {
    expect(await direct(ZONE, await freePort())).toMatchObject([
      { level: 'warning', code: 'route.unreachable', why: expect.stringContaining('block port 25') },
    ]);
  });

  test.each([
    ['has no mail host', {}],
    [
      'is its own mail host',
      { 'example.com': { MX: ['10 relay.example.com'] }, 'relay.example.com': { A: ['127.0.0.1'] } },
    ],
  ])('whose sender domain %s is not tried, which is said', async (_what, zone) => {
    expect(await direct(zone, 1)).toMatchObject([{ level: 'ok', message: expect.stringContaining('was not tried') }]);
  });

  test('of which DNS cannot be asked is not known', async () => {
    expect(await direct({ 'example.com': { MX: 'servfail' } }, 1)).toMatchObject([
      { level: 'warning', code: 'route.unknown', message: expect.stringContaining('SERVFAIL') },
    ]);
  });
});

describe('the open-relay test', () => {
  const configFor = (server: NextHop, over: Partial<Config['smtp']> = {}): Config => {
    const plain = testConfig();
    return {
      ...plain,
      smtp: {
        ...plain.smtp,
        trustedNetworks: [],
        listeners: [{ host: '127.0.0.1', port: server.port, tls: 'none' }],
        ...over,
      },
    };
  };
  const relaying = (config: Config, over: Partial<Parameters<typeof checkRelaying>[0]> = {}) =>
    checkRelaying({ config, clock: systemClock, signal: SIGNAL, ...over });
  const own = { EHLO: reply('250 relay.example.com') };

  test.each([
    ['<victim@relay-test.invalid>', 'victim@relay-test.invalid'],
    ['<victim%relay-test.invalid@relay.example.com>', 'victim%relay-test.invalid@relay.example.com'],
    ['<@relay.example.com:victim@relay-test.invalid>', '@relay.example.com:victim@relay-test.invalid'],
  ])('finds a server that takes only %s', async (shown, taken) => {
    const server = await hop({
      on: { ...own, RCPT: ({ line }) => (line === `RCPT TO:<${taken}>` ? null : reply('550 5.7.1 no')) },
    });
    expect(await relaying(configFor(server))).toMatchObject([
      { level: 'error', code: 'relay.open', message: expect.stringContaining(shown) },
    ]);
    expect(server.reached('DATA')).toBe(0);
  });

  test('finds a server that takes strangers by an empty sender alone', async () => {
    const server = await hop({
      on: { ...own, MAIL: ({ line }) => (line === 'MAIL FROM:<>' ? null : reply('530 5.7.0 no')) },
    });
    expect((await relaying(configFor(server)))[0]?.code).toBe('relay.open');
  });

  test('is content with a server that refuses', async () => {
    const server = await hop({ on: { ...own, MAIL: reply('530 5.7.0 Authentication required') } });
    expect(await relaying(configFor(server))).toMatchObject([
      { level: 'ok', message: expect.stringMatching(/turns strangers away: from 127\.0\.0\.1, 3 forms, MAIL: 530/) },
    ]);
  });

  test('from a trusted address says what it does not prove, and tries nothing', async () => {
    const server = await hop({ on: own });
    expect(await relaying(configFor(server, { trustedNetworks: ['127.0.0.0/8'] }))).toMatchObject([
      { level: 'ok', message: expect.stringContaining('was not shown: 127.0.0.1 is in smtp.trusted_networks') },
    ]);
    expect(server.reached('MAIL')).toBe(0);
  });

  test('stands at an address of this machine that is not trusted, where there is one', async () => {
    const server = await hop({ host: '0.0.0.0', on: { ...own, MAIL: reply('530 5.7.0 no') } });
    const config = configFor(server, {
      trustedNetworks: ['127.0.0.1/32', '127.0.0.2/32'],
      listeners: [{ host: '0.0.0.0', port: server.port, tls: 'none' }],
    });
    const [finding] = await relaying(config, { ownAddresses: ['127.0.0.2', '127.0.0.3'] });
    expect(finding?.message).toContain('from 127.0.0.3');
  });

  test('finds AUTH that is offered before TLS to another machine', async () => {
    const server = await hop({ auth: AUTH, on: { EHLO: reply('250-relay.example.com\n250 AUTH PLAIN') } });
    const findings = await relaying(configFor(server), { isInner: () => false });
    expect(findings.map(({ code }) => code)).toEqual(['relay.auth-clear', 'relay.ok']);
  });

  test('goes on after STARTTLS where the listener wants it', async () => {
    const server = await hop({ tls: 'starttls' });
    const config = configFor(server, {
      listeners: [{ host: '127.0.0.1', port: server.port, tls: 'starttls-required' }],
    });
    const findings = await relaying(config);
    expect(findings.map(({ code }) => code)).toEqual(['relay.other-server', 'relay.open']);
    expect(server.lines.map(({ line }) => line.split(' ')[0]).slice(0, 4)).toEqual([
      'EHLO',
      'STARTTLS',
      'EHLO',
      'MAIL',
    ]);
  });

  test.each([
    ['greets with a refusal', { connect: replyAndHangUp('554 5.3.2 closed') }],
    ['is no SMTP server', { connect: raw('SSH-2.0-OpenSSH\r\n') }],
    ['hangs up', { connect: hangUp }],
    ['hangs up at EHLO', { EHLO: hangUp }],
    ['says no end of things', { connect: raw(`220-${'x'.repeat(200_000)}`) }],
  ])('of something that %s says that it was not tested', async (_what, on) => {
    const server = await hop({ on });
    expect(await relaying(configFor(server))).toMatchObject([
      { level: 'ok', message: expect.stringContaining('was not tested') },
    ]);
  });
});

describe('all of them', () => {
  test('end within their time when nobody answers', async () => {
    const server = await hop({ on: { connect: { kind: 'stall' } } });
    const clock = createManualClock(0);
    const config = testConfig({
      smtp: { ...testConfig().smtp, listeners: [{ host: '127.0.0.1', port: server.port, tls: 'none' }] },
      routes: new Map([['provider', route(server)]]),
      rules: [{ name: 'default', when: {}, action: { kind: 'via', routes: ['provider'] } }],
    });
    const report = checkConnections({
      config,
      client: { ask: () => new Promise(() => {}) },
      clock,
      signal: SIGNAL,
      timeFrom: null,
    });
    await server.until(() => server.reached('connect') === 2);
    await clock.advance(45_000);
    const { routes, listeners } = await report;
    expect(routes).toMatchObject([{ code: 'route.refused' }]);
    expect(listeners).toMatchObject([{ level: 'ok', message: expect.stringContaining('was not tested') }]);
  });
});
