/** The stub resolver against a DNS server that misbehaves in every way. */
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';
import { encode } from 'dns-packet';
import { afterEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../src/core/time.ts';
import { createDnsClient, type DnsReply } from '../../../src/delivery/mx/dns-client.ts';
import { createDnsCache } from '../../../src/delivery/mx/dns-cache.ts';
import { findRecords } from '../../../src/delivery/mx/dns-answer.ts';
import { encodeQuery, readMessage } from '../../../src/delivery/mx/dns-message.ts';
import { createServerList, parseDnsServer } from '../../../src/delivery/mx/dns-server.ts';
import { createManualClock } from '../../support/clock.ts';
import { type DnsServerOptions, startDnsServer, type TestDnsServer } from '../../support/dns-server.ts';
import fc from '../../support/properties.ts';

const NEVER = new AbortController().signal;
const started: TestDnsServer[] = [];

afterEach(async () => {
  await Promise.all(started.splice(0).map((server) => server.close()));
});

async function serve(options: DnsServerOptions): Promise<TestDnsServer> {
  const server = await startDnsServer(options);
  started.push(server);
  return server;
}

function clientOf(addresses: readonly string[], clock = systemClock): ReturnType<typeof createDnsClient> {
  const servers = addresses.flatMap((text) => parseDnsServer(text) ?? []);
  return createDnsClient({ servers: () => servers, clock });
}

function dataOf(reply: DnsReply): unknown {
  return reply.kind === 'records' ? reply.records.map((record) => ('data' in record ? record.data : null)) : reply;
}

describe('a DNS query', () => {
  test('brings the records with their TTL', async () => {
    const server = await serve({ zone: { 'a.test': { A: { records: ['192.0.2.1', '192.0.2.2'], ttl: 77 } } } });
    const reply = await clientOf([server.address]).ask('a.test', 'A', NEVER);
    expect(reply).toMatchObject({ kind: 'records', ttlSeconds: 77, authentic: false });
    expect(dataOf(reply)).toEqual(['192.0.2.1', '192.0.2.2']);
  });

  test('asks for the AD flag, offers EDNS with 1232 octets, and comes from a new port with a new id each time', async () => {
    const server = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } } });
    const client = clientOf([server.address]);
    for (let i = 0; i < 8; i++) await client.ask('a.test', 'A', NEVER);
    expect(server.queries.every(({ asksAd, ednsBytes }) => asksAd && ednsBytes === 1232)).toBe(true);
    expect(new Set(server.queries.map(({ port }) => port)).size).toBeGreaterThan(4);
    expect(new Set(server.queries.map(({ id }) => id)).size).toBeGreaterThan(4);
  });

  test('says that an answer is authentic when the server says so', async () => {
    const server = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } }, authentic: true });
    expect(await clientOf([server.address]).ask('a.test', 'A', NEVER)).toMatchObject({ authentic: true });
  });

  test('goes on over TCP when the answer is truncated', async () => {
    const server = await serve({ zone: { 'a.test': { A: { records: ['192.0.2.1'], behaviour: 'truncated' } } } });
    const reply = await clientOf([server.address]).ask('a.test', 'A', NEVER);
    expect(dataOf(reply)).toEqual(['192.0.2.1']);
    expect(server.queries.map(({ transport }) => transport)).toEqual(['udp', 'tcp']);
    expect(server.queries[0]?.id).not.toBe(server.queries[1]?.id);
  });

  test('has one time limit for UDP and TCP together', async () => {
    const udp = dgram.createSocket('udp4');
    const tcp = net.createServer();
    tcp.listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as net.AddressInfo;
    udp.bind(port, '127.0.0.1');
    await once(udp, 'listening');
    const clock = createManualClock(0);
    udp.on('message', (packet, from) => {
      const truncated = Buffer.from(packet);
      truncated.writeUInt16BE(0x8300, 2);
      void clock.advance(1500).then(() => udp.send(truncated, from.port, from.address));
    });
    const servers = [parseDnsServer(`127.0.0.1:${port}`)].filter((server) => server !== null);
    const asked = createDnsClient({ servers: () => servers, clock, timeoutMs: 2000 }).ask('a.test', 'A', NEVER);
    const [connection] = (await once(tcp, 'connection')) as [net.Socket];
    connection.on('error', () => connection.destroy());
    await clock.advance(500);
    expect(await asked).toMatchObject({ kind: 'failed' });
    expect(clock.monotonicMs()).toBe(2000);
    connection.destroy();
    udp.close();
    tcp.close();
  });

  test('takes an answer that is too large for UDP', async () => {
    const texts = Array.from({ length: 60 }, (_, index) => `${index} ${'x'.repeat(200)}`);
    const server = await serve({ zone: { 'a.test': { TXT: texts } } });
    const reply = await clientOf([server.address]).ask('a.test', 'TXT', NEVER);
    expect(reply.kind === 'records' && reply.records.length).toBe(60);
  });

  test('tells a name without such records from one that does not exist, with the time of the SOA', async () => {
    const server = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } }, soaMinimum: 33 });
    const client = clientOf([server.address]);
    expect(await client.ask('a.test', 'MX', NEVER)).toEqual({ kind: 'nodata', authentic: false, ttlSeconds: 33 });
    expect(await client.ask('b.test', 'MX', NEVER)).toEqual({ kind: 'nxdomain', authentic: false, ttlSeconds: 33 });
  });

  test.each([
    ['servfail', 'SERVFAIL'],
    ['refused', 'REFUSED'],
    ['garbage', 'broken answer'],
    ['referral', 'does not resolve names for us'],
  ] as const)('fails on %s, which is not the same as "does not exist"', async (behaviour, text) => {
    const server = await serve({ zone: { 'a.test': { MX: behaviour } } });
    const reply = await clientOf([server.address]).ask('a.test', 'MX', NEVER);
    expect(reply.kind).toBe('failed');
    expect(reply.kind === 'failed' && reply.text).toContain(text);
    expect(reply.kind === 'failed' && reply.text).toContain('MX of a.test: ');
  });

  test.each(['timeout', 'wrong-id', 'wrong-question'] as const)(
    'that meets %s tries three times, 2 s each, and fails',
    async (behaviour) => {
      const server = await serve({ zone: { 'a.test': { MX: behaviour } } });
      const clock = createManualClock(0);
      const asked = clientOf([server.address], clock).ask('a.test', 'MX', NEVER);
      for (let times = 1; times <= 3; times++) {
        await server.asked('a.test', 'MX', times);
        await clock.advance(2000);
      }
      expect(await asked).toEqual({
        kind: 'failed',
        text: `MX of a.test: no answer from ${server.address} within 2000 ms`,
      });
      expect(server.queries.length).toBe(3);
    },
  );

  test('goes to the next server when one refuses, and asks the one that answered first the next time', async () => {
    const bad = await serve({ zone: { 'a.test': { ANY: 'refused' } } });
    const good = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } } });
    const client = clientOf([bad.address, good.address]);
    expect(dataOf(await client.ask('a.test', 'A', NEVER))).toEqual(['192.0.2.1']);
    expect(dataOf(await client.ask('a.test', 'A', NEVER))).toEqual(['192.0.2.1']);
    expect(bad.queries.length).toBe(1);
  });

  test('goes to the next server at once when nothing listens at the first', async () => {
    const gone = await startDnsServer({ zone: {} });
    await gone.close();
    const good = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } } });
    const reply = await clientOf([gone.address, good.address], createManualClock(0)).ask('a.test', 'A', NEVER);
    expect(dataOf(reply)).toEqual(['192.0.2.1']);
  });

  test('is asked without EDNS of a server that does not know it', async () => {
    const server = await serve({ zone: { 'a.test': { A: { records: ['192.0.2.1'], behaviour: 'no-edns' } } } });
    expect(dataOf(await clientOf([server.address]).ask('a.test', 'A', NEVER))).toEqual(['192.0.2.1']);
    expect(server.queries.map(({ ednsBytes }) => ednsBytes)).toEqual([1232, null]);
  });

  test('follows a chain of aliases, and keeps it for the least TTL of all', async () => {
    const server = await serve({
      zone: {
        'a.test': { CNAME: { records: ['b.test'], ttl: 50 } },
        'b.test': { CNAME: { records: ['C.test'], ttl: 40 } },
        'c.test': { A: { records: ['192.0.2.1'], ttl: 60 } },
      },
    });
    const reply = await clientOf([server.address]).ask('A.test', 'A', NEVER);
    expect(reply).toMatchObject({ kind: 'records', ttlSeconds: 40 });
    expect(server.queries.length).toBe(1);
  });

  test('asks again where the server leaves an alias unresolved; authentic only if both answers are', async () => {
    const server = await serve({
      zone: {
        'a.test': { CNAME: { records: ['b.test'], ttl: 5, behaviour: 'cut-chain', authentic: false } },
        'b.test': { A: ['192.0.2.1'] },
      },
      authentic: true,
    });
    const reply = await clientOf([server.address]).ask('a.test', 'A', NEVER);
    expect(reply).toMatchObject({ kind: 'records', ttlSeconds: 5, authentic: false });
    expect(server.queries.map(({ name }) => name)).toEqual(['a.test', 'b.test']);
  });

  test('fails at aliases that go round in circles', async () => {
    const server = await serve({
      zone: {
        'a.test': { CNAME: { records: ['b.test'], behaviour: 'cut-chain' } },
        'b.test': { CNAME: { records: ['a.test'], behaviour: 'cut-chain' } },
      },
    });
    expect(await clientOf([server.address]).ask('a.test', 'A', NEVER)).toMatchObject({ kind: 'failed' });
    expect(server.queries.length).toBeLessThan(6);
  });

  test('for what is no name in DNS is not sent', async () => {
    const server = await serve({ zone: {} });
    const client = clientOf([server.address]);
    for (const name of [
      '',
      '.',
      'a..test',
      `${'x'.repeat(64)}.test`,
      'bücher.test',
      'a b.test',
      'x.'.repeat(127) + 'test',
    ]) {
      expect(await client.ask(name, 'A', NEVER)).toMatchObject({ kind: 'failed' });
    }
    expect(server.queries.length).toBe(0);
  });

  test('leaves no socket behind, however it ends', async () => {
    const zone = { 'a.test': { A: ['192.0.2.1'] }, 'b.test': { A: 'timeout' }, 'c.test': { A: 'truncated' } } as const;
    const server = await serve({ zone });
    const sockets = (): number => process.getActiveResourcesInfo().filter((name) => /UDP|TCPSocket/.test(name)).length;
    const client = clientOf([server.address]);
    await client.ask('a.test', 'A', NEVER);
    await client.ask('c.test', 'A', NEVER);
    const abort = new AbortController();
    const asked = client.ask('b.test', 'A', abort.signal);
    await server.asked('b.test', 'A');
    abort.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
    // The server's own.
    await expect.poll(sockets).toBe(1);
  });

  test('ends with the reason of the abort', async () => {
    const server = await serve({ zone: { 'a.test': { A: 'timeout' } } });
    const abort = new AbortController();
    const asked = clientOf([server.address]).ask('a.test', 'A', abort.signal);
    await server.asked('a.test', 'A');
    abort.abort(new Error('over'));
    await expect(asked).rejects.toThrow('over');
  });

  test('hears the server alone: a forged packet before the true one changes nothing', async () => {
    const server = dgram.createSocket('udp4');
    const forger = dgram.createSocket('udp4');
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    server.on('message', (packet, from) => {
      const forge = (address: string): Buffer =>
        Buffer.from(
          encode({
            type: 'response',
            id: packet.readUInt16BE(0),
            questions: [{ name: 'a.test', type: 'A' }],
            answers: [{ name: 'a.test', type: 'A', ttl: 1, data: address }],
          }),
        );
      forger.send(forge('6.6.6.6'), from.port, from.address, () =>
        server.send(forge('192.0.2.1'), from.port, from.address),
      );
    });
    const { port } = server.address();
    const reply = await clientOf([`127.0.0.1:${port}`]).ask('a.test', 'A', NEVER);
    server.close();
    forger.close();
    expect(dataOf(reply)).toEqual(['192.0.2.1']);
  });
});

