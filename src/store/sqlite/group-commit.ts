/**
 * The one way to the writing engine: while a batch commits, whatever arrives waits, and goes as the next batch.
 *
 * There is no timer: waiting a millisecond for company cost a third of the throughput. An idle store commits what came in one
 * turn of the event loop at once; a busy one fills its batches by itself. A call resolves after its batch is durable, in order of arrival.
 */
import { ToldBug } from '../../core/bug-text.ts';
import { RelayError } from '../../core/errors.ts';
import type { Call, CallResult, Host, Reply, WriterCalls } from './calls.ts';

/** More calls do not make a batch much cheaper a call, only later. */
const MAX_BATCH_CALLS = 256;
const MAX_BATCH_BYTES = 16 * 1024 * 1024;
/** Cannot run inside a transaction. */
const ALONE: ReadonlySet<string> = new Set<keyof WriterCalls>(['begin', 'checkpoint']);

export interface GroupCommit {
  call<K extends keyof WriterCalls>(name: K, ...args: Parameters<WriterCalls[K]>): Promise<ReturnType<WriterCalls[K]>>;
  /** Lets everything that was asked for finish; later calls reject with `store-closed`. */
  stop(): Promise<void>;
}

interface WaitingCall extends Call {
  readonly bytes: number;
  /** A method, so that a promise of any result can stand here. */
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/**
 * Makes the way to `host`; `onReply` sees every batch before its callers do, and never throws. `gather` resolves when those
 * who could call in this turn of the event loop have called.
 */
export function createGroupCommit(
  host: Host,
  onReply: (reply: Reply) => void,
  gather: () => Promise<void> = microtask,
): GroupCommit {
  let waiting: WaitingCall[] = [];
  let shipping = false;
  let closed = false;
  let onIdle: (() => void) | null = null;

  async function ship(): Promise<void> {
    if (shipping) return;
    shipping = true;
    while (waiting.length > 0) {
      await gather();
      const batch = takeBatch();
      try {
        const reply = await host.send(batch.map(({ name, args }) => ({ name, args })));
        onReply(reply);
        for (const [index, call] of batch.entries()) answer(call, reply.results[index]);
      } catch (thrown) {
        // The thread is gone.
        const error = thrown instanceof Error ? thrown : new Error(String(thrown));
        for (const call of batch) call.reject(error);
      }
    }
    shipping = false;
    onIdle?.();
  }

  function takeBatch(): WaitingCall[] {
    let bytes = 0;
    let count = 0;
    for (const call of waiting) {
      bytes += call.bytes;
      if (count > 0 && (ALONE.has(call.name) || bytes > MAX_BATCH_BYTES || count === MAX_BATCH_CALLS)) break;
      count++;
      if (ALONE.has(call.name)) break;
    }
    const batch = waiting.slice(0, count);
    waiting = waiting.slice(count);
    return batch;
  }

  return {
    call(name, ...args) {
      return new Promise((resolve, reject) => {
        if (closed) {
          reject(new RelayError('the store is closed', { code: 'store-closed', op: `store.${name}` }));
          return;
        }
        waiting.push({ name, args, bytes: sizeOf(args), resolve, reject });
        void ship();
      });
    },
    async stop() {
      closed = true;
      if (!shipping) return;
      await new Promise<void>((resolve) => {
        onIdle = resolve;
      });
    },
  };
}

/** Resolves when this turn of the event loop is over: every socket that has data has been read. */
export function endOfTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function microtask(): Promise<void> {}

function sizeOf(args: readonly unknown[]): number {
  return args.reduce((sum: number, arg) => sum + (arg instanceof Uint8Array ? arg.length : 0), 0);
}

function answer(call: WaitingCall, result: CallResult | undefined): void {
  if (result === undefined) call.reject(new Error(`no result for store.${call.name}`));
  else if (result.ok) call.resolve(result.value);
  else call.reject(errorOf(call.name, result));
}

/** What went wrong in an engine, as the caller sees it: environment trouble, or a bug. */
export function errorOf(name: string, result: Extract<CallResult, { ok: false }>): Error {
  if (result.code === null) return new ToldBug(`store.${name}: ${result.message}`);
  return new RelayError(result.message, { code: result.code, op: `store.${name}`, hint: hintFor(result.code) });
}

function hintFor(code: RelayError['code']): string {
  return code === 'store-full'
    ? 'Free space on the disk of the data folder; the relay takes mail again by itself.'
    : 'See to the disk and the data folder; the relay tries again by itself.';
}
