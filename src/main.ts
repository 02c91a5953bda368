/**
 * The program's entry: signals in, exit code out. `cli/process-io.ts` has the terminal, SIGHUP and SIGUSR2; nothing else in the relay
 * touches the process.
 *
 *   SIGTERM, SIGINT   the command ends in order; another one, not of the same moment, ends it at once
 *   a bug             an exception that nobody expected: its name and places are written (`core/bug-text.ts`), the relay drains, and the exit code is 1
 */
import { createProcessIo } from './cli/process-io.ts';
import { runCli } from './cli/program.ts';
import { bugText } from './core/bug-text.ts';
import { systemClock } from './core/time.ts';

/** Ctrl-C under npm arrives twice, from the terminal and from npm: within this span it counts as one. */
const SAME_MOMENT_MS = 500;
/** How long a relay with a bug may take to drain. */
const DRAIN_MS = 100_000;

const ending = new AbortController();
let endingSince = 0;
let hasBug = false;

for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
    const now = systemClock.monotonicMs();
    if (!ending.signal.aborted) endingSince = now;
    else if (now - endingSince > SAME_MOMENT_MS) process.exit(1);
    ending.abort();
  });
}

// An unhandled rejection comes here too (Node's default).
process.on('uncaughtException', (error) => {
  process.stderr.write(`leadpush-relay: a bug, the relay ends: ${bugText(error)}\n`);
  if (hasBug) return;
  hasBug = true;
  systemClock.after(DRAIN_MS, () => process.exit(1));
  ending.abort();
});

const code = await runCli(
  process.argv.slice(2),
  createProcessIo({ env: process.env, clock: systemClock, signal: ending.signal }),
);
process.exit(hasBug ? 1 : code);
