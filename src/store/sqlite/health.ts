/**
 * Whether mail can be taken now. Turned by commits that failed and by too little free space; turned back only by a probe
 * that wrote and found space. Damage to the file is not healed by any probe: the relay must be started anew.
 */
import { errorText, RelayError } from '../../core/errors.ts';
import type { CancelTimer, Clock } from '../../core/time.ts';
import type { HealthStore, StoreHealth } from '../store.ts';
import { type Listeners, tell } from './listeners.ts';
import type { Trouble } from './trouble.ts';

const LOOK_EVERY_MS = 5000;
const OK: StoreHealth = { accepting: true, kind: 'ok', reason: '' };

export interface HealthDeps {
  readonly clock: Clock;
  /** Below this many free octets no mail is taken. */
  readonly floorBytes: number;
  /** A small durable write. */
  readonly write: () => Promise<unknown>;
  /** Whether the database file still stands where it was opened. */
  readonly isInPlace: () => Promise<boolean>;
  /** Octets free; null: there is no disk. */
  readonly freeBytes: () => Promise<number | null>;
}

export interface Health extends Pick<HealthStore, 'current' | 'probe' | 'onChange'> {
  /** A commit met this. */
  note(trouble: Trouble): void;
  /** The error for mail that is not taken now, or null when it is. */
  refusal(): RelayError | null;
  /** Looks every few seconds from now on: at the free space, and by a probe while nothing is taken. */
  watch(): void;
  stop(): void;
}

/** Makes the health of a store. */
export function createHealth(deps: HealthDeps): Health {
  const { clock, floorBytes } = deps;
  const listeners: Listeners<StoreHealth> = [];
  let state = OK;
  let damaged = false;
  let cancel: CancelTimer | null = null;
  let stopped = false;

  function become(next: StoreHealth): void {
    const changed = next.accepting !== state.accepting;
    state = next;
    if (changed) tell(listeners, state);
  }

  function note(trouble: Trouble): void {
    damaged ||= trouble.lasting;
    become({ accepting: false, kind: trouble.kind, reason: trouble.reason });
  }

  async function lookAround(): Promise<boolean> {
    if (!(await deps.isInPlace())) {
      const reason =
        'the database file was removed or replaced while the relay runs; stop the relay, put it back, start anew';
      note({ kind: 'io', lasting: true, reason });
      return false;
    }
    return lookAtSpace();
  }

  async function lookAtSpace(): Promise<boolean> {
    const free = await deps.freeBytes();
    if (free === null || free >= floorBytes) return true;
    const reason = `the disk has ${megabytes(free)} free, and mail is taken from ${megabytes(floorBytes)} on`;
    note({ kind: 'full', lasting: false, reason });
    return false;
  }

  async function probe(): Promise<StoreHealth> {
    if (damaged) return state;
    try {
      await deps.write();
      if (await lookAround()) become(OK);
    } catch (thrown) {
      // A write that failed was noted with its reason already; this is for whatever else cannot be reached.
      if (state.accepting) note({ kind: 'io', lasting: false, reason: errorText(thrown) });
    }
    return state;
  }

  function watch(): void {
    cancel = clock.after(LOOK_EVERY_MS, () => {
      const look = state.accepting ? lookAround() : probe();
      void look
        .catch((thrown: unknown) => note({ kind: 'io', lasting: false, reason: errorText(thrown) }))
        .finally(() => {
          if (!stopped) watch();
        });
    });
  }

  return {
    current: () => state,
    onChange: (listener) => void listeners.push(listener),
    probe,
    note,
    watch,
    refusal() {
      if (state.accepting) return null;
      const code = state.kind === 'full' ? 'store-full' : 'store-io';
      return new RelayError(state.reason, { code, op: 'store.accept', hint: 'The relay takes mail again by itself.' });
    },
    stop() {
      stopped = true;
      cancel?.();
    },
  };
}

function megabytes(bytes: number): string {
  return `${Math.floor(bytes / 1024 / 1024)} MB`;
}
