/** The reads of the views: what they ask, under which key it is kept, how often it is asked anew. */
import { keepPreviousData, useInfiniteQuery, useQuery, type UseQueryResult } from '@tanstack/react-query';
import { now } from '../lib/clock.ts';
import { filtersOf, momentOf, type Search } from '../lib/search.ts';
import { isPending } from '../lib/states.ts';
import { get, getText } from './client.ts';
import type {
  List,
  Message,
  Page,
  Preview,
  QueueList,
  RelayEvent,
  Route,
  Sender,
  Stats,
  Suppression,
  Trace,
  Webhook,
  WebhookDelivery,
} from './types.ts';

const PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 100;
const SLOW_REFRESH_MS = 30_000;
const REFRESH_MS = 5_000;
const COUNTING_MS = 1_000;

/** Messages, newest first, page by page. */
export function useMessages(search: Search) {
  return useInfiniteQuery({
    queryKey: ['messages', search],
    initialPageParam: '',
    queryFn: async ({ pageParam }) => {
      const filters = {
        recipient: search.recipient,
        flow: search.flow,
        tag: search.tag,
        state: search.state,
        since: momentOf(search.since, now()),
        until: momentOf(search.until, now()),
        limit: PAGE_SIZE,
        cursor: pageParam,
      };
      let found: Page<Message> = { data: [], has_more: false, next_cursor: null };
      for (const key of filtersOf(search.key)) {
        found = await get<Page<Message>>('/v1/messages', { ...filters, ...key });
        if (found.data.length > 0) break;
      }
      return found;
    },
    getNextPageParam: (last: Page<Message>) => last.next_cursor,
    placeholderData: keepPreviousData,
  });
}

/** Mail to `recipient` that was refused at submission: it has no message, only an event. */
export function useRefused(recipient: string): UseQueryResult<Page<RelayEvent>, Error> {
  return useQuery({
    queryKey: ['messages', 'refused', recipient],
    queryFn: () => get<Page<RelayEvent>>('/v1/events', { type: 'message.rejected', recipient, limit: 20 }),
    enabled: /^[^<@].*@/.test(recipient) && !recipient.endsWith('*'),
  });
}

/**
 * Everything about one message; also of one that was refused. While the verdict counts seconds, to the next attempt or since the
 * acceptance, it is asked anew; on several recipients it does not.
 */
export function useStory(id: string): UseQueryResult<Trace, Error> {
  return useQuery({
    queryKey: ['message', id],
    queryFn: () => get<Trace>(`/v1/messages/${id}/trace`),
    refetchInterval: ({ state: { data } }) =>
      data?.message?.deliveries.length === 1 && isPending(data.state) ? COUNTING_MS : false,
  });
}

/** The messages of a flow, newest first. */
export function useFlow(flow: string): UseQueryResult<Page<Message>, Error> {
  return useQuery({
    queryKey: ['flow', flow],
    queryFn: () => get<Page<Message>>('/v1/messages', { flow, limit: MAX_PAGE_SIZE }),
  });
}

export function usePreview(id: string): UseQueryResult<Preview, Error> {
  return useQuery({
    queryKey: ['preview', id],
    queryFn: () => get<Preview>(`/v1/messages/${id}/preview`),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useSource(id: string): UseQueryResult<string, Error> {
  return useQuery({
    queryKey: ['source', id],
    queryFn: () => getText(`/v1/messages/${id}/content`),
    staleTime: Number.POSITIVE_INFINITY,
  });
}

export function useQueue(): UseQueryResult<QueueList, Error> {
  return useQuery({
    queryKey: ['queue'],
    queryFn: () => get<QueueList>('/v1/queue', { limit: MAX_PAGE_SIZE }),
    refetchInterval: REFRESH_MS,
  });
}

export function useRoutes(): UseQueryResult<List<Route>, Error> {
  return useQuery({ queryKey: ['routes'], queryFn: () => get<List<Route>>('/v1/routes'), refetchInterval: REFRESH_MS });
}

/** The newest ups and downs of routes, oldest first. */
export function useRouteEvents(): UseQueryResult<Page<RelayEvent>, Error> {
  return useQuery({
    queryKey: ['routes', 'events'],
    queryFn: () => get<Page<RelayEvent>>('/v1/events', { type: 'route.*', limit: PAGE_SIZE }),
  });
}

export function useSuppressions() {
  return useInfiniteQuery({
    queryKey: ['suppressions'],
    initialPageParam: '',
    queryFn: ({ pageParam }) => get<Page<Suppression>>('/v1/suppressions', { limit: PAGE_SIZE, cursor: pageParam }),
    getNextPageParam: (last: Page<Suppression>) => last.next_cursor,
  });
}

export function useStats(span: string, bucket: string, tag: string): UseQueryResult<Stats, Error> {
  return useQuery({
    queryKey: ['stats', span, bucket, tag],
    queryFn: () => get<Stats>('/v1/stats', { since: span, bucket, tag, top: 0 }),
    placeholderData: keepPreviousData,
    refetchInterval: SLOW_REFRESH_MS,
  });
}

export function useSenders(): UseQueryResult<List<Sender>, Error> {
  return useQuery({ queryKey: ['senders'], queryFn: () => get<List<Sender>>('/v1/senders'), staleTime: 60_000 });
}

export function useWebhooks(): UseQueryResult<List<Webhook>, Error> {
  return useQuery({
    queryKey: ['webhooks'],
    queryFn: () => get<List<Webhook>>('/v1/webhooks'),
    refetchInterval: REFRESH_MS,
  });
}

/** What was taken up for an endpoint, newest first; `state` empty: all. */
export function useWebhookDeliveries(name: string, state: string) {
  return useInfiniteQuery({
    queryKey: ['webhooks', name, state],
    initialPageParam: '',
    queryFn: ({ pageParam }) =>
      get<Page<WebhookDelivery>>(`/v1/webhooks/${encodeURIComponent(name)}/deliveries`, {
        state,
        limit: PAGE_SIZE,
        cursor: pageParam,
      }),
    getNextPageParam: (last: Page<WebhookDelivery>) => last.next_cursor,
  });
}
