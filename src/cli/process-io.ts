/**
 * The terminal, or the pipes, of the real process.
 *
 * When the reader of standard output goes away (`| head`), writing stops and `signal` aborts, so that a command that
 * follows ends; that is an ordinary end, not a failure.
 */
import { errorCode, RelayError } from '../core/errors.ts';
import type { Clock } from '../core/time.ts';
import type { CliInput, CliIo, CliOutput } from './io.ts';

export interface ProcessIoDeps {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Aborts when the process is to end (SIGINT, SIGTERM). */
  readonly signal: AbortSignal;
}

const DEFAULT_COLUMNS = 80;

/** The `CliIo` of this process. */
export function createProcessIo(deps: ProcessIoDeps): CliIo {
  const readerGone = new AbortController();
  const plain = deps.env['NO_COLOR'] !== undefined && deps.env['NO_COLOR'] !== '';
  const hasColor = !plain && deps.env['TERM'] !== 'dumb';
  return {
    stdout: createOutput(process.stdout, hasColor, () => readerGone.abort()),
    stderr: createOutput(process.stderr, hasColor, () => {}),
    stdin: createInput(process.stdin, process.stderr),
    env: deps.env,
    clock: deps.clock,
    signal: AbortSignal.any([deps.signal, readerGone.signal]),
    onSignal(signal, listener) {
      let listening = true;
      // Stays on when the command stops listening: a relay that drains must not be ended by a late one.
      process.on(signal, () => {
        if (listening) listener();
      });
      return () => {
        listening = false;
      };
    },
    exit: { code: 0 },
  };
}

/** Wraps a stream for output; `onReaderGone` is called once when its reader closed it. */
export function createOutput(
  stream: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number },
  hasColor: boolean,
  onReaderGone: () => void,
): CliOutput {
  let gone = false;
  stream.on('error', (error: unknown) => {
    const code = errorCode(error);
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_DESTROYED' && code !== 'EIO') throw error;
    if (!gone) onReaderGone();
    gone = true;
  });
  return {
    isTty: stream.isTTY === true,
    hasColor: stream.isTTY === true && hasColor,
    get columns() {
      // A terminal that does not know its width says 0.
      return stream.columns === undefined || stream.columns === 0 ? DEFAULT_COLUMNS : stream.columns;
    },
    write(text) {
      if (gone || text.length === 0) return Promise.resolve();
      // The error handler above sees what goes wrong; here it is enough that the wait ends.
      return new Promise((resolve) => void stream.write(text, () => resolve()));
    },
  };
}

type InputStream = NodeJS.ReadableStream & {
  readonly isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
  destroy?(): unknown;
};

const CTRL_C = 0x03;
const CTRL_D = 0x04;
const BACKSPACES = [0x08, 0x7f];
const LINE_ENDS = [0x0a, 0x0d];
const MAX_SECRET_BYTES = 4096;

/** Wraps a stream for input; prompts go to `prompts`. */
export function createInput(stream: InputStream, prompts: NodeJS.WritableStream): CliInput {
  return {
    isTty: stream.isTTY === true,
    async readAll(maxBytes) {
      const parts: Buffer[] = [];
      let size = 0;
      for await (const part of stream) {
        const bytes = Buffer.from(part);
        size += bytes.length;
        if (size > maxBytes) throw usage(`more than ${maxBytes} octets on standard input`);
        parts.push(bytes);
      }
      return Buffer.concat(parts).toString('utf8');
    },
    async *chunks(signal) {
      const end = (): void => void stream.destroy?.();
      signal.addEventListener('abort', end, { once: true });
      try {
        for await (const part of stream) yield Buffer.from(part);
      } catch (error) {
        if (!signal.aborted) throw error;
      } finally {
        signal.removeEventListener('abort', end);
      }
    },
    readSecret(prompt) {
      prompts.write(prompt);
      stream.setRawMode?.(true);
      const typed: number[] = [];
      return new Promise((resolve, reject) => {
        const end = (): void => {
          stream.off('data', onData);
          stream.off('end', onEnd);
          stream.setRawMode?.(false);
          stream.pause();
          prompts.write('\n');
        };
        const onEnd = (): void => {
          end();
          resolve(Buffer.from(typed).toString('utf8'));
        };
        const onData = (part: string | Buffer): void => {
          for (const byte of Buffer.from(part)) {
            if (byte === CTRL_C || typed.length >= MAX_SECRET_BYTES) {
              end();
              reject(usage(byte === CTRL_C ? 'interrupted' : 'the input is too long'));
              return;
            }
            if (LINE_ENDS.includes(byte) || byte === CTRL_D) {
              onEnd();
              return;
            }
            if (BACKSPACES.includes(byte)) dropLastCharacter(typed);
            else typed.push(byte);
          }
        };
        stream.on('data', onData);
        stream.on('end', onEnd);
        stream.resume();
      });
    },
  };
}

/** Removes the bytes of the last UTF-8 character. */
function dropLastCharacter(bytes: number[]): void {
  let last = bytes.pop();
  while (last !== undefined && (last & 0xc0) === 0x80) last = bytes.pop();
}

function usage(message: string): RelayError {
  return new RelayError(message, { code: 'usage', op: 'cli.read' });
}
