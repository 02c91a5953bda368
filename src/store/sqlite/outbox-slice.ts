/** The outbox's slice of the store, over the ways to the writing and the reading engine. Long work goes in pieces. */
import type { OutboxStore } from '../outbox.ts';
import type { ReaderCalls } from './calls.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Reads } from './reads.ts';

/** Rows of one transaction. */
const PIECE = 500;

export function createOutboxSlice(group: Pick<GroupCommit, 'call'>, reads: Reads): OutboxStore {
  return {
    async sync(endpoints, now) {
      const { standings, removed } = await group.call('syncOutbox', endpoints, now);
      for (const name of removed) {
        while (!(await group.call('forgetOutbox', name, PIECE)));
      }
      return standings;
    },
    work: (name, now, room, busy) => group.call('outboxWork', name, now, room, busy),
    record: (name, made) => group.call('recordOutbox', name, made),
    async hasten(name, now) {
      let total = 0;
      for (;;) {
        const changed = await group.call('hastenOutbox', name, now, PIECE);
        total += changed;
        if (changed < PIECE) return total;
      }
    },
    giveUp: (name, bornBefore, now, limit) => group.call('giveUpOutbox', name, bornBefore, now, limit),
    enable: (name, now) => group.call('enableOutbox', name, now),
    ...createOutboxReplay(group, reads),
    ...createOutboxView(reads),
  };
}

/** What commands look at too, beside a live relay. */
export function createOutboxView(reads: Reads): Pick<OutboxStore, 'figures' | 'deliveries'> {
  return {
    figures: () => reads.call('outboxFigures'),
    deliveries: (name, filter) => reads.call('outboxDeliveries', name, filter),
  };
}

/** Which events are meant is found out by the reading engine: it may have to look far. */
export function createOutboxReplay(group: Pick<GroupCommit, 'call'>, reads: Reads): Pick<OutboxStore, 'replay'> {
  return {
    async replay(name, selection, now) {
      let queued = 0;
      const unknown: string[] = [];
      for (let after: number | null = 0; after !== null; ) {
        const piece: ReturnType<ReaderCalls['outboxSelect']> = await reads.call(
          'outboxSelect',
          name,
          selection,
          after,
          PIECE,
        );
        if (piece === null) return null;
        if (piece.seqs.length > 0) queued += await group.call('replayOutbox', name, piece.seqs, now);
        unknown.push(...piece.unknown);
        after = piece.next;
      }
      return { queued, unknown };
    },
  };
}
