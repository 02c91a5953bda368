/** Webhook endpoints and what was sent to them, as the API and `--json` show it. */
import { z } from 'zod';
import { EVENT_TYPES } from '../../core/event.ts';
import { type Page, pageOf, time } from './json.ts';

export interface WireWebhook {
  readonly name: string;
  readonly url: string;
  readonly events: readonly string[];
  readonly tags: readonly string[];
  readonly state: 'active' | 'disabled';
  readonly disabled_reason: string | null;
  /** Events that wait, and those that were given up. */
  readonly pending: number;
  readonly dead: number;
  readonly last_delivered_at: string | null;
  readonly last_failed_at: string | null;
  readonly next_attempt_at: string | null;
}

export interface WireWebhookDelivery {
  readonly id: string;
  readonly webhook: string;
  readonly event_id: string;
  readonly seq: number;
  readonly type: string;
  readonly message_id: string | null;
  readonly state: 'pending' | 'delivered' | 'dead';
  readonly next_attempt_at: string | null;
  readonly attempts: readonly WireWebhookAttempt[];
}

export interface WireWebhookAttempt {
  readonly number: number;
  readonly started_at: string;
  /** null: no answer came. */
  readonly status: number | null;
  readonly latency_ms: number;
  readonly response: string;
}

export const webhook: z.ZodType<WireWebhook> = z
  .object({
    name: z.string(),
    url: z.string().describe('As in the config, without user, password and query.'),
    events: z.array(z.string()).describe('Patterns of event types.'),
    tags: z.array(z.string()).describe('Empty: of all tags.'),
    state: z.enum(['active', 'disabled']),
    disabled_reason: z.string().nullable(),
    pending: z.int().describe('Events that wait to be sent.'),
    dead: z.int().describe('Events that were given up after the last try.'),
    last_delivered_at: time('When it last took an event.').nullable(),
    last_failed_at: time('When an attempt last failed.').nullable(),
    next_attempt_at: time('When the next attempt is due.').nullable(),
  })
  .meta({ id: 'Webhook', description: 'A webhook endpoint of the config, and how it fares.' });

export const webhookList: z.ZodType<{ readonly data: readonly WireWebhook[] }> = z
  .object({ data: z.array(webhook) })
  .meta({ id: 'WebhookList' });

export const webhookDelivery: z.ZodType<WireWebhookDelivery> = z
  .object({
    id: z.string(),
    webhook: z.string(),
    event_id: z.string().describe('The `webhook-id` of each attempt.'),
    seq: z.int(),
    type: z.enum(EVENT_TYPES),
    message_id: z.string().nullable().describe('Id of the message (`msg_...`).'),
    state: z.enum(['pending', 'delivered', 'dead']),
    next_attempt_at: time('When the next attempt is due.').nullable(),
    attempts: z.array(
      z.object({
        number: z.int(),
        started_at: time('When it began.'),
        status: z.int().nullable().describe('HTTP status; null: no answer came.'),
        latency_ms: z.number(),
        response: z.string().describe('Begin of the answer, or what went wrong.'),
      }),
    ),
  })
  .meta({ id: 'WebhookDelivery', description: 'One event for one endpoint, with its attempts.' });

export const webhookDeliveryPage: z.ZodType<Page<WireWebhookDelivery>> = pageOf('WebhookDeliveryPage', webhookDelivery);
