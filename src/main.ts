/**
 * The program's entry: signals in, exit code out. Nothing else in the relay touches the process.
 *
 *   SIGTERM, SIGINT   the command ends in order; another one, not of the same moment, ends it at once
 *   SIGHUP            `serve` reloads its config
 */
import { runCli } from './cli/program.ts';
import { createProcessIo } from './cli/process-io.ts';
import { systemClock } from './core/time.ts';

/** Ctrl-C under npm arrives twice, from the terminal and from npm: within this span it counts as one. */
const SAME_MOMENT_MS = 500;

const ending = new AbortController();
let endingSince = 0;
const hangupListeners = new Set<() => void>();

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    const now = systemClock.monotonicMs();
    if (!ending.signal.aborted) endingSince = now;
    else if (now - endingSince > SAME_MOMENT_MS) process.exit(1);
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
