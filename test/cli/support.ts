/** Runs commands in-process: what they print is kept, standard input is a text, the clock stands still unless driven. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { writeFileSync } from 'node:fs';
import { onTestFinished } from 'vitest';
import type { CliInput, CliIo, CliOutput, ExitCode } from '../../src/cli/io.ts';
import { runCli } from '../../src/cli/program.ts';
import { createManualClock, type ManualClock } from '../support/clock.ts';
import { sandboxConfig } from '../support/relay.ts';

export const NOW: number = Date.UTC(2026, 0, 5, 10, 0, 0);

export interface TestIo extends CliIo {
  readonly clock: ManualClock;
  /** What was written to standard output so far. */
  readonly out: () => string;
  readonly outBytes: () => Buffer;
  readonly err: () => string;
  /** Standard output as JSON lines. */
  readonly json: () => readonly Record<string, unknown>[];
  /** What the user does with Ctrl-C. */
  readonly interrupt: () => void;
}

export interface TestIoOptions {
  readonly tty?: boolean;
  readonly color?: boolean;
  readonly columns?: number;
  readonly stdin?: string;
  /** Answers to prompts; makes standard input a terminal. */
  readonly secrets?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly now?: number;
}

export function createTestIo(options: TestIoOptions = {}): TestIo {
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  const end = new AbortController();
  const tty = options.tty === true;
  const output = (parts: Buffer[]): CliOutput => ({
    isTty: tty,
    hasColor: options.color === true,
    columns: options.columns ?? 200,
    write: async (text) => void parts.push(Buffer.from(text)),
  });
  const secrets = [...(options.secrets ?? [])];
  const stdin: CliInput = {
    isTty: options.secrets !== undefined,
    readAll: async () => options.stdin ?? '',
    async *chunks() {
      // In pieces that no line end cares about.
      const bytes = Buffer.from(options.stdin ?? '');
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    },
    readSecret: async (prompt) => {
      err.push(Buffer.from(prompt));
      return secrets.shift() ?? '';
    },
  };
  return {
    stdout: output(out),
    stderr: output(err),
    stdin,
    env: options.env ?? {},
    clock: createManualClock(options.now ?? NOW),
    signal: end.signal,
    onSignal: () => () => {},
    exit: { code: 0 },
    out: () => Buffer.concat(out).toString(),
    outBytes: () => Buffer.concat(out),
    err: () => Buffer.concat(err).toString(),
    json: () =>
      Buffer.concat(out)
        .toString()
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line)),
    interrupt: () => end.abort(),
  };
}

export interface Ran {
  readonly code: ExitCode;
  readonly out: string;
  readonly err: string;
  readonly json: readonly Record<string, unknown>[];
}

/** Runs one command line to its end. */
export async function run(argv: readonly string[], options: TestIoOptions = {}): Promise<Ran> {
  const io = createTestIo(options);
  const code = await runCli(argv, io);
  const isJson = io.out().startsWith('{');
  return { code, out: io.out(), err: io.err(), json: isJson ? io.json() : [] };
}

/** A folder that goes when the test ends. */
export function tempFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'leadpush-cli-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes a config into `folder`; returns the file. */
export function writeConfig(folder: string, over: Readonly<Record<string, unknown>> = {}): string {
  const file = join(folder, 'relay.yaml');
  writeFileSync(file, stringify(sandboxConfig({ http: { host: '127.0.0.1', port: 8025 }, ...over })));
  return file;
}
