/**
 * One place log lines go to: a file descriptor, written to asynchronously and at once.
 *
 * There is no timer and no minimum length: the first line after a pause is handed to the kernel immediately, and lines that
 * arrive during a write go out together in the next one. So `tail -f` sees each line as it happens, and a slow disk or a
 * full pipe never stops the event loop. What waits is bounded: beyond `MAX_WAITING_BYTES` lines are dropped and counted.
 * After a crash the lines of the last milliseconds may be missing; the log is a copy, the events in the store are the record.
 */
import { closeSync, constants, fstatSync, mkdirSync, openSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { pino } from 'pino';
import { errorCode, errorText, RelayError } from '../core/errors.ts';
import { fileTrouble, oddKind } from '../core/file-trouble.ts';
import type { Clock } from '../core/time.ts';

/** About 40,000 lines: some seconds of full load on a disk that stands still. */
const MAX_WAITING_BYTES = 8 * 1024 * 1024;
/** A pipe that nobody reads must not hold up the end of the process. */
const CLOSE_TIMEOUT_MS = 2_000;
/** As `a`, and never waiting for the other end of a FIFO that came between the look at it and the opening. */
const OPEN_LOG =
  constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NONBLOCK | constants.O_NOCTTY;

/** What mends a log file that cannot be opened. */
export const LOG_FILE_HINT =
  'Give log.file the path of a file that the relay may write to, or remove it to log to standard output alone.';

export interface DestinationEvents {
  /** Writing failed; the lines are kept and tried again with the next one. Called once until a write succeeds. */
  readonly onTrouble: (error: string) => void;
  /** Writing works again; `dropped` lines were lost meanwhile. Called only after lines were dropped. */
  readonly onDropped: (dropped: number) => void;
}

export interface Destination {
  write(line: string): void;
  /** Writes what waits and closes the descriptor (never standard output); gives up after 2 s. */
  close(): Promise<void>;
}

/** Opens a destination on `fd`, which it then owns. */
export function createDestination(fd: number, clock: Clock, events: DestinationEvents): Destination {
  const sink = pino.destination({ fd, sync: false, maxLength: MAX_WAITING_BYTES });
  let state: 'open' | 'gone' = 'open';
  let troubled = false;
  let dropped = 0;

  sink.on('error', (error: unknown) => {
    // The reader of the pipe went away: pino turns the sink into one that swallows everything.
    if (errorCode(error) === 'EPIPE') {
      state = 'gone';
      return;
    }
    if (troubled) return;
    troubled = true;
    events.onTrouble(errorText(error));
  });
  sink.on('drop', () => {
    dropped += 1;
  });
  sink.on('drain', () => {
    troubled = false;
    if (dropped === 0) return;
    const count = dropped;
    dropped = 0;
    events.onDropped(count);
  });

  return {
    write(line) {
      if (state === 'open') sink.write(line);
    },
    close() {
      if (state === 'gone') return Promise.resolve();
      state = 'gone';
      return new Promise((resolve) => {
        const cancel = clock.after(CLOSE_TIMEOUT_MS, () => {
          sink.destroy();
          resolve();
        });
        sink.once('close', () => {
          cancel();
          resolve();
        });
        sink.end();
      });
    },
  };
}

/**
 * Opens `file` for appending, makes its folder and, with mode 0640, the file. Throws a `RelayError` (`config`), also when it is no
 * regular file: a FIFO without a reader, or a device, could hold up the whole relay.
 */
export function openLogFile(file: string): number {
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o750 });
    // Before it is opened, because opening alone moves some devices.
    const before = statSync(file, { throwIfNoEntry: false });
    if (before !== undefined) refuseOddFile(before);
    const fd = openSync(file, OPEN_LOG, 0o640);
    try {
      refuseOddFile(fstatSync(fd));
    } catch (error) {
      closeSync(fd);
      throw error;
    }
    return fd;
  } catch (error) {
    throw new RelayError(`cannot open the log file ${file}: ${fileTrouble(error)}`, {
      code: 'config',
      op: 'telemetry.open-log',
      hint: LOG_FILE_HINT,
      cause: error,
    });
  }
}

function refuseOddFile(stats: Stats): void {
  const kind = oddKind(stats);
  if (kind !== null) throw new Error(`it is ${kind}, not a file`);
}
