/** An engine in the calling thread: for a database in memory, and for commands that ask little and end. */
import { RelayError } from '../../core/errors.ts';
import type { Engine, Host } from './calls.ts';

/** Makes a host that runs each batch at once. */
export function createInlineHost(engine: Engine): Host {
  let open = true;
  return {
    async send(calls) {
      if (!open) throw new RelayError('the store is closed', { code: 'store-closed', op: 'store.call' });
      return engine.run(calls);
    },
    async stop() {
      if (!open) return;
      open = false;
      engine.close();
    },
  };
}
