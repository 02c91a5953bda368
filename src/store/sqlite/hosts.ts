/** Opens the two engines of a store, in threads or in memory, and the process lock. */
import { errorText, RelayError } from '../../core/errors.ts';
import type { Host } from './calls.ts';
import { openInMemory } from './engines.ts';
import { createInlineHost } from './inline-host.ts';
import type { ContentKeySource } from './key-ring.ts';
import { type ProcessLock, takeProcessLock, wasUsedBefore } from './process-lock.ts';
import { startThread } from './thread-host.ts';

export interface Hosts {
  readonly writer: Host;
  readonly reader: Host;
  /** Closes the engines, reading first, then lets go of the lock. */
  stop(): Promise<void>;
}

/** Both engines over one new database in memory, in the calling thread. */
export function openMemoryHosts(dropContentWhenSettled: boolean): Hosts {
  const engines = openInMemory(dropContentWhenSettled);
  const writer = createInlineHost(engines.writer);
  const reader = createInlineHost(engines.reader);
  return {
    writer,
    reader,
    async stop() {
      await reader.stop();
      await writer.stop();
    },
  };
}

/**
 * Both engines over `file`, each in a thread. The lock comes first where a relay has been here before: a program of another
 * version must not migrate under a relay that is at work. A first start makes the database first, so that a crash in
 * between leaves no lock without a database.
 */
export async function openFileHosts(
  file: string,
  dropContentWhenSettled: boolean,
  exclusive: boolean,
  contentKeys: ContentKeySource | undefined,
): Promise<Hosts> {
  const usedBefore = exclusive && wasUsedBefore(file);
  const opened: Host[] = [];
  let lock: ProcessLock | null = null;
  const stop = async (): Promise<void> => {
    for (const host of opened.toReversed()) await host.stop();
    lock?.release();
  };
  try {
    if (usedBefore) lock = takeProcessLock(file);
    const writer = await startThread({
      role: 'writer',
      file,
      dropContentWhenSettled,
      migrate: true,
      mustExist: usedBefore,
      contentKeys,
    });
    opened.push(writer);
    if (exclusive) lock ??= takeProcessLock(file);
    const reader = await startThread({ role: 'reader', file, contentKeys });
    opened.push(reader);
    return { writer, reader, stop };
  } catch (thrown) {
    await stop();
    throw thrown;
  }
}

/** `thrown` by a first write, as a refusal to open. */
export function firstWriteError(file: string, thrown: unknown): RelayError {
  return new RelayError(`cannot write to the database ${file}: ${errorText(thrown)}`, {
    code: 'store-open',
    op: 'store.open',
    hint: 'See that the file and its folder belong to the user that runs the relay, and that the disk is not read-only.',
    cause: thrown,
  });
}
