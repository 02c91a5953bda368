/** Counts what runs, so that whoever stops can wait for the last of it. */

export interface Quiet {
  /** Runs `work`; `stop` waits for its end. */
  during<T>(work: () => Promise<T>): Promise<T>;
  stopped(): boolean;
  /** From now on `stopped` is true; resolves when nothing runs. */
  stop(): Promise<void>;
}

export function createQuiet(): Quiet {
  let running = 0;
  let stopped = false;
  const waiting: (() => void)[] = [];
  return {
    async during(work) {
      running++;
      try {
        return await work();
      } finally {
        running--;
        if (running === 0) for (const tell of waiting.splice(0)) tell();
      }
    },
    stopped: () => stopped,
    stop() {
      stopped = true;
      return running === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
  };
}
