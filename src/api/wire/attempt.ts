/** Attempts as the API and `--json` show them. Replies of next hops are cleaned and cut before they are kept. */
import { z } from 'zod';
import type { EventAttempt } from '../../core/event.ts';
import { STAGES } from '../../core/outcome.ts';
import { isoTime } from '../../core/time.ts';
import type { AttemptView } from '../../store/history.ts';
import { type Plain, time } from './json.ts';

/** What a `WireAttempt` is made of. */
export type AttemptFacts = Plain<AttemptView>;

/** The `attempt` of an event. */
export type WireEventAttempt = Plain<EventAttempt>;

/** An attempt of a message: with its delivery and the time it began. */
export interface WireAttempt extends WireEventAttempt {
  readonly delivery_id: string;
  readonly started_at: string;
}

const facts = {
  number: z.int().describe('From 1, by delivery.'),
  route: z.string(),
  outcome: z
    .enum(['delivered', 'deferred', 'rejected', 'uncertain'])
    .describe('`uncertain`: the final dot may have been written and no answer came.'),
  cause: z.string().nullable().describe('Whose fault it was; null: it was delivered.'),
  next_hop: z.string().nullable().describe('`host:port` that was spoken to, or tried.'),
  tls: z.string().nullable(),
  cipher: z.string().nullable(),
  stage: z.enum(STAGES).nullable().describe('How far the SMTP dialogue came.'),
  code: z.int().nullable(),
  enhanced: z.string().nullable(),
  response: z.string().describe('The reply, or what went wrong; one line.'),
  timings_ms: z
    .record(z.string(), z.number())
    .describe('By phase: `queue`, `connect`, `tls`, `session`, `transaction`.'),
};

export const eventAttempt: z.ZodType<WireEventAttempt> = z
  .object({ ...facts, stage: z.string().nullable() })
  .meta({ id: 'EventAttempt' });

export const attempt: z.ZodType<WireAttempt> = z
  .object({ delivery_id: z.string(), started_at: time('When it began.'), ...facts })
  .meta({ id: 'Attempt', description: 'One try of one delivery over one route.' });

/** An attempt, with the delivery that it belongs to. */
export function wireAttempt({ deliveryId, startedAt, ...facts }: AttemptFacts): WireAttempt {
  return { delivery_id: deliveryId, started_at: isoTime(startedAt), ...facts };
}
