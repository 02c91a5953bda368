/** One webhook endpoint: its state, what was sent to it with every try, and sending it again. */
import { useState } from 'react';
import { useEnable, useReplay } from '../api/changes.ts';
import { useWebhookDeliveries, useWebhooks } from '../api/queries.ts';
import { useIsAdmin } from '../api/session.ts';
import type { Webhook, WebhookDelivery } from '../api/types.ts';
import { count, span } from '../lib/time.ts';
import { Empty, Loading, Trouble } from '../parts/condition.tsx';
import { Fact } from '../parts/facts.tsx';
import { Link } from '../parts/link.tsx';
import { Due, Relative, Time } from '../parts/show.tsx';
import { useBackOnEscape } from './message.tsx';
import { faring } from './webhooks.tsx';

const MOODS: Readonly<Record<WebhookDelivery['state'], string>> = { delivered: 'good', pending: 'wait', dead: 'bad' };
const NAMES: Readonly<Record<string, string>> = { '': 'All', pending: 'Waiting', delivered: 'Taken', dead: 'Given up' };
const SPANS = ['15m', '1h', '24h', '7d'] as const;

export function WebhookView({ name }: { readonly name: string }) {
  const webhook = useWebhooks().data?.data.find((each) => each.name === name);
  const [state, setState] = useState('');
  const deliveries = useWebhookDeliveries(name, state);
  const found = deliveries.data?.pages.flatMap(({ data }) => data) ?? [];
  useBackOnEscape();
  return (
    <>
      <div className="view-head">
        <h1 className="break">{name}</h1>
        {webhook === undefined ? null : <span className={`badge ${faring(webhook).mood}`}>{faring(webhook).word}</span>}
      </div>
      {webhook === undefined ? null : <State webhook={webhook} />}
      <section className="panel" aria-label="Deliveries">
        <header>
          <h2>Events</h2>
          <span className="segments" role="group" aria-label="State">
            {Object.entries(NAMES).map(([value, text]) => (
              <button
                key={value}
                type="button"
                className="small"
                aria-pressed={value === state}
                onClick={() => setState(value)}
              >
                {text}
              </button>
            ))}
          </span>
        </header>
        {deliveries.isError ? <Trouble error={deliveries.error} onRetry={() => void deliveries.refetch()} /> : null}
        {deliveries.isPending ? <Loading what="its events" /> : null}
        {deliveries.data !== undefined && found.length === 0 ? (
          <Empty title="No events">
            <p>Events that it wants appear here when they are taken up, with every try and the answer.</p>
          </Empty>
        ) : null}
        <ul>
          {found.map((delivery) => (
            <Item key={delivery.id} name={name} delivery={delivery} />
          ))}
        </ul>
        {deliveries.hasNextPage ? (
          <div className="foot">
            <button
              type="button"
              className="small"
              disabled={deliveries.isFetchingNextPage}
              onClick={() => void deliveries.fetchNextPage()}
            >
              Show older
            </button>
          </div>
        ) : null}
      </section>
    </>
  );
}

function State({ webhook }: { readonly webhook: Webhook }) {
  const isAdmin = useIsAdmin();
  const replay = useReplay(webhook.name);
  const enable = useEnable(webhook.name);
  const [since, setSince] = useState<string>('1h');
  const error = replay.error ?? enable.error;
  return (
    <section className="panel" aria-label="State">
      <dl className="facts body">
        <Fact name="address">
          <code>{webhook.url ?? 'unknown'}</code>
        </Fact>
        <Fact name="events">{webhook.events.join(', ')}</Fact>
        <Fact name="tags">{webhook.tags.length === 0 ? 'all' : webhook.tags.join(', ')}</Fact>
        <Fact name="waiting">
          {count(webhook.pending)}
          {webhook.oldest_pending_at === null ? null : (
            <span className="faint">
              {' '}
              the oldest <Relative at={webhook.oldest_pending_at} />
            </span>
          )}
        </Fact>
        <Fact name="given up">{count(webhook.dead)}</Fact>
        {webhook.failing_since === null ? null : (
          <Fact name="failing since">
            <Time at={webhook.failing_since} />
          </Fact>
        )}
        {webhook.disabled_at === null ? null : (
          <Fact name="disabled">
            <Time at={webhook.disabled_at} /> <span className="text-bad">{webhook.disabled_reason ?? ''}</span>
          </Fact>
        )}
      </dl>
      {isAdmin ? (
        <div className="foot form-row">
          {webhook.state === 'disabled' ? (
            <button type="button" className="primary" disabled={enable.isPending} onClick={() => enable.mutate()}>
              Enable
            </button>
          ) : null}
          {webhook.dead > 0 ? (
            <button type="button" disabled={replay.isPending} onClick={() => replay.mutate({ dead: true })}>
              Send again what was given up
            </button>
          ) : null}
          <select aria-label="Events of the last" value={since} onChange={(event) => setSince(event.target.value)}>
            {SPANS.map((value) => (
              <option key={value} value={value}>
                last {value}
              </option>
            ))}
          </select>
          <button type="button" disabled={replay.isPending} onClick={() => replay.mutate({ since })}>
            Send these again
          </button>
          <span role="status" className={error === null ? '' : 'text-bad'}>
            {error?.message ?? (replay.data === undefined ? '' : `${count(replay.data.queued)} will be sent again`)}
          </span>
        </div>
      ) : null}
    </section>
  );
}

function Item({ name, delivery }: { readonly name: string; readonly delivery: WebhookDelivery }) {
  const isAdmin = useIsAdmin();
  const replay = useReplay(name);
  return (
    <li className="event-item">
      <div className="event-head">
        <span className={`badge ${MOODS[delivery.state]}`}>{delivery.state}</span> <strong>{delivery.type}</strong>
        <span className="faint">no. {delivery.seq}</span>
        {delivery.message_id === null ? null : (
          <Link href={`/messages/${delivery.message_id}`} className="mono break">
            {delivery.message_id}
          </Link>
        )}
        {delivery.next_attempt_at === null ? null : (
          <span className="muted">
            next try <Due at={delivery.next_attempt_at} />
          </span>
        )}
        {isAdmin && delivery.state !== 'pending' ? (
          <button
            type="button"
            className="small"
            disabled={replay.isPending}
            onClick={() => replay.mutate({ event_id: delivery.event_id })}
          >
            Send again
          </button>
        ) : null}
        {replay.isError ? <span className="text-bad">{replay.error.message}</span> : null}
      </div>
      <ol className="tries">
        {delivery.attempts.map((attempt) => (
          <li key={attempt.number} className="break">
            <Time at={attempt.started_at} />{' '}
            <span className={attempt.status !== null && attempt.status < 300 ? 'text-good' : 'text-bad'}>
              {attempt.status ?? 'no answer'}
            </span>{' '}
            <span className="faint">{span(attempt.latency_ms)}</span> <span className="muted">{attempt.response}</span>
          </li>
        ))}
      </ol>
    </li>
  );
}
