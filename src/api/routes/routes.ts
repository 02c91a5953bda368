/** The ways out and how they fare. */
import type { RouteConfig } from '../../config/types.ts';
import type { RelayEvent } from '../../core/event.ts';
import type { RouteHealth } from '../../queue/scheduler.ts';
import type { HistoryStore } from '../../store/history.ts';
import type { Api } from '../api.ts';
import { routeList, type WireRoute } from '../wire/route.ts';

export interface RoutesDeps {
  /** As configured now. */
  readonly routes: () => ReadonlyMap<string, RouteConfig>;
  readonly routeHealth: (route: string) => RouteHealth;
  readonly history: Pick<HistoryStore, 'events'>;
}

/** The newest that are looked through for why a route is down. */
const MAX_EVENTS = 500;

/** Adds `GET /v1/routes`. */
export function addRoutes(api: Api, { routes, routeHealth, history }: RoutesDeps): void {
  api.get(
    '/v1/routes',
    {
      config: { scope: 'read' },
      schema: {
        operationId: 'listRoutes',
        tags: ['relay'],
        summary: 'The routes of the config, their limits, and whether they are up',
        response: { 200: routeList },
      },
    },
    async () => {
      const all = [...routes().values()].map((route) => ({ route, health: routeHealth(route.name) }));
      const isDown = all.some(({ health }) => health.breaker !== 'closed');
      const falls = isDown ? await history.events({ types: ['route.down'], limit: MAX_EVENTS }) : [];
      return { data: all.map(({ route, health }) => wireRoute(route, health, falls)) };
    },
  );
}

function wireRoute(route: RouteConfig, health: RouteHealth, falls: readonly RelayEvent[]): WireRoute {
  const fall = health.breaker === 'closed' ? undefined : falls.findLast(({ data }) => data.route?.name === route.name);
  const common = {
    name: route.name,
    breaker: health.breaker,
    down_since: fall?.timestamp ?? null,
    reason: fall?.data.route?.reason ?? null,
    in_work: health.inWork,
  };
  switch (route.type) {
    case 'sandbox':
      return { ...common, type: 'sandbox', next_hop: null, tls: null, connections: null, rate: null };
    case 'mx':
      return { ...common, type: 'mx', next_hop: null, tls: route.tls, connections: route.connections, rate: null };
    case 'smtp':
      return {
        ...common,
        type: 'smtp',
        next_hop: `${route.host}:${route.port}`,
        tls: route.tls,
        connections: route.connections,
        rate: route.rate === null ? null : { count: route.rate.count, per_ms: route.rate.perMs },
      };
  }
}
