/** Everything about one message, in time order. */
import { z } from 'zod';
import { isFinal } from '../../core/delivery.ts';
import type { EventType, RelayEvent } from '../../core/event.ts';
import { parseMessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { HistoryStore, MessageView } from '../../store/store.ts';
import { refuse } from '../answer.ts';
import { type Api, problems } from '../api.ts';
import { wireMessageDetail } from '../wire/message.ts';
import { trace } from '../wire/trace.ts';

export interface TraceDeps {
  readonly history: Pick<HistoryStore, 'message' | 'attempts' | 'eventsOf' | 'events'>;
}

const ROUTE_EVENTS: readonly EventType[] = ['route.down', 'route.up'];
const MAX_ROUTE_EVENTS = 1000;

export function addTrace(api: Api, { history }: TraceDeps): void {
  api.get(
    '/v1/messages/:id/trace',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'traceMessage',
        tags: ['messages'],
        summary: 'Everything about one message, in time order',
        params: z.object({ id: z.string().max(512) }),
        response: { 200: trace, ...problems('not-found') },
      },
    },
    async ({ params }, reply) => {
      const id = parseMessageId(params.id);
      const events = id === null ? [] : await history.eventsOf(id);
      const message = id === null ? null : await history.message(id);
      if (id === null || (message === null && events.length === 0))
        return refuse(reply, 'not-found', 'There is no such message.');
      if (message === null) return { id, message: null, events, route_events: [] };
      const attempts = await history.attempts(id);
      const routes = await history.events({ types: ROUTE_EVENTS, limit: MAX_ROUTE_EVENTS });
      return { id, message: wireMessageDetail(message, attempts), events, route_events: concerning(message, routes) };
    },
  );
}

function concerning(message: MessageView, routes: readonly RelayEvent[]): readonly RelayEvent[] {
  const from = isoTime(message.acceptedAt);
  const isOpen = message.deliveries.some(({ state }) => !isFinal(state));
  const to = isOpen ? null : isoTime(Math.max(...message.deliveries.map(({ updatedAt }) => updatedAt)));
  return [...new Set(message.deliveries.flatMap(({ via }) => via))].flatMap((name) => {
    const ofRoute = routes.filter(({ data }) => data.route?.name === name);
    const before = ofRoute.findLast(({ timestamp }) => timestamp < from);
    const during = ofRoute.filter(({ timestamp }) => timestamp >= from && (to === null || timestamp <= to));
    return before?.type === 'route.down' ? [before, ...during] : during;
  });
}
