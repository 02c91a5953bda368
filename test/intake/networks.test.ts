import { describe, expect, test } from 'vitest';
import { addressGroup, createNetworks, normalizeAddress } from '../../src/intake/networks.ts';
import fc from '../support/properties.ts';

describe('createNetworks', () => {
  test('contains the first and the last address of a network and neither neighbour', () => {
    const networks = createNetworks(['10.1.0.0/16']);
    expect(['10.0.255.255', '10.1.0.0', '10.1.255.255', '10.2.0.0'].map((a) => networks.contains(a))).toEqual([
      false,
      true,
      true,
      false,
    ]);
  });

  test('takes an address without a prefix length as that address alone', () => {
    const networks = createNetworks(['192.0.2.7', '2001:db8::7']);
    expect(['192.0.2.7', '192.0.2.8', '2001:db8::7', '2001:db8::8'].map((a) => networks.contains(a))).toEqual([
      true,
      false,
      true,
      false,
    ]);
  });

  test('finds an IPv4 client in every IPv4-mapped spelling that a dual-stack socket may report', () => {
    const networks = createNetworks(['127.0.0.0/8']);
    for (const address of ['::ffff:127.0.0.1', '::FFFF:127.0.0.1', '::ffff:7f00:1', '0:0:0:0:0:ffff:127.0.0.1']) {
      expect(networks.contains(address), address).toBe(true);
    }
  });

  test('takes a network that is written as IPv4-mapped IPv6 as the IPv4 network', () => {
    const networks = createNetworks(['::ffff:10.0.0.0/104']);
    expect(networks.contains('10.200.0.1')).toBe(true);
    expect(networks.contains('11.0.0.1')).toBe(false);
  });

  test('an IPv6 network of all addresses does not contain IPv4 clients', () => {
    expect(createNetworks(['::/0']).contains('192.0.2.1')).toBe(false);
  });

  test('contains nothing when there are no networks, and nothing that is not an address', () => {
    expect(createNetworks([]).contains('127.0.0.1')).toBe(false);
    expect(createNetworks(['0.0.0.0/0', '::/0']).contains('')).toBe(false);
    expect(createNetworks(['0.0.0.0/0', '::/0']).contains('localhost')).toBe(false);
  });

  test.each([
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/-1',
    '10.0.0/8',
    '::1/129',
    'localhost',
    '',
    '10.0.0.0/8/8',
    '::ffff:10.0.0.0/95',
  ])('refuses %j as a network and names it', (cidr) => {
    expect(() => createNetworks([cidr])).toThrow(RangeError);
  });

  test('agrees with arithmetic on IPv4 networks of any length', () => {
    fc.assert(
      fc.property(fc.nat(0xffffffff), fc.nat(0xffffffff), fc.integer({ min: 0, max: 32 }), (network, address, bits) => {
        const mask = bits === 0 ? 0 : (0xffffffff << (32 - bits)) >>> 0;
        const inside = (network & mask) >>> 0 === (address & mask) >>> 0;
        expect(createNetworks([`${dotted(network)}/${bits}`]).contains(dotted(address))).toBe(inside);
      }),
      { numRuns: 200 },
    );
  });
});

describe('normalizeAddress', () => {
  test.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['192.0.2.1', '192.0.2.1'],
    ['', ''],
  ])('writes %s as %s', (address, normal) => {
    expect(normalizeAddress(address)).toBe(normal);
  });

  test('changes nothing that it has written itself', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        const once = normalizeAddress(address);
        expect(normalizeAddress(once)).toBe(once);
      }),
      { numRuns: 200 },
    );
  });
});

describe('addressGroup', () => {
  test('puts all addresses of an IPv6 /64 into one group and its neighbour into another', () => {
    const [a, b, c] = ['2001:db8:1:2::1', '2001:db8:1:2:ffff::9', '2001:db8:1:3::1'].map(addressGroup);
    expect(a).toBe(b);
    expect(a).not.toBe(c);
  });

  test('keeps IPv4 addresses apart, mapped or not', () => {
    expect(addressGroup('192.0.2.1')).toBe(addressGroup('::ffff:192.0.2.1'));
    expect(addressGroup('192.0.2.1')).not.toBe(addressGroup('192.0.2.2'));
  });

  test('depends on the first four hextets of an IPv6 address alone', () => {
    const hextet = fc.nat(0xffff).map((n) => n.toString(16));
    fc.assert(
      fc.property(
        fc.array(hextet, { minLength: 4, maxLength: 4 }),
        fc.array(hextet, { minLength: 4, maxLength: 4 }),
        (head, tail) => {
          // Not the IPv4-mapped range, which is IPv4.
          fc.pre(head.some((part) => part !== '0'));
          expect(addressGroup([...head, ...tail].join(':'))).toBe(`${head.join(':')}::/64`);
        },
      ),
      { numRuns: 200 },
    );
  });
});

function dotted(n: number): string {
  return [24, 16, 8, 0].map((shift) => (n >>> shift) & 255).join('.');
}
