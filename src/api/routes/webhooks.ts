/**
 * Webhook endpoints: how they fare, what was sent to them, sending it again. No call adds an endpoint or changes its address:
 * these come from the config alone.
 */
import { z } from 'zod';
import type { WebhookConfig } from '../../config/types.ts';
import type { Clock } from '../../core/time.ts';
import type { OutboxFigures, OutboxStore, ReplaySelection } from '../../store/outbox.ts';
import { type Api, problems } from '../api.ts';
import { refuse } from '../answer.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { countQuery, limitQuery, page } from '../wire/json.ts';
import {
  replayResult,
  type WireWebhook,
  webhook,
  webhookDeliveryPage,
  webhookList,
  wireWebhook,
  wireWebhookDelivery,
} from '../wire/webhook.ts';

export interface WebhooksDeps {
  readonly outbox: Pick<OutboxStore, 'figures' | 'deliveries' | 'replay' | 'enable'>;
  readonly webhooks: () => readonly WebhookConfig[];
  /** Something may be due now. */
  readonly wakeWebhooks: () => void;
  readonly clock: Clock;
}

const MAX_NAME = 64;
const MAX_IDS = 1000;
const NO_SUCH = 'There is no webhook of this name in the config.';

const params = z.strictObject({ name: z.string().max(MAX_NAME).describe('As in the config.') });
const deliveriesQuery = z.strictObject({
  state: z.enum(['pending', 'delivered', 'dead']).optional(),
  cursor: countQuery(0, Number.MAX_SAFE_INTEGER).optional(),
  limit: limitQuery(),
});
const eventId = z
  .string()
  .regex(/^evt_[0-9a-hjkmnp-tv-z]{26}$/, 'write the id of an event: evt_ and 26 letters and digits')
  .meta({ examples: ['evt_01kqpz3v6e8xq2m4n7r9t0w5ya'] });
const replayBody = z
  .strictObject({
    event_id: eventId.optional().describe('One event.'),
    event_ids: z.array(eventId).min(1).max(MAX_IDS).optional().describe('Several events.'),
    since: momentQuery('Events from this moment on, up to `until`.').optional(),
    until: momentQuery('Up to this moment, without it; absent: now. Only with `since`.').optional(),
    dead: z.literal(true).optional().describe('Every event that was given up.'),
  })
  .refine(
    ({ event_id, event_ids, since, dead }) =>
      [event_id, event_ids, since, dead].filter((one) => one !== undefined).length === 1,
    'write one of event_id, event_ids, since and dead',
  )
  .refine(({ since, until }) => until === undefined || since !== undefined, 'until goes with since')
  .meta({ id: 'WebhookReplay', description: 'Which events are sent again: one way of saying it.' });

/** Adds the calls under `/v1/webhooks`. */
export function addWebhooks(api: Api, deps: WebhooksDeps): void {
  const { outbox, clock } = deps;
  const known = (name: string): WebhookConfig | undefined => deps.webhooks().find((one) => one.name === name);
  const faring = async (config: WebhookConfig): Promise<WireWebhook | null> => {
    const figures = (await outbox.figures()).find(({ name }) => name === config.name);
    return figures === undefined ? null : wireWebhook(config.url, figures);
  };

  api.get(
    '/v1/webhooks',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listWebhooks',
        tags: ['webhooks'],
        summary: 'List the webhook endpoints of the config, and how they fare',
        response: { 200: webhookList },
      },
    },
    async () => {
      const all = new Map((await outbox.figures()).map((figures): [string, OutboxFigures] => [figures.name, figures]));
      const data = deps.webhooks().flatMap((config) => {
        const figures = all.get(config.name);
        return figures === undefined ? [] : [wireWebhook(config.url, figures)];
      });
      return { data };
    },
  );

  api.get(
    '/v1/webhooks/:name/deliveries',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listWebhookDeliveries',
        tags: ['webhooks'],
        summary: 'List the events that were taken up for an endpoint with their attempts, newest first',
        description:
          'Of an endpoint that fails, the events behind those it is tried with wait in the log, and are not listed.',
        params,
        querystring: deliveriesQuery,
        response: { 200: webhookDeliveryPage, ...problems('not-found') },
      },
    },
    async ({ params: { name }, query: { state, cursor, limit } }, reply) => {
      const found = await outbox.deliveries(name, {
        ...(state === undefined ? {} : { state: state === 'pending' ? 'waiting' : state }),
        ...(cursor === undefined ? {} : { before: cursor }),
        limit: limit + 1,
      });
      if (found === null) return refuse(reply, 'not-found', NO_SUCH);
      return page(
        found.map((delivery) => wireWebhookDelivery(name, delivery)),
        limit,
        ({ seq }) => String(seq),
      );
    },
  );

  api.post(
    '/v1/webhooks/:name/replay',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'replayWebhook',
        tags: ['webhooks'],
        summary: 'Send events to an endpoint again, under the ids that they had',
        description:
          'Only events that the endpoint wants by its `events` and `tags`, and that `retention.events` has kept. Their tries begin anew.',
        params,
        body: replayBody,
        response: { 202: replayResult, ...problems('not-found') },
      },
    },
    async ({ params: { name }, body, raw }, reply) => {
      const now = clock.now();
      // A million events take longer than a silent connection may last, and a client that is cut off would ask once more.
      raw.socket.setTimeout(0);
      const result = await outbox.replay(name, selectionOf(body, now), now);
      if (result === null) return refuse(reply, 'not-found', NO_SUCH);
      if (body.event_id !== undefined && result.queued === 0) {
        return refuse(reply, 'not-found', 'There is no such event in the log that this endpoint wants.');
      }
      deps.wakeWebhooks();
      return reply.code(202).send(result);
    },
  );

  api.post(
    '/v1/webhooks/:name/enable',
    {
      config: { scope: 'admin' },
      schema: {
        operationId: 'enableWebhook',
        tags: ['webhooks'],
        summary: 'Enable an endpoint that answered 410; it goes on where it stopped',
        params,
        response: { 200: webhook, ...problems('not-found') },
      },
    },
    async ({ params: { name } }, reply) => {
      const config = known(name);
      if (config === undefined || !(await outbox.enable(name, clock.now()))) return refuse(reply, 'not-found', NO_SUCH);
      deps.wakeWebhooks();
      return (await faring(config)) ?? refuse(reply, 'not-found', NO_SUCH);
    },
  );
}

function selectionOf(body: z.infer<typeof replayBody>, now: number): ReplaySelection {
  const { event_id, event_ids, since, until } = body;
  const ids = event_ids ?? (event_id === undefined ? null : [event_id]);
  if (ids !== null) return { kind: 'events', ids };
  const sinceMs = since === undefined ? null : momentOf(since, now);
  if (sinceMs === null) return { kind: 'dead' };
  return { kind: 'range', since: sinceMs, until: (until === undefined ? null : momentOf(until, now)) ?? now + 1 };
}
