/** Routes as the API shows them: what they are, how they fare, what is in work on them. */
import { z } from 'zod';
import { time } from './json.ts';

export interface WireRoute {
  readonly name: string;
  readonly type: 'smtp' | 'mx' | 'sandbox';
  /** `host:port`; null: it has no next hop of its own. */
  readonly next_hop: string | null;
  readonly tls: string | null;
  readonly breaker: 'closed' | 'open' | 'half-open';
  readonly down_since: string | null;
  readonly reason: string | null;
  readonly connections: number | null;
  readonly rate: { readonly count: number; readonly per_ms: number } | null;
  readonly in_work: number;
}

export const route: z.ZodType<WireRoute> = z
  .object({
    name: z.string(),
    type: z.enum(['smtp', 'mx', 'sandbox']),
    next_hop: z.string().nullable().describe('`host:port`; null: it has no next hop of its own.'),
    tls: z.string().nullable(),
    breaker: z
      .enum(['closed', 'open', 'half-open'])
      .describe('`open`: the route is down; `half-open`: one message at a time is let through.'),
    down_since: time('Since when the breaker is not closed.').nullable(),
    reason: z.string().nullable().describe('What happened last when it went down.'),
    connections: z.int().nullable().describe('At most so many at the same time; null: no limit.'),
    rate: z.object({ count: z.int(), per_ms: z.int() }).nullable().describe('At most `count` messages in `per_ms`.'),
    in_work: z.int().describe('Deliveries under way.'),
  })
  .meta({ id: 'Route', description: 'A way out, and how it fares.' });

export const routeList: z.ZodType<{ readonly data: readonly WireRoute[] }> = z
  .object({ data: z.array(route) })
  .meta({ id: 'RouteList' });
