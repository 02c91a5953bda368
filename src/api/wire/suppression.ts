/** The suppression list as the API and `--json` show it. */
import { z } from 'zod';
import { isoTime } from '../../core/time.ts';
import type { Suppression } from '../../store/store.ts';
import { type Page, pageOf, type Plain, time, timeOrNull } from './json.ts';

/** What a `WireSuppression` is made of. */
export type SuppressionFacts = Plain<Suppression>;

export interface WireSuppression {
  readonly recipient: string;
  readonly reason: Suppression['reason'];
  readonly detail: string;
  readonly message_id: string | null;
  readonly created_at: string;
  readonly expires_at: string | null;
}

export const suppression: z.ZodType<WireSuppression> = z
  .object({
    recipient: z.string(),
    reason: z.enum(['bounce', 'complaint', 'manual']),
    detail: z.string().describe('The reply, the report, or the words of whoever added it; one line.'),
    message_id: z.string().nullable().describe('Id of the message that led to it; null: it was added by hand.'),
    created_at: time('When it was added.'),
    expires_at: time('Until when it stands; null: until it is removed.').nullable(),
  })
  .meta({ id: 'Suppression', description: 'A recipient that gets no mail.' });

export const suppressionPage: z.ZodType<Page<WireSuppression>> = pageOf('SuppressionPage', suppression);

/** An entry of the suppression list. */
export function wireSuppression(entry: SuppressionFacts): WireSuppression {
  return {
    recipient: entry.recipient,
    reason: entry.reason,
    detail: entry.detail,
    message_id: entry.messageId,
    created_at: isoTime(entry.createdAt),
    expires_at: timeOrNull(entry.expiresAt),
  };
}
