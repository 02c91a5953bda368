/** What waits, and what an operator changed about it, as the API and `--json` show it. */
import { z } from 'zod';
import { DELIVERY_STATES, type DeliveryState } from '../../core/delivery.ts';
import { PRIORITIES, type Priority } from '../../core/message.ts';
import { isoTime } from '../../core/time.ts';
import type { QueueRow } from '../../store/history.ts';
import type { OperatorResult } from '../../store/store.ts';
import { type Page, pageOf, type Plain, time, timeOrNull } from './json.ts';

export interface WireQueueRow {
  readonly message_id: string;
  readonly delivery_id: string;
  readonly recipient: string;
  readonly state: DeliveryState;
  readonly route: string;
  readonly priority: Priority;
  readonly tag: string | null;
  readonly attempts: number;
  readonly accepted_at: string;
  readonly next_attempt_at: string | null;
  readonly deadline: string;
  readonly last_response: string | null;
}

export const queueRow: z.ZodType<WireQueueRow> = z
  .object({
    message_id: z.string().describe('Id of the message (`msg_...`).'),
    delivery_id: z.string(),
    recipient: z.string(),
    state: z.enum(DELIVERY_STATES),
    route: z.string(),
    priority: z.enum(PRIORITIES),
    tag: z.string().nullable(),
    attempts: z.int(),
    accepted_at: time('When it was accepted.'),
    next_attempt_at: time('When the next attempt is due.').nullable(),
    deadline: time('After this it is never delivered.'),
    last_response: z.string().nullable(),
  })
  .meta({ id: 'QueueRow', description: 'A delivery that waits.' });

export const queuePage: z.ZodType<Page<WireQueueRow>> = pageOf('QueueList', queueRow);

/** A delivery that waits in the queue. */
export function wireQueueRow(row: Plain<QueueRow>): WireQueueRow {
  return {
    message_id: row.messageId,
    delivery_id: row.deliveryId,
    recipient: row.recipient,
    state: row.state,
    route: row.route,
    priority: row.priority,
    tag: row.tag,
    attempts: row.attempts,
    accepted_at: isoTime(row.acceptedAt),
    next_attempt_at: timeOrNull(row.dueAt),
    deadline: isoTime(row.deadline),
    last_response: row.lastResponse,
  };
}

export type WireChange = Plain<OperatorResult> & { readonly target: string };

export const change: z.ZodType<WireChange> = z
  .object({
    target: z.string().describe('What was named: a message or a delivery.'),
    changed: z.array(z.string()).describe('Ids of the deliveries that were changed.'),
    unchanged: z
      .array(z.object({ id: z.string(), state: z.enum(DELIVERY_STATES), reason: z.string() }))
      .describe('Those that were left as they are, and why.'),
  })
  .meta({ id: 'Change', description: 'What `cancel` or `retry` changed.' });

/** What was changed of `target`. */
export function wireChange(target: string, { changed, unchanged }: OperatorResult): WireChange {
  return { target, changed, unchanged };
}
