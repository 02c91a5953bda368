/** Those who want to be told something by the store. */

export type Listeners<T> = ((value: T) => void)[];

/** A listener that throws is a bug of its room: it surfaces as one, and neither a commit nor another listener suffers. */
export function tell<T>(listeners: Listeners<T>, value: T): void {
  for (const listener of listeners) {
    try {
      listener(value);
    } catch (thrown) {
      queueMicrotask(() => {
        throw thrown;
      });
    }
  }
}
