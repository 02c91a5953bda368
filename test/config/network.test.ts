/** Domains, hosts, networks, loopback. */
import { BlockList, isIP } from 'node:net';
import { expect, test } from 'vitest';
import {
  isLoopback,
  parseDomain,
  parseDomainPattern,
  parseHost,
  parseNetwork,
  parseServer,
} from '../../src/config/network.ts';
import fc from '../support/properties.ts';

const runs = { numRuns: 300 };

test.each([
  ['Example.COM', 'example.com'],
  ['localhost', 'localhost'],
  ['a-b.c', 'a-b.c'],
  ['bücher.example', 'xn--bcher-kva.example'],
])('the domain %j is %j', (text, domain) => expect(parseDomain(text)).toBe(domain));

test.each([
  '',
  '.',
  'a..b',
  'a.',
  '.a',
  '-a.b',
  'a-.b',
  'a b',
  'a_b.c',
  '10.0.0.1',
  'a.1',
  'a.0x1f',
  'a/b',
  'a@b',
  '*.a.b',
  `${'a'.repeat(64)}.b`,
  'a%2eb',
  '\u0000',
])('%j is not a domain', (text) => expect(parseDomain(text)).toBeNull());

test.each(['1.2.3.4', '::1', 'my_smtp', 'smtp.example.com', '2001:db8::1'])('%j is a host', (text) =>
  expect(parseHost(text)).toBe(text),
);

test.each(['', '127.1', '0x7f.1', '[::1]', 'a:25', 'fe80::1%eth0', '256.1.1.1', 'https://a'])(
  '%j is not a host',
  (text) => expect(parseHost(text)).toBeNull(),
);

test('a domain pattern is a domain, or one with *. before it', () => {
  expect(parseDomainPattern('*.Example.com')).toBe('*.example.com');
  expect(parseDomainPattern('example.com')).toBe('example.com');
  expect(parseDomainPattern('*')).toBeNull();
  expect(parseDomainPattern('a.*.com')).toBeNull();
});

test('no domain, however written, makes the parser throw, and what it gives parses to itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      for (const parse of [parseDomain, parseHost, parseDomainPattern]) {
        const parsed = parse(text);
        if (parsed !== null) expect(parse(parsed)).toBe(parsed);
      }
    }),
    runs,
  );
});

test("a network that we take holds its own address in Node's eyes too", () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6());
  fc.assert(
    fc.property(address, fc.nat(130), (ip, prefix) => {
      const parsed = parseNetwork(`${ip}/${prefix}`);
      const bits = isIP(ip) === 4 ? 32 : 128;
      if (prefix > bits) expect(parsed).toEqual({ kind: 'malformed' });
      if (prefix === bits) expect(parsed.kind).toBe('network');
      if (parsed.kind !== 'network') return;
      const list = new BlockList();
      const family = isIP(ip) === 4 ? 'ipv4' : 'ipv6';
      list.addSubnet(ip, prefix, family);
      expect(list.check(ip, family)).toBe(true);
    }),
    runs,
  );
});

test('bits behind the prefix are told apart from text that is no network', () => {
  expect(parseNetwork('10.0.0.1/8')).toEqual({ kind: 'host-bits' });
  expect(parseNetwork('2001:db8::1/64')).toEqual({ kind: 'host-bits' });
  expect(parseNetwork('::1/127')).toEqual({ kind: 'host-bits' });
  for (const text of ['', 'a', '10.0.0.0/', '10.0.0.0/08', '10.0.0.0/-1', '10.0.0/8', '10.0.0.0/8/8', '::1%lo/128']) {
    expect(parseNetwork(text)).toEqual({ kind: 'malformed' });
  }
});

test('a bare address is a network of one', () => {
  expect(parseNetwork('192.0.2.7')).toEqual({ kind: 'network', cidr: '192.0.2.7/32', isPublic: false });
  expect(parseNetwork('2001:DB8::7')).toEqual({ kind: 'network', cidr: '2001:db8::7/128', isPublic: false });
});

test.each(['0.0.0.0/0', '0.0.0.0/7', '::/0', '::/6', '::/8', '::/80', '::ffff:0:0/96', '::ffff:0.0.0.0/103'])(
  '%s holds addresses of strangers',
  (text) => expect(parseNetwork(text)).toMatchObject({ isPublic: true }),
);

test.each(['10.0.0.0/8', 'fc00::/7', '::1/128', '::ffff:10.0.0.0/104', '2001:db8::/32', '::/96'])(
  '%s can be a network of our own',
  (text) => expect(parseNetwork(text)).toMatchObject({ isPublic: false }),
);

test.each([
  '127.0.0.1',
  '127.255.0.9',
  '::1',
  '0:0:0:0:0:0:0:1',
  'localhost',
  'LOCALHOST',
  '::ffff:127.0.0.1',
  '::ffff:7f00:1',
])('%s is this machine', (host) => expect(isLoopback(host)).toBe(true));

test.each([
  '0.0.0.0',
  '::',
  '10.0.0.1',
  '128.0.0.1',
  '1.127.0.0',
  '127.evil.example',
  '::ffff:10.0.0.1',
  '::2',
  'localhost.example.com',
  '127.0.0.1.example.com',
  '',
])('%j may be another machine', (host) => expect(isLoopback(host)).toBe(false));

test('a server reads the same whether its port is written or is the default, and its text reads as itself', () => {
  const v6 = fc.ipV6().filter((address) => !address.includes('%'));
  const address = fc.oneof(
    fc.ipV4(),
    v6.map((text) => `[${text}]`),
  );
  fc.assert(
    fc.property(address, fc.integer({ min: 1, max: 65_535 }), (text, port) => {
      const written = parseServer(`${text}:${port}`, 53);
      expect(written).toEqual(parseServer(text, port));
      expect(parseServer(written?.text ?? '', 53)).toEqual(written);
      expect(isIP(written?.address ?? '')).not.toBe(0);
    }),
    runs,
  );
});

test('no text makes the reader of servers throw or give what is no address', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const server = parseServer(text, 53);
      if (server !== null) expect(isIP(server.address)).not.toBe(0);
    }),
    runs,
  );
});

test.each([
  'localhost',
  '::1',
  '::1:53',
  '[::1%lo]:53',
  '[127.0.0.1]',
  '127.0.0.1:',
  '127.0.0.1:0',
  '127.0.0.1:65536',
  '127.1',
])('%j is no server', (text) => expect(parseServer(text, 53)).toBeNull());
