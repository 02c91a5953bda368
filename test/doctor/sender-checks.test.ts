/** What the DNS checks find, fault by fault, in a zone where everything else is in order. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/core/time.ts';
import { createDoctorClient } from '../../src/doctor/client.ts';
import { createSenderChecks } from '../../src/doctor/sender-checks.ts';
import { createManualClock } from '../support/clock.ts';
import { testMxRoute, testSmtpRoute } from '../support/config.ts';
import type { DnsRecordType, DnsZone, DnsZoneAnswer } from '../support/dns-server.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { configOf, GOOD_SENDER, goodZone, keyFile, keyRecord, SIGNAL, stage } from './stage.ts';

type Change = readonly [name: string, type: DnsRecordType, answer: DnsZoneAnswer | null];

/** The good zone with records replaced, or taken out. */
async function zoneWith(...changes: readonly Change[]): Promise<DnsZone> {
  const zone: Record<string, Record<string, DnsZoneAnswer>> = {};
  for (const [name, types] of Object.entries(await goodZone())) zone[name] = { ...types };
  for (const [name, type, answer] of changes) {
    const types = (zone[name] ??= {});
    if (answer === null) delete types[type];
    else types[type] = answer;
    if (Object.keys(types).length === 0) delete zone[name];
  }
  return zone;
}

const codes = (findings: readonly { readonly code: string }[]): readonly string[] => findings.map(({ code }) => code);

describe('DNS in which all is as it should be', () => {
  test('has no finding but good ones', async () => {
    const { findings } = await stage(await goodZone());
    expect(await findings()).toEqual([]);
    expect(new Set(codes(await findings(true)))).toEqual(
      new Set(['spf.ok', 'dkim.ok', 'dmarc.ok', 'mx.ok', 'mta-sts.ok', 'helo.ok', 'ptr.ok']),
    );
  });
});

