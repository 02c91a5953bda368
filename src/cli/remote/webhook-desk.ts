/** What `webhooks` asks of a relay elsewhere. Replaying and enabling need a token with the scope `admin`. */
import { MAX_LIMIT } from '../../api/wire/json.ts';
import {
  replayResult,
  webhook,
  webhookDeliveryPage,
  webhookList,
  type WireWebhookDelivery,
} from '../../api/wire/webhook.ts';
import { isoTime } from '../../core/time.ts';
import type { ReplaySelection } from '../../store/outbox.ts';
import type { WebhookDesk } from '../webhook-desk.ts';
import type { RemoteClient } from './client.ts';

/** The desk of `client`'s relay. */
export function createRemoteDesk(client: RemoteClient): WebhookDesk {
  const path = (name: string, more: string): string => `v1/webhooks/${encodeURIComponent(name)}/${more}`;
  return {
    list: async () => (await client.call('v1/webhooks', webhookList)).data,
    async deliveries(name, { state, limit }) {
      const found: WireWebhookDelivery[] = [];
      let cursor: string | undefined;
      while (found.length < limit) {
        const page = await client.find(path(name, 'deliveries'), webhookDeliveryPage, {
          query: {
            state: state === 'waiting' ? 'pending' : state,
            limit: Math.min(MAX_LIMIT, limit - found.length),
            cursor,
          },
        });
        if (page === null) return null;
        found.push(...page.data);
        if (page.next_cursor === null || page.data.length === 0) break;
        cursor = page.next_cursor;
      }
      return found;
    },
    replay: (name, selection) =>
      client.find(path(name, 'replay'), replayResult, { method: 'POST', body: bodyOf(selection) }),
    async enable(name) {
      return (await client.find(path(name, 'enable'), webhook, { method: 'POST' })) !== null;
    },
  };
}

function bodyOf(selection: ReplaySelection): Readonly<Record<string, unknown>> {
  switch (selection.kind) {
    case 'events':
      return { event_ids: selection.ids };
    case 'range':
      return { since: isoTime(selection.since), until: isoTime(selection.until) };
    case 'dead':
      return { dead: true };
  }
}
