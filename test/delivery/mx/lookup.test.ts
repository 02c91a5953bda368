/** What direct delivery learns from a zone: hosts, addresses, TLSA records, texts. */
import { afterEach, describe, expect, test } from 'vitest';
import { type Clock, systemClock } from '../../../src/core/time.ts';
import { createMxLookup } from '../../../src/delivery/mx/create-lookup.ts';
import type { MxLookup } from '../../../src/delivery/mx/lookup.ts';
import { createManualClock } from '../../support/clock.ts';
import { type DnsZone, startDnsServer, type TestDnsServer } from '../../support/dns-server.ts';

const NEVER = new AbortController().signal;
const started: TestDnsServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

async function lookUpIn(
  zone: DnsZone,
  options: { readonly dane?: boolean; readonly authentic?: boolean; readonly clock?: Clock } = {},
): Promise<{ readonly lookup: MxLookup; readonly server: TestDnsServer }> {
  const server = await startDnsServer({ zone, authentic: options.authentic ?? false });
  started.push(server);
  const lookup = createMxLookup({
    servers: [server.address],
    dane: options.dane ?? false,
    clock: options.clock ?? systemClock,
    tryMs: 100,
    timeoutMs: 300,
  });
  return { lookup, server };
}

describe('the mail hosts of a domain', () => {
  test('come in order of preference, in lower case, each once', async () => {
    const { lookup } = await lookUpIn({
      'a.test': { MX: ['20 mx2.a.test', '10 MX1.A.test', '30 mx1.a.test', '10 mx3.a.test'] },
    });
    expect(await lookup.mx('a.test', NEVER)).toEqual({
      kind: 'hosts',
      authentic: false,
      hosts: [
        { name: 'mx1.a.test', preference: 10 },
        { name: 'mx3.a.test', preference: 10 },
        { name: 'mx2.a.test', preference: 20 },
      ],
    });
  });

  test('are none, for ever, when the domain takes no mail (null MX)', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { MX: ['0 .'], A: ['192.0.2.1'] } });
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'none', enhanced: '5.1.10' });
  });

  test('leave out a null MX that stands among others', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { MX: ['0 .', '10 mx.a.test'] } });
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'hosts', hosts: [{ name: 'mx.a.test' }] });
  });

  test('leave out addresses and what is no host name', async () => {
    const { lookup } = await lookUpIn({
      'a.test': {
        MX: ['1 192.0.2.1', '2 a_b.test', '3 -x.test', '4 a(b.test', '5 bücher.test', '6 mx/x.test', '7 mx.a.test'],
      },
    });
    const answer = await lookup.mx('a.test', NEVER);
    expect(answer.kind === 'hosts' && answer.hosts.map(({ name }) => name)).toEqual(['a_b.test', 'mx.a.test']);
  });

  test('are none when the MX records name nothing usable, even if the domain has an address', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { MX: ['1 192.0.2.1', '2 .'], A: ['192.0.2.1'] } });
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'none', enhanced: '5.4.4' });
  });

  test('are twenty at most, the preferred ones', async () => {
    const records = Array.from({ length: 30 }, (_, index) => `${30 - index} mx${30 - index}.a.test`);
    const { lookup } = await lookUpIn({ 'a.test': { MX: records } });
    const answer = await lookup.mx('a.test', NEVER);
    expect(answer.kind === 'hosts' && answer.hosts.map(({ preference }) => preference)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    );
  });

  test.each(['A', 'AAAA'] as const)('are the domain itself when it has no MX but an %s record', async (type) => {
    const { lookup } = await lookUpIn({ 'a.test': { [type]: [type === 'A' ? '192.0.2.1' : '2001:db8::1'] } });
    expect(await lookup.mx('a.test', NEVER)).toEqual({
      kind: 'hosts',
      authentic: false,
      hosts: [{ name: 'a.test', preference: 0 }],
    });
  });

  test('are none when the domain exists and has neither MX nor address', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { TXT: ['x'] } });
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'none', enhanced: '5.4.4' });
  });

  test('cannot be learnt when the domain has no MX and its address cannot be learnt', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { TXT: ['x'], A: 'servfail' } });
    expect((await lookup.mx('a.test', NEVER)).kind).toBe('failed');
  });

  test('are none when the domain does not exist', async () => {
    const { lookup } = await lookUpIn({});
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'none', enhanced: '5.1.2' });
  });

  test.each(['servfail', 'refused', 'timeout', 'garbage', 'wrong-id'] as const)(
    'cannot be learnt on %s, and the address of the domain is no way round it',
    async (behaviour) => {
      const { lookup, server } = await lookUpIn({ 'a.test': { MX: behaviour, A: ['192.0.2.1'] } });
      expect((await lookup.mx('a.test', NEVER)).kind).toBe('failed');
      expect(server.count('a.test', 'A')).toBe(0);
    },
  );

  test('are those of the domain that an alias stands for', async () => {
    const { lookup } = await lookUpIn({ 'a.test': { CNAME: ['b.test'] }, 'b.test': { MX: ['1 mx.b.test'] } });
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ kind: 'hosts', hosts: [{ name: 'mx.b.test' }] });
  });

  test('are asked for by A-labels', async () => {
    const { lookup, server } = await lookUpIn({ 'xn--bcher-kva.test': { MX: ['1 mx.a.test'] } });
    expect((await lookup.mx('Bücher.test', NEVER)).kind).toBe('hosts');
    expect(server.queries[0]?.name).toBe('xn--bcher-kva.test');
  });

  test.each(['[192.0.2.1]', '192.0.2.1', 'a..test', '', 'xn--a.xn--\u{10ffff}.test'])(
    'are none of %j, which is no domain, without a query',
    async (domain) => {
      const { lookup, server } = await lookUpIn({});
      expect(await lookup.mx(domain, NEVER)).toMatchObject({ kind: 'none', enhanced: '5.1.2' });
      expect(server.queries).toEqual([]);
    },
  );

  test('change when the zone does and the TTL has passed', async () => {
    const clock = createManualClock(0);
    const { lookup, server } = await lookUpIn({ 'a.test': { MX: { records: ['1 old.test'], ttl: 60 } } }, { clock });
    await lookup.mx('a.test', NEVER);
    server.set('a.test', 'MX', ['1 new.test']);
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ hosts: [{ name: 'old.test' }] });
    await clock.advance(60_000);
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ hosts: [{ name: 'new.test' }] });
  });

  test.each([
    [true, true, true],
    [true, false, false],
    [false, true, false],
  ])('with dane %s and a server that validates %s are authentic: %s', async (dane, authentic, expected) => {
    const { lookup } = await lookUpIn(
      { 'a.test': { MX: ['1 mx.a.test'] }, 'b.test': { A: ['192.0.2.1'] } },
      { dane, authentic },
    );
    expect(await lookup.mx('a.test', NEVER)).toMatchObject({ authentic: expected });
    expect(await lookup.mx('b.test', NEVER)).toMatchObject({ authentic: expected });
    expect(await lookup.addresses('b.test', NEVER)).toMatchObject({ authentic: expected });
  });

  test('end with the reason of the abort', async () => {
    const { lookup, server } = await lookUpIn({ 'a.test': { MX: 'timeout' } });
    const abort = new AbortController();
    const asked = lookup.mx('a.test', abort.signal);
    await server.asked('a.test', 'MX');
    abort.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
    await expect(lookup.mx('a.test', abort.signal)).rejects.toThrow('over');
  });
});

