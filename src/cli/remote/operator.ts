/** An operator's writes through a relay elsewhere. They need a token with the scope `admin`. */
import { change } from '../../api/wire/queue.ts';
import { suppression } from '../../api/wire/suppression.ts';
import type { DeliveryId, MessageId } from '../../core/ids.ts';
import type { Operator } from '../operator.ts';
import type { RemoteClient } from './client.ts';
import { suppressionFacts } from './facts.ts';

/** The operator at `client`'s relay. */
export function createRemoteOperator(client: RemoteClient): Operator {
  const act = async (target: MessageId | DeliveryId, verb: 'retry' | 'cancel'): ReturnType<Operator['cancel']> => {
    const found = await client.find(`v1/messages/${target}/${verb}`, change, { method: 'POST' });
    // There is no such message or delivery: nothing was changed.
    return found === null ? { changed: [], unchanged: [] } : { changed: found.changed, unchanged: found.unchanged };
  };
  return {
    retryNow: (target) => act(target, 'retry'),
    cancel: (target) => act(target, 'cancel'),
    async suppress({ recipient, detail, createdAt, expiresAt }) {
      const kept = await client.call(`v1/suppressions/${encodeURIComponent(recipient)}`, suppression, {
        method: 'PUT',
        body: {
          ...(detail === '' ? {} : { reason: detail }),
          // A span, not a moment: the clocks of the two machines may differ.
          ...(expiresAt === null ? {} : { for: `${expiresAt - createdAt}ms` }),
        },
      });
      return suppressionFacts(kept);
    },
    unsuppress: (recipient) => client.done(`v1/suppressions/${encodeURIComponent(recipient)}`, { method: 'DELETE' }),
    close: () => Promise.resolve(),
  };
}
