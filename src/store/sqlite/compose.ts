/**
 * The store, put together over two engines: the group commit before the writing one, the health, the keeper of the
 * write-ahead log, and the watch for changes from outside.
 */
import { RelayError } from '../../core/errors.ts';
import type { RelayEvent } from '../../core/event.ts';
import type { Clock } from '../../core/time.ts';
import type { Store } from '../store.ts';
import type { Reply } from './calls.ts';
import { createGroupCommit, endOfTurn, type GroupCommit } from './group-commit.ts';
import { createHealth } from './health.ts';
import { firstWriteError, type Hosts } from './hosts.ts';
import { type Listeners, tell } from './listeners.ts';
import { watchOutsideChanges } from './outside-change.ts';
import { rememberPlace } from './place.ts';
import { NO_SIZES, sizesOf } from './sizes.ts';
import { createOutboxSlice } from './outbox-slice.ts';
import { createHistory, createReads } from './reads.ts';
import {
  createDomainSlice,
  createFeedbackSlice,
  createIntakeSlice,
  createQueueSlice,
  createReportSlice,
  createSuppressionSlice,
  createUpkeepSlice,
} from './slices.ts';
import { createWalKeeper } from './wal-keeper.ts';

export interface ComposeOptions {
  /** For messages. */
  readonly file: string;
  readonly clock: Clock;
  /** Below this many free octets no mail is taken. */
  readonly floorBytes: number;
  /** There are a disk, a write-ahead log and perhaps other processes to look after. */
  readonly onDisk: boolean;
  /** Every lease that stands is a dead process's. */
  readonly voidLeases: boolean;
}

/** Messages that one transaction encrypts. */
const SEAL_PIECE = 50;

/** Puts the store together and makes its first write; closes `hosts` and rejects (`store-open`) when that fails. */
export async function composeStore(hosts: Hosts, options: ComposeOptions): Promise<Store> {
  const { clock, floorBytes, onDisk } = options;
  const commitListeners: Listeners<{ readonly ms: number; readonly operations: number }> = [];
  const eventListeners: Listeners<readonly RelayEvent[]> = [];
  const outsideListeners: Listeners<void> = [];
  let stopped = false;
  const reads = createReads(hosts.reader);
  const group = createGroupCommit(hosts.writer, onReply, onDisk ? endOfTurn : undefined);
  function onReply({ trouble, writes, ms, wal, events }: Reply): void {
    if (trouble !== null) health.note(trouble);
    if (writes === 0) return;
    if (onDisk) walKeeper.note(wal);
    if (trouble === null) tell(commitListeners, { ms, operations: writes });
    if (events.length > 0 && eventListeners.length > 0) {
      const told: readonly RelayEvent[] = JSON.parse(`[${events.join(',')}]`);
      tell(eventListeners, told);
    }
  }
  const health = createHealth({
    clock,
    floorBytes,
    write: () => group.call('probe', clock.now()),
    isInPlace: onDisk ? await rememberPlace(options.file) : () => Promise.resolve(true),
    freeBytes: () => reads.call('freeBytes', floorBytes),
  });
  const walKeeper = createWalKeeper({
    clock,
    foldBeside: () => reads.call('checkpoint'),
    foldBetween: (mode) => group.call('checkpoint', mode),
  });

  await begin(hosts, group, options);
  await health.probe();
  const sealing = sealPlain();
  if (onDisk) health.watch();
  const outside = onDisk
    ? watchOutsideChanges(
        clock,
        () => group.call('dataVersion'),
        () => tell(outsideListeners, undefined),
      )
    : null;

  /** Encrypts what an older version left in plain, piece by piece between other batches. Trouble shows in the commits. */
  async function sealPlain(): Promise<void> {
    try {
      while (!stopped && (await reads.call('plainLeft'))) await group.call('sealPlain', SEAL_PIECE);
    } catch (thrown) {
      if (!(thrown instanceof RelayError)) throw thrown;
    }
  }

  let stopping: Promise<void> | null = null;
  return {
    intake: createIntakeSlice(group, health),
    queue: createQueueSlice(group, reads, clock),
    upkeep: createUpkeepSlice(group, clock),
    history: createHistory(reads),
    suppressions: createSuppressionSlice(group, reads),
    feedback: createFeedbackSlice(group, reads),
    reports: createReportSlice(group, reads),
    domains: createDomainSlice(group, reads),
    outbox: createOutboxSlice(group, reads),
    health: {
      current: health.current,
      onChange: health.onChange,
      probe: health.probe,
      figures: () => reads.call('figures'),
      sizes: () => (onDisk ? sizesOf(options.file) : Promise.resolve(NO_SIZES)),
      onCommit: (listener) => void commitListeners.push(listener),
      onOutsideChange: (listener) => void outsideListeners.push(listener),
    },
    feed: { onEvents: (listener) => void eventListeners.push(listener) },
    stop() {
      stopping ??= (async () => {
        stopped = true;
        health.stop();
        await sealing;
        outside?.stop();
        await walKeeper.stop();
        await group.stop();
        await hosts.stop();
      })();
      return stopping;
    },
  };
}

/** The first write of this opening: shows that the database can be written, and makes this process the one that leases. */
async function begin(hosts: Hosts, group: GroupCommit, { file, voidLeases }: ComposeOptions): Promise<void> {
  try {
    await group.call('begin', voidLeases);
  } catch (thrown) {
    await hosts.stop();
    throw firstWriteError(file, thrown);
  }
}
