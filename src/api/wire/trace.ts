/** The story of a message, and of a recovery flow, as the API tells it. */
import { z } from 'zod';
import { DELIVERY_STATES } from '../../core/delivery.ts';
import type { FlowReport } from '../story/flow.ts';
import { type Moment, momentsOf, type Story } from '../story/moments.ts';
import { type Verdict, verdictText } from '../story/verdict.ts';
import { event, type WireEvent } from './event.ts';
import { time } from './json.ts';
import { messageDetail, type WireMessageDetail, wireMessageDetail } from './message.ts';

/** The verdict in its parts, each a text of whole sentences. */
export interface WireVerdict {
  readonly state: Verdict['state'];
  readonly outcome: string;
  readonly why_late: string | null;
  readonly next_step: string | null;
  readonly came_back: boolean;
}

export interface WireTrace extends WireVerdict {
  readonly id: string;
  readonly verdict: string;
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
    verdict: z
      .string()
      .describe(
        'What became of it, why it was late and what can be done, for people: the three parts below in one text.',
      ),
    state: z
      .enum([...DELIVERY_STATES, 'rejected', 'mixed'])
      .describe('What the verdict is about; `mixed`: several recipients in several states.'),
    outcome: z.string().describe('What became of it.'),
    why_late: z
      .string()
      .nullable()
      .describe('Where the time went: waits, route faults, the slow phase of an attempt; null: it was not late.'),
    next_step: z.string().nullable().describe('What can be done, or what comes next; null: nothing is to be done.'),
    came_back: z
      .boolean()
      .describe(
        'It was delivered, and a report by mail told later of a failure or a complaint; `state` stays what it was.',
      ),
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

/** The parts of a verdict. */
export function wireVerdict({ state, outcome, whyLate, nextStep, cameBack }: Verdict): WireVerdict {
  return { state, outcome, why_late: whyLate, next_step: nextStep?.text ?? null, came_back: cameBack };
}

/** The story of one message. */
export function wireTrace(story: Story): WireTrace {
  const { id, verdict, message, attempts, events, routeEvents } = story;
  return {
    id,
    verdict: verdictText(verdict),
    ...wireVerdict(verdict),
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
