/**
 * The program's entry: signals in, exit code out. Nothing else in the relay touches the process.
 *
 *   SIGTERM, SIGINT   the command ends in order; a second one ends it at once
 *   SIGHUP            `serve` reloads its config
 */
import { runCli } from './cli/program.ts';
import { createProcessIo } from './cli/process-io.ts';
import { systemClock } from './core/time.ts';

const ending = new AbortController();
const hangupListeners = new Set<() => void>();

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    if (ending.signal.aborted) process.exit(1);
    ending.abort();
  });
}

const io = createProcessIo({ env: process.env, clock: systemClock, signal: ending.signal });
const code = await runCli(process.argv.slice(2), {
  ...io,
  onHangup(listener) {
    // Only a command that listens is spared the default, which is to end.
    if (hangupListeners.size === 0) process.on('SIGHUP', () => hangupListeners.forEach((each) => each()));
    hangupListeners.add(listener);
    return () => void hangupListeners.delete(listener);
  },
});
process.exit(code);
