/** The event log. */
import { z } from 'zod';
import { DELIVERY_STATES, type DeliveryState } from '../../core/delivery.ts';
import { EVENT_TYPES, type EventType, type RelayEvent } from '../../core/event.ts';
import { parseMessageId } from '../../core/ids.ts';
import { TAG_GRAMMAR } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import { type EventFilter, type HistoryStore, ROUTE_REACH } from '../../store/history.ts';
import type { Api } from '../api.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { eventPage } from '../wire/event.ts';
import { countQuery, limitQuery, type Page } from '../wire/json.ts';

export interface EventsDeps {
  readonly history: Pick<HistoryStore, 'events' | 'eventsOf'>;
  readonly clock: Clock;
}

const MAX_TEXT = 512;

/** What of the log is wanted: of the list and of the stream alike. `filterOf` reads it. */
export const filterFields: Readonly<
  Record<'type' | 'tag' | 'recipient' | 'flow' | 'route' | 'since' | 'until', z.ZodOptional<z.ZodString>>
> & { readonly state: z.ZodOptional<z.ZodType<DeliveryState | 'rejected'>> } = {
  type: typesQuery(),
  tag: z.string().regex(TAG_GRAMMAR).optional(),
  state: z
    .enum([...DELIVERY_STATES, 'rejected'])
    .optional()
    .describe('Only what led a delivery to this state.'),
  recipient: z.string().max(MAX_TEXT).optional().describe('Exactly this address; letter case does not count.'),
  flow: z.string().max(MAX_TEXT).optional(),
  route: z
    .string()
    .max(MAX_TEXT)
    .optional()
    .describe(
      `Attempts over this route, and its ups and downs. Without \`since\`, \`after_seq\`, \`flow\` or \`recipient\`: among the newest ${ROUTE_REACH.toLocaleString('en')} events.`,
    ),
  since: momentQuery('Happened at or after this.').optional(),
  until: momentQuery('Happened up to this moment.').optional(),
};

const listQuery = z.strictObject({
  after_seq: countQuery(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe(
      'Only what came after this `seq`, oldest first. Absent, and no `cursor`: the newest, still in order of `seq`.',
    ),
  cursor: countQuery(0, Number.MAX_SAFE_INTEGER).optional().describe('The same as `after_seq`.'),
  before_seq: countQuery(1, Number.MAX_SAFE_INTEGER)
    .optional()
    .describe('Only what came before this `seq`: without `after_seq`, the newest of that.'),
  message: z
    .string()
    .refine((text) => parseMessageId(text) !== null, 'is not the id of a message')
    .optional()
    .describe(
      'Only what is about this message, accepted or refused. Of the other values only `after_seq` counts then.',
    ),
  ...filterFields,
  limit: limitQuery(),
});

/** Adds `GET /v1/events`. */
export function addEvents(api: Api, { history, clock }: EventsDeps): void {
  api.get(
    '/v1/events',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listEvents',
        tags: ['events'],
        summary: 'Read the event log in order of `seq`',
        description:
          'Give `next_cursor` as `cursor` to go on; it is there even when `has_more` is false, for a later look at what came since.',
        querystring: listQuery,
        response: { 200: eventPage },
      },
    },
    async ({ query }) => {
      const { limit } = query;
      const afterSeq = query.cursor ?? query.after_seq;
      const message = query.message === undefined ? null : parseMessageId(query.message);
      if (message !== null) {
        const after = afterSeq ?? 0;
        const all = await history.eventsOf(message);
        return pageAfter(
          all.filter(({ data }) => data.seq > after),
          limit,
          after,
        );
      }
      const found = await history.events({
        ...(afterSeq === undefined ? {} : { afterSeq }),
        ...(query.before_seq === undefined ? {} : { beforeSeq: query.before_seq }),
        ...filterOf(query, clock.now()),
        limit: afterSeq === undefined ? limit : limit + 1,
      });
      return pageAfter(found, limit, afterSeq);
    },
  );
}

/** Its cursor stands for what will come, too. */
function pageAfter(found: readonly RelayEvent[], limit: number, afterSeq: number | undefined): Page<RelayEvent> {
  const data = found.slice(0, limit);
  const next = data.at(-1)?.data.seq ?? afterSeq;
  return { data, has_more: found.length > limit, next_cursor: next === undefined ? null : String(next) };
}

/** What `query` asks for. */
export function filterOf(query: z.output<z.ZodObject<typeof filterFields>>, now: number): Omit<EventFilter, 'limit'> {
  const { tag, state, recipient, flow, route } = query;
  const types = query.type === undefined ? null : typesOf(query.type);
  const sinceMs = query.since === undefined ? null : momentOf(query.since, now);
  const untilMs = query.until === undefined ? null : momentOf(query.until, now);
  return {
    ...(types === null ? {} : { types }),
    ...(tag === undefined ? {} : { tag }),
    ...(state === undefined ? {} : { state }),
    ...(recipient === undefined ? {} : { recipient }),
    ...(flow === undefined ? {} : { flow }),
    ...(route === undefined ? {} : { route }),
    ...(sinceMs === null ? {} : { sinceMs }),
    ...(untilMs === null ? {} : { untilMs }),
  };
}

/** `type` of a query: types and patterns with commas between them. */
function typesQuery(): z.ZodOptional<z.ZodString> {
  return z
    .string()
    .max(1000)
    .refine(
      (text) => typesOf(text) !== null,
      'write event types or patterns such as `message.*`, with commas between them',
    )
    .meta({
      description: 'Event types, with commas between them; `message.*` stands for all that begin so.',
      examples: ['message.delivered', 'message.bounced,route.*'],
    })
    .optional();
}

/** The types that `text` names; null when a part of it names none. */
function typesOf(text: string): readonly EventType[] | null {
  const patterns = text.split(',');
  if (!patterns.every((pattern) => EVENT_TYPES.some((type) => matches(pattern, type)))) return null;
  return EVENT_TYPES.filter((type) => patterns.some((pattern) => matches(pattern, type)));
}

function matches(pattern: string, type: EventType): boolean {
  return pattern === '*' || pattern === type || (pattern.endsWith('.*') && type.startsWith(pattern.slice(0, -1)));
}