describe('the addresses of a host', () => {
  test('are of both families, IPv6 and IPv4 in turn, each once', async () => {
    const { lookup } = await lookUpIn({
      'mx.test': { A: ['192.0.2.1', '192.0.2.2', '192.0.2.3', '192.0.2.1'], AAAA: ['2001:db8::1', '2001:db8::2'] },
    });
    expect(await lookup.addresses('MX.test', NEVER)).toEqual({
      kind: 'addresses',
      authentic: false,
      addresses: ['2001:db8::1', '192.0.2.1', '2001:db8::2', '192.0.2.2', '192.0.2.3'],
    });
  });

  test('are those of the family that can be learnt', async () => {
    const { lookup } = await lookUpIn({ 'mx.test': { A: ['192.0.2.1'], AAAA: 'servfail' } });
    expect(await lookup.addresses('mx.test', NEVER)).toMatchObject({ addresses: ['192.0.2.1'] });
  });

  test('cannot be learnt when one family has none and the other fails', async () => {
    const { lookup } = await lookUpIn({ 'mx.test': { A: [], AAAA: 'servfail' } });
    expect((await lookup.addresses('mx.test', NEVER)).kind).toBe('failed');
  });

  test('are none when both families have none, or the host does not exist', async () => {
    const { lookup } = await lookUpIn({ 'mx.test': { TXT: ['x'] } });
    expect((await lookup.addresses('mx.test', NEVER)).kind).toBe('none');
    expect((await lookup.addresses('gone.test', NEVER)).kind).toBe('none');
    expect((await lookup.addresses('192.0.2.1', NEVER)).kind).toBe('none');
  });

  test('are sixteen at most', async () => {
    const many = Array.from({ length: 40 }, (_, index) => `192.0.2.${index}`);
    const { lookup } = await lookUpIn({ 'mx.test': { A: many } });
    const answer = await lookup.addresses('mx.test', NEVER);
    expect(answer.kind === 'addresses' && answer.addresses.length).toBe(16);
  });
});

