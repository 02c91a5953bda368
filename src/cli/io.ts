/**
 * What a command may touch of the process that it runs in. Commands never use `process`: tests run them in-process.
 */
import type { Clock } from '../core/time.ts';

/** 0: done. 1: a finding or a failure. 2: wrong use. */
export type ExitCode = 0 | 1 | 2;

export interface CliOutput {
  readonly isTty: boolean;
  /** Whether to colour: a terminal, and the user did not say no (`NO_COLOR`). */
  readonly hasColor: boolean;
  /** Width of the terminal in columns; 80 where there is none. */
  readonly columns: number;
  /** Resolves when the text, or the octets, are taken; slow readers slow the writer. Writing to a reader that went away does nothing. */
  write(text: string | Uint8Array): Promise<void>;
}

export interface CliInput {
  readonly isTty: boolean;
  /** Everything up to the end of input; rejects with a `RelayError` (`usage`) over `maxBytes`. */
  readAll(maxBytes: number): Promise<string>;
  /** What comes, piece by piece, to its end or until `signal` aborts. */
  chunks(signal: AbortSignal): AsyncIterable<Uint8Array>;
  /** One line typed on the terminal after `prompt`, without echo; rejects with a `RelayError` (`usage`) on Ctrl-C. */
  readSecret(prompt: string): Promise<string>;
}

export interface CliIo {
  readonly stdout: CliOutput;
  readonly stderr: CliOutput;
  readonly stdin: CliInput;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts when the user wants an end, or nobody reads standard output any more. */
  readonly signal: AbortSignal;
  /** Calls `listener` at each such signal; returns what ends that. */
  readonly onSignal: (signal: 'SIGHUP' | 'SIGUSR2', listener: () => void) => () => void;
  /** What the command ends with unless it throws; commands set `code`. */
  readonly exit: { code: ExitCode };
}

/** Options that every command takes. */
export interface GlobalOptions {
  readonly config?: string;
  /** A relay elsewhere, over HTTP. */
  readonly url?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly json?: boolean;
}

/** Whether a command prints JSON lines: `--json` was given, or standard output is not a terminal. */
export function wantsJson(io: CliIo, options: GlobalOptions): boolean {
  return options.json === true || !io.stdout.isTty;
}
