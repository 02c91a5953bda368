/** The slices of the store that write, over the way to the writing engine. */
import type { Clock } from '../../core/time.ts';
import type { IntakeStore, Lease, QueueStore, UpkeepStore } from '../store.ts';
import type { LeaseTicket } from './calls.ts';
import type { GroupCommit } from './group-commit.ts';
import type { Health } from './health.ts';
import type { Reads } from './reads.ts';

/** Rows that one transaction reclaims or reroutes. */
const PIECE = 500;

/** Mail is not even tried while the store's health says that it cannot be kept. */
export function createIntakeSlice(group: GroupCommit, health: Health): IntakeStore {
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

/** Results are recorded whatever the health says. */
export function createQueueSlice(group: GroupCommit, reads: Reads, clock: Clock): QueueStore {
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

/** Deleting makes room: it goes on too. */
export function createUpkeepSlice(group: GroupCommit, clock: Clock): UpkeepStore {
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
