/** The DNS checks over a real DNS server with a zone of the test's own; keys are texts in a map. */
import { onTestFinished } from 'vitest';
import type { Config, RouteConfig, SenderConfig } from '../../src/config/types.ts';
import { systemClock } from '../../src/core/time.ts';
import { createDoctorClient } from '../../src/doctor/client.ts';
import type { CheckFinding } from '../../src/doctor/finding.ts';
import { createSenderChecks, type SenderChecks } from '../../src/doctor/sender-checks.ts';
import { dnsRecord, generateDkimKey } from '../../src/signing/generate.ts';
import { testConfig, testMxRoute, testSender } from '../support/config.ts';
import { type DnsZone, startDnsServer, type TestDnsServer } from '../support/dns-server.ts';

/** Never aborts. */
export const SIGNAL: AbortSignal = new AbortController().signal;

const pems = new Map<string, string>();

/** The PEM of a key named `file`; the same one each time. */
export async function keyFile(file: string): Promise<string> {
  const pem =
    pems.get(file) ?? (await generateDkimKey({ algorithm: file.includes('rsa') ? 'rsa' : 'ed25519' })).privatePem;
  pems.set(file, pem);
  return pem;
}

/** What a sender's key must have in DNS. */
export async function keyRecord(file: string, domain: string, selector: string): Promise<string> {
  return dnsRecord(await keyFile(file), domain, selector).value;
}

/** A zone in which all is as it should be for `GOOD_SENDER`, delivered directly from 192.0.2.7. */
export async function goodZone(): Promise<DnsZone> {
  return {
    'example.com': { MX: ['10 mail.example.com'] },
    'mail.example.com': { A: ['192.0.2.9'] },
    'relay.example.com': { A: ['192.0.2.7'] },
    '7.2.0.192.in-addr.arpa': { PTR: ['relay.example.com'] },
    'bounces.example.com': { MX: ['10 relay.example.com'], TXT: ['v=spf1 ip4:192.0.2.7 -all'] },
    'lp1._domainkey.example.com': { TXT: [await keyRecord('lp1', 'example.com', 'lp1')] },
    '_dmarc.example.com': { TXT: ['v=DMARC1; p=reject; rua=mailto:dmarc@example.com'] },
  };
}

export const GOOD_SENDER: SenderConfig = testSender({
  dkim: [{ selector: 'lp1', key: 'lp1' }],
  returnPath: 'bounces.example.com',
});

/** A config that delivers mail of `sender` over `routes`, and listens for reports. */
export function configOf(sender: SenderConfig, routes: readonly RouteConfig[]): Config {
  return testConfig({
    senders: [sender],
    routes: new Map(routes.map((route) => [route.name, route])),
    rules: [{ name: 'default', when: {}, action: { kind: 'via', routes: routes.map(({ name }) => name) } }],
    bounces: { dsn: false, listeners: [{ host: '0.0.0.0', port: 25, tls: 'starttls' }], suppressForMs: 1 },
  });
}

export interface Stage {
  readonly dns: TestDnsServer;
  readonly checks: SenderChecks;
  /** What is found about the sender and the relay that is no good; with `all`, everything. */
  findings(all?: boolean): Promise<readonly CheckFinding[]>;
}

/** A DNS server with `zone`, and the checks of `sender` over it. Routes: one direct route by default. */
export async function stage(
  zone: DnsZone,
  over: {
    readonly sender?: Partial<SenderConfig>;
    readonly routes?: readonly RouteConfig[];
    readonly authentic?: boolean;
    /** What is done about a sender that a sandbox captures; `pass` by default. */
    readonly captured?: 'ask' | 'pass';
    readonly change?: (config: Config) => Config;
  } = {},
): Promise<Stage> {
  const dns = await startDnsServer({ zone, authentic: over.authentic ?? false });
  onTestFinished(() => dns.close());
  const sender = { ...GOOD_SENDER, ...over.sender };
  const plain = configOf(sender, over.routes ?? [testMxRoute()]);
  const config = over.change?.(plain) ?? plain;
  const client = createDoctorClient({ config: () => config, named: [dns.address], clock: systemClock });
  const checks = createSenderChecks({
    config: () => config,
    client,
    clock: systemClock,
    readKey: keyFile,
    captured: over.captured ?? 'pass',
  });
  return {
    dns,
    checks,
    async findings(all = false) {
      const [report, host] = await Promise.all([checks.check(sender, SIGNAL), checks.checkHost(SIGNAL)]);
      return [...report.findings, ...host].filter(({ level }) => all || level !== 'ok');
    },
  };
}
