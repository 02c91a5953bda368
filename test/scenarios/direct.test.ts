/**
 * Direct delivery in a small internet of its own: a DNS zone, MX hosts on addresses of 127/8, and MTA-STS policies on the
 * real port 443, which wants root.
 */
import { writeFile } from 'node:fs/promises';
import { createTransport } from 'nodemailer';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startDnsServer, type TestDnsServer } from '../support/dns-server.ts';
import { deliveryTo } from '../support/ledger.ts';
import { makeTestCertificate } from '../support/next-hop-certificate.ts';
import { DEFAULT_EXTENSIONS, type NextHop, type NextHopOptions, startNextHop } from '../support/next-hop.ts';
import { freePort } from '../support/postfix.ts';
import { createRelayHome, type RelayHome, type RelayProcess, sandboxConfig, until } from '../support/relay.ts';
import { startStsServer, type TestStsServer } from '../support/sts-server.ts';

const HTTPS_PORT = 443;

let home: RelayHome;
let relay: RelayProcess;
let dns: TestDnsServer;
let port: number;
let authority: string;
const hops = new Map<string, NextHop>();
const policies: TestStsServer[] = [];

/** An MX host at 127.0.0.`last`, on the port of all of them. */
async function startHost(last: number, options: NextHopOptions = {}): Promise<NextHop> {
  const hop = await startNextHop({ ...options, host: `127.0.0.${last}`, port });
  hops.set(String(last), hop);
  return hop;
}

const hop = (last: number): NextHop => {
  const found = hops.get(String(last));
  if (found === undefined) throw new Error(`no host at 127.0.0.${last}`);
  return found;
};

async function startPolicy(last: number, domain: string, mode: string): Promise<void> {
  const certificate = await makeTestCertificate({ names: [`mta-sts.${domain}`] });
  const body = `version: STSv1\nmode: ${mode}\nmx: mx.${domain}\nmax_age: 86400\n`;
  policies.push(await startStsServer(certificate, { body }, { host: `127.0.0.${last}`, port: HTTPS_PORT }));
}

const certificateFor = (...names: string[]) => makeTestCertificate({ names });
const withSts = (domain: string, mxLast: number, stsLast: number) => ({
  [domain]: { MX: [`10 mx.${domain}`] },
  [`mx.${domain}`]: { A: [`127.0.0.${mxLast}`] },
  [`_mta-sts.${domain}`]: { TXT: ['v=STSv1; id=20260101'] },
  [`mta-sts.${domain}`]: { A: [`127.0.0.${stsLast}`] },
});

beforeAll(async () => {
  port = await freePort();
  ({ ca: authority } = await makeTestCertificate());
  await startHost(11);
  await startHost(12, { tls: 'starttls', certificate: await certificateFor('other.example') });
  await startHost(13, { tls: 'starttls', certificate: await certificateFor('mx.enforced.example') });
  await startHost(14, { tls: 'starttls', certificate: await certificateFor('wrong.example') });
  await startHost(15, { tls: 'starttls', certificate: await certificateFor('wrong.example') });
  await startHost(16, { tls: 'starttls', certificate: await certificateFor('mx.stripped.example') });
  await startPolicy(23, 'enforced.example', 'enforce');
  await startPolicy(24, 'badcert.example', 'enforce');
  await startPolicy(25, 'testing.example', 'testing');
  dns = await startDnsServer({
    zone: {
      'plain.example': { MX: ['10 mx.plain.example'] },
      'mx.plain.example': { A: ['127.0.0.11'] },
      'implicit.example': { A: ['127.0.0.11'] },
      'anytls.example': { MX: ['10 mx.anytls.example'] },
      'mx.anytls.example': { A: ['127.0.0.12'] },
      'backup.example': { MX: ['10 dead.backup.example', '20 mx.plain.example'] },
      'dead.backup.example': { A: ['127.0.0.99'] },
      'stripped.example': { MX: ['10 mx.stripped.example'] },
      'mx.stripped.example': { A: ['127.0.0.16'] },
      'null.example': { MX: ['0 .'] },
      'broken.example': { ANY: 'servfail' },
      ...withSts('enforced.example', 13, 23),
      ...withSts('badcert.example', 14, 24),
      ...withSts('testing.example', 15, 25),
    },
  });
  home = await createRelayHome();
  const direct = { type: 'mx', port, dns: [dns.address] };
  const ca = `${home.dir}/ca.pem`;
  await writeFile(ca, authority);
  await home.configure(
    sandboxConfig({
      routes: { direct: { ...direct, allow_private: true, ca }, outside: direct },
      rules: [
        { name: 'outside', when: { recipient: ['ann@plain.example'] }, via: ['outside'] },
        { name: 'default', via: ['direct'] },
      ],
      retry: { critical: ['1h'], normal: ['1h'] },
    }),
  );
  relay = await home.start();
}, 60_000);

