/**
 * The project as a whole: what its text may not contain, what its packages' licences allow, what every clone must have.
 */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';

const ROOT = join(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(join(ROOT, file), 'utf8');

const Manifest = z.object({
  name: z.string(),
  version: z.string(),
  license: z.string().optional(),
  dependencies: z.record(z.string(), z.string()).default({}),
  devDependencies: z.record(z.string(), z.string()).default({}),
  optionalDependencies: z.record(z.string(), z.string()).default({}),
  engines: z.record(z.string(), z.string()).default({}),
  bin: z.union([z.string(), z.record(z.string(), z.string())]).optional(),
});
const Lock = z.object({
  packages: z.record(
    z.string(),
    Manifest.partial().extend({
      dev: z.boolean().default(false),
      optional: z.boolean().default(false),
      link: z.boolean().default(false),
      resolved: z.string().optional(),
    }),
  ),
});
const manifest = Manifest.parse(JSON.parse(read('package.json')));
const lock = Lock.parse(JSON.parse(read('package-lock.json')));

/** Files of the project as git sees them: tracked, or new and not ignored. */
function projectFiles(): string[] {
  const list = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return list.split('\0').filter((file) => file !== '' && existsSync(join(ROOT, file)));
}

/** Written with a gap, so that this file does not find itself. */
const words = (...parts: readonly string[]): RegExp => new RegExp(parts.join('|'), 'i');
const FORBIDDEN: readonly { readonly what: string; readonly pattern: RegExp }[] = [
  {
    what: 'the host of a package registry',
    pattern: words(
      'registry\\.npm' + 'js',
      'npm\\.pkg\\.git' + 'hub',
      'registry\\.yarn' + 'pkg',
      'deb\\.deb' + 'ian\\.org',
      'pypi\\.' + 'org',
    ),
  },
  {
    what: 'a path of one machine',
    pattern: new RegExp('(?<![\\w.$}/])/(?:wo' + 'rk|ro' + 'ot|ho' + 'me/\\w+|Us' + 'ers/\\w+)/'),
  },
  { what: 'a temporary path of one machine', pattern: new RegExp('(?<![\\w.$}/])/tm' + 'p/\\w') },
  {
    what: 'a reference to an issue tracker',
    pattern: words(
      '(?:fix|clos|resolv)(?:e|es|ed) #\\d',
      '\\bissue #?\\d',
      '\\bpull request #?\\d',
      '\\bGH-\\d',
      '\\bJIRA\\b',
    ),
  },
];

/** Permissive licences; anything else, weak copyleft too, needs a decision and an entry here. */
const PERMISSIVE = new Set([
  'MIT',
  'MIT-0',
  'ISC',
  '0BSD',
  'BSD-2-Clause',
  'BSD-3-Clause',
  'Apache-2.0',
  'BlueOak-1.0.0',
  'Unlicense',
  'CC0-1.0',
  'Python-2.0',
]);

/** True when an SPDX expression leaves a permissive choice. */
function isPermissive(expression: string): boolean {
  const text = expression.replace(/^\((.*)\)$/, '$1');
  if (text.includes(' OR ')) return text.split(' OR ').some(isPermissive);
  if (text.includes(' AND ')) return text.split(' AND ').every(isPermissive);
  return PERMISSIVE.has(text);
}

describe('project text', () => {
  const files = projectFiles().filter(
    (file) => file !== 'package-lock.json' && !/\.(?:png|ico|woff2?|db|der|eml)$/.test(file),
  );

  test('is there to be looked at', () => {
    expect(files).toContain('package.json');
    expect(files.length).toBeGreaterThan(20);
  });

  test.each(FORBIDDEN)('names nowhere $what', ({ pattern }) => {
    const found = files.flatMap((file) =>
      read(file)
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
    );
    expect(found).toEqual([]);
  });

  test('has the licence with its holder', () => {
    expect(read('LICENSE')).toMatch(/^MIT License\n\nCopyright \(c\) \d{4} Leadpush\n/);
    expect(manifest.license).toBe('MIT');
  });

  test('tells in the README how to start and how to test', () => {
    expect(read('README.md')).toContain('npm start');
    expect(read('README.md')).toContain('npm test');
  });
});

describe('tests', () => {
  const tests = projectFiles().filter((file) => /^test\/.*\.ts$/.test(file));

  test("have every Debian package that they name installed by CI's script", () => {
    const named = tests.flatMap((file) =>
      [...read(file).matchAll(/need(?:Program|File)\(\s*'[^']+',\s*'([^']+)'/g)].map((match) => match[1]),
    );
    expect(named).toContain('chromium');
    const installed = [...read('.ci/run').matchAll(/^ {2}\/\S+:(\S+)$/gm)].map((match) => match[1]);
    expect([...new Set(named)].filter((name) => !installed.includes(name))).toEqual([]);
  });

  test('draw the values of properties from the one place that CI can fix', () => {
    const own = "from 'fast-" + "check'";
    expect(tests.filter((file) => read(file).includes(own))).toEqual(['test/support/properties.ts']);
  });
});

describe('packages', () => {
  test('of the lock file are the ones that package.json asks for', () => {
    expect(lock.packages['']).toMatchObject({
      dependencies: manifest.dependencies,
      devDependencies: manifest.devDependencies,
    });
  });

  test('of the lock file name no download address, so that any registry will do', () => {
    const named = Object.values(lock.packages).filter(({ link, resolved }) => !link && resolved !== undefined);
    expect(named).toEqual([]);
  });

  test('for other platforms are in the lock file too, or npm ci refuses it', () => {
    const missing = Object.entries(lock.packages).flatMap(([path, entry]) =>
      Object.keys(entry.optionalDependencies ?? {}).filter(
        (name) => !lock.packages[`${path}/node_modules/${name}`] && !lock.packages[`node_modules/${name}`],
      ),
    );
    expect(missing).toEqual([]);
  });

  test('that ship with the relay have permissive licences', () => {
    const production = Object.entries(lock.packages).filter(
      ([path, { dev, optional }]) => path !== '' && !dev && !optional,
    );
    expect(production.length).toBeGreaterThan(Object.keys(manifest.dependencies).length);
    const refused = production.flatMap(([path]) => {
      const { name, license } = Manifest.parse(JSON.parse(read(join(path, 'package.json'))));
      return isPermissive(license ?? 'none') ? [] : [`${name}: ${license ?? 'no licence named'}`];
    });
    expect(refused).toEqual([]);
  });

  test.each([
    ['MIT', true],
    ['(MIT OR GPL-3.0)', true],
    ['MIT AND GPL-3.0', false],
    ['MPL-2.0', false],
    ['EUPL-1.2', false],
    ['AGPL-3.0-only', false],
    ['SEE LICENSE IN EULA', false],
    ['none', false],
  ])('under %s are judged permissive: %s', (expression, expected) => {
    expect(isPermissive(expression)).toBe(expected);
  });
});
