/** The ways out: what each is, whether its breaker lets mail through, and what went wrong on it lately. */
import { useRouteEvents, useRoutes, useStats } from '../api/queries.ts';
import type { Fault, Route, RelayEvent } from '../api/types.ts';
import { count } from '../lib/time.ts';
import { FaultTable } from '../parts/faults.tsx';
import { Empty, Loaded } from '../parts/condition.tsx';
import { Relative, Time } from '../parts/show.tsx';

const MOODS: Readonly<Record<Route['breaker'], string>> = { closed: 'good', open: 'bad', 'half-open': 'wait' };
const WORDS: Readonly<Record<Route['breaker'], string>> = { closed: 'up', open: 'down', 'half-open': 'probing' };
const MEANINGS: Readonly<Record<Route['breaker'], string>> = {
  closed: 'breaker closed: mail goes out',
  open: 'breaker open: only probes are let through; mail takes the next route of its rule, or waits',
  'half-open': 'breaker half-open: one message at a time is let through',
};

export function RoutesView() {
  const routes = useRoutes();
  const events = useRouteEvents();
  const stats = useStats('24h', '1h', '');
  return (
    <>
      <div className="view-head">
        <h1>Routes</h1>
        <span className="sub">the ways out, and what went wrong on them in the last 24 hours</span>
      </div>
      <Loaded query={routes} what="the routes">
        {({ data }) => (
          <div className="cards-grid">
            {data.map((route) => (
              <Card
                key={route.name}
                route={route}
                faults={stats.data?.faults.filter((fault) => fault.route === route.name) ?? []}
                events={events.data?.data.filter((event) => event.data.route?.name === route.name) ?? []}
              />
            ))}
          </div>
        )}
      </Loaded>
    </>
  );
}

function Card({
  route,
  faults,
  events,
}: {
  readonly route: Route;
  readonly faults: readonly Fault[];
  readonly events: readonly RelayEvent[];
}) {
  return (
    <section className="panel" aria-label={`Route ${route.name}`}>
      <header>
        <h2>{route.name}</h2>
        <span className={`badge ${MOODS[route.breaker]}`} title={MEANINGS[route.breaker]}>
          {WORDS[route.breaker]}
        </span>
        {route.down_since === null ? null : (
          <span className="muted">
            since <Relative at={route.down_since} />
          </span>
        )}
      </header>
      <div className="body stack">
        <dl className="facts">
          <dt>type</dt>
          <dd>{route.type}</dd>
          {route.next_hop === null ? null : (
            <>
              <dt>next hop</dt>
              <dd>
                <code>{route.next_hop}</code>
              </dd>
            </>
          )}
          {route.tls === null ? null : (
            <>
              <dt>TLS</dt>
              <dd>{route.tls}</dd>
            </>
          )}
          <dt>under way</dt>
          <dd>
            {count(route.in_work)}
            {route.connections === null ? '' : ` of at most ${count(route.connections)}`}
          </dd>
          {route.rate === null ? null : (
            <>
              <dt>rate</dt>
              <dd>
                at most {count(route.rate.count)} in {route.rate.per_ms} ms
              </dd>
            </>
          )}
          {route.reason === null ? null : (
            <>
              <dt>went down by</dt>
              <dd className="text-bad">{route.reason}</dd>
            </>
          )}
        </dl>
        {events.length === 0 ? null : (
          <div>
            <h3>Ups and downs</h3>
            <ul className="stack">
              {events
                .slice(-8)
                .toReversed()
                .map((event) => (
                  <li key={event.data.event_id} className="break">
                    <Time at={event.timestamp} />{' '}
                    <span className={`badge ${event.type === 'route.up' ? 'good' : 'bad'}`}>
                      {event.type === 'route.up' ? 'up' : 'down'}
                    </span>{' '}
                    <span className="muted">{event.data.route?.reason}</span>
                  </li>
                ))}
            </ul>
          </div>
        )}
      </div>
      {faults.length === 0 ? (
        <Empty title="No faults in the last 24 hours" />
      ) : (
        <FaultTable faults={faults} withRoute={false} />
      )}
    </section>
  );
}
