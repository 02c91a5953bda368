/** The story of a message, and of a recovery flow, as the API tells it. */
import { z } from 'zod';
import { DELIVERY_STATES } from '../../core/delivery.ts';
import type { FlowReport } from '../story/flow.ts';
import { type Moment, momentsOf, type Story } from '../story/moments.ts';
import { event, type WireEvent } from './event.ts';
import { time } from './json.ts';
import { messageDetail, type WireMessageDetail, wireMessageDetail } from './message.ts';

export interface WireTrace {
  readonly id: string;
  readonly verdict: string;
  readonly state: Story['verdict']['state'];
  readonly message: WireMessageDetail | null;
  readonly events: readonly WireEvent[];
  readonly route_events: readonly WireEvent[];
  readonly timeline: readonly Moment[];
}

export interface WireFlow extends FlowReport {
  readonly timeline: readonly (Moment & { readonly message: string })[];
}

const moment = {
  at: time('When it happened.'),
  word: z.string().describe('What happened, in a word: `accepted`, `deferred`, `route.down` ...'),
  text: z.string().describe('What happened and why, on one line.'),
  recipient: z.string().nullable(),
};

export const trace: z.ZodType<WireTrace> = z
  .object({
    id: z.string(),
    verdict: z.string().describe('What became of it, in a sentence or two for people.'),
    state: z
      .enum([...DELIVERY_STATES, 'rejected', 'mixed'])
      .describe('What the verdict is about; `mixed`: several recipients in several states.'),
    message: messageDetail.nullable().describe('null: it was refused at submission, and nothing of it was kept.'),
    events: z.array(event).describe('Its events, in order of `seq`.'),
    route_events: z.array(event).describe('Ups and downs of its routes while it waited.'),
    timeline: z.array(z.object(moment)).describe('Everything of it in time order, attempts and routes too, in words.'),
  })
  .meta({ id: 'Trace', description: 'Everything about one message, in time order.' });

export const flow: z.ZodType<WireFlow> = z
  .object({
    flow: z.string(),
    verdict: z
      .enum(['delivered', 'open', 'failed', 'none'])
      .describe(
        'Whether the newest reset of each recipient was delivered; `open`: it still may be; `none`: no reset yet.',
      ),
    text: z.string().describe('The same in words.'),
    started_at: time('When its first message was accepted.'),
    messages: z.array(
      z.object({
        id: z.string(),
        tag: z.string().nullable(),
        accepted_at: time('When it was accepted.'),
        gap_ms: z.int().nullable().describe('Since the message before it; null for the first.'),
        is_reset: z.boolean(),
        deliveries: z.array(z.object({ recipient: z.string(), state: z.string(), after_ms: z.int().nullable() })),
      }),
    ),
    timeline: z
      .array(z.object({ ...moment, message: z.string().describe('Id of the message.') }))
      .describe('Every step of every message in time order, in words.'),
  })
  .meta({ id: 'Flow', description: 'A recovery flow as one story, oldest message first.' });

/** The story of one message. */
export function wireTrace(story: Story): WireTrace {
  const { id, verdict, message, attempts, events, routeEvents } = story;
  return {
    id,
    verdict: verdict.text,
    state: verdict.state,
    message: message === null ? null : wireMessageDetail(message, attempts),
    events,
    route_events: routeEvents,
    timeline: momentsOf(story),
  };
}

/** The story of a flow. */
export function wireFlow(report: FlowReport, stories: readonly Story[]): WireFlow {
  const timeline = stories
    .flatMap((story) => momentsOf(story).map((each) => ({ ...each, message: story.id })))
    .sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0));
  return { ...report, timeline };
}
