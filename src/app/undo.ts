/**
 * What was started, to be stopped in the reverse order: one step that fails keeps no other from its turn.
 */

export interface Undo {
  push(step: () => Promise<void>): void;
  /** Runs every step once, the last pushed first; further calls wait for the first. Rejects at the end when any step did. */
  unwind(): Promise<void>;
}

/** An empty list of steps. */
export function createUndo(): Undo {
  const steps: (() => Promise<void>)[] = [];
  let done: Promise<void> | null = null;
  const run = async (): Promise<void> => {
    const errors: unknown[] = [];
    for (const step of [...steps].reverse()) {
      try {
        await step();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, 'not everything could be stopped in order');
  };
  return {
    push: (step) => void steps.push(step),
    unwind() {
      done ??= run();
      return done;
    },
  };
}
