/** `webhooks`: the endpoints of the relay's config, what they were sent, sending it again, and the check of what arrives. */
import { createList, type List } from './list.ts';
import { type CallOptions, segment, type Transport } from './transport.ts';
import type { Webhook, WebhookDelivery } from './types.ts';
import { verifyWebhook } from './verify.ts';
import type { paths } from './wire.ts';

type DeliveriesQuery = NonNullable<paths['/v1/webhooks/{name}/deliveries']['get']['parameters']['query']>;
type ReplayCall = paths['/v1/webhooks/{name}/replay']['post'];
type ReplayBody = ReplayCall['requestBody']['content']['application/json'];
type ReplayAnswer = ReplayCall['responses'][202]['content']['application/json'];

export interface Webhooks {
  /** Every endpoint, with its state. */
  list(options?: CallOptions): Promise<readonly Webhook[]>;
  /** What was sent to the endpoint `name`, with every attempt. */
  deliveries(name: string, query?: Omit<DeliveriesQuery, 'cursor'>, options?: CallOptions): List<WebhookDelivery>;
  /** Sends events to the endpoint `name` again: some by their ids, those of a span of time, or all that were given up. */
  replay(name: string, what: ReplayBody, options?: CallOptions): Promise<ReplayAnswer>;
  /** Lets the endpoint `name` have events again after it answered 410; it goes on where it stopped. */
  enable(name: string, options?: CallOptions): Promise<Webhook>;
  /** The event of a webhook that arrived, when the relay signed it; see `verifyWebhook`. Asks nobody. */
  readonly verify: typeof verifyWebhook;
}

/** The calls over `transport`. */
export function createWebhooks(transport: Transport): Webhooks {
  const path = (name: string, call: string): string => `/v1/webhooks/${segment(name)}/${call}`;
  return {
    async list(options = {}) {
      const call = { op: 'webhooks.list', method: 'GET', path: '/v1/webhooks', repeat: 'safe', ...options } as const;
      const { data } = await transport.json<{ readonly data: readonly Webhook[] }>(call);
      return data;
    },
    deliveries: (name, query = {}, options = {}) =>
      createList(transport, 'webhooks.deliveries', path(name, 'deliveries'), query, options),
    replay: (name, what, options) =>
      transport.json({
        op: 'webhooks.replay',
        method: 'POST',
        path: path(name, 'replay'),
        json: what,
        repeat: 'refused',
        ...options,
      }),
    enable: (name, options) =>
      transport.json({ op: 'webhooks.enable', method: 'POST', path: path(name, 'enable'), repeat: 'safe', ...options }),
    verify: verifyWebhook,
  };
}
