/**
 * Installs the project's packages when they are missing or older than package-lock.json; does nothing otherwise.
 *
 * Runs before `npm start`, `npm test`, `npm run check` and `npm run bench`, on whatever Node the machine has (20 or newer):
 * plain JavaScript, nothing imported but Node's own modules. Among the packages is the Node that everything else runs on.
 *
 * A stamp in node_modules holds a hash of the lock file; while it matches, the check costs one read of two files. The
 * stamp is written last, so an installation that was interrupted is done again. Two that run at once take turns.
 *
 * `npm install --no-save` rather than `npm ci`: the same versions from the lock file, but what is already right stays
 * where it is, under the feet of a relay that may be running, and the lock file is never written.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, 'node_modules');
const stampFile = join(modules, '.leadpush-setup');
const lockFile = join(modules, '.leadpush-setup.lock');
const RETRY_MS = 200;

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

if (read(stampFile) !== wantedStamp()) {
  await takeTurn();
  try {
    const stamp = wantedStamp();
    // Whoever had the turn before may have done the work.
    if (read(stampFile) !== stamp) {
      if (install()) writeFileSync(stampFile, stamp);
      else process.exitCode = 1;
    }
  } finally {
    rmSync(lockFile, { force: true });
  }
}
