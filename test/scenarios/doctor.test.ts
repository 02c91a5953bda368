/**
 * `check --dns --connect` as a user runs it, in a world of its own: a DNS zone, mail hosts, files. Once where all is as it
 * should be, once where more than a dozen faults are planted: each must be found, with what mends it.
 */
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dnsRecord, generateDkimKey } from '../../src/signing/generate.ts';
import { type DnsZone, startDnsServer, type TestDnsServer } from '../support/dns-server.ts';
import { makeTestCertificate, type TestCertificate } from '../support/next-hop-certificate.ts';
import { type NextHop, type NextHopOptions, startNextHop } from '../support/next-hop.ts';
import { freePort } from '../support/postfix.ts';
import { createRelayHome, type RelayHome } from '../support/relay.ts';

const DAY_MS = 86_400_000;
const PASSWORD = 'correct horse battery staple';
const HASH =
  'scrypt:16384:8:1:AAAAAAAAAAAAAAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA==';

interface Finding {
  readonly level: string;
  readonly code: string;
  readonly subject: string;
  readonly message: string;
  readonly why: string;
  readonly hint: string;
  readonly record: { readonly zone: string } | null;
}

interface Ran {
  readonly code: number;
  readonly findings: readonly Finding[];
  readonly output: string;
}

/** A world: folder, DNS server, servers. */
interface World {
  readonly home: RelayHome;
  readonly dns: TestDnsServer;
  readonly hops: readonly NextHop[];
  hop(options: NextHopOptions): Promise<NextHop>;
  /** Writes a file into the world's folder and returns its path. */
  file(name: string, text: string): Promise<string>;
  /** Makes the key `name` and returns its TXT value for `selector` of `domain`. */
  key(name: string, domain: string): Promise<string>;
  check(...more: readonly string[]): Promise<Ran>;
  end(): Promise<void>;
}

async function createWorld(): Promise<World> {
  const home = await createRelayHome();
  const dns = await startDnsServer({ zone: {} });
  const hops: NextHop[] = [];
  await mkdir(path.join(home.dir, 'data'), { mode: 0o700 });
  const file = async (name: string, text: string): Promise<string> => {
    const place = path.join(home.dir, name);
    await writeFile(place, text, { mode: 0o600 });
    return place;
  };
  return {
    home,
    dns,
    hops,
    file,
    async hop(options) {
      const started = await startNextHop(options);
      hops.push(started);
      return started;
    },
    async key(name, domain) {
      const { privatePem } = await generateDkimKey({ algorithm: 'ed25519' });
      await file(name, privatePem);
      return dnsRecord(privatePem, domain, 'lp1').value;
    },
    async check(...more) {
      const { code, stdout, stderr } = await home.cli([
        'check',
        '--dns',
        '--connect',
        '--resolver',
        dns.address,
        ...more,
      ]);
      expect(stderr).toBe('');
      const findings = stdout
        .split('\n')
        .filter((line) => line !== '')
        .map((line): Finding => JSON.parse(line));
      return { code, findings, output: stdout };
    },
    async end() {
      await Promise.all([dns.close(), ...hops.map((hop) => hop.close())]);
      await home.remove();
    },
  };
}

function publish(dns: TestDnsServer, zone: DnsZone): void {
  for (const [name, types] of Object.entries(zone)) {
    for (const [type, answer] of Object.entries(types)) dns.set(name, type as 'TXT', answer ?? null);
  }
}

