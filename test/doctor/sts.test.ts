/** MTA-STS of a return path, with a policy over real HTTPS. */
import { describe, expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../../src/core/time.ts';
import { createAtMost } from '../../src/core/at-most.ts';
import { checkSts } from '../../src/doctor/check-sts.ts';
import { createDoctorClient } from '../../src/doctor/client.ts';
import { createDoctorDns } from '../../src/doctor/dns.ts';
import type { CheckFinding } from '../../src/doctor/finding.ts';
import { testConfig } from '../support/config.ts';
import { type DnsZone, startDnsServer } from '../support/dns-server.ts';
import { makeTestCertificate } from '../support/next-hop-certificate.ts';
import { type StsAnswer, startStsServer } from '../support/sts-server.ts';
import { SIGNAL } from './stage.ts';

const DOMAIN = 'bounces.example.com';
const policy = (mode: string, mx: string): string => `version: STSv1\nmode: ${mode}\nmx: ${mx}\nmax_age: 86400\n`;

async function sts(
  answer: StsAnswer,
  over: { readonly zone?: DnsZone; readonly name?: string } = {},
): Promise<readonly CheckFinding[]> {
  const certificate = await makeTestCertificate({ names: [over.name ?? `mta-sts.${DOMAIN}`] });
  const server = await startStsServer(certificate, answer);
  const dns = await startDnsServer({
    zone: {
      [`_mta-sts.${DOMAIN}`]: { TXT: ['v=STSv1; id=1'] },
      [`mta-sts.${DOMAIN}`]: { A: ['127.0.0.1'] },
      [`_smtp._tls.${DOMAIN}`]: { TXT: ['v=TLSRPTv1; rua=mailto:tls@example.com'] },
      ...over.zone,
    },
  });
  onTestFinished(async () => {
    await Promise.all([server.close(), dns.close()]);
  });
  const config = testConfig();
  const client = createDoctorClient({ config: () => config, named: [dns.address], clock: systemClock });
  const asking = createDoctorDns(client, createAtMost(5), SIGNAL);
  return checkSts(DOMAIN, config, {
    dns: asking,
    clock: systemClock,
    signal: SIGNAL,
    ca: certificate.ca,
    port: server.port,
  });
}

describe('an MTA-STS policy', () => {
  test.each([
    ['enforce', 'relay.example.com'],
    ['testing', '*.example.com'],
    ['none', 'mx.elsewhere.example'],
  ])('in mode %s that names %s is in order', async (mode, mx) => {
    expect(await sts({ body: policy(mode, mx) })).toMatchObject([{ level: 'ok', code: 'mta-sts.ok' }]);
  });

  test('that does not name this relay is told with the line that does', async () => {
    const [finding] = await sts({ body: policy('enforce', 'mx.elsewhere.example') });
    expect(finding).toMatchObject({
      level: 'error',
      code: 'mta-sts.mx',
      why: 'Servers that keep to it do not deliver reports here.',
    });
    expect(finding?.hint).toContain('Add the line "mx: relay.example.com"');
  });

  test.each([
    ['is not there', { status: 404 }, {}],
    ['cannot be read', { body: 'version: STSv2\n' }, {}],
    [
      'has a certificate for another name',
      { body: policy('enforce', 'relay.example.com') },
      { name: 'www.example.com' },
    ],
    ['has no host', {}, { zone: { [`mta-sts.${DOMAIN}`]: {} } }],
  ] as const)('that %s is told with where to put it', async (_what, answer, over) => {
    expect(await sts(answer, over)).toMatchObject([
      { code: 'mta-sts.policy', hint: expect.stringContaining(`https://mta-sts.${DOMAIN}/.well-known/mta-sts.txt`) },
    ]);
  });

  test('without TLS-RPT gets a word of advice, and no more', async () => {
    const findings = await sts(
      { body: policy('enforce', 'relay.example.com') },
      { zone: { [`_smtp._tls.${DOMAIN}`]: {} } },
    );
    expect(findings.map(({ level }) => level)).toEqual(['ok', 'ok']);
    expect(findings[1]?.hint).toContain('v=TLSRPTv1');
  });
});