describe('a packet', () => {
  const query = { id: 7, name: 'a.test', type: 'MX' } as const;
  const answer = encode({
    type: 'response',
    id: 7,
    questions: [{ name: 'A.TEST', type: 'MX' }],
    answers: [{ name: 'a.test', type: 'MX', ttl: 9, data: { preference: 1, exchange: 'mx.a.test' } }],
  });

  test('that repeats the question in other letters is heard', () => {
    expect(readMessage(answer, query).kind).toBe('answer');
  });

  test('that is the query itself is not heard', () => {
    expect(readMessage(encodeQuery(query, true), query)).toEqual({ kind: 'foreign' });
  });

  test('with a name that points to itself is malformed', () => {
    const bytes = Buffer.from(answer);
    const question = Buffer.byteLength('1a4test0') + 4;
    bytes.writeUInt16BE(0xc000 | (12 + question), 12 + question);
    expect(readMessage(bytes, query).kind).not.toBe('answer');
  });

  test('that ends before its last record does is malformed', () => {
    const cut = encode({
      type: 'response',
      id: 7,
      questions: [{ name: 'a.test', type: 'A' }],
      answers: [{ name: 'a.test', type: 'A', ttl: 9, data: '192.0.2.1' }],
    });
    for (let bytes = 25; bytes < cut.length; bytes++) {
      expect(readMessage(cut.subarray(0, bytes), { ...query, type: 'A' }).kind).toBe('malformed');
    }
  });

  test('of any bytes is read without a throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
        readMessage(noise, query);
        readMessage(Buffer.concat([answer.subarray(0, 24), noise]), query);
      }),
      { numRuns: 2000 },
    );
  });

  test('of an answer with changed bytes is read without a throw', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(answer.length - 1), fc.nat(255)), { maxLength: 8 }), (changes) => {
        const bytes = Buffer.from(answer);
        for (const [at, value] of changes) bytes[at] = value;
        const message = readMessage(bytes, query);
        if (message.kind === 'answer') findRecords(message, query.name, query.type);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('the text of a DNS server', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1:53'],
    ['192.0.2.1:5353', '192.0.2.1:5353'],
    ['2001:db8::1', '[2001:db8::1]:53'],
    ['[2001:db8::1]:5353', '[2001:db8::1]:5353'],
    ['[2001:db8::1]', '[2001:db8::1]:53'],
  ])('%s is %s', (text, expected) => {
    expect(parseDnsServer(text)?.text).toBe(expected);
  });

  test.each(['', 'localhost:53', '192.0.2.1:0', '192.0.2.1:65536', '[192.0.2.1]:53', '192.0.2.1:53:1'])(
    '%j is none',
    (text) => {
      expect(parseDnsServer(text)).toBeNull();
    },
  );
});

