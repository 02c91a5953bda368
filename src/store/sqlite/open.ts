/**
 * Opens the store over SQLite: a thread that writes, a thread that reads, and what holds them together.
 *
 *   accept, claim, settle ... -> group commit -> writing thread    one transaction, one fsync a batch
 *   history, figures          -> reading thread                    a connection of its own: never waits for a commit
 *
 * `:memory:` runs both on one connection in the calling thread, without timers: the store for tests of other rooms.
 *
 * After a crash everything that was answered is there: the database is opened with its write-ahead log, and with
 * `exclusive` the leases of the dead process count as run out. Beside `relay.db` stand `relay.lock` (who works on it) and
 * `relay.reserve` (space for results when the disk is full).
 *
 * Known limits: the file does not shrink, deleted space is used again; a folder on a network file system that does not
 * lock is not noticed.
 */
import type { RelayEvent } from '../../core/event.ts';
import type { Clock } from '../../core/time.ts';
import type { IntakeStore, Lease, QueueStore, Store, UpkeepStore } from '../store.ts';
import type { LeaseTicket } from './calls.ts';
import { MEMORY } from './connect.ts';
import { createGroupCommit, type GroupCommit } from './group-commit.ts';
import { createHealth, type Health } from './health.ts';
import { firstWriteError, type Hosts, openFileHosts, openMemoryHosts } from './hosts.ts';
import { watchOutsideChanges } from './outside-change.ts';
import { createHistory, createReads, type Reads } from './reads.ts';
import { createWalKeeper } from './wal-keeper.ts';

const DEFAULT_FREE_FLOOR_BYTES = 64 * 1024 * 1024;
/** Rows that one transaction reclaims or reroutes. */
const PIECE = 500;

export interface SqliteStoreOptions {
  /** Path of the database, or `:memory:`. Its folder is made when it is not there. */
  readonly file: string;
  readonly clock: Clock;
  /** Content goes with the last final state, unless a sandbox captured it; false: `upkeep.dropContent` deletes it. */
  readonly dropContentWhenSettled: boolean;
  /** Take the lock that lets one relay work on the database, and take over the leases of a dead one. */
  readonly exclusive: boolean;
  /** Below this many free octets on the disk no mail is taken; 64 MB unless given. */
  readonly freeFloorBytes?: number;
}

type Listeners<T> = ((value: T) => void)[];

