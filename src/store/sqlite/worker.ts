/** The thread's side of `thread-host.ts`: opens one engine, runs one batch after the other, closes it when told. */
import { parentPort, workerData } from 'node:worker_threads';
import { RelayError } from '../../core/errors.ts';
import type { Engine } from './calls.ts';
import { type EngineSettings, openReader, openWriter } from './engines.ts';
import type { FromWorker, ToWorker } from './thread-host.ts';
import { packReply, unpackCalls } from './wire.ts';

const port = parentPort;
if (port === null) throw new Error('this file is the start of a worker thread');

function tell(message: FromWorker, bytes: ArrayBuffer | null): void {
  port?.postMessage(message, bytes === null ? [] : [bytes]);
}

function open(settings: EngineSettings): Engine | null {
  try {
    return settings.role === 'writer' ? openWriter(settings) : openReader(settings);
  } catch (thrown) {
    if (!(thrown instanceof RelayError)) throw thrown;
    tell({ kind: 'refused', message: thrown.message, hint: thrown.hint }, null);
    return null;
  }
}

const engine = open(workerData);
if (engine !== null) {
  port.on('message', (message: ToWorker) => {
    if (message.kind === 'stop') {
      engine.close();
      port.close();
      return;
    }
    const parcel = packReply(engine.run(unpackCalls(message.parcel)));
    tell({ kind: 'reply', id: message.id, parcel }, parcel.bytes);
  });
  tell({ kind: 'ready' }, null);
}
