/** An operator's few writes: into the database beside a relay, or through a relay elsewhere. */
import type { Plain } from '../api/wire/json.ts';
import type { SuppressionFacts } from '../api/wire/suppression.ts';
import type { EnvelopeAddress } from '../core/address.ts';
import type { DeliveryId, MessageId } from '../core/ids.ts';
import type { OperatorResult, Suppression } from '../store/store.ts';
import { type DatabaseOptions, openOperator } from './database.ts';
import type { CliIo } from './io.ts';
import { openRemote } from './remote/open.ts';

export interface Operator {
  retryNow(target: MessageId | DeliveryId): Promise<Plain<OperatorResult>>;
  cancel(target: MessageId | DeliveryId): Promise<Plain<OperatorResult>>;
  /** Adds or replaces; returns the entry as it is kept. Without a `detail` it says who added it. */
  suppress(entry: Suppression): Promise<SuppressionFacts>;
  /** Returns whether there was one. */
  unsuppress(recipient: EnvelopeAddress): Promise<boolean>;
  close(): Promise<void>;
}

/** Opens what `options` name for writing; rejects with a `RelayError` when it cannot be. */
export async function openOperatorAt(io: CliIo, options: DatabaseOptions): Promise<Operator> {
  const remote = await openRemote(io, options);
  if (remote !== null) return remote.operator;
  const { retryNow, cancel, suppressions, stop } = await openOperator(io, options);
  return {
    retryNow: (target) => retryNow(target, io.clock.now()),
    cancel: (target) => cancel(target, io.clock.now(), 'canceled by an operator'),
    async suppress(entry) {
      const kept = { ...entry, detail: entry.detail === '' ? 'added by an operator' : entry.detail };
      await suppressions.put(kept);
      return kept;
    },
    unsuppress: (recipient) => suppressions.remove(recipient, io.clock.now()),
    close: () => stop(),
  };
}
