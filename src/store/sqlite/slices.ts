/** The slices of the store that write, over the ways to the writing and the reading engine. */
import type { Clock } from '../../core/time.ts';
import type {
  DomainStore,
  FeedbackStore,
  IntakeStore,
  Lease,
  QueueStore,
  ReportStore,
  SuppressionStore,
  UpkeepStore,
} from '../store.ts';
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
    settle: (lease, tries, settlement, now) => group.call('settle', ticketOf(lease), tries, settlement, now),
    release: (lease, dueAt) => group.call('release', ticketOf(lease), dueAt, clock.now()),
    async reclaimExpired(now, crashLimit) {
      let total = 0;
      for (;;) {
        const reclaimed = await group.call('reclaimExpired', now, crashLimit, PIECE);
        total += reclaimed;
        if (reclaimed < PIECE) return total;
      }
    },
    markDelayed: (now, limit) => group.call('markDelayed', now, limit),
    expireDue: (now, limit) => group.call('expireDue', now, limit),
    async reroute(routes) {
      const changes = await reads.call('reroutable', routes);
      let moved = 0;
      for (let from = 0; from < changes.length; from += PIECE) {
        moved += await group.call('reroute', changes.slice(from, from + PIECE));
      }
      return moved;
    },
    async routeChanged(change) {
      await group.call('routeChanged', change);
    },
    async nextDue(destinations) {
      const due = await group.call('nextDue', [...destinations]);
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

export function createSuppressionSlice(group: GroupCommit, reads: Reads): SuppressionStore {
  return {
    get: (recipient, now) => reads.call('suppression', recipient, now),
    list: (now, limit, after) => reads.call('suppressions', now, limit, after),
    async put(suppression) {
      await group.call('putSuppression', suppression);
    },
    remove: (recipient, now) => group.call('removeSuppression', recipient, now),
  };
}

export function createFeedbackSlice(group: GroupCommit, reads: Reads): FeedbackStore {
  return {
    secret: () => reads.call('secret'),
    knows: (deliveryId) => reads.call('knows', deliveryId),
    byMessageId: (headerMessageId) => reads.call('byMessageId', headerMessageId),
    record: (feedback) => group.call('recordFeedback', feedback),
  };
}

export function createReportSlice(group: GroupCommit, reads: Reads): ReportStore {
  return {
    pending: (limit) => reads.call('pendingReports', limit),
    async drop(number) {
      await group.call('dropReport', number);
    },
  };
}

export function createDomainSlice(group: GroupCommit, reads: Reads): DomainStore {
  return {
    policy: (domain) => reads.call('policy', domain),
    async putPolicy(record) {
      await group.call('putPolicy', record);
    },
    async removePolicy(domain) {
      await group.call('removePolicy', domain);
    },
    tlsLevel: (domain, since) => reads.call('tlsLevel', domain, since),
    async noteTlsLevel(domain, level, at) {
      await group.call('noteTlsLevel', domain, level, at);
    },
  };
}

/** Less to carry over than the whole lease. */
function ticketOf({ deliveryId, token }: Lease): LeaseTicket {
  return { deliveryId, token };
}