const certificateFor = (name: string, days: number): Promise<TestCertificate> =>
  makeTestCertificate({
    names: [name],
    notBefore: new Date(Date.now() - 100 * DAY_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
  });

/** What every world has: the relay's own names, and a From domain whose mail host is `mailHost`. */
function commonZone(mailHost: string): DnsZone {
  return {
    'relay.example.com': { A: ['127.0.0.7'] },
    '7.0.0.127.in-addr.arpa': { PTR: ['relay.example.com'] },
    'example.com': { MX: ['10 mail.example.com'] },
    'mail.example.com': { A: [mailHost] },
    'bounces.example.com': { MX: ['10 relay.example.com'], TXT: ['v=spf1 ip4:127.0.0.7 -all'] },
    '_dmarc.example.com': { TXT: ['v=DMARC1; p=reject; rua=mailto:dmarc@example.com'] },
    org: { A: { records: [], authentic: false } },
    com: { A: { records: [], authentic: false } },
  };
}

const auth = { username: 'relay', password: PASSWORD };

describe('where all is as it should be', () => {
  let world: World;
  let ran: Ran;

  beforeAll(async () => {
    world = await createWorld();
    const shown = await certificateFor('localhost', 90);
    const own = await certificateFor('relay.example.com', 90);
    const provider = await world.hop({ tls: 'starttls', certificate: shown, auth });
    const mailHost = await world.hop({});
    await world.file('cert.pem', `${own.cert}\n${own.ca}`);
    await world.file('key.pem', own.key);
    await world.file('ca.pem', shown.ca);
    publish(world.dns, commonZone('127.0.0.1'));
    publish(world.dns, { 'lp1._domainkey.example.com': { TXT: [await world.key('lp1.pem', 'example.com')] } });
    await world.home.configure({
      hostname: 'relay.example.com',
      data: './data',
      smtp: {
        listeners: [{ host: '127.0.0.1', port: await freePort(), tls: 'starttls' }],
        tls: { cert: './cert.pem', key: './key.pem' },
      },
      http: { host: '127.0.0.1', port: await freePort() },
      credentials: [{ username: 'app', password: HASH }],
      senders: [
        { domain: 'example.com', dkim: [{ selector: 'lp1', key: './lp1.pem' }], return_path: 'bounces.example.com' },
      ],
      // An address that this machine does not have: nobody answers there.
      bounces: { listeners: [{ host: '192.0.2.7', port: 25, tls: 'starttls' }] },
      routes: {
        provider: { type: 'smtp', host: 'localhost', port: provider.port, ca: './ca.pem', ...auth },
        direct: { type: 'mx', port: mailHost.port, dns: [world.dns.address], allow_private: true },
      },
      rules: [
        { name: 'partner', when: { recipient_domain: ['partner.example'] }, via: ['direct'] },
        { name: 'default', via: ['provider'] },
      ],
    });
    await chmod(world.home.configFile, 0o600);
    ran = await world.check();
  });
  afterAll(() => world.end());

  it('nothing is found but good things, and the exit code is 0', () => {
    expect(ran.findings.filter(({ level }) => level !== 'ok')).toEqual([]);
    expect(ran.code).toBe(0);
  });

  it('each subject was looked at', () => {
    const codes = new Set(ran.findings.map(({ code }) => code));
    const subjects = 'config data disk tls dkim spf dmarc mx mta-sts helo ptr route relay clock'.split(' ');
    expect(codes).toEqual(new Set(subjects.map((subject) => `${subject}.ok`)));
  });

  it('the route says how it was reached', () => {
    const messages = ran.findings.filter(({ code }) => code === 'route.ok').map(({ message }) => message);
    expect(messages[0]).toMatch(
      /^provider: localhost:\d+ answers over TLSv1\.3 .*, the login succeeds, in \d+ ms; its certificate is for DNS:localhost/,
    );
    expect(messages[1]).toMatch(/^direct: mail\.example\.com\[127\.0\.0\.1\]:\d+ greets us/);
  });

  it('no mail was begun anywhere, and no password shows', () => {
    const lines = world.hops.flatMap((hop) => hop.lines.map(({ line }) => line));
    expect(lines.filter((line) => /^(?:MAIL|RCPT|DATA)/i.test(line))).toEqual([]);
    expect(lines).toContain('QUIT');
    expect(ran.output).not.toContain(PASSWORD);
  });
});

describe('a running relay', () => {
  it('turns strangers away at every listener, which is told with where the test stood', async () => {
    const ports = await Promise.all([freePort(), freePort(), freePort(), freePort()]);
    const [plain, required, implicit, reports] = ports;
    const host = '127.0.0.1';
    const home = await createRelayHome({
      hostname: 'relay.example.com',
      data: './data',
      smtp: {
        listeners: [
          { host, port: plain, tls: 'starttls' },
          { host, port: required, tls: 'starttls-required' },
          { host, port: implicit, tls: 'implicit' },
        ],
      },
      http: { host, port: 0 },
      credentials: [{ username: 'app', password: HASH }],
      senders: [{ domain: 'example.com', return_path: 'bounces.example.com' }],
      bounces: { listeners: [{ host, port: reports, tls: 'starttls' }] },
      routes: { sandbox: { type: 'sandbox' } },
      rules: [{ name: 'default', via: ['sandbox'] }],
    });
    const relay = await home.start();
    try {
      const { stdout } = await home.cli(['check', '--connect']);
      const findings = stdout.split('\n').flatMap((line): Finding[] => (line === '' ? [] : [JSON.parse(line)]));
      const about = new Map(
        findings.flatMap(({ code, subject, message }) => (code.startsWith('relay.') ? [[subject, message]] : [])),
      );
      for (const port of ports)
        expect(about.get(`${host}:${port}`)).toMatch(/turns strangers away: from 127\.0\.0\.1, /);
      expect(about.get(`${host}:${plain}`)).toContain('MAIL: 530');
      expect(about.get(`${host}:${reports}`)).toContain('RCPT: 55');
      // Nothing of it is mail: the log of events is as empty as before.
      const events = await home.cli(['tail', '--json']);
      expect(events.stdout).toBe('');
    } finally {
      await relay.stop();
      await home.remove();
    }
  });
});

describe('GET /v1/senders', () => {
  it('shows what DNS says of a sender, as `check --dns` does, and asks once for many calls', async () => {
    const dns = await startDnsServer({ zone: commonZone('127.0.0.1') });
    const home = await createRelayHome({
      hostname: 'relay.example.com',
      data: './data',
      smtp: { listeners: [{ host: '127.0.0.1', port: 0, tls: 'starttls' }], trusted_networks: ['127.0.0.0/8'] },
      http: { host: '127.0.0.1', port: 0 },
      senders: [{ domain: 'example.com', return_path: 'bounces.example.com' }],
      routes: { direct: { type: 'mx', dns: [dns.address], allow_private: true } },
      rules: [{ name: 'default', via: ['direct'] }],
    });
    dns.set('7.0.0.127.in-addr.arpa', 'PTR', null);
    const relay = await home.start();
    try {
      const ask = async (): Promise<unknown> => (await fetch(`http://127.0.0.1:${relay.httpPort}/v1/senders`)).json();
      const codes = (answer: unknown): readonly string[] =>
        (answer as { data: { checks: { code: string }[] }[] }).data.flatMap(({ checks }) =>
          checks.map(({ code }) => code),
        );
      const first = await ask();
      expect(codes(first)).toEqual(
        expect.arrayContaining(['spf.ok', 'dmarc.ok', 'mx.ok', 'dkim.unsigned', 'ptr.missing']),
      );
      const asked = dns.queries.length;
      expect(await ask()).toEqual(first);
      expect(dns.queries).toHaveLength(asked);
      const { stdout } = await home.cli(['check', '--dns']);
      const printed = stdout.split('\n').flatMap((line): Finding[] => (line === '' ? [] : [JSON.parse(line)]));
      expect(printed.map(({ code }) => code)).toEqual(expect.arrayContaining([...codes(first)]));
    } finally {
      await relay.stop();
      await Promise.all([home.remove(), dns.close()]);
    }
  });
});

describe('where a fault is planted', () => {
  let world: World;
  let ran: Ran;
  let open: NextHop;
  let published: string;

  const found = (code: string, subject?: string): Finding => {
    const match = ran.findings.filter(
      (each) => each.code === code && (subject === undefined || each.subject === subject),
    );
    expect(match, `${code} in ${ran.findings.map((each) => each.code).join(' ')}`).toHaveLength(1);
    return match[0] as Finding;
  };

  beforeAll(async () => {
    world = await createWorld();
    const { home, dns } = world;
    const wrongName = await world.hop({
      tls: 'starttls',
      certificate: await certificateFor('other.example', 90),
      auth,
    });
    const expired = await world.hop({ tls: 'implicit', certificate: await certificateFor('localhost', -1), auth });
    const good = await certificateFor('localhost', 90);
    const login = await world.hop({ tls: 'starttls', certificate: good, auth: { ...auth, password: 'another one' } });
    const plain = await world.hop({ auth });
    open = await world.hop({});
    const ended = await certificateFor('relay.example.com', -2);
    await world.file('cert.pem', `${ended.cert}\n${ended.ca}`);
    await world.file('key.pem', ended.key);
    await world.file('ca.pem', good.ca);

    const domains = ['nospf', 'twospf', 'manyspf', 'wrongdkim', 'nodkim', 'unknown'].map(
      (name) => `${name}.example.com`,
    );
    const senders: Record<string, unknown>[] = [];
    publish(dns, commonZone('127.0.0.1'));
    for (const domain of [...domains, 'nodmarc.example.net', 'example.com']) {
      const value = await world.key(`${domain}.pem`, domain);
      publish(dns, {
        [`lp1._domainkey.${domain}`]: { TXT: [value] },
        [domain]: { MX: ['10 mail.example.com'], TXT: ['v=spf1 ip4:127.0.0.7 -all'] },
      });
      senders.push({ domain, dkim: [{ selector: 'lp1', key: `./${domain}.pem` }] });
    }
    const [wrongDkim] = senders.filter(({ domain }) => domain === 'wrongdkim.example.com');
    published = String(await world.key('published.pem', String(wrongDkim?.['domain'])));
    const include = (i: number): string => `i${i}.example.net`;
    publish(dns, {
      'nospf.example.com': { TXT: ['site-verification=1'] },
      'twospf.example.com': { TXT: ['v=spf1 ip4:127.0.0.7 -all', 'v=spf1 include:i1.example.net ~all'] },
      'manyspf.example.com': {
        TXT: [`v=spf1 ip4:127.0.0.7 ${[1, 2, 3, 4].map((i) => `include:${include(i)}`).join(' ')} -all`],
      },
      ...Object.fromEntries(
        [1, 2, 3, 4].map((i) => [include(i), { TXT: ['v=spf1 a:mail.example.com mx:example.com -all'] }]),
      ),
      'lp1._domainkey.wrongdkim.example.com': { TXT: [published] },
      '_dmarc.unknown.example.com': { TXT: 'servfail' },
      'bounces.example.com': { MX: ['10 mail.example.com'] },
      '7.0.0.127.in-addr.arpa': { PTR: ['host7.example.net'] },
    });
    dns.set('lp1._domainkey.nodkim.example.com', 'TXT', null);
    await chmod(path.join(home.dir, 'nospf.example.com.pem'), 0o644);

    const smtp = (hop: NextHop, over: Record<string, unknown> = {}): Record<string, unknown> => ({
      type: 'smtp',
      host: 'localhost',
      port: hop.port,
      ca: './ca.pem',
      ...auth,
      ...over,
    });
    await writeFile(path.join(home.dir, 'wrong-name.pem'), wrongName.ca);
    await writeFile(path.join(home.dir, 'expired.pem'), expired.ca);
    const routes = {
      'wrong-name': smtp(wrongName, { ca: './wrong-name.pem' }),
      expired: smtp(expired, { ca: './expired.pem', tls: 'implicit' }),
      'wrong-password': smtp(login),
      'no-tls': smtp(plain),
      nobody: { type: 'smtp', host: '127.0.0.1', port: await freePort() },
      direct: { type: 'mx', port: open.port, dns: [dns.address], allow_private: true, dane: true },
    };
    await home.configure({
      hostname: 'relay.example.com',
      data: './data',
      smtp: {
        listeners: [{ host: '127.0.0.1', port: open.port, tls: 'starttls' }],
        tls: { cert: './cert.pem', key: './key.pem' },
        trusted_networks: ['198.18.0.0/15', '100.0.0.0/8'],
      },
      http: { host: '127.0.0.1', port: await freePort() },
      credentials: [{ username: 'app', password: HASH }],
      senders: senders.map((sender) =>
        sender['domain'] === 'example.com' ? { ...sender, return_path: 'bounces.example.com' } : sender,
      ),
      bounces: { listeners: [{ host: '192.0.2.7', port: 25, tls: 'starttls' }] },
      routes,
      rules: [{ name: 'default', via: Object.keys(routes) }],
    });
    await chmod(home.configFile, 0o600);
    ran = await world.check();
  });
  afterAll(() => world.end());

  it('the exit code is 1', () => {
    expect(ran.code).toBe(1);
  });

  it.each([
    [
      'spf.missing',
      'nospf.example.com',
      'nospf.example.com. IN TXT "v=spf1 ip4:127.0.0.7 include:SPF-DOMAIN-OF-YOUR-PROVIDER ~all"',
    ],
    [
      'spf.several',
      'twospf.example.com',
      'twospf.example.com. IN TXT "v=spf1 ip4:127.0.0.7 include:i1.example.net ~all"',
    ],
    [
      'dmarc.missing',
      'nodmarc.example.net',
      '_dmarc.nodmarc.example.net. IN TXT "v=DMARC1; p=none; rua=mailto:dmarc@nodmarc.example.net"',
    ],
    ['mx.elsewhere', 'bounces.example.com', 'bounces.example.com. IN MX 10 relay.example.com.'],
    ['ptr.mismatch', '127.0.0.7', '7.0.0.127.in-addr.arpa. IN PTR relay.example.com.'],
  ])('%s is found at %s, with the record to publish', (code, subject, zone) => {
    const finding = found(code, subject);
    expect([finding.level, finding.record?.zone]).toEqual(['error', zone]);
    expect(finding.why).not.toBe('');
  });

  it.each(['dkim.mismatch wrongdkim', 'dkim.missing nodkim'])(
    '%s is found, with the record as `dkim dns` prints it',
    async (which) => {
      const [code = '', name = ''] = which.split(' ');
      const finding = found(code, `lp1._domainkey.${name}.example.com`);
      const printed = await world.home.cli(['dkim', 'dns', '--domain', `${name}.example.com`]);
      expect(JSON.parse(printed.stdout).zone).toBe(finding.record?.zone);
      expect(finding.record?.zone).not.toContain(published.slice(-20));
    },
  );

  it('an SPF record with too many look-ups is found, with what they cost', () => {
    const finding = found('spf.lookups', 'manyspf.example.com');
    expect(finding.message).toContain('needs 12 DNS look-ups');
    expect(finding.hint).toContain('include:i1.example.net 3');
  });

  it('a key file that all may read is found, with the command', () => {
    const file = path.join(world.home.dir, 'nospf.example.com.pem');
    expect(found('dkim.readable').hint).toBe(`chmod 600 ${file}`);
  });

  it('a next hop with a certificate for another name is found, with the name that it shows', () => {
    const finding = found('route.tls', 'wrong-name');
    expect(finding.message).toContain('It shows a certificate for DNS:other.example');
    expect(finding.hint).toContain('Set servername of the route');
  });

  it('a next hop whose certificate has ended is found', () => {
    const finding = found('route.tls', 'expired');
    expect(finding.message).toContain('certificate has expired');
    expect(finding.hint).toContain('must renew it');
  });

  it('a wrong password is found, and is not shown', () => {
    const finding = found('route.auth', 'wrong-password');
    expect(finding.message).toContain('535');
    expect(finding.hint).toContain('Username or password of routes.wrong-password is wrong');
    expect(ran.output).not.toContain(PASSWORD);
  });

  it('a next hop without STARTTLS gets no password, and is found', () => {
    const finding = found('route.tls', 'no-tls');
    expect(finding.message).toContain('does not offer STARTTLS');
    expect(world.hops[3]?.lines.some(({ line }) => line.startsWith('AUTH'))).toBe(false);
  });

  it('a port at which nobody listens is found', () => {
    expect(found('route.unreachable', 'nobody').hint).toMatch(/Try: nc -vz 127\.0\.0\.1 \d+$/);
  });

  it("the relay's own certificate, which has ended, is found", () => {
    expect(found('tls.expired').hint).toContain('Renew it');
  });

  it('an open relay is found, and DATA was never said to it', () => {
    const finding = found('relay.open');
    expect(finding.message).toContain('<victim@relay-test.invalid>');
    expect(finding.message).toContain('<victim%relay-test.invalid@relay.example.com>');
    expect(open.lines.some(({ line }) => line.startsWith('DATA'))).toBe(false);
  });

  it('trust in a part of the Internet is found', () => {
    expect(found('relay.trusted-public').message).toContain('100.0.0.0/8: 2^24 addresses');
  });

  it('a DNS server that does not validate is found where DANE is on', () => {
    expect(found('dane.not-validating').hint).toContain('unbound');
  });

  it('what could not be asked is said to be that, not to be missing', () => {
    const finding = found('dmarc.unknown', 'unknown.example.com');
    expect([finding.level, finding.record]).toEqual(['warning', null]);
    expect(finding.message).toMatch(/^could not be asked: .*SERVFAIL/);
  });

  it('nothing is found that was not planted', () => {
    const planted =
      `config.doubtful dkim.readable dkim.mismatch dkim.missing tls.expired spf.missing spf.several spf.lookups dmarc.missing
      dmarc.unknown mx.elsewhere ptr.mismatch dane.not-validating route.tls route.auth route.unreachable relay.open relay.other-server
      relay.trusted-public`.split(/\s+/);
    const others = ran.findings.filter(({ level, code }) => level !== 'ok' && !planted.includes(code));
    expect(others).toEqual([]);
  });
});
