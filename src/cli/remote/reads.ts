/**
 * Reading a relay elsewhere as if it were the log of this machine: the same questions, asked over HTTP page by page.
 *
 * One message is asked for once: what comes back has its attempts.
 */
import type { z } from 'zod';
import { eventPage, type WireEvent } from '../../api/wire/event.ts';
import { MAX_LIMIT, type Page } from '../../api/wire/json.ts';
import { messageDetail, messagePage, type WireMessage, type WireMessageDetail } from '../../api/wire/message.ts';
import { queuePage, type WireQueueRow } from '../../api/wire/queue.ts';
import { stats } from '../../api/wire/stats.ts';
import { suppressionPage, type WireSuppression } from '../../api/wire/suppression.ts';
import { type MessageId, parseDeliveryId, parseMessageId } from '../../core/ids.ts';
import { isoTime } from '../../core/time.ts';
import type { EventFilter } from '../../store/history.ts';
import type { HistoryReads, Reads, SuppressionReads } from '../reads.ts';
import type { Query, RemoteClient } from './client.ts';
import { attemptFacts, faultFacts, messageFacts, queueFacts, statsFacts, suppressionFacts } from './facts.ts';
import { notUnderstood } from './remote-error.ts';

/** A message has one for each recipient and try. */
const MAX_EVENTS = 100_000;
/** Messages come with their recipients, of which one may have thousands. */
const MESSAGES_A_PAGE = 25;

/** What commands ask of `client`'s relay. */
export function createRemoteReads(client: RemoteClient): Reads {
  return {
    place: `the relay at ${client.target.text}`,
    history: createHistory(client),
    suppressions: createSuppressions(client),
    close: () => Promise.resolve(),
  };
}

/** The query that asks for what `filter` describes. */
export function eventQuery(filter: Omit<EventFilter, 'limit'>): Query {
  const { afterSeq, beforeSeq, types, tag, state, recipient, flow, route, sinceMs, untilMs } = filter;
  return {
    after_seq: afterSeq,
    before_seq: beforeSeq,
    type: types?.join(','),
    tag,
    state,
    recipient,
    flow,
    route,
    since: sinceMs === undefined ? undefined : isoTime(sinceMs),
    until: untilMs === undefined ? undefined : isoTime(untilMs),
  };
}

function createHistory(client: RemoteClient): HistoryReads {
  let last: { readonly id: MessageId; readonly detail: WireMessageDetail } | null = null;

  async function detailOf(id: MessageId): Promise<WireMessageDetail | null> {
    const detail = await client.find(`v1/messages/${id}`, messageDetail);
    last = detail === null ? null : { id, detail };
    return detail;
  }

  async function events(filter: EventFilter): Promise<readonly WireEvent[]> {
    const isForward = filter.afterSeq !== undefined;
    const found: WireEvent[] = [];
    let query = eventQuery(filter);
    while (found.length < filter.limit) {
      const wanted = Math.min(MAX_LIMIT, filter.limit - found.length);
      const { data } = await client.call('v1/events', eventPage, { query: { ...query, limit: wanted } });
      const edge = isForward ? data.at(-1) : data[0];
      if (isForward) found.push(...data);
      else found.unshift(...data);
      if (edge === undefined || data.length < wanted) break;
      const { seq } = edge.data;
      query = isForward ? { ...query, after_seq: seq } : { ...query, before_seq: seq };
    }
    return found;
  }

  async function messageIds(query: Query, limit: number): Promise<readonly MessageId[]> {
    const found = await pages<WireMessage>(client, 'v1/messages', messagePage, query, limit, MESSAGES_A_PAGE);
    return found.map(({ id }) => idOf(id));
  }

  function idOf(text: string): MessageId {
    const id = parseMessageId(text);
    if (id === null) throw notUnderstood(client.target, 'an id of a message is none');
    return id;
  }

  return {
    async message(id) {
      const detail = await detailOf(id);
      return detail === null ? null : messageFacts(detail);
    },
    async attempts(id) {
      const detail = last?.id === id ? last.detail : await detailOf(id);
      return detail === null ? [] : attemptFacts(detail);
    },
    async find(key, by, limit) {
      if (by === 'flow') return messageIds({ flow: key }, limit);
      if (parseDeliveryId(key) !== null) return messageIds({ delivery: key }, limit);
      const bare = key.replace(/^<(.*)>$/, '$1');
      const found: MessageId[] = [];
      for (const query of [{ message_id: bare }, { flow: key }, { recipient: bare }]) {
        found.push(...(await messageIds(query, limit)));
      }
      // Ids begin with the time of their making.
      return [...new Set(found)].sort((a, b) => (a < b ? 1 : -1)).slice(0, limit);
    },
    async eventsOf(id) {
      const found: WireEvent[] = [];
      let after = 0;
      for (;;) {
        const { data, has_more } = await client.call('v1/events', eventPage, {
          query: { message: id, after_seq: after, limit: MAX_LIMIT },
        });
        found.push(...data);
        const next = data.at(-1)?.data.seq ?? 0;
        if (!has_more || next <= after) return found;
        if (found.length > MAX_EVENTS) throw notUnderstood(client.target, 'a message has too many events');
        after = next;
      }
    },
    events,
    async rejectedFor(recipient, limit) {
      if (parseMessageId(recipient) !== null) return [];
      const found = await events({ types: ['message.rejected'], recipient, limit });
      const ids = found.toReversed().flatMap(({ data }) => (data.message === undefined ? [] : [idOf(data.message.id)]));
      return [...new Set(ids)];
    },
    async stats(sinceMs, topFaults) {
      const query = { since: isoTime(sinceMs), top: topFaults };
      const { tags, faults } = await client.call('v1/stats', stats, { query });
      return { tags: tags.map(statsFacts), faults: faults.map(faultFacts) };
    },
    async queue(limit) {
      const rows = await pages<WireQueueRow>(client, 'v1/queue', queuePage, {}, limit);
      return rows.map(queueFacts);
    },
    content: (id) => client.bytes(`v1/messages/${id}/content`),
  };
}

function createSuppressions(client: RemoteClient): SuppressionReads {
  return {
    async list(_now, limit, after) {
      const query = { cursor: after ?? undefined };
      const found = await pages<WireSuppression>(client, 'v1/suppressions', suppressionPage, query, limit);
      return found.map(suppressionFacts);
    },
  };
}

/** The first `limit` items of a list, page by page. */
async function pages<T>(
  client: RemoteClient,
  path: string,
  schema: z.ZodType<Page<T>>,
  query: Query,
  limit: number,
  pageSize: number = MAX_LIMIT,
): Promise<readonly T[]> {
  const found: T[] = [];
  let next = query;
  while (found.length < limit) {
    const wanted = Math.min(pageSize, limit - found.length);
    const { data, has_more, next_cursor } = await client.call(path, schema, { query: { ...next, limit: wanted } });
    found.push(...data);
    if (!has_more || next_cursor === null || data.length === 0) break;
    next = { ...next, cursor: next_cursor };
  }
  return found;
}