describe('SPF', () => {
  const spf = async (text: readonly string[] | null, ...more: readonly Change[]) =>
    (await stage(await zoneWith(['bounces.example.com', 'TXT', text], ...more))).findings();

  test('that is missing is told with the record to publish', async () => {
    expect(await spf(null)).toMatchObject([
      {
        level: 'error',
        code: 'spf.missing',
        record: { name: 'bounces.example.com', value: 'v=spf1 ip4:192.0.2.7 -all' },
      },
    ]);
  });

  test('in two records is told with the one that unites them', async () => {
    expect(await spf(['v=spf1 ip4:192.0.2.7 -all', 'v=spf1 include:_spf.example.net ~all'])).toMatchObject([
      { code: 'spf.several', record: { value: 'v=spf1 ip4:192.0.2.7 include:_spf.example.net ~all' } },
    ]);
  });

  test('beside other texts is one record', async () => {
    expect(await spf(['verification=1', 'v=spf1 ip4:192.0.2.7 -all'])).toEqual([]);
  });

  test('that cannot be read is told with what is wrong', async () => {
    const [finding] = await spf(['v=spf1 ip4:192.0.2.777 -all']);
    expect(finding).toMatchObject({ level: 'error', code: 'spf.syntax' });
    expect(finding?.message).toContain('"ip4:192.0.2.777" has no IPv4 address');
  });

  test('with more than 10 look-ups is told with what they cost', async () => {
    const inner = Array.from(
      { length: 4 },
      (_, i): Change => [`i${i}.example.net`, 'TXT', ['v=spf1 a:h.example.net mx:h.example.net -all']],
    );
    const text = `v=spf1 ip4:192.0.2.7 ${inner.map(([name]) => `include:${name}`).join(' ')} -all`;
    const hosts: Change[] = [
      ['h.example.net', 'A', ['192.0.2.99']],
      ['h.example.net', 'MX', ['10 h.example.net']],
    ];
    const [finding, ...others] = await spf([text], ...inner, ...hosts);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ level: 'error', code: 'spf.lookups' });
    expect(finding?.message).toContain('needs 12 DNS look-ups');
    expect(finding?.hint).toContain('include:i0.example.net 3');
  });

  test('that does not cover the own address is told with the record that does', async () => {
    expect(await spf(['v=spf1 ip4:198.51.100.0/24 -all'])).toMatchObject([
      { level: 'error', code: 'spf.cover', record: { value: 'v=spf1 ip4:198.51.100.0/24 ip4:192.0.2.7 -all' } },
    ]);
    expect(await spf(['v=spf1 ip4:198.51.100.0/24 ~all'])).toMatchObject([{ level: 'warning', code: 'spf.cover' }]);
  });

  test.each([
    ['a network', 'v=spf1 ip4:192.0.2.0/24 -all'],
    ['the address of a host', 'v=spf1 a:relay.example.com -all'],
    ['its own mail hosts', 'v=spf1 mx -all'],
    ['an include', 'v=spf1 include:inner.example.net -all'],
    ['a redirect', 'v=spf1 redirect=inner.example.net'],
  ])('covers the own address by %s', async (_how, text) => {
    expect(await spf([text], ['inner.example.net', 'TXT', ['v=spf1 ip4:192.0.2.7 -all']])).toEqual([]);
  });

  test('that includes a domain without SPF is told', async () => {
    expect(codes(await spf(['v=spf1 ip4:192.0.2.7 include:gone.example.net -all']))).toEqual(['spf.include']);
  });

  test('that includes itself is told', async () => {
    expect(codes(await spf(['v=spf1 ip4:192.0.2.7 include:bounces.example.com -all']))).toEqual(['spf.include']);
  });

  test.each([
    ['v=spf1 ip4:192.0.2.7 +all', 'spf.open', 'v=spf1 ip4:192.0.2.7 -all'],
    ['v=spf1 ip4:192.0.2.7 ?all', 'spf.end', 'v=spf1 ip4:192.0.2.7 -all'],
    ['v=spf1 ip4:192.0.2.7', 'spf.end', 'v=spf1 ip4:192.0.2.7 -all'],
  ])('%s: %s', async (text, code, mended) => {
    expect(await spf([text])).toMatchObject([{ code, record: { value: mended } }]);
  });

  test('with a macro does not pretend to know', async () => {
    const { findings } = await stage(
      await zoneWith(['bounces.example.com', 'TXT', ['v=spf1 exists:%{i}.list.example.net -all']]),
    );
    const about = (await findings(true)).filter((finding) => finding.about === 'spf');
    expect(about.map(({ level }) => level)).toEqual(['ok']);
    expect(about[0]?.message).toContain('cannot be known here: whether');
  });

  test('of a route over Google needs its include', async () => {
    const routes = [testSmtpRoute({ name: 'google', host: 'smtp-relay.gmail.com' })];
    const { findings } = await stage(await goodZone(), { routes });
    expect(await findings()).toMatchObject([
      {
        code: 'spf.include-missing',
        record: { value: 'v=spf1 ip4:192.0.2.7 include:_spf.google.com -all' },
      },
    ]);
  });

  test('of a provider with a return path of its own needs nothing, which is said', async () => {
    const routes = [testSmtpRoute({ name: 'ses', host: 'email-smtp.eu-west-1.amazonaws.com' })];
    const { findings } = await stage(await goodZone(), { routes });
    expect(await findings()).toEqual([]);
    expect((await findings(true)).some(({ message }) => message.includes('include:amazonses.com'))).toBe(true);
  });

  test('of a smarthost that is not known says that it cannot be known', async () => {
    const { findings } = await stage(await goodZone(), { routes: [testSmtpRoute()] });
    expect(await findings()).toEqual([]);
    expect(
      (await findings(true)).some(({ message }) => message.startsWith('cannot be known here: which addresses')),
    ).toBe(true);
  });

  test('that is missing has a place for the address that cannot be known', async () => {
    const zone = await zoneWith(['relay.example.com', 'A', null], ['bounces.example.com', 'TXT', null]);
    expect((await (await stage(zone)).findings())[0]).toMatchObject({
      code: 'spf.missing',
      record: { value: 'v=spf1 ip4:PUBLIC-ADDRESS-OF-THIS-RELAY -all' },
    });
  });

  test('is looked for at the From domain where there is no return path', async () => {
    const { findings } = await stage(await goodZone(), { sender: { returnPath: null } });
    expect(await findings()).toMatchObject([{ code: 'spf.missing', subject: 'example.com' }]);
  });
});

