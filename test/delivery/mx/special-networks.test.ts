/** Which addresses an MX record may not make the relay connect to. */
import { describe, expect, test } from 'vitest';
import { isPrivateAddress } from '../../../src/delivery/mx/special-networks.ts';
import fc from '../../support/properties.ts';

const SPECIAL = `
  0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.127.255.255 127.0.0.1 127.255.0.9 169.254.169.254
  172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.88.99.1 192.168.0.1 198.18.0.1 198.19.255.255
  198.51.100.7 203.0.113.9 224.0.0.1 239.1.1.1 240.0.0.1 255.255.255.255 :: ::1 ::127.0.0.1 ::8.8.8.8
  ::ffff:127.0.0.1 ::ffff:a00:1 ::FFFF:10.0.0.1 64:ff9b::10.0.0.1 64:ff9b::7f00:1 64:ff9b:1::1 100::1
  100:0:0:1::1 2001::1 2001:2::1 2001:20::1 2001:db8::1 2002:7f00:1::1 2002:c0a8:101:: 3fff::1 5f00::1
  fc00::1 fd12:3456::1 fe80::1 fe80::1%eth0 febf::1 fec0::1 feff::1 ff02::1 ffff::1 localhost 127.1
  0x7f.0.0.1 10.0.0.1/8 8.8.8.8%1 [::1] 1.2.3
`
  .trim()
  .split(/\s+/)
  .concat('', ' 8.8.8.8');

const PUBLIC = `
  1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.1 169.253.255.255
  169.255.0.0 172.15.255.255 172.32.0.0 192.0.1.1 192.0.3.1 192.167.255.255 192.169.0.0 198.17.255.255
  198.20.0.0 223.255.255.255 2001:4860:4860::8888 2606:4700::1111 2a00:1450:4001::1 2001:200::1
  2002:808:808::1 64:ff9b::8.8.8.8 ::ffff:8.8.8.8 2001:db9::1
`
  .trim()
  .split(/\s+/);

describe('an address', () => {
  test.each(SPECIAL)('%s is not of the public Internet', (address) => {
    expect(isPrivateAddress(address)).toBe(true);
  });

  test.each(PUBLIC)('%s is of the public Internet', (address) => {
    expect(isPrivateAddress(address)).toBe(false);
  });

  test('of IPv4 is judged the same however it is dressed as IPv6', () => {
    fc.assert(
      fc.property(fc.ipV4(), (address) => {
        const octets = address.split('.').map(Number);
        const [high, low] = [octets.slice(0, 2), octets.slice(2)].map(([a = 0, b = 0]) => ((a << 8) | b).toString(16));
        const judged = isPrivateAddress(address);
        for (const dressed of [
          `::ffff:${address}`,
          `::ffff:${high}:${low}`,
          `64:ff9b::${address}`,
          `2002:${high}:${low}::1`,
          `2002:${high}:${low}:1:2:3:4:5`,
        ]) {
          expect(`${dressed} ${isPrivateAddress(dressed)}`).toBe(`${dressed} ${judged}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('of IPv6 outside 2000::/3 is never public, but where it holds a public IPv4 address', () => {
    fc.assert(
      fc.property(fc.ipV6(), (address) => {
        fc.pre(!/^(?:[23][0-9a-f]{3}:|64:ff9b:|.*ffff:)/i.test(address));
        expect(isPrivateAddress(address)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test('is judged without a throw whatever the text', () => {
    fc.assert(fc.property(fc.string(), (text) => typeof isPrivateAddress(text) === 'boolean'));
  });
});
