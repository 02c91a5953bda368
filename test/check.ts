/**
 * `npm run check`: format, types, lint, dead code and import direction, all of them, with the output of those that failed.
 *
 * Changes nothing. Ends with 1 when anything was found. `npm run check -- lint types` runs only the named ones.
 */
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';

interface Check {
  readonly name: string;
  readonly command: readonly string[];
  /** What to do when it fails. */
  readonly hint: string;
}

const CHECKS: readonly Check[] = [
  { name: 'format', command: ['biome', 'format'], hint: 'npm run format' },
  { name: 'types', command: ['tsc', '-p', '.'], hint: 'see the first error' },
  { name: 'types of the SDK', command: ['tsc', '-p', 'src/sdk'], hint: 'it has neither Node nor a DOM to rely on' },
  { name: 'types of the dashboard', command: ['tsc', '-p', 'src/dashboard'], hint: 'see the first error' },
  {
    name: 'lint',
    command: ['oxlint', '--type-aware', '--deny-warnings'],
    hint: 'the rules and their reasons: .oxlintrc.json',
  },
  { name: 'dead code', command: ['knip'], hint: 'remove it, or its export' },
  {
    name: 'import direction',
    command: ['vitest', 'run', '--config', 'test/vitest.config.ts', 'architecture'],
    hint: 'the floors: src/README.md',
  },
];

const root = join(import.meta.dirname, '..');
const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !CHECKS.some((check) => check.name === name));
if (unknown.length > 0) {
  console.error(
    `No check is called ${unknown.join(', ')}. There are: ${CHECKS.map((check) => check.name).join(', ')}.`,
  );
  process.exit(2);
}

const failed: Check[] = [];
for (const check of CHECKS.filter(({ name }) => wanted.length === 0 || wanted.includes(name))) {
  const [tool = '', ...args] = check.command;
  const began = performance.now();
  const result = spawnSync(join(root, 'node_modules', '.bin', tool), args, { cwd: root, encoding: 'utf8' });
  const took = `${((performance.now() - began) / 1000).toFixed(1)} s`;
  if (result.status === 0) {
    console.log(`ok      ${check.name} (${took})`);
    continue;
  }
  failed.push(check);
  console.log(`FAILED  ${check.name} (${took})\n${result.stdout}${result.stderr}${result.error?.message ?? ''}`);
}

for (const { name, hint } of failed) console.log(`failed: ${name}. ${hint}`);
process.exitCode = failed.length > 0 ? 1 : 0;