describe('DKIM', () => {
  const NAME = 'lp1._domainkey.example.com';
  const dkim = async (answer: DnsZoneAnswer | null, ...more: readonly Change[]) =>
    (await stage(await zoneWith([NAME, 'TXT', answer], ...more))).findings();
  const good = (): Promise<string> => keyRecord('lp1', 'example.com', 'lp1');

  test('without a record is told with the record to publish', async () => {
    expect(await dkim(null)).toMatchObject([
      { level: 'error', code: 'dkim.missing', record: { name: NAME, type: 'TXT', value: await good() } },
    ]);
  });

  test('with the record of another key is told with the record to publish', async () => {
    expect(await dkim([await keyRecord('other', 'example.com', 'lp1')])).toMatchObject([
      { level: 'error', code: 'dkim.mismatch', record: { value: await good() } },
    ]);
  });

  test.each([
    ['v=DKIM1; k=ed25519; p=', 'dkim.revoked'],
    ['v=DKIM1; k=rsa; p=AAAA', 'dkim.type'],
    ['v=DKIM1; k=ed25519; p=AAAA', 'dkim.broken'],
    ['v=spf1 -all', 'dkim.foreign'],
  ])('%s: %s', async (text, code) => {
    expect(await dkim([text])).toMatchObject([{ level: 'error', code, record: { value: await good() } }]);
  });

  test('in test mode is a warning', async () => {
    expect(await dkim([`${await good()}; t=y`])).toMatchObject([{ level: 'warning', code: 'dkim.test' }]);
  });

  test('with two key records is told', async () => {
    expect(codes(await dkim([await good(), await keyRecord('other', 'example.com', 'lp1')]))).toEqual(['dkim.several']);
  });

  test('with its key in several strings of one record is in order', async () => {
    const value = await keyRecord('rsa', 'example.com', 'lp1');
    const sender = { dkim: [{ selector: 'lp1', key: 'rsa' }] };
    const parts = { records: [[value.slice(0, 255), value.slice(255)]] };
    expect(await (await stage(await zoneWith([NAME, 'TXT', parts]), { sender })).findings()).toEqual([]);
  });

  test('with its key torn into several records is told as that', async () => {
    const value = await keyRecord('rsa', 'example.com', 'lp1');
    const sender = { dkim: [{ selector: 'lp1', key: 'rsa' }] };
    const zone = await zoneWith([NAME, 'TXT', [value.slice(0, 255), value.slice(255)]]);
    expect(await (await stage(zone, { sender })).findings()).toMatchObject([{ code: 'dkim.torn', record: { value } }]);
  });

  test('by way of an alias is in order', async () => {
    expect(
      await dkim(null, [NAME, 'CNAME', ['lp1.keys.example.net']], ['lp1.keys.example.net', 'TXT', [await good()]]),
    ).toEqual([]);
  });

  test('by way of an alias that leads nowhere says so', async () => {
    const [finding] = await dkim(null, [NAME, 'CNAME', ['gone.example.net']]);
    expect(finding?.message).toContain('is an alias (CNAME) of gone.example.net');
  });
});