afterAll(async () => {
  await relay?.kill9();
  await dns?.close();
  await Promise.all([...hops.values(), ...policies].map((server) => server.close()));
  await home?.remove();
});

/** Sends a mail and waits until its first attempt is over. */
async function send(
  to: string,
  headers: Record<string, string> = {},
): Promise<NonNullable<ReturnType<typeof deliveryTo>>> {
  const transport = createTransport({ host: '127.0.0.1', port: relay.smtpPort, ignoreTLS: true });
  await transport.sendMail({ from: 'app@example.com', to, subject: 'Hello', text: 'Hello', headers });
  await until(() => (deliveryTo(home, to)?.attempts ?? 0) > 0, `an attempt to ${to}`);
  const delivery = deliveryTo(home, to);
  if (delivery === undefined) throw new Error('it was there a moment ago');
  return delivery;
}

describe('direct delivery', () => {
  it('goes in the clear to a host that offers nothing else', async () => {
    expect(await send('bob@plain.example')).toMatchObject({ state: 'delivered', tls: null });
    expect(hop(11).messages.at(-1)?.recipients[0]?.address).toBe('bob@plain.example');
  });

  it('goes to the domain itself when it has no MX', async () => {
    expect(await send('bob@implicit.example')).toMatchObject({ state: 'delivered' });
  });

  it('goes under TLS to a host whose certificate is not its own, when nobody asked for more', async () => {
    expect(await send('bob@anytls.example')).toMatchObject({ state: 'delivered', tls: 'TLSv1.3' });
  });

  it('goes to the next preference when the first does not answer, in the same attempt', async () => {
    expect(await send('bob@backup.example')).toMatchObject({ state: 'delivered', attempts: 1 });
  });

  it('keeps to an MTA-STS policy that can be met', async () => {
    expect(await send('bob@enforced.example')).toMatchObject({ state: 'delivered', tls: 'TLSv1.3' });
  });

  it('sends nothing under an enforced MTA-STS policy to a host with a certificate for another name', async () => {
    expect(await send('bob@badcert.example')).toMatchObject({ state: 'deferred', cause: 'tls' });
    expect(hop(14).messages).toEqual([]);
  });

  it('sends under a testing MTA-STS policy all the same', async () => {
    expect(await send('bob@testing.example')).toMatchObject({ state: 'delivered' });
  });

  it('still keeps to a policy when the record that announced it is gone', async () => {
    dns.set('_mta-sts.badcert.example', 'TXT', 'nxdomain');
    expect(await send('eve@badcert.example')).toMatchObject({ state: 'deferred', cause: 'tls' });
    expect(hop(14).messages).toEqual([]);
  });

  it('bounces where a null MX says that no mail is taken', async () => {
    const delivery = await send('bob@null.example');
    expect(delivery).toMatchObject({ state: 'bounced', enhanced: '5.1.10', bounce: 'recipient' });
  });

  it('bounces where the domain does not exist', async () => {
    expect(await send('bob@nowhere.example')).toMatchObject({
      state: 'bounced',
      enhanced: '5.1.2',
      bounce: 'recipient',
    });
  });

  it('defers where DNS fails', async () => {
    expect(await send('bob@broken.example')).toMatchObject({ state: 'deferred', cause: 'dns', stage: 'dns' });
  });

  it('does not go into private networks unless that is allowed', async () => {
    const before = hop(11).messages.length;
    const delivery = await send('ann@plain.example');
    expect(delivery.state).not.toBe('delivered');
    expect(delivery.response).toMatch(/private|loopback|special/);
    expect(hop(11).messages).toHaveLength(before);
  });

  it('sends nothing that requires TLS to a host without it', async () => {
    const before = hop(11).messages.length;
    const delivery = await send('eve@plain.example', { 'X-Leadpush-Require-TLS': 'true' });
    expect(delivery).toMatchObject({ state: 'deferred', cause: 'tls' });
    expect(hop(11).messages).toHaveLength(before);
  });

  it('remembers that a domain spoke TLS, and does not go back to plain when that is gone', async () => {
    expect(await send('bob@stripped.example')).toMatchObject({ state: 'delivered', tls: 'TLSv1.3' });
    await hop(16).close();
    const stripped = await startHost(16, { extensions: DEFAULT_EXTENSIONS });
    expect(await send('eve@stripped.example')).toMatchObject({ state: 'deferred', cause: 'tls' });
    expect(stripped.messages).toEqual([]);
  });

  it('remembers it over a restart', async () => {
    await relay.stop();
    relay = await home.start();
    expect(await send('dan@stripped.example')).toMatchObject({ state: 'deferred', cause: 'tls' });
    expect(hop(16).messages).toEqual([]);
  });
});
