/** `flows`, `routes`, `senders`, `stats`, `queue`, `rules`: how the relay fares, and what it would do. */
import { type CallOptions, segment, type Transport } from './transport.ts';
import type { Explanation, Flow, QueueList, Route, Sender, Stats } from './types.ts';
import type { paths } from './wire.ts';

type StatsQuery = NonNullable<paths['/v1/stats']['get']['parameters']['query']>;
type QueueQuery = NonNullable<paths['/v1/queue']['get']['parameters']['query']>;
type ExplainBody = paths['/v1/rules/explain']['post']['requestBody']['content']['application/json'];

export interface Operations {
  readonly flows: {
    /** A recovery flow as one story, and whether its reset was ever delivered. `id`: as the app named it. */
    get(id: string, options?: CallOptions): Promise<Flow>;
  };
  readonly routes: {
    /** Every route, with its health. */
    list(options?: CallOptions): Promise<readonly Route[]>;
  };
  readonly senders: {
    /** Every From domain, with its DKIM keys and what DNS says. */
    list(options?: CallOptions): Promise<readonly Sender[]>;
  };
  readonly stats: {
    /** Counts, and times from acceptance to delivery, by tag. */
    get(query?: StatsQuery, options?: CallOptions): Promise<Stats>;
  };
  readonly queue: {
    /** What waits, the next one first, and whether more waits than is shown. */
    list(query?: QueueQuery, options?: CallOptions): Promise<QueueList>;
  };
  readonly rules: {
    /** A dry run: which tag, rule, route and sender a message would get, and why. Nothing is sent. */
    explain(message: ExplainBody, options?: CallOptions): Promise<Explanation>;
  };
}

/** The calls over `transport`. */
export function createOperations(transport: Transport): Operations {
  const listOf = async <T>(op: string, path: string, options: CallOptions): Promise<readonly T[]> => {
    const { data } = await transport.json<{ readonly data: readonly T[] }>({
      op,
      method: 'GET',
      path,
      repeat: 'safe',
      ...options,
    });
    return data;
  };
  return {
    flows: {
      get: (id, options) =>
        transport.json({
          op: 'flows.get',
          method: 'GET',
          path: `/v1/flows/${segment(id)}`,
          repeat: 'safe',
          ...options,
        }),
    },
    routes: { list: (options = {}) => listOf('routes.list', '/v1/routes', options) },
    senders: { list: (options = {}) => listOf('senders.list', '/v1/senders', options) },
    stats: {
      get: (query = {}, options) =>
        transport.json({ op: 'stats.get', method: 'GET', path: '/v1/stats', query, repeat: 'safe', ...options }),
    },
    queue: {
      list: (query = {}, options) =>
        transport.json({ op: 'queue.list', method: 'GET', path: '/v1/queue', query, repeat: 'safe', ...options }),
    },
    rules: {
      // Changes nothing, so that it may be asked as often as one likes.
      explain: (message, options) =>
        transport.json({
          op: 'rules.explain',
          method: 'POST',
          path: '/v1/rules/explain',
          json: message,
          repeat: 'safe',
          ...options,
        }),
    },
  };
}
