/**
 * An engine in a worker thread, so that neither an fsync nor a long query stalls the event loop.
 *
 * When the thread ends on its own (a bug, no memory) every call under way and every later one fails with `store-io`, and
 * nobody starts it again: what was being committed is known only after the relay has been started anew.
 */
import { Worker } from 'node:worker_threads';
import { bugText } from '../../core/bug-text.ts';
import { RelayError } from '../../core/errors.ts';
import type { Host, Reply } from './calls.ts';
import type { EngineSettings } from './engines.ts';
import { packCalls, type Parcel, unpackReply } from './wire.ts';

export type ToWorker =
  | { readonly kind: 'calls'; readonly id: number; readonly parcel: Parcel }
  | { readonly kind: 'stop' };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'refused'; readonly message: string; readonly hint: string }
  | { readonly kind: 'reply'; readonly id: number; readonly parcel: Parcel };

interface Waiting {
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: RelayError) => void;
}

/** Starts the thread; resolves when its engine is open, rejects with a `RelayError` `store-open` when it cannot be. */
export function startThread(settings: EngineSettings): Promise<Host> {
  const worker = new Worker(workerUrl(), { workerData: settings, execArgv: [], name: `store ${settings.role}` });
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let gone: RelayError | null = null;
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));

  const fail = (reason: string, cause?: unknown): void => {
    gone ??= new RelayError(reason, { code: 'store-io', op: 'store.call', hint: 'Start the relay anew.', cause });
    rejectWaiting(gone);
  };
  const rejectWaiting = (error: RelayError): void => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
  };
  worker.on('error', (thrown) => fail(`the database thread failed: ${bugText(thrown)}`, thrown));
  worker.on('exit', () => fail('the database thread has ended'));

  const host: Host = {
    send(calls) {
      return new Promise((resolve, reject) => {
        if (gone !== null) {
          reject(gone);
          return;
        }
        const parcel = packCalls(calls);
        const id = ++lastId;
        waiting.set(id, { resolve, reject });
        post(worker, { kind: 'calls', id, parcel }, parcel.bytes);
      });
    },
    async stop() {
      if (gone === null) {
        gone = new RelayError('the store is closed', { code: 'store-closed', op: 'store.call' });
        post(worker, { kind: 'stop' }, null);
      }
      await ended;
    },
  };

  return new Promise((resolve, reject) => {
    // Taken back from the map by the first message or by the end of the thread.
    waiting.set(0, { resolve: () => resolve(host), reject });
    worker.on('message', (message: FromWorker) => {
      if (message.kind === 'refused') {
        waiting.delete(0);
        reject(new RelayError(message.message, { code: 'store-open', op: 'store.open', hint: message.hint }));
      } else if (message.kind === 'ready') {
        waiting.delete(0);
        resolve(host);
      } else {
        const call = waiting.get(message.id);
        waiting.delete(message.id);
        call?.resolve(unpackReply(message.parcel));
      }
    });
  });
}

function post(worker: Worker, message: ToWorker, bytes: ArrayBuffer | null): void {
  worker.postMessage(message, bytes === null ? [] : [bytes]);
}

/** Beside this file, whether it runs as it was written or as it was built. */
function workerUrl(): URL {
  const url = new URL('./worker.ts', import.meta.url);
  return import.meta.url.endsWith('.ts') ? url : new URL(url.href.replace(/\.ts$/, '.js'));
}
