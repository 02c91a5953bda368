import { expect, test } from 'vitest';
import { createFindings, txtRecord } from '../../src/doctor/finding.ts';

test('a finding stays readable whatever is published: its texts are cut, and a record beyond use is left out', () => {
  const found = createFindings('spf', 'example.com');
  const words = (length: number) => ({ message: 'm'.repeat(length), why: '', hint: 'h'.repeat(length) });
  found.error('end', { ...words(2000), record: txtRecord('example.com', 'v=spf1 -all') });
  found.error('end', { ...words(60_000), record: txtRecord('example.com', 'x'.repeat(60_000)) });
  const shown = found.list.map(({ message, hint, record }) => [message.length, hint.length, record?.value ?? null]);
  expect(shown).toEqual([
    [2000, 2000, 'v=spf1 -all'],
    [2000, 2000, null],
  ]);
  expect(found.list[1]?.message.endsWith('m\u2026')).toBe(true);
});