describe('DMARC', () => {
  const dmarc = async (text: readonly string[] | null, ...more: readonly Change[]) =>
    (await stage(await zoneWith(['_dmarc.example.com', 'TXT', text], ...more))).findings();

  test('that is missing is told with the record to publish', async () => {
    expect(await dmarc(null)).toMatchObject([
      {
        level: 'error',
        code: 'dmarc.missing',
        record: { name: '_dmarc.example.com', value: 'v=DMARC1; p=none; rua=mailto:dmarc@example.com' },
      },
    ]);
  });

  test('that only watches is a warning with the next step', async () => {
    expect(await dmarc(['v=DMARC1; p=none; rua=mailto:dmarc@example.com'])).toMatchObject([
      {
        level: 'warning',
        code: 'dmarc.policy-none',
        record: { value: 'v=DMARC1; p=quarantine; rua=mailto:dmarc@example.com' },
      },
    ]);
  });

  test.each([
    [['v=DMARC1; p=reject', 'v=DMARC1; p=none'], 'dmarc.several'],
    [['v=DMARC1; p=rejct; rua=mailto:d@example.com'], 'dmarc.syntax'],
    [['v=DMARC1; p=reject'], 'dmarc.no-reports'],
    [['v=DMARC1; p=reject; pct=10; rua=mailto:d@example.com'], 'dmarc.percent'],
    [['v=DMARC1; p=reject; aspf=s; rua=mailto:d@example.com'], 'dmarc.alignment'],
    [['v=DMARC1; p=reject; rua=mailto:d@reports.example.net'], 'dmarc.report-permission'],
  ])('%s: %s', async (texts, code) => {
    expect(codes(await dmarc(texts))).toEqual([code]);
  });

  test('that only watches, and asks for no reports, wants those first', async () => {
    expect(await dmarc(['v=DMARC1; p=none'])).toMatchObject([
      { code: 'dmarc.policy-none', record: null },
      { code: 'dmarc.no-reports', record: { value: 'v=DMARC1; p=none; rua=mailto:dmarc@example.com' } },
    ]);
  });

  test('of the domain above holds for a subdomain, with its sp', async () => {
    const zone = await zoneWith(
      ['_dmarc.example.com', 'TXT', ['v=DMARC1; p=reject; sp=none; rua=mailto:d@example.com']],
      ['mail.example.com', 'TXT', ['v=spf1 ip4:192.0.2.7 -all']],
      ['lp1._domainkey.mail.example.com', 'TXT', [await keyRecord('lp1', 'mail.example.com', 'lp1')]],
    );
    const { findings } = await stage(zone, { sender: { domain: 'mail.example.com' } });
    expect(await findings()).toMatchObject([
      { code: 'dmarc.policy-none', record: { value: expect.stringContaining('sp=quarantine') } },
    ]);
  });

  test('with a return path of another domain is a warning, without a signature an error', async () => {
    const zone = await zoneWith(
      ['bounces.example.net', 'TXT', ['v=spf1 ip4:192.0.2.7 -all']],
      ['bounces.example.net', 'MX', ['10 relay.example.com']],
    );
    const signed = await stage(zone, { sender: { returnPath: 'bounces.example.net' } });
    expect(await signed.findings()).toMatchObject([{ level: 'warning', code: 'dmarc.alignment' }]);
    const unsigned = await stage(zone, { sender: { returnPath: 'bounces.example.net', dkim: [] } });
    expect(await unsigned.findings()).toMatchObject([
      { code: 'dkim.unsigned' },
      { level: 'error', code: 'dmarc.alignment' },
    ]);
  });
});

describe('the return path', () => {
  const mx = async (...changes: readonly Change[]) => (await stage(await zoneWith(...changes))).findings();

  test.each([
    ['without MX', null, 'mx.missing'],
    ['whose MX is elsewhere', ['10 mx.example.net'], 'mx.elsewhere'],
    ['that takes no mail', ['0 .'], 'mx.elsewhere'],
  ])('%s is told with the record to publish', async (_what, answer, code) => {
    expect(await mx(['bounces.example.com', 'MX', answer])).toMatchObject([
      { level: 'error', code, record: { zone: 'bounces.example.com. IN MX 10 relay.example.com.' } },
    ]);
  });

  test('whose mail host is another name of this machine is in order', async () => {
    expect(
      await mx(['bounces.example.com', 'MX', ['10 in.example.com']], ['in.example.com', 'A', ['192.0.2.7']]),
    ).toEqual([]);
  });

  test('that no listener on port 25 serves is told', async () => {
    const { findings } = await stage(await goodZone(), {
      change: (config) => ({
        ...config,
        bounces: { ...config.bounces, listeners: [{ host: '0.0.0.0', port: 2526, tls: 'starttls' }] },
      }),
    });
    expect(codes(await findings())).toEqual(['mx.listener']);
  });

  test('with an MTA-STS record that cannot be read is told', async () => {
    expect(codes(await mx(['_mta-sts.bounces.example.com', 'TXT', ['v=STSv1; id=not good']]))).toEqual([
      'mta-sts.record',
    ]);
  });

  test('with an MTA-STS record and no policy is told', async () => {
    expect(codes(await mx(['_mta-sts.bounces.example.com', 'TXT', ['v=STSv1; id=1']]))).toEqual(['mta-sts.policy']);
  });
});

