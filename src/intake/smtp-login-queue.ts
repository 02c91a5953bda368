/**
 * The order in which password hashes are computed: one at a time over all clients, because the thread pool that computes
 * them also signs mail.
 *
 * Addresses take turns, so that one that guesses cannot make another wait behind all its guesses; addresses without failures
 * go first. Bounded per address and in all.
 */

export interface LoginQueue {
  /** Runs `job` when its turn comes; null, and nothing run, when too many wait. `clean`: the address has no failures. */
  run<T>(address: string, clean: boolean, job: () => Promise<T>): Promise<T> | null;
}

interface Lane {
  /** Waiting jobs by address; the first address is next, and goes to the end after its turn. */
  readonly waiting: Map<string, (() => Promise<void>)[]>;
}

const MAX_PER_ADDRESS = 32;
const MAX_IN_ALL = 512;

/** Makes an empty queue. */
export function createLoginQueue(): LoginQueue {
  const lanes: readonly Lane[] = [{ waiting: new Map() }, { waiting: new Map() }];
  let total = 0;
  let running = false;

  const takeNext = (): (() => Promise<void>) | null => {
    for (const { waiting } of lanes) {
      const turn = waiting.entries().next();
      if (turn.done === true) continue;
      const [address, jobs] = turn.value;
      waiting.delete(address);
      const job = jobs.shift();
      if (jobs.length > 0) waiting.set(address, jobs);
      if (job !== undefined) return job;
    }
    return null;
  };
  const pump = async (): Promise<void> => {
    if (running) return;
    running = true;
    for (let job = takeNext(); job !== null; job = takeNext()) {
      total--;
      await job();
    }
    running = false;
  };

  return {
    run(address, clean, job) {
      const lane = lanes[clean ? 0 : 1];
      const jobs = lane?.waiting.get(address) ?? [];
      if (lane === undefined || jobs.length >= MAX_PER_ADDRESS || total >= MAX_IN_ALL) return null;
      total++;
      lane.waiting.set(address, jobs);
      return new Promise((resolve, reject) => {
        jobs.push(() => job().then(resolve, reject));
        void pump();
      });
    },
  };
}
