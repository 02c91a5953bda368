/** "Did you mean ...?": slips are found, other words are not. */
import { expect, test } from 'vitest';
import { didYouMean, nearMatch } from '../../src/config/near-match.ts';
import fc from '../support/properties.ts';

const KEYS = ['listeners', 'trusted_networks', 'max_message_size', 'connect_timeout', 'hostname'];

test('one slip in a key is traced back to it', () => {
  const slip = fc.record({
    key: fc.constantFrom(...KEYS),
    at: fc.nat(7),
    kind: fc.constantFrom('drop', 'add', 'swap', 'replace'),
  });
  fc.assert(
    fc.property(slip, ({ key, at, kind }) => {
      const [before, here, after] = [key.slice(0, at), key.charAt(at), key.slice(at + 1)];
      const slips = {
        drop: before + after,
        add: `${before}x${here}${after}`,
        swap: before + after.slice(0, 1) + here + after.slice(1),
        replace: `${before}x${after}`,
      };
      if (slips[kind] !== key) expect(nearMatch(slips[kind], KEYS)).toBe(key);
    }),
    { numRuns: 300 },
  );
});

test('letter case and hyphens are slips too', () => {
  expect(nearMatch('Connect-Timeout', KEYS)).toBe('connect_timeout');
});

test('a word that is like none of the known ones has no near match', () => {
  for (const word of ['', 'colour', 'x', 'h'.repeat(100)]) expect(nearMatch(word, KEYS)).toBeNull();
  expect(didYouMean('colour', KEYS, 'otherwise')).toBe('otherwise');
  expect(didYouMean('hostnam', KEYS, 'otherwise')).toBe('did you mean `hostname`?');
});
