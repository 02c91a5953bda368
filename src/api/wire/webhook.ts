/** Webhook endpoints and what was sent to them, as the API and `--json` show it. */
import { z } from 'zod';
import { EVENT_TYPES } from '../../core/event.ts';
import { isoTime } from '../../core/time.ts';
import type { OutboxDelivery, OutboxFigures, ReplayResult } from '../../store/outbox.ts';
import { type Page, pageOf, time, timeOrNull } from './json.ts';

export interface WireWebhook {
  readonly name: string;
  readonly url: string | null;
  readonly events: readonly string[];
  readonly tags: readonly string[];
  readonly state: 'active' | 'disabled';
  readonly disabled_at: string | null;
  readonly disabled_reason: string | null;
  readonly failing_since: string | null;
  /** Events that wait, and those that were given up. */
  readonly pending: number;
  readonly dead: number;
  readonly oldest_pending_at: string | null;
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
    url: z.string().nullable().describe('As in the config, without its query; null: the config cannot be read.'),
    events: z.array(z.string()).describe('Types of events.'),
    tags: z.array(z.string()).describe('Empty: of all tags.'),
    state: z.enum(['active', 'disabled']),
    disabled_at: time('When it answered 410; null: it did not, or was enabled since.').nullable(),
    disabled_reason: z.string().nullable(),
    failing_since: time(
      'First of the tries that failed since the last success; null: the last one succeeded.',
    ).nullable(),
    pending: z.int().describe('Events that wait to be sent; of a long backlog the first 10000 are counted.'),
    dead: z.int().describe('Events that were given up after the last try.'),
    oldest_pending_at: time('When the oldest event that waits happened, or was asked for again.').nullable(),
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
    next_attempt_at: time(
      'When the next attempt is due; null: none is, or an earlier event of the same message goes first.',
    ).nullable(),
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

export const replayResult: z.ZodType<ReplayResult> = z
  .object({
    queued: z.int().describe('Events that now wait to be sent.'),
    unknown: z.array(z.string()).describe('Ids that are not in the log, or that the endpoint does not want.'),
  })
  .meta({ id: 'WebhookReplayResult' });

/** An endpoint. A token may stand in the query of its URL, and never shows. */
export function wireWebhook(url: string | null, figures: OutboxFigures): WireWebhook {
  return {
    name: figures.name,
    url: url === null ? null : shownUrl(url),
    events: figures.types,
    tags: figures.tags ?? [],
    state: figures.disabledAt === null ? 'active' : 'disabled',
    disabled_at: timeOrNull(figures.disabledAt),
    disabled_reason: figures.disabledReason,
    failing_since: timeOrNull(figures.failingSince),
    pending: figures.backlog,
    dead: figures.dead,
    oldest_pending_at: timeOrNull(figures.oldestPendingAt),
    last_delivered_at: timeOrNull(figures.lastDeliveredAt),
    last_failed_at: timeOrNull(figures.lastFailedAt),
    next_attempt_at: timeOrNull(figures.nextAttemptAt),
  };
}

/** `url` without its query. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}

export function wireWebhookDelivery(name: string, delivery: OutboxDelivery): WireWebhookDelivery {
  return {
    id: `${name}:${delivery.seq}`,
    webhook: name,
    event_id: delivery.eventId,
    seq: delivery.seq,
    type: delivery.type,
    message_id: delivery.messageId,
    state: delivery.state === 'waiting' ? 'pending' : delivery.state,
    next_attempt_at: timeOrNull(delivery.nextAttemptAt),
    attempts: delivery.attempts.map(({ number, at, ms, status, text }) => ({
      number,
      started_at: isoTime(at),
      status,
      latency_ms: ms,
      response: text,
    })),
  };
}
