/**
 * The house plan as a test: who may import whom, and the bans that the linter has no rule for.
 *
 * It reads the sources as text. An import counts wherever it opens a line, as `import(...)` anywhere, and as
 * `new URL('./file', import.meta.url)`, which is how a worker thread names its file. Package imports are not judged.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';
import { describe, expect, test } from 'vitest';

const SOURCES = join(import.meta.dirname, '..', 'src');

/** Floors by room, as in src/README.md. A file imports from its own room and from lower floors only. */
const FLOORS: Readonly<Record<string, number>> = {
  // version.ts, which reads package.json.
  version: 0,
  core: 0,
  mail: 1,
  config: 1,
  telemetry: 1,
  store: 2,
  policy: 3,
  routing: 3,
  signing: 3,
  delivery: 3,
  feedback: 3,
  intake: 4,
  doctor: 4,
  queue: 4,
  webhooks: 4,
  api: 5,
  app: 6,
  // main.ts and cli/ are one room: the program that people start.
  cli: 7,
};
/** Packages of their own under src/: nothing crosses their border. */
const ISLANDS: readonly string[] = ['sdk', 'dashboard'];

const IMPORT =
  /^(?:import|export)\b(?:[^'";]*?\bfrom\s*)?\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]|\bnew URL\(\s*['"](\.[^'"]+)['"]/gm;

const BANS: readonly { readonly pattern: RegExp; readonly says: string; readonly except: readonly string[] }[] = [
  { pattern: /\bnew Date\(\s*\)/, says: 'new Date() reads the clock: take a Clock', except: ['core/time.ts'] },
  {
    pattern: /\bglobalThis\s*\.\s*(?:setTimeout|setInterval|Date|Math|process|console)\b/,
    says: 'globalThis goes round the bans on clocks, chance and process',
    except: ['core/time.ts'],
  },
  { pattern: /\bperformance\.now\b/, says: 'performance.now(): use clock.monotonicMs()', except: ['core/time.ts'] },
];

function roomOf(file: string): string {
  const [first = '', ...rest] = file.split('/');
  if (rest.length > 0) return first;
  return first === 'main.ts' ? 'cli' : posix.basename(first, '.ts');
}

function importsOf(text: string): string[] {
  return Array.from(text.matchAll(IMPORT), (match) => match[1] ?? match[2] ?? match[3] ?? '');
}

/** What is wrong with one relative import of `file` (a path under src/), or null. */
function judgeImport(file: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null;
  const target = posix.join(posix.dirname(file), specifier);
  const [from, to] = [roomOf(file), roomOf(target)];
  const says = (reason: string): string => `${file} imports ${specifier}: ${reason}`;
  if (target.startsWith('..')) return says('outside src/');
  // What is built from the dashboard is files that the server hands out, no code of its own.
  if (from === 'api' && target === 'dashboard/dist/') return null;
  if (from === 'dashboard' && to === 'dashboard' && target.endsWith('.css')) return null;
  if (!/\.tsx?$/.test(target)) return says('a relative import ends in .ts');
  if (from === to) return null;
  if (ISLANDS.includes(from) || ISLANDS.includes(to)) return says(`${from} and ${to} share no code`);
  const [fromFloor, toFloor] = [FLOORS[from], FLOORS[to]];
  if (fromFloor === undefined) return says(`${from} has no floor in this test`);
  if (toFloor === undefined) return says(`${to} has no floor in this test`);
  return toFloor < fromFloor ? null : says(`${from} is on floor ${fromFloor}, ${to} on floor ${toFloor}`);
}

function judge(file: string, text: string): string[] {
  const imports = importsOf(text).flatMap((specifier) => judgeImport(file, specifier) ?? []);
  const bans = BANS.filter((ban) => ban.pattern.test(text) && !ban.except.includes(file));
  return [...imports, ...bans.map((ban) => `${file}: ${ban.says}`)];
}

const files = globSync('**/*.{ts,tsx}', { cwd: SOURCES })
  .map((file) => file.replaceAll('\\', '/'))
  .filter((file) => !/(^|\/)(node_modules|dist)\//.test(file))
  .map((file) => ({ file, text: readFileSync(join(SOURCES, file), 'utf8') }));

describe('the sources', () => {
  test('are seen, with their imports', () => {
    expect(files.length).toBeGreaterThan(10);
    expect(files.flatMap(({ text }) => importsOf(text)).filter((name) => name.startsWith('.')).length).toBeGreaterThan(
      20,
    );
    expect(files.filter(({ text }) => /^import\b/m.test(text) && importsOf(text).length === 0)).toEqual([]);
  });

  test('keep to the house plan', () => {
    expect(files.flatMap(({ file, text }) => judge(file, text))).toEqual([]);
  });
});

test('every file and folder that src/README.md names is there', () => {
  const readme = readFileSync(join(SOURCES, 'README.md'), 'utf8');
  const named = Array.from(readme.matchAll(/`([a-z-]+\/[\w./-]*)`/g), (match) => match[1] ?? '');
  expect(named.length).toBeGreaterThan(50);
  const isThere = (name: string): boolean => [SOURCES, join(SOURCES, '..')].some((at) => existsSync(join(at, name)));
  expect(named.filter((name) => !isThere(name))).toEqual([]);
});

describe('the checker', () => {
  test.each([
    ['a higher floor', 'store/store.ts', "import type { Intake } from '../intake/submission.ts';"],
    [
      'another room on the same floor',
      'policy/decide.ts',
      "import {\n  choose,\n  other,\n} from '../routing/choose.ts';",
    ],
    ['a room without a floor', 'attic/box.ts', "import '../core/time.ts';"],
    ['a room without a floor as the target', 'app.ts', "export * from './attic/box.ts';"],
    ['app.ts from below', 'api/server.ts', "const app = await import('../app.ts');"],
    ['a worker file of another room', 'queue/lease.ts', "new Worker(new URL('../intake/worker.ts', import.meta.url));"],
    ['an import without its ending', 'core/ids.ts', "import { x } from './time';"],
    ['an import with the ending of the build', 'core/ids.ts', "import { x } from './time.js';"],
    ['the server from the SDK', 'sdk/client.ts', "import type { X } from '../core/event.ts';"],
    ['the SDK from the server', 'cli/tail.ts', "import { LeadpushRelay } from '../sdk/client.ts';"],
    ['the dashboard from the server', 'api/pages.ts', "import { App } from '../dashboard/app.tsx';"],
    ['a style sheet of the dashboard from elsewhere', 'api/pages.ts', "import '../dashboard/styles/base.css';"],
    ['a file outside src/', 'core/ids.ts', "import x from '../../test/support/clock.ts';"],
    ['the bare clock', 'queue/retry.ts', 'const now = new Date();'],
    ['a timer behind globalThis', 'queue/retry.ts', 'globalThis.setTimeout(go, 5);'],
    ['a span measured without the clock', 'queue/retry.ts', 'const began = performance.now();'],
  ])('finds %s', (_name, file, text) => {
    expect(judge(file, text)).toHaveLength(1);
  });

  test.each([
    ['a lower floor', 'queue/attempt.ts', "import { isFinal } from '../core/delivery.ts';"],
    ['its own room', 'store/sqlite/open.ts', "import type { Store } from '../store.ts';"],
    ['packages and Node', 'core/ids.ts', "import { randomFillSync } from 'node:crypto';\nimport pino from 'pino';"],
    ['a command from main.ts', 'main.ts', "import { tail } from './cli/tail.ts';"],
    ['the built pages from the API', 'api/pages.ts', "new URL('../dashboard/dist/', import.meta.url);"],
    ['a style sheet of the dashboard', 'dashboard/main.tsx', "import './styles/base.css';"],
    ['a date made from a number', 'api/wire.ts', 'const date = new Date(at);'],
  ])('lets %s pass', (_name, file, text) => {
    expect(judge(file, text)).toEqual([]);
  });
});