describe('TLSA records', () => {
  const hex = 'ab'.repeat(32);
  const zone: DnsZone = { '_25._tcp.mx.test': { TLSA: [`3 1 1 ${hex}`] } };

  test('are found for host and port', async () => {
    const { lookup } = await lookUpIn(zone, { dane: true, authentic: true });
    expect(await lookup.tlsa('mx.test', 25, NEVER)).toEqual({
      kind: 'records',
      records: [{ usage: 3, selector: 1, matchingType: 1, data: new Uint8Array(32).fill(0xab) }],
    });
    expect(await lookup.tlsa('mx.test', 26, NEVER)).toEqual({ kind: 'none' });
  });

  test('that nobody validated count as none', async () => {
    const { lookup } = await lookUpIn(zone, { dane: true, authentic: false });
    expect(await lookup.tlsa('mx.test', 25, NEVER)).toEqual({ kind: 'none' });
  });

  test('are not asked for without dane', async () => {
    const { lookup, server } = await lookUpIn(zone, { dane: false, authentic: true });
    expect(await lookup.tlsa('mx.test', 25, NEVER)).toEqual({ kind: 'none' });
    expect(server.queries).toEqual([]);
  });

  test('that cannot be learnt are not none', async () => {
    const { lookup } = await lookUpIn({ '_25._tcp.mx.test': { TLSA: 'servfail' } }, { dane: true, authentic: true });
    expect((await lookup.tlsa('mx.test', 25, NEVER)).kind).toBe('failed');
  });
});

describe('texts', () => {
  test('have their parts joined, also in names with an underscore', async () => {
    const { lookup } = await lookUpIn({ '_mta-sts.a.test': { TXT: { records: [['v=STSv1; ', 'id=1;'], 'other'] } } });
    expect(await lookup.txt('_mta-sts.A.test', NEVER)).toEqual({ kind: 'texts', texts: ['v=STSv1; id=1;', 'other'] });
  });

  test('that are not there are none, and on SERVFAIL cannot be learnt', async () => {
    const { lookup } = await lookUpIn({ 'b.test': { TXT: 'servfail' } });
    expect(await lookup.txt('a.test', NEVER)).toEqual({ kind: 'none' });
    expect((await lookup.txt('b.test', NEVER)).kind).toBe('failed');
  });
});
