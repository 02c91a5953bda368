/** Messages as they are kept: the list and one alone. */
import { z } from 'zod';
import { DELIVERY_STATES } from '../../core/delivery.ts';
import { parseDeliveryId, parseMessageId } from '../../core/ids.ts';
import { TAG_GRAMMAR } from '../../core/message.ts';
import type { Clock } from '../../core/time.ts';
import type { HistoryStore } from '../../store/history.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { momentOf, momentQuery } from '../moment.ts';
import { limitQuery, page } from '../wire/json.ts';
import { messageDetail, messagePage, wireMessage, wireMessageDetail } from '../wire/message.ts';

export interface MessagesDeps {
  readonly history: Pick<HistoryStore, 'message' | 'messages' | 'deliveriesTo' | 'find' | 'attempts' | 'eventsOf'>;
  readonly clock: Clock;
}

const MAX_TEXT = 512;
/** So many deliveries are looked through for a beginning of an address; more would take longer than a page may. */
const MAX_PREFIX_DELIVERIES = 2000;

const listQuery = z.strictObject({
  tag: z.string().regex(TAG_GRAMMAR).optional(),
  state: z.enum(DELIVERY_STATES).optional().describe('At least one delivery is in this state.'),
  recipient: z
    .string()
    .max(MAX_TEXT)
    .optional()
    .describe(
      'Exactly this address, or with `*` at its end every address that begins so (`ann.s*`); letter case does not count.',
    ),
  flow: z.string().max(MAX_TEXT).optional(),
  message_id: z.string().max(1000).optional().describe('The Message-ID header, with or without angle brackets.'),
  delivery: z
    .string()
    .refine((text) => parseDeliveryId(text) !== null, 'is not the id of a delivery')
    .optional()
    .describe('The message that this delivery is of. No other filter counts then.'),
  since: momentQuery('Accepted at or after this.').optional(),
  until: momentQuery('Accepted before this.').optional(),
  cursor: z
    .string()
    .refine((text) => parseMessageId(text) !== null, 'is not a cursor of this list')
    .optional(),
  limit: limitQuery(),
});

const oneParams = z.object({ id: z.string().max(MAX_TEXT).describe('Id of a message (`msg_...`).') });

/** Adds `GET /v1/messages` and `GET /v1/messages/{id}`. */
export function addMessages(api: Api, { history, clock }: MessagesDeps): void {
  api.get(
    '/v1/messages',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listMessages',
        tags: ['messages'],
        summary: 'List messages, newest first',
        description:
          'Mail that was refused at submission is not here: see events of type `message.rejected`, and the trace.',
        querystring: listQuery,
        response: { 200: messagePage },
      },
    },
    async ({ query }, reply) => {
      const { tag, state, recipient, flow, message_id, limit } = query;
      if (query.delivery !== undefined) {
        const [id] = await history.find(query.delivery, 'any', 1);
        const found = id === undefined ? null : await history.message(id);
        return page(found === null ? [] : [wireMessage(found)], limit, ({ id: last }) => last);
      }
      const prefix = recipient?.endsWith('*') === true ? recipient.slice(0, -1) : undefined;
      if (
        prefix !== undefined &&
        (await history.deliveriesTo(prefix, MAX_PREFIX_DELIVERIES + 1)) > MAX_PREFIX_DELIVERIES
      ) {
        const detail = `More than ${MAX_PREFIX_DELIVERIES} deliveries are to addresses that begin so: give more of the address.`;
        return refuse(reply, 'validation', detail, [{ pointer: '/recipient', in: 'query', detail }]);
      }
      const now = clock.now();
      const sinceMs = query.since === undefined ? null : momentOf(query.since, now);
      const untilMs = query.until === undefined ? null : momentOf(query.until, now);
      const before = query.cursor === undefined ? null : parseMessageId(query.cursor);
      const found = await history.messages({
        ...(tag === undefined ? {} : { tag }),
        ...(state === undefined ? {} : { state }),
        ...(recipient === undefined ? {} : prefix === undefined ? { recipient } : { recipientPrefix: prefix }),
        ...(flow === undefined ? {} : { flow }),
        ...(message_id === undefined ? {} : { headerMessageId: bracketed(message_id) }),
        ...(sinceMs === null ? {} : { sinceMs }),
        ...(untilMs === null ? {} : { untilMs }),
        ...(before === null ? {} : { before }),
        limit: limit + 1,
      });
      return page(found.map(wireMessage), limit, ({ id }) => id);
    },
  );

  api.get(
    '/v1/messages/:id',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'getMessage',
        tags: ['messages'],
        summary: 'One message with its deliveries and their attempts',
        params: oneParams,
        response: { 200: messageDetail, ...problems('not-found') },
      },
    },
    async ({ params }, reply) => {
      const id = parseMessageId(params.id);
      const found = id === null ? null : await history.message(id);
      if (id !== null && found !== null) return wireMessageDetail(found, await history.attempts(id));
      const wasRefused = id !== null && (await history.eventsOf(id)).length > 0;
      return refuse(
        reply,
        'not-found',
        wasRefused
          ? 'It was refused at submission, and nothing of it was kept; its trace says why.'
          : 'There is no such message.',
      );
    },
  );
}

function bracketed(messageId: string): string {
  return `<${messageId.replace(/^<(.*)>$/, '$1')}>`;
}
