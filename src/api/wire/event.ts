/**
 * Events as the API, the stream, `tail --json` and webhooks show them. Their bodies are stored in this form, so nothing is
 * turned into anything here: the schema says what `core/event.ts` makes.
 */
import { z } from 'zod';
import { BOUNCE_CLASSES } from '../../core/bounce.ts';
import { DELIVERY_STATES } from '../../core/delivery.ts';
import { EVENT_TYPES, type RelayEvent } from '../../core/event.ts';
import { eventAttempt } from './attempt.ts';
import { type Page, pageOf, type Plain, time } from './json.ts';

export type WireEvent = Plain<RelayEvent>;

export const event: z.ZodType<WireEvent> = z
  .object({
    type: z.enum(EVENT_TYPES),
    timestamp: time('When it happened.'),
    data: z.object({
      event_id: z.string(),
      seq: z.int().describe('Grows by one with each event, without a gap.'),
      message: z
        .object({
          id: z.string(),
          message_id: z.string().nullable(),
          tag: z.string().nullable(),
          tag_source: z.string(),
          flow: z.string().nullable(),
          metadata: z.record(z.string(), z.string()),
          priority: z.string(),
          credential: z.string().nullable(),
          rule: z.string().nullable(),
          accepted_at: time('When it was accepted; null: it was refused.').nullable(),
          deadline: time('After this it is never delivered.').nullable(),
        })
        .exactOptional(),
      delivery: z
        .object({
          id: z.string().nullable(),
          recipient: z.string(),
          state: z.enum([...DELIVERY_STATES, 'rejected']),
          attempts: z.int(),
          next_attempt_at: time('While it is queued or deferred.').exactOptional(),
        })
        .exactOptional(),
      attempt: eventAttempt.exactOptional(),
      failed_over: z
        .array(eventAttempt)
        .exactOptional()
        .describe('Attempts over other routes just before: their routes failed, and the message moved on at once.'),
      bounce: z
        .object({
          class: z.enum(BOUNCE_CLASSES),
          why: z.string(),
          explanation: z.string(),
          suppressed_until: time('The recipient is on the suppression list until then.').exactOptional(),
        })
        .exactOptional(),
      report: z
        .object({
          kind: z.enum(['dsn', 'arf']),
          reporter: z.string().nullable(),
          status: z.string().nullable(),
          diagnostic: z.string(),
        })
        .exactOptional()
        .describe('A report that came by mail after the next hop had taken the message.'),
      supersedes: z.array(z.string()).exactOptional().describe('Older messages that this one replaced.'),
      superseded_by: z.string().exactOptional(),
      route: z.object({ name: z.string(), reason: z.string() }).exactOptional(),
      webhook: z.object({ name: z.string(), reason: z.string() }).exactOptional(),
      reason: z.string().exactOptional().describe('Why, in words, when no attempt tells it.'),
      refusal: z
        .object({ code: z.int(), enhanced: z.string(), text: z.string() })
        .exactOptional()
        .describe('What the submitting client was told (`message.rejected`).'),
      warnings: z.array(z.string()).exactOptional(),
    }),
  })
  .meta({ id: 'Event', description: 'What happened. The same body goes to webhooks.' });

export const eventPage: z.ZodType<Page<WireEvent>> = pageOf('EventPage', event);