/** Opens the store; rejects with a `RelayError` `store-open` that says what is wrong and what to do. */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<Store> {
  const { file, clock, dropContentWhenSettled, exclusive } = options;
  const floorBytes = options.freeFloorBytes ?? DEFAULT_FREE_FLOOR_BYTES;
  const inMemory = file === MEMORY;
  const hosts = inMemory
    ? openMemoryHosts(dropContentWhenSettled)
    : await openFileHosts(file, dropContentWhenSettled, exclusive);

  const commitListeners: Listeners<{ readonly ms: number; readonly operations: number }> = [];
  const eventListeners: Listeners<readonly RelayEvent[]> = [];
  const outsideListeners: Listeners<void> = [];
  const reads = createReads(hosts.reader);
  const group = createGroupCommit(hosts.writer, ({ trouble, writes, ms, wal, events }) => {
    if (trouble !== null) health.note(trouble);
    if (writes === 0) return;
    if (!inMemory) walKeeper.note(wal);
    if (trouble === null) tell(commitListeners, { ms, operations: writes });
    if (events.length > 0 && eventListeners.length > 0) {
      const told: readonly RelayEvent[] = JSON.parse(`[${events.join(',')}]`);
      tell(eventListeners, told);
    }
  });
  const health = createHealth({
    clock,
    floorBytes,
    write: () => group.call('probe', clock.now()),
    freeBytes: () => reads.call('freeBytes', floorBytes),
  });
  const walKeeper = createWalKeeper({
    clock,
    foldBeside: () => reads.call('checkpoint'),
    foldBetween: (mode) => group.call('checkpoint', mode),
  });

  await begin(hosts, group, file, exclusive && !inMemory);
  await health.probe();
  if (!inMemory) health.watch();
  const outside = inMemory
    ? null
    : watchOutsideChanges(
        clock,
        () => group.call('dataVersion'),
        () => tell(outsideListeners, undefined),
      );

  let stopping: Promise<void> | null = null;
  return {
    intake: createIntakeSlice(group, health),
    queue: createQueueSlice(group, reads, clock),
    upkeep: createUpkeepSlice(group, clock),
    history: createHistory(reads),
    health: {
      current: health.current,
      onChange: health.onChange,
      probe: health.probe,
      figures: () => reads.call('figures'),
      onCommit: (listener) => void commitListeners.push(listener),
      onOutsideChange: (listener) => void outsideListeners.push(listener),
    },
    feed: { onEvents: (listener) => void eventListeners.push(listener) },
    stop() {
      stopping ??= (async () => {
        health.stop();
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
async function begin(hosts: Hosts, group: GroupCommit, file: string, voidLeases: boolean): Promise<void> {
  try {
    await group.call('begin', voidLeases);
  } catch (thrown) {
    await hosts.stop();
    throw firstWriteError(file, thrown);
  }
}

function createIntakeSlice(group: GroupCommit, health: Health): IntakeStore {
  return {
    async accept({ content, ...message }) {
      const refusal = health.refusal();
      if (refusal !== null) throw refusal;
      return group.call('accept', message, content);
    },
    async reject(message) {
      const refusal = health.refusal();
      if (refusal !== null) throw refusal;
      await group.call('reject', message);
    },
  };
}

function createQueueSlice(group: GroupCommit, reads: Reads, clock: Clock): QueueStore {
  return {
    claim: (requests, now, leaseMs) => group.call('claim', requests, now, leaseMs),
    renew: (lease, leaseUntil) => group.call('renew', ticketOf(lease), leaseUntil),
    settle: (lease, outcome, settlement, now) => group.call('settle', ticketOf(lease), outcome, settlement, now),
    release: (lease, dueAt) => group.call('release', ticketOf(lease), dueAt, clock.now()),
    async reclaimExpired(now, crashLimit) {
      let total = 0;
      for (;;) {
        const reclaimed = await group.call('reclaimExpired', now, crashLimit, PIECE);
        total += reclaimed;
        if (reclaimed < PIECE) return total;
      }
    },
    expireDue: (now, limit) => group.call('expireDue', now, limit),
    async reroute(routes) {
      const changes = await reads.call('reroutable', routes);
      let moved = 0;
      for (let from = 0; from < changes.length; from += PIECE) {
        moved += await group.call('reroute', changes.slice(from, from + PIECE));
      }
      return moved;
    },
    async nextDue() {
      const due = await group.call('nextDue');
      return { ...due, routes: new Map(due.routes) };
    },
    content: (messageId) => group.call('content', messageId),
    retryNow: (target, now) => group.call('retryNow', target, now),
    cancel: (target, now, reason) => group.call('cancel', target, now, reason),
  };
}

function createUpkeepSlice(group: GroupCommit, clock: Clock): UpkeepStore {
  return {
    dropContent: (settledBefore, sandboxBefore, limit) =>
      group.call('dropContent', settledBefore, sandboxBefore, limit),
    dropHistory: (before, limit) => group.call('dropHistory', before, clock.now(), limit),
  };
}

/** Less to carry over than the whole lease. */
function ticketOf({ deliveryId, token, route }: Lease): LeaseTicket {
  return { deliveryId, token, route };
}

/** A listener that throws is a bug of its room: it surfaces as one, and neither a commit nor another listener suffers. */
function tell<T>(listeners: Listeners<T>, value: T): void {
  for (const listener of listeners) {
    try {
      listener(value);
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }
}
