#!/usr/bin/env -S node --max-semi-space-size=4
/**
 * The package's command: picks the Node and the program to run, and hands over.
 *
 * Plain JavaScript, so that it can say a clear sentence on a Node that is too old to read the rest.
 *   - In a clone (main.ts beside this file) the sources run as they are; in the package and the image, dist/ does.
 *   - On a Node below 22.19 it starts itself again on the clone's own Node, or says what is missing.
 *   - It sizes the thread pool that DKIM signing and name look-ups run on. Signing takes one thread a core and no more (signing/sign.ts):
 *     on two cores 2 signed 6 to 11 % more than 4. Three more are for look-ups (delivery/host-lookup.ts), which may hold half of the
 *     pool, so that those which hang hold up neither signing nor one another. The pool is made at its first use, so this
 *     has to come before anything else. A value that the operator has set stays.
 *   - `--max-semi-space-size=4`, above and wherever else the relay is started (package.json, Dockerfile, the unit in config/),
 *     keeps V8's young generation small, in MB a half and a thread. Buffers that live for a moment filled the default of 16:
 *     under load the peak was 415 MB, with 4 it is 250, at the same speed. It cannot be set once V8 runs.
 *   - In a clone, Node keeps what it made of the sources (types stripped, code compiled) in node_modules/.cache, and finds it again at
 *     the next start: without, each of the relay's three threads loads the compiler that strips types. Idle, the relay has
 *     167 MB with it, 208 without, 153 from dist/, where it would only cost. A folder that cannot be written changes nothing.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import module from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));
const source = join(here, 'main.ts');
const ownNode = join(here, '..', 'node_modules', '.bin', 'node');

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
const isNewEnough = major > 22 || (major === 22 && minor >= 19);

if (isNewEnough) {
  process.env.UV_THREADPOOL_SIZE ??= String(Math.max(5, availableParallelism() + 3));
  const isClone = existsSync(source);
  if (isClone) {
    // For the threads, which look there; and for this one, which is past that look.
    process.env.NODE_COMPILE_CACHE ??= join(here, '..', 'node_modules', '.cache', 'leadpush-relay');
    module.enableCompileCache?.();
  }
  await import(isClone ? './main.ts' : '../dist/main.js');
} else if (existsSync(source) && existsSync(ownNode) && process.env.LEADPUSH_OWN_NODE === undefined) {
  const child = spawn(ownNode, [...process.execArgv, fileURLToPath(import.meta.url), ...process.argv.slice(2)], {
    stdio: 'inherit',
    env: { ...process.env, LEADPUSH_OWN_NODE: '1' },
  });
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === null ? 1 : 128);
  });
} else {
  const fix = existsSync(source)
    ? 'Run `npm start` once: it installs the Node that this project brings along.'
    : 'Install a newer Node: the current LTS release is a good choice.';
  process.stderr.write(`leadpush-relay needs Node 22.19 or newer, and this is ${process.version}. ${fix}\n`);
  process.exitCode = 1;
}
