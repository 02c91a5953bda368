/**
 * `tail` from the relay's JSON log: files in the order given (rotated ones, also gzipped, before the one in use), or `-` for
 * standard input.
 *
 * Following the last file goes on over its rotation: when another file has its name, the old one is read for 3 s more, for
 * lines that were on their way there, and the new one from its beginning. A file that was cut to nothing is read from its
 * beginning again. A line is taken when its end is there. Lines that are no lines of the log are left out and counted.
 */
import { createReadStream } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { createGunzip } from 'node:zlib';
import { errorCode, errorText, RelayError } from '../core/errors.ts';
import { pause } from './database.ts';
import type { CliIo } from './io.ts';
import { createLineSplitter, type LineSplitter } from './line-splitter.ts';
import { readLogLine } from './log-line.ts';
import type { ToldEvent } from '../api/story/describe-event.ts';
import { createTailMatch, type TailFilter, type TailSource } from './tail-source.ts';

const POLL_MS = 200;
const CHUNK_BYTES = 64 * 1024;
/** The relay gives a log file that it lets go of 2 s to take what waits. */
const LINGER_MS = 3_000;
export const STDIN_NAME = '-';

/** A file that is being read. */
interface Reading {
  readonly handle: FileHandle;
  readonly inode: number;
  readonly splitter: LineSplitter;
  offset: number;
}

/** The events in `files`; rejects with a `RelayError` (`usage`) when one cannot be opened. */
export async function fileTail(io: CliIo, files: readonly string[]): Promise<TailSource> {
  const last = files.at(-1) ?? STDIN_NAME;
  const follows = last !== STDIN_NAME && !isPacked(last);
  let current = follows ? await openFile(last) : null;
  /** Files that had the name before, and until when they are looked at (monotonic milliseconds). */
  let before: { readonly reading: Reading; readonly untilMs: number }[] = [];
  let broken = 0;

  function eventsOf(lines: readonly (string | null)[], matches: (event: ToldEvent) => boolean): readonly ToldEvent[] {
    return lines.flatMap((line) => {
      if (line === '') return [];
      const read = line === null ? { kind: 'broken' as const } : readLogLine(line);
      if (read.kind === 'broken') broken++;
      return read.kind === 'events' ? read.events.filter(matches) : [];
    });
  }

  async function* everything(matches: (event: ToldEvent) => boolean): AsyncGenerator<readonly ToldEvent[]> {
    for (const [index, file] of files.entries()) {
      if (current !== null && index === files.length - 1) {
        for await (const bytes of more(current)) yield eventsOf(current.splitter.push(bytes), matches);
        continue;
      }
      const splitter = createLineSplitter();
      for await (const bytes of file === STDIN_NAME ? io.stdin.chunks(io.signal) : wholeFile(file)) {
        yield eventsOf(splitter.push(bytes), matches);
        if (io.signal.aborted) return;
      }
      yield eventsOf([splitter.rest()], matches);
    }
  }

  async function* past(filter: TailFilter, limit: number | null): AsyncGenerator<readonly ToldEvent[]> {
    let newest: ToldEvent[] = [];
    for await (const events of everything(createTailMatch(filter))) {
      if (limit === null) yield events;
      else if (events.length > 0 && limit > 0) newest = [...newest, ...events].slice(-limit);
      if (io.signal.aborted) break;
    }
    if (newest.length > 0) yield newest;
    await tellBroken();
  }

  async function* coming(filter: TailFilter): AsyncGenerator<readonly ToldEvent[]> {
    const matches = createTailMatch(filter);
    while (await pause(io, POLL_MS)) {
      for (const { reading } of before) {
        for await (const bytes of more(reading)) yield eventsOf(reading.splitter.push(bytes), matches);
      }
      const now = io.clock.monotonicMs();
      const done = before.filter(({ untilMs }) => untilMs <= now);
      before = before.filter(({ untilMs }) => untilMs > now);
      await Promise.all(done.map(({ reading }) => reading.handle.close()));
      if (current !== null) {
        for await (const bytes of more(current)) yield eventsOf(current.splitter.push(bytes), matches);
      }
      current = await afterRotation(current, now);
    }
    await tellBroken();
  }

  /** The file that has the name now; the one that had it is kept for a while. */
  async function afterRotation(had: Reading | null, now: number): Promise<Reading | null> {
    const found = await stat(last).catch(() => null);
    if (found === null || found.ino === had?.inode) return had;
    const next = await openFile(last).catch(() => null);
    if (next === null) return had;
    if (had !== null) before.push({ reading: had, untilMs: now + LINGER_MS });
    return next;
  }

  async function tellBroken(): Promise<void> {
    if (broken === 0) return;
    const lines = broken === 1 ? '1 line that is' : `${broken} lines that are`;
    broken = 0;
    await io.stderr.write(`Left out: ${lines} not of the relay's JSON log.\n`);
  }

  return {
    past,
    coming: follows ? coming : null,
    async close() {
      await current?.handle.close();
      await Promise.all(before.map(({ reading }) => reading.handle.close()));
    },
  };
}

async function openFile(file: string): Promise<Reading> {
  try {
    const handle = await open(file, 'r');
    const { ino } = await handle.stat();
    return { handle, inode: ino, splitter: createLineSplitter(), offset: 0 };
  } catch (error) {
    throw cannotRead(file, error);
  }
}

/** What was written since the last look. */
async function* more(reading: Reading): AsyncGenerator<Uint8Array> {
  const { size } = await reading.handle.stat();
  if (size < reading.offset) {
    // Cut in its place (copytruncate): what was held of a last line is gone with the rest.
    reading.offset = 0;
    reading.splitter.rest();
  }
  for (;;) {
    const { buffer, bytesRead } = await reading.handle.read(Buffer.alloc(CHUNK_BYTES), 0, CHUNK_BYTES, reading.offset);
    if (bytesRead === 0) return;
    reading.offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

/** All of a file, unpacked when it is gzipped. */
async function* wholeFile(file: string): AsyncGenerator<Uint8Array> {
  try {
    const raw = createReadStream(file);
    const stream = isPacked(file) ? raw.pipe(createGunzip()) : raw;
    raw.on('error', (error) => stream.destroy(error));
    for await (const bytes of stream) yield Buffer.from(bytes);
  } catch (error) {
    throw cannotRead(file, error);
  }
}

function isPacked(file: string): boolean {
  return file.endsWith('.gz');
}

function cannotRead(file: string, error: unknown): RelayError {
  const hint =
    errorCode(error) === 'ENOENT'
      ? 'log.file in the config names it; without log.file the log goes to standard output alone.'
      : '';
  return new RelayError(`cannot read ${file}: ${errorText(error)}`, { code: 'usage', op: 'cli.tail', hint });
}
