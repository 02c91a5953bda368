/**
 * Work that several callers want at the same time is done once.
 *
 * Each caller waits under its own signal: one that aborts leaves, and the work goes on for the others; when the last has left,
 * the work is aborted too.
 */

export interface SharedWork<T> {
  /** The result of the work for `key`: of the one under way, or of `start`. Rejects with the reason when `signal` aborts. */
  run(key: string, signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T>;
}

interface Work<T> {
  readonly result: Promise<T>;
  readonly abort: AbortController;
  callers: number;
}

export function createSharedWork<T>(): SharedWork<T> {
  const underWay = new Map<string, Work<T>>();

  const begin = (key: string, start: (signal: AbortSignal) => Promise<T>): Work<T> => {
    const abort = new AbortController();
    const work: Work<T> = { result: start(abort.signal), abort, callers: 0 };
    underWay.set(key, work);
    const end = (): void => {
      if (underWay.get(key) === work) underWay.delete(key);
    };
    work.result.then(end, end);
    return work;
  };

  return {
    async run(key, signal, start) {
      signal.throwIfAborted();
      const work = underWay.get(key) ?? begin(key, start);
      work.callers++;
      return new Promise<T>((resolve, reject) => {
        const onAbort = (): void => {
          reject(signal.reason);
          if (--work.callers > 0) return;
          if (underWay.get(key) === work) underWay.delete(key);
          work.abort.abort(signal.reason);
        };
        signal.addEventListener('abort', onAbort, { once: true });
        const leave = (): void => signal.removeEventListener('abort', onAbort);
        work.result.finally(leave).then(resolve, reject);
      });
    },
  };
}
