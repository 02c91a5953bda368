import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BOUNCE_CLASSES } from '../../src/core/bounce.ts';
import { DELIVERY_STATES, isFinal } from '../../src/core/delivery.ts';
import { EVENT_TYPES } from '../../src/core/event.ts';
import { SMTP_REFUSED_REASONS } from '../../src/intake/smtp-wire.ts';
import { LOG_FIELDS } from '../../src/telemetry/fields.ts';
import { METRICS } from '../../src/telemetry/metric-names.ts';
import { PROVIDERS } from '../../src/telemetry/provider.ts';
import { REJECTION_REASONS } from '../../src/telemetry/rejection-reason.ts';

const SOURCES = join(import.meta.dirname, '../../src');
const README = readFileSync(join(import.meta.dirname, '../../src/telemetry/README.md'), 'utf8');

const cellsOf = (line: string): readonly string[] =>
  line
    .split('|')
    .slice(1, -1)
    .map((cell) => cell.trim());

/** The rows under the heading whose first cell is `first`, cell by cell. */
function tableUnder(first: string): readonly (readonly string[])[] {
  const lines = README.split('\n');
  const start = lines.findIndex((line) => cellsOf(line)[0] === first);
  const end = lines.findIndex((line, index) => index > start && !line.startsWith('|'));
  return lines.slice(start + 2, end).map(cellsOf);
}

test('the published log fields are those of the code, with the same meaning', () => {
  expect(tableUnder('field')).toEqual(Object.entries(LOG_FIELDS).map(([name, meaning]) => [`\`${name}\``, meaning]));
});

test('the published events are in the code, and every kind of event of the code is published', () => {
  const sources = globSync('**/*.ts', { cwd: SOURCES, exclude: ['**/node_modules/**', 'sdk/**', 'dashboard/**'] });
  const inCode = new Set<string>(EVENT_TYPES);
  for (const file of sources) {
    const text = readFileSync(join(SOURCES, file), 'utf8');
    for (const [, name = ''] of text.matchAll(/(?:event: |[(,] )'([a-z]+\.[a-z-]+)'/g)) inCode.add(name);
  }
  const published = tableUnder('event').flatMap(([names = '']) => names.split(', ').map((name) => name.slice(1, -1)));
  expect(published.length).toBeGreaterThan(40);
  expect(published.filter((name) => !inCode.has(name))).toEqual([]);
  const rooms = new Set(published.map((name) => name.split('.')[0]));
  const logged = sources.flatMap((file) =>
    [...readFileSync(join(SOURCES, file), 'utf8').matchAll(/\bevent: '([a-z]+)\.[a-z-]+'/g)].map(([, room]) => room),
  );
  expect(logged.filter((room) => !rooms.has(room ?? ''))).toEqual([]);
});

test('the published metrics are those of the code, with type, labels and meaning', () => {
  expect(tableUnder('metric')).toEqual(
    Object.values(METRICS).map(({ name, type, labels, help }) => [
      `\`${name}\``,
      type,
      labels.map((label) => `\`${label}\``).join(', '),
      help,
    ]),
  );
});

test('the published label values are those of the code', () => {
  const values = new Map(tableUnder('label').map(([label = '', text = '']) => [label, text]));
  const listed = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
  expect(values.get('`reason` of rejected messages')).toBe(listed(REJECTION_REASONS));
  expect(tableUnder('`reason` of SMTP refusals').map(([reason]) => reason)).toEqual(
    SMTP_REFUSED_REASONS.map((reason) => `\`${reason}\``),
  );
  expect(values.get('`class` of bounces')).toBe(listed(BOUNCE_CLASSES));
  expect(values.get('`provider`')).toContain(listed(PROVIDERS));
  expect(values.get('`outcome` of deliveries')).toBe(`final states: ${listed(DELIVERY_STATES.filter(isFinal))}`);
});
