/**
 * A process that rotates the content key of the database given to it, and kills itself before one of its steps: before the
 * `killAt`th call that touches a file or the database. It says `steps N` when it came to its end before that.
 */
import fs, { writeSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import Database from 'better-sqlite3';

const [, , file = '', killAt = ''] = process.argv;
const say = writeSync;
let steps = 0;
let armed = false;

/** `method` of `owner`, counted. */
function count(owner: object, method: string): void {
  const original: unknown = Reflect.get(owner, method);
  if (typeof original !== 'function') throw new Error(`no ${method}`);
  Reflect.set(owner, method, function counted(this: unknown, ...args: unknown[]): unknown {
    if (armed && ++steps === Number(killAt)) process.kill(process.pid, 'SIGKILL');
    return Reflect.apply(original, this, args);
  });
}

for (const name of ['openSync', 'writeSync', 'fsyncSync', 'closeSync', 'renameSync', 'rmSync']) count(fs, name);
syncBuiltinESMExports();
const probe = new Database(':memory:');
const statements: object = Object.getPrototypeOf(probe.prepare('SELECT 1'));
for (const name of ['run', 'get', 'all']) count(statements, name);
probe.close();

// Loaded only now, so that they get the functions that count.
const { openSqliteKeys } = await import('../../src/store/sqlite/open-keys.ts');
const { keyFileBeside } = await import('../../src/store/sqlite/key-ring.ts');
const { systemClock } = await import('../../src/core/time.ts');
const keys = openSqliteKeys(file, keyFileBeside(file));
// The clock's timers keep no process alive.
const alive = setInterval(() => undefined, 1000);
armed = true;
await keys.rotate(systemClock, new AbortController().signal);
armed = false;
keys.stop();
clearInterval(alive);
say(1, `steps ${steps}\n`);
