/** Keeps down how much runs at the same time; what is over it waits in line. */

/** Runs `work` as soon as there is a place, and returns what it returns. */
export type AtMost = <T>(work: () => Promise<T>) => Promise<T>;

/** A line with `places` places. */
export function createAtMost(places: number): AtMost {
  let free = places;
  const waiting: (() => void)[] = [];
  return async (work) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => waiting.push(resolve));
    try {
      return await work();
    } finally {
      // The place is handed on, not given back first: nobody can slip in between.
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}
