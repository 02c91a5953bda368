/**
 * How many deliveries of a route wait for look-ups at the same time (MX, MTA-STS, addresses, TLSA). Who waits holds a
 * connection's worth of the route, and everybody can have domains whose DNS is silent: half of the route's `connections` is
 * the most that wait, so that they cannot keep the mail waiting for domains that answer. Less urgent lanes may take less of
 * it (`lane-room.ts`).
 *
 * A look-up that is answered within one turn of the event loop was answered from memory, and needs no place. One that finds
 * none is given up for this attempt; it goes on by itself for a moment, so that the next attempt, seconds later, finds the
 * answer of a DNS server that is in order in the cache. As many as there are places go on in this way, and no more.
 *
 * Known limit: a policy that the MTA-STS cache has forgotten is read from the store, and that takes more than one turn.
 */
import { lanesOf } from '../../core/lane-room.ts';
import { PRIORITIES, type Priority } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';

/** One try at a DNS server (`dns-client.ts`): who has not answered by then is not in order. */
const ALONE_MS = 2_000;

export interface SlowLookups {
  /**
   * What `ask` answers, or null: it takes long, and there is no place to wait. The signal that `ask` is given is to end its
   * work. Rejects as `ask` does, and with the reason when `signal` aborts.
   */
  run<T extends object>(
    priority: Priority,
    signal: AbortSignal,
    ask: (signal: AbortSignal) => Promise<T>,
  ): Promise<T | null>;
  /** Places for mail of `priority`. */
  places(priority: Priority): number;
  /** Ends the look-ups that go on by themselves. */
  stop(): void;
}

/** Makes the places of a route that has `connections`. */
export function createSlowLookups(connections: number, clock: Clock): SlowLookups {
  const places = Math.max(1, Math.floor(connections / 2));
  const room = lanesOf(places);
  const roomOf = (priority: Priority): number => room[PRIORITIES.indexOf(priority)] ?? 0;
  const alone = new Set<AbortController>();
  let taken = 0;

  const leaveAlone = (answer: Promise<object>, abort: AbortController): void => {
    if (alone.size >= places) {
      abort.abort();
      return;
    }
    alone.add(abort);
    const cancel = clock.after(ALONE_MS, () => abort.abort());
    const end = (): void => {
      cancel();
      alone.delete(abort);
    };
    // What it comes to is in the cache; whoever asked has gone.
    answer.then(end, end);
  };

  return {
    async run(priority, signal, ask) {
      signal.throwIfAborted();
      const abort = new AbortController();
      const onAbort = (): void => abort.abort(signal.reason);
      signal.addEventListener('abort', onAbort, { once: true });
      try {
        const answer = ask(abort.signal);
        if (await isSettledInOneTurn(answer)) return await answer;
        if (taken >= roomOf(priority)) {
          leaveAlone(answer, abort);
          return null;
        }
        taken++;
        try {
          return await answer;
        } finally {
          taken--;
        }
      } finally {
        signal.removeEventListener('abort', onAbort);
      }
    },
    places: (priority) => roomOf(priority),
    stop() {
      for (const abort of alone) abort.abort();
    },
  };
}

function isSettledInOneTurn(answer: Promise<object>): Promise<boolean> {
  return new Promise((resolve) => {
    const turn = setImmediate(() => resolve(false));
    const settled = (): void => {
      clearImmediate(turn);
      resolve(true);
    };
    answer.then(settled, settled);
  });
}
