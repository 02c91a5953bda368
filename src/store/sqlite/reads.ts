/** The way to a reading engine, and the `HistoryStore` over it. Reads wait for nothing but the reads before them. */
import type { HistoryStore } from '../history.ts';
import type { Host, ReaderCalls } from './calls.ts';
import { errorOf } from './group-commit.ts';

export interface Reads {
  call<K extends keyof ReaderCalls>(name: K, ...args: Parameters<ReaderCalls[K]>): Promise<ReturnType<ReaderCalls[K]>>;
}

/** Makes the way to `host`. */
export function createReads(host: Host): Reads {
  return {
    call(name, ...args) {
      return new Promise((resolve, reject) => {
        // A method, so that a promise of any result can stand here.
        const waiting: { resolve(value: unknown): void } = { resolve };
        host.send([{ name, args }]).then(({ results: [result] }) => {
          if (result?.ok) waiting.resolve(result.value);
          else reject(result === undefined ? new Error(`no result for store.${name}`) : errorOf(name, result));
        }, reject);
      });
    },
  };
}

/** The reading slice of the store. */
export function createHistory(reads: Reads): HistoryStore {
  return {
    message: (id) => reads.call('message', id),
    attempts: (id) => reads.call('attempts', id),
    find: (key, by, limit) => reads.call('find', key, by, limit),
    messages: (filter) => reads.call('messages', filter),
    eventsOf: (id) => reads.call('eventsOf', id),
    events: (filter) => reads.call('events', filter),
    deliveriesTo: (prefix, limit) => reads.call('deliveriesTo', prefix, limit),
    rejectedFor: (recipient, limit) => reads.call('rejectedFor', recipient, limit),
    stats: (sinceMs) => reads.call('stats', sinceMs),
    trend: (query) => reads.call('trend', query),
    queue: (limit) => reads.call('queue', limit),
    content: (id) => reads.call('content', id),
  };
}