describe('the relay itself', () => {
  test.each([
    ['without a PTR record', ['7.2.0.192.in-addr.arpa', 'PTR', null], 'ptr.missing', 'error'],
    [
      'whose PTR names a host elsewhere',
      ['7.2.0.192.in-addr.arpa', 'PTR', ['mail.example.com']],
      'ptr.mismatch',
      'error',
    ],
  ] as const)('%s is told with the record', async (_what, change, code, level) => {
    expect(await (await stage(await zoneWith(change))).findings()).toMatchObject([
      { code, level, record: { name: '7.2.0.192.in-addr.arpa', type: 'PTR', value: 'relay.example.com' } },
    ]);
  });

  test('with another name that leads back is a warning', async () => {
    const zone = await zoneWith(
      ['7.2.0.192.in-addr.arpa', 'PTR', ['host7.example.net']],
      ['host7.example.net', 'A', ['192.0.2.7']],
    );
    expect(await (await stage(zone)).findings()).toMatchObject([{ level: 'warning', code: 'ptr.other-name' }]);
  });

  test('sends from the addresses that source_ip names', async () => {
    const routes = [testMxRoute({ sourceIps: ['192.0.2.8'] })];
    expect(codes(await (await stage(await goodZone(), { routes })).findings())).toEqual(['spf.cover', 'ptr.missing']);
  });

  test('whose name in EHLO has no address is told', async () => {
    const routes = [testMxRoute({ sourceIps: ['192.0.2.7'], ehlo: 'gone.example.com' })];
    expect(codes(await (await stage(await goodZone(), { routes })).findings())).toEqual([
      'helo.no-address',
      'ptr.other-name',
    ]);
  });

  test('whose name is not a full one is told', async () => {
    const { findings } = await stage(await goodZone(), {
      routes: [testMxRoute({ sourceIps: ['192.0.2.7'], ehlo: 'relay.internal' })],
    });
    expect(codes(await findings())).toContain('helo.not-full');
  });

  test('with dane: true wants a server that validates', async () => {
    const routes = [testMxRoute({ dane: true })];
    const zone = { ...(await goodZone()), org: {}, com: {} };
    expect(codes(await (await stage(zone, { routes })).findings())).toEqual(['dane.not-validating']);
    expect(await (await stage(zone, { routes, authentic: true })).findings()).toEqual([]);
  });
});

describe('what cannot be asked', () => {
  test.each([
    ['bounces.example.com', 'TXT', 'spf.unknown'],
    ['lp1._domainkey.example.com', 'TXT', 'dkim.unknown'],
    ['_dmarc.example.com', 'TXT', 'dmarc.unknown'],
    ['bounces.example.com', 'MX', 'mx.unknown'],
    ['7.2.0.192.in-addr.arpa', 'PTR', 'ptr.unknown'],
  ] as const)('%s %s is told as that, not as missing', async (name, type, code) => {
    const found = await (await stage(await zoneWith([name, type, 'servfail']))).findings();
    expect(found).toMatchObject([{ level: 'warning', code, record: null }]);
    expect(found[0]?.message).toMatch(/^could not be asked: .*SERVFAIL/);
  });

  test.each([
    ['lacks something', 'servfail', 15_000],
    ['has a fault', ['v=DMARC1; p=none'], 30_000],
    ['is all well', ['v=DMARC1; p=reject; rua=mailto:d@example.com'], 300_000],
  ] as const)('is asked again when a report that %s is old enough', async (_what, answer, keptMs) => {
    const dns = await startDnsServer({ zone: await zoneWith(['_dmarc.example.com', 'TXT', answer]) });
    onTestFinished(() => dns.close());
    const clock = createManualClock(0);
    const config = configOf(GOOD_SENDER, [testMxRoute()]);
    const client = createDoctorClient({ config: () => config, named: [dns.address], clock: systemClock });
    const checks = createSenderChecks({ config: () => config, client, clock, readKey: keyFile });
    const asked = async (): Promise<number> => {
      await checks.check(GOOD_SENDER, SIGNAL);
      return dns.count('bounces.example.com', 'TXT');
    };
    expect(await asked()).toBe(1);
    await clock.advance(keptMs - 1);
    expect(await asked()).toBe(1);
    await clock.advance(1);
    expect(await asked()).toBe(2);
  });
});

