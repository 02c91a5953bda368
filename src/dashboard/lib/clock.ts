/** The browser's clock and timers, for all the pages: the one file that touches them. */

/** Epoch milliseconds. */
export function now(): number {
  return Date.now();
}

/** Calls `work` after `ms`; the function that comes back calls it off. */
export function after(ms: number, work: () => void): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/** Calls `work` every `ms` until the function that comes back is called. */
export function every(ms: number, work: () => void): () => void {
  const timer = setInterval(work, ms);
  return () => clearInterval(timer);
}
