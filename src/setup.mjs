/**
 * Installs the project's packages when they are missing or older than package-lock.json, and builds the dashboard's pages
 * when those are missing or older than their sources; does nothing otherwise.
 *
 * Runs before `npm start`, `npm test`, `npm run check` and `npm run bench`, on whatever Node the machine has (20 or newer):
 * plain JavaScript, nothing imported but Node's own modules. Among the packages is the Node that everything else runs on.
 *
 * A stamp in node_modules holds a hash of the lock file; while it matches, the check costs one read of two files. The
 * stamp is written last, so an installation that was interrupted is done again. Two that run at once take turns.
 *
 * `npm install --no-save` rather than `npm ci`: the same versions from the lock file, but what is already right stays
 * where it is, under the feet of a relay that may be running, and the lock file is never written.
 *
 * The pages are built beside the old ones and take their place when they are whole, stamped with a hash of what they were
 * made from. When that fails the old ones stay, or a text with the reason for `/`: a relay is there to relay, and starts.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.leadpush-setup');
const lockFile = join(modules, '.leadpush-setup.lock');
const RETRY_MS = 200;
const dashboard = join(root, 'src', 'dashboard');
const pages = join(dashboard, 'dist');
const pagesStampFile = join(pages, '.stamp');
/** Read by src/api/pages.ts. */
const pagesErrorFile = join(pages, 'build-error.txt');
const BUILD_TIMEOUT_MS = 120_000;
const MAX_ERROR_CHARACTERS = 4000;

/** The text of `file`, or the empty string when it is not there. */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error.code === 'ENOENT') return '';
    throw error;
  }
}

/** What the stamp holds when the packages in node_modules are those of the lock file, for this kind of machine. */
function wantedStamp() {
  const hash = createHash('sha256').update(read(join(root, 'package-lock.json')));
  return `${hash.digest('hex')} ${process.platform} ${process.arch}\n`;
}

/** True when a process with this id is there. */
function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Takes the lock file; waits while another set-up that is still alive holds it. */
async function takeTurn() {
  mkdirSync(modules, { recursive: true });
  for (;;) {
    try {
      writeFileSync(lockFile, String(process.pid), { flag: 'wx' });
      return;
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = Number(read(lockFile));
    // 0: the holder has made the file and not yet written into it, or has just removed it.
    if (holder > 0 && !isAlive(holder)) rmSync(lockFile, { force: true });
    else await sleep(RETRY_MS);
  }
}

/** Runs npm; its output is shown only when it failed. Returns whether it worked. */
function install() {
  process.stderr.write('Leadpush Relay: installing packages, this takes some 20 seconds ...\n');
  const windows = process.platform === 'win32';
  const result = spawnSync(windows ? 'npm.cmd' : 'npm', ['install', '--no-save', '--no-audit', '--no-fund'], {
    cwd: root,
    encoding: 'utf8',
    shell: windows,
  });
  if (result.status === 0) return true;
  process.stderr.write(`${result.stdout ?? ''}${result.stderr ?? ''}${result.error?.message ?? ''}\n`);
  process.stderr.write(
    'Leadpush Relay: the packages could not be installed; what npm said is above. ' +
      'Check the connection to the npm registry and the free disk space, then run the same command again.\n',
  );
  return false;
}

/** Every file under `folder` that the pages are made from, in a fixed order. */
function sourcesIn(folder) {
  return readdirSync(folder, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const path = join(folder, entry.name);
      if (entry.isDirectory()) return ['node_modules', 'dist', 'dist.next'].includes(entry.name) ? [] : sourcesIn(path);
      return entry.name.endsWith('.md') ? [] : [path];
    });
}

/** What the pages' stamp holds when they were made from the sources and packages as they are. */
function wantedPagesStamp() {
  const hash = createHash('sha256').update(read(join(root, 'package-lock.json')));
  for (const file of sourcesIn(dashboard)) hash.update(`${relative(dashboard, file)}\0`).update(readFileSync(file));
  return `${hash.digest('hex')}\n`;
}

/** Builds the pages with the project's own Node, whatever runs this file. */
function buildPages(stamp) {
  process.stderr.write('Leadpush Relay: building the dashboard, this takes a few seconds ...\n');
  const next = join(dashboard, 'dist.next');
  const node = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node');
  const result = spawnSync(
    existsSync(node) ? node : process.execPath,
    [join(modules, 'vite', 'bin', 'vite.js'), 'build', dashboard, '--outDir', next],
    {
      cwd: dashboard,
      encoding: 'utf8',
      timeout: BUILD_TIMEOUT_MS,
      env: { ...process.env, NO_COLOR: '1', FORCE_COLOR: '0' },
    },
  );
  if (result.status === 0) {
    writeFileSync(join(next, '.stamp'), stamp);
    rmSync(pages, { recursive: true, force: true });
    renameSync(next, pages);
    return;
  }
  rmSync(next, { recursive: true, force: true });
  const said =
    `${result.error?.message ?? ''}${result.stderr ?? ''}${result.stdout ?? ''}`.trim() || 'It gave no reason.';
  mkdirSync(pages, { recursive: true });
  writeFileSync(pagesErrorFile, `${said.slice(0, MAX_ERROR_CHARACTERS)}\n`);
  process.stderr.write(
    `${said}\nLeadpush Relay: the dashboard could not be built; what the build said is above. All else works.\n`,
  );
}

/** Does `work` when `file` does not hold `wanted()`, one set-up at a time. */
async function unlessStamped(file, wanted, work) {
  if (read(file) === wanted()) return;
  await takeTurn();
  try {
    const stamp = wanted();
    // Whoever had the turn before may have done the work.
    if (read(file) !== stamp) work(stamp);
  } finally {
    rmSync(lockFile, { force: true });
  }
}

await unlessStamped(stampFile, wantedStamp, (stamp) => {
  if (install()) writeFileSync(stampFile, stamp);
  else process.exitCode = 1;
});
if (process.exitCode === undefined) await unlessStamped(pagesStampFile, wantedPagesStamp, buildPages);
