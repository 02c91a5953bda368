/** Direct delivery: DANE (RFC 7672), where the answers are authentic and the route says that it may be used. */
import { createHash, X509Certificate } from 'node:crypto';
import { expect, test } from 'vitest';
import type { TlsaAnswer } from '../../src/delivery/mx/lookup.ts';
import { reply } from '../support/next-hop.ts';
import {
  certificateFor,
  domainsOf,
  hopsOn,
  mxBench,
  type MxBench,
  type MxBenchOptions,
  ONE_HOST,
  policyOf,
  TWO_HOSTS,
} from './mx-fixture.ts';

const MX1 = 'mx1.example.net';
/** Of nobody's authority, and for another name: only DANE can vouch for it. */
const certificate = await certificateFor('other.example.org');

function keyOf(pem: string): TlsaAnswer {
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return {
    kind: 'records',
    records: [{ usage: 3, selector: 1, matchingType: 1, data: createHash('sha256').update(key).digest() }],
  };
}

const OTHER_KEY: TlsaAnswer = {
  kind: 'records',
  records: [{ usage: 3, selector: 1, matchingType: 1, data: Buffer.alloc(32) }],
};
const UNUSABLE: TlsaAnswer = {
  kind: 'records',
  records: [{ usage: 1, selector: 1, matchingType: 1, data: Buffer.alloc(32) }],
};

interface DaneCase extends Partial<MxBenchOptions> {
  readonly tlsa?: TlsaAnswer;
  readonly dane?: boolean;
  readonly authentic?: boolean;
  readonly tls?: 'none' | 'starttls';
}

async function benchWith({
  tlsa,
  dane = true,
  authentic = true,
  tls = 'starttls',
  ...over
}: DaneCase): Promise<MxBench & { readonly sent: () => number }> {
  const [hop] = await hopsOn({ tls, ...(tls === 'none' ? {} : { certificate }) });
  const zone = { ...ONE_HOST, authentic, tlsa: tlsa === undefined ? {} : { [MX1]: tlsa } };
  const bench = mxBench({ zone, port: hop?.port ?? 0, ...over, route: { dane, ...over.route } });
  return { ...bench, sent: () => hop?.messages.length ?? 0 };
}

test('a certificate that fits the TLSA records is good, whoever signed it', async () => {
  const { deliver } = await benchWith({ tlsa: keyOf(certificate.cert) });
  expect(await deliver({ requireTls: true })).toMatchObject({ kind: 'delivered', tls: { version: 'TLSv1.3' } });
});

test('a certificate that does not fit defers, and nothing is sent', async () => {
  const { deliver, sent } = await benchWith({ tlsa: OTHER_KEY });
  const outcome = await deliver();
  expect(outcome).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(outcome.response).toMatch(/does not fit the TLSA records.*the DANE records of mx1\.example\.net require it/);
  expect(sent()).toBe(0);
});

test('a host with TLSA records gets nothing in the clear', async () => {
  const { deliver, sent } = await benchWith({ tlsa: keyOf(certificate.cert), tls: 'none' });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls', stage: 'starttls' });
  expect(sent()).toBe(0);
});

test('records that cannot be learnt keep the host out', async () => {
  const { deliver, sent } = await benchWith({ tlsa: { kind: 'failed', text: 'SERVFAIL for TLSA' } });
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'dns', response: 'SERVFAIL for TLSA' });
  expect(sent()).toBe(0);
});

test('records that cannot be used demand TLS, with any certificate', async () => {
  expect((await (await benchWith({ tlsa: UNUSABLE })).deliver()).kind).toBe('delivered');
  expect(await (await benchWith({ tlsa: UNUSABLE, tls: 'none' })).deliver()).toMatchObject({
    kind: 'deferred',
    cause: 'tls',
  });
});

test.each([
  ['the route does not use DANE', { dane: false }],
  ['the answers are not authentic', { authentic: false }],
])('when %s, TLSA records are not asked for', async (_what, over) => {
  const { deliver, lookup } = await benchWith({ tlsa: OTHER_KEY, ...over });
  expect((await deliver()).kind).toBe('delivered');
  expect(lookup.asked.some((question) => question.startsWith('tlsa'))).toBe(false);
});

test('DANE goes before MTA-STS: what fits is good without an authority, what does not is not saved by one', async () => {
  const sts = policyOf('enforce', [MX1]);
  const fitting = await benchWith({ tlsa: keyOf(certificate.cert), sts });
  expect((await fitting.deliver()).kind).toBe('delivered');
  expect(fitting.logged).toEqual([]);
  const trusted = await benchWith({ tlsa: OTHER_KEY, sts, route: { ca: certificate.ca } });
  expect(await trusted.deliver()).toMatchObject({ kind: 'deferred', cause: 'tls' });
});

test('a certificate that only DANE vouches for is remembered as TLS, not as verified', async () => {
  const domains = domainsOf();
  await (await benchWith({ tlsa: keyOf(certificate.cert), domains })).deliver();
  expect(domains.notes).toEqual(['example.net encrypted']);
});

test('a kept session is judged by the records of the day', async () => {
  const tlsa: Record<string, TlsaAnswer> = {};
  const [hop] = await hopsOn({ tls: 'starttls', certificate });
  const { deliver } = mxBench({
    zone: { ...ONE_HOST, authentic: true, tlsa },
    port: hop?.port ?? 0,
    route: { dane: true },
  });
  await deliver();
  tlsa[MX1] = keyOf(certificate.cert);
  expect((await deliver()).kind).toBe('delivered');
  expect(hop?.connections()).toBe(1);
  tlsa[MX1] = OTHER_KEY;
  expect(await deliver()).toMatchObject({ kind: 'deferred', cause: 'tls' });
  expect(hop?.messages).toHaveLength(2);
});

test('a host whose certificate does not fit is left for the next one', async () => {
  const [first, second] = await hopsOn({ tls: 'starttls', certificate, on: { MAIL: reply('250 ok') } }, {});
  const zone = { ...TWO_HOSTS, authentic: true, tlsa: { [MX1]: OTHER_KEY } };
  const { deliver } = mxBench({ zone, port: first?.port ?? 0, route: { dane: true } });
  expect((await deliver()).kind).toBe('delivered');
  expect([first?.messages.length, second?.messages.length]).toEqual([0, 1]);
});
