/** DELIVERBY (RFC 2852): the time that is left goes along with the message where the server takes it. */
import { expect, test } from 'vitest';
import { parseCapabilities } from '../../src/delivery/smtp/capabilities.ts';
import { mailParametersOf } from '../../src/delivery/smtp/envelope.ts';
import fc from '../support/properties.ts';
import { manualBench, requestFor } from './fixture.ts';

const NOW = Date.parse('2026-01-05T10:00:00Z');

test('the seconds that are left are declared, rounded down', async () => {
  const { hop, deliver } = await manualBench({ extensions: ['DELIVERBY'] });
  await deliver({ deliverBy: NOW + 899_999 });
  expect(hop.messages[0]?.mailParameters).toBe('BY=899;R');
});

test.each([
  ['is not offered', ['SIZE'], NOW + 900_000],
  ['has a longer minimum', ['DELIVERBY 901'], NOW + 900_000],
  ['would have less than a second', ['DELIVERBY'], NOW + 999],
  ['would be in the past', ['DELIVERBY'], NOW - 5_000],
  ['was not asked for', ['DELIVERBY'], null],
] as const)('it is left out where it %s, and the message is sent', async (_what, extensions, deliverBy) => {
  const { hop, deliver } = await manualBench({ extensions });
  expect((await deliver({ deliverBy })).kind).toBe('delivered');
  expect(hop.lines.find(({ line }) => line.startsWith('MAIL'))?.line).not.toContain('BY=');
});

test('a time of just the minimum is declared, and so is one of a single second', async () => {
  const { hop, deliver } = await manualBench({ extensions: ['DELIVERBY 240'] });
  await deliver({ deliverBy: NOW + 240_000 });
  expect(hop.messages[0]?.mailParameters).toBe('BY=240;R');
  const least = await manualBench({ extensions: ['DELIVERBY'] });
  await least.deliver({ deliverBy: NOW + 1_000 });
  expect(least.hop.messages[0]?.mailParameters).toBe('BY=1;R');
});

test.each([[['PIPELINING', 'SMTPUTF8', 'DELIVERBY']], [['SMTPUTF8', 'DELIVERBY']]])(
  'it goes along with SMTPUTF8, for this message alone (%s)',
  async (extensions) => {
    const { hop, deliver } = await manualBench({ extensions });
    const content = 'Subject: Grüße\r\n\r\nbody\r\n';
    await deliver({ content, eightBit: true, smtpUtf8: true, deliverBy: NOW + 60_000 });
    await deliver();
    expect(hop.messages.map(({ mailParameters }) => mailParameters)).toEqual(['SMTPUTF8 BY=60;R', '']);
  },
);

test.each([
  ['250-mx\n250 DELIVERBY', 0],
  ['250-mx\n250 deliverby 240', 240],
  ['250-mx\n250 DELIVERBY 240,more', 240],
  ['250-mx\n250 DELIVERBY x', 0],
  ['250-mx\n250 HELP', null],
])('the reply %j has the minimum %j', (text, expected) => {
  expect(parseCapabilities(text).deliverBySeconds).toBe(expected);
});

test('what is declared is always a time that the grammar allows and the server takes', () => {
  const time = fc.integer({ min: -2_000_000_000_000, max: 20_000_000_000_000 });
  fc.assert(
    fc.property(time, fc.nat({ max: 10_000 }), (left, minimum) => {
      const capabilities = parseCapabilities(`250-mx\n250 DELIVERBY ${minimum}`);
      const [by] = mailParametersOf(requestFor({ deliverBy: NOW + left }), capabilities, NOW);
      if (by === undefined) return;
      const seconds = Number(/^BY=([1-9]\d{0,8});R$/.exec(by)?.[1] ?? Number.NaN);
      expect(seconds).toBeGreaterThanOrEqual(Math.max(1, minimum));
      expect(seconds * 1000).toBeLessThanOrEqual(left);
    }),
    { numRuns: 200 },
  );
});