describe('the servers of the system', () => {
  test('are there to be asked, each with a port', () => {
    const servers = createServerList(null, createManualClock(0))();
    expect(servers.length).toBeGreaterThan(0);
    expect(servers.every(({ port }) => port > 0)).toBe(true);
  });
});

describe('the cache', () => {
  const cacheOf = (server: TestDnsServer, clock = createManualClock(0), maxEntries = 100) => ({
    clock,
    cache: createDnsCache(clientOf([server.address], clock), clock, maxEntries),
  });

  test('keeps an answer for its TTL and no longer', async () => {
    const server = await serve({ zone: { 'a.test': { A: { records: ['192.0.2.1'], ttl: 30 } } } });
    const { cache, clock } = cacheOf(server);
    await cache.ask('a.test', 'A', NEVER);
    await clock.advance(29_999);
    await cache.ask('A.TEST', 'A', NEVER);
    expect(server.queries.length).toBe(1);
    await clock.advance(1);
    await cache.ask('a.test', 'A', NEVER);
    expect(server.queries.length).toBe(2);
  });

  test.each([
    ['an answer', 'a.test', 'A', 3_600_000],
    ['"there is none"', 'a.test', 'MX', 300_000],
    ['"does not exist"', 'b.test', 'MX', 300_000],
    ['a failure', 'c.test', 'MX', 2000],
    ['"there is none" without an SOA', 'd.test', 'MX', 1000],
  ] as const)('keeps %s for a bounded time', async (_what, name, type, longestMs) => {
    const server = await serve({
      zone: { 'a.test': { A: ['192.0.2.1'] }, 'c.test': { MX: 'servfail' }, 'd.test': { MX: 'no-soa' } },
      ttl: 1_000_000,
      soaMinimum: 1_000_000,
    });
    const { cache, clock } = cacheOf(server);
    await cache.ask(name, type, NEVER);
    await clock.advance(longestMs - 1);
    await cache.ask(name, type, NEVER);
    expect(server.queries.length).toBe(1);
    await clock.advance(1);
    await cache.ask(name, type, NEVER);
    expect(server.queries.length).toBe(2);
  });

  test('keeps an answer with TTL 0 for a second', async () => {
    const server = await serve({ zone: { 'a.test': { A: { records: ['192.0.2.1'], ttl: 0 } } } });
    const { cache, clock } = cacheOf(server);
    await cache.ask('a.test', 'A', NEVER);
    await clock.advance(999);
    await cache.ask('a.test', 'A', NEVER);
    expect(server.queries.length).toBe(1);
  });

  test('asks equal questions at the same time once, and goes on when one of the callers leaves', async () => {
    const server = await serve({ zone: { 'a.test': { A: ['192.0.2.1'] } } });
    const { cache } = cacheOf(server);
    const abort = new AbortController();
    const [first, second] = [cache.ask('a.test', 'A', abort.signal), cache.ask('a.test', 'A', NEVER)];
    abort.abort(new Error('over'));
    await expect(first).rejects.toThrow('over');
    expect(dataOf(await second)).toEqual(['192.0.2.1']);
    expect(server.queries.length).toBe(1);
  });

  test('remembers nothing of a question that everybody has given up', async () => {
    const server = await serve({ zone: { 'a.test': { A: 'timeout' } } });
    const { cache } = cacheOf(server);
    const abort = new AbortController();
    const first = cache.ask('a.test', 'A', abort.signal);
    await server.asked('a.test', 'A');
    abort.abort(new Error('over'));
    await expect(first).rejects.toThrow('over');
    server.set('a.test', 'A', ['192.0.2.1']);
    expect(dataOf(await cache.ask('a.test', 'A', NEVER))).toEqual(['192.0.2.1']);
  });

  test('forgets what was not used for longest when it is full', async () => {
    const server = await serve({
      zone: Object.fromEntries(['a', 'b', 'c'].map((name) => [name, { A: ['192.0.2.1'] }])),
    });
    const { cache } = cacheOf(server, createManualClock(0), 2);
    for (const name of ['a', 'b', 'a', 'c', 'a', 'b']) await cache.ask(name, 'A', NEVER);
    expect(server.queries.map(({ name }) => name)).toEqual(['a', 'b', 'c', 'b']);
  });
});
