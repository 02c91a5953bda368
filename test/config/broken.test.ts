/**
 * Broken and doubtful configs, each with the text that a person gets to see in the `.txt` beside it: every finding, no
 * more, with its line and column.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { formatFindings } from '../../src/config/finding.ts';
import { loadConfig } from '../../src/config/load.ts';

const SECRET = 'sEcReT-VaLuE';
const env = {
  RELAY_PASSWORD: SECRET,
  RELAY_WEBHOOK: 'whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz',
  LINES: `${SECRET}\nof two lines`,
};

const broken = path.join(import.meta.dirname, 'broken');
const doubtful = path.join(import.meta.dirname, 'doubtful');

function cases(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length));
}

function expected(folder: string, name: string): string {
  return readFileSync(path.join(folder, `${name}.txt`), 'utf8');
}

test.each(cases(broken))('the broken config %s is refused with every finding', (name) => {
  const result = loadConfig(path.join(broken, `${name}.yaml`), env);
  if (result.kind !== 'invalid') throw new Error('it was taken');
  const text = `${formatFindings(result.findings)}\n`;
  expect(text.replaceAll(`${broken}${path.sep}`, '')).toBe(expected(broken, name));
  expect(text).not.toContain(SECRET);
});

test.each(cases(doubtful))('the doubtful config %s is taken with every warning', (name) => {
  const result = loadConfig(path.join(doubtful, `${name}.yaml`), env);
  if (result.kind !== 'config') throw new Error(formatFindings(result.findings));
  expect(`${formatFindings(result.warnings)}\n`.replaceAll(`${doubtful}${path.sep}`, '')).toBe(
    expected(doubtful, name),
  );
});

test('there are at least thirty broken configs', () => {
  expect(cases(broken).length).toBeGreaterThanOrEqual(30);
});
