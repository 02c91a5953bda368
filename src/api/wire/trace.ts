/** Everything about one message, as the API shows it. */
import { z } from 'zod';
import { event, type WireEvent } from './event.ts';
import { messageDetail, type WireMessageDetail } from './message.ts';

export interface WireTrace {
  readonly id: string;
  readonly message: WireMessageDetail | null;
  readonly events: readonly WireEvent[];
  readonly route_events: readonly WireEvent[];
}

export const trace: z.ZodType<WireTrace> = z
  .object({
    id: z.string(),
    message: messageDetail.nullable().describe('null: it was refused at submission, and nothing of it was kept.'),
    events: z.array(event).describe('Its events, in order of `seq`.'),
    route_events: z.array(event).describe('Ups and downs of its routes while it waited.'),
  })
  .meta({ id: 'Trace', description: 'Everything about one message, in time order.' });