describe('reports', () => {
  test('about a sender that a sandbox captures ask DNS nothing', async () => {
    const { dns, checks } = await stage({}, { routes: [{ name: 'sandbox', type: 'sandbox' }] });
    expect(await checks.checkAll(SIGNAL)).toMatchObject([{ level: 'ok', findings: [{ code: 'dns.not-asked' }] }]);
    expect(dns.queries).toEqual([]);
  });

  test('about a sender that a sandbox captures say so, and warn at most, when they look ahead', async () => {
    const { checks } = await stage({}, { routes: [{ name: 'sandbox', type: 'sandbox' }], captured: 'ask' });
    const [report] = await checks.checkAll(SIGNAL);
    expect(report?.level).toBe('warning');
    expect(report?.findings[0]).toMatchObject({ level: 'ok', code: 'dns.ok' });
    expect(report?.findings[0]?.message).toContain('does not leave this machine');
    expect(codes(report?.findings ?? [])).toContain('dkim.missing');
  });

  test('about a sender that one route lets out and a sandbox captures too are as strict as without it', async () => {
    const routes = [testMxRoute(), { name: 'sandbox', type: 'sandbox' } as const];
    const { checks } = await stage({}, { routes, captured: 'ask' });
    const [report] = await checks.checkAll(SIGNAL);
    expect(report?.level).toBe('error');
    expect(codes(report?.findings ?? [])).not.toContain('dns.ok');
  });

  test('are made once for all who ask at the same time, and anew for another config', async () => {
    const dns = await startDnsServer({ zone: await goodZone() });
    let config = configOf(GOOD_SENDER, [testMxRoute()]);
    const client = createDoctorClient({ config: () => config, named: [dns.address], clock: systemClock });
    const checks = createSenderChecks({
      config: () => config,
      client,
      clock: systemClock,
      readKey: keyFile,
    });
    const [one, two] = await Promise.all([checks.checkAll(SIGNAL), checks.checkAll(SIGNAL)]);
    expect(one[0]).toBe(two[0]);
    expect(one[0]).toMatchObject({ domain: 'example.com', level: 'ok' });
    config = { ...config };
    expect((await checks.checkAll(SIGNAL))[0]).not.toBe(one[0]);
    await dns.close();
  });

  test('with the host have its findings where mail goes out directly, and only there', async () => {
    const zone = await zoneWith(['7.2.0.192.in-addr.arpa', 'PTR', null]);
    const direct = await stage(zone);
    expect(await direct.checks.checkWithHost(GOOD_SENDER, SIGNAL)).toMatchObject({ level: 'error' });
    expect(codes((await direct.checks.checkWithHost(GOOD_SENDER, SIGNAL)).findings)).toContain('ptr.missing');
    const { checks } = await stage(zone, { routes: [testSmtpRoute()] });
    expect(codes((await checks.checkWithHost(GOOD_SENDER, SIGNAL)).findings)).not.toContain('ptr.missing');
  });

  test('leave whoever does not want to wait any more', async () => {
    const { checks } = await stage(await zoneWith(['_dmarc.example.com', 'TXT', 'timeout']));
    const end = new AbortController();
    const report = checks.check(GOOD_SENDER, end.signal);
    end.abort(new Error('enough'));
    await expect(report).rejects.toThrow('enough');
  });

  test('end in time when no DNS server answers, and say of everything that it could not be asked', async () => {
    const clock = createManualClock(0);
    const config = configOf(GOOD_SENDER, [testMxRoute()]);
    const checks = createSenderChecks({
      config: () => config,
      client: {
        ask: (_name, _type, signal) =>
          new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
      },
      clock,
      readKey: keyFile,
    });
    const report = checks.check(GOOD_SENDER, SIGNAL);
    await clock.advance(25_000);
    const { findings } = await report;
    expect(findings.filter(({ level }) => level !== 'ok').every(({ code }) => code.endsWith('.unknown'))).toBe(true);
    expect(findings.filter(({ level }) => level === 'error')).toEqual([]);
  });
});
