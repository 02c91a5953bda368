/** The list of messages: newest first, live, narrowed by the search box and the filters; what was refused is shown too. */
import { useRef } from 'react';
import { useMessages, useRefused } from '../api/queries.ts';
import { useSession } from '../api/session.ts';
import type { Message, RelayEvent } from '../api/types.ts';
import { faultOf, NO_SEARCH, queryOf, type Search, searchOf } from '../lib/search.ts';
import { overall, STATES } from '../lib/states.ts';
import { addressOf, navigate, usePlace } from '../lib/router.ts';
import { span } from '../lib/time.ts';
import { Empty, Loading, Trouble } from '../parts/condition.tsx';
import { Link } from '../parts/link.tsx';
import { rowProps, useRowKeys } from '../parts/rows.ts';
import { Command, StateBadge, Tag, Time } from '../parts/show.tsx';
import { Summary } from '../parts/summary.tsx';
import { KNOWN_TAGS } from '../lib/tags.ts';

const SPANS: readonly (readonly [string, string])[] = [
  ['', 'Any time'],
  ['15m', 'Last 15 min'],
  ['1h', 'Last hour'],
  ['24h', 'Last 24 h'],
  ['7d', 'Last 7 days'],
];

export function MessagesView() {
  const { query } = usePlace();
  const search = searchOf(query);
  const messages = useMessages(search);
  const refused = useRefused(search.recipient || search.key);
  const list = useRef<HTMLTableElement>(null);
  useRowKeys(list);

  const found = messages.data?.pages.flatMap((page) => page.data) ?? [];
  const refusals = isRefusalWanted(search) ? (refused.data?.data ?? []) : [];
  const isSearch = Object.values(search).some((value) => value !== '');

  return (
    <>
      <div className="view-head">
        <h1>Messages</h1>
      </div>
      {isSearch ? null : <Summary />}
      {refusals.length > 0 ? <Refusals events={refusals} /> : null}
      <section className="panel" aria-label="Messages">
        <Filters search={search} />
        {messages.isError ? <Trouble error={messages.error} onRetry={() => void messages.refetch()} /> : null}
        {messages.isPending ? <Loading what="messages" /> : null}
        {messages.data === undefined ? null : found.length === 0 ? (
          <Nothing isSearch={isSearch} fault={faultOf(search)} />
        ) : (
          <>
            <table className="cards" ref={list} aria-busy={messages.isPlaceholderData}>
              <thead>
                <tr>
                  <th scope="col">Accepted</th>
                  <th scope="col">State</th>
                  <th scope="col">Recipient</th>
                  <th scope="col">Tag</th>
                  <th scope="col">Route</th>
                  <th scope="col" className="right">
                    Took
                  </th>
                  <th scope="col">Last answer</th>
                </tr>
              </thead>
              <tbody>
                {found.map((message) => (
                  <Row key={message.id} message={message} />
                ))}
              </tbody>
            </table>
            <div className="foot">
              <span>
                {found.length} shown{messages.hasNextPage ? '' : ', no more'}
              </span>
              {messages.hasNextPage ? (
                <button
                  type="button"
                  className="small"
                  disabled={messages.isFetchingNextPage}
                  onClick={() => void messages.fetchNextPage()}
                >
                  {messages.isFetchingNextPage ? 'Loading ...' : 'Show older'}
                </button>
              ) : null}
            </div>
          </>
        )}
      </section>
    </>
  );
}

/** A refusal has no state, tag or flow of an accepted message to be filtered by. */
function isRefusalWanted({ state, flow }: Search): boolean {
  return flow === '' && (state === '' || state === 'rejected');
}

function Row({ message }: { readonly message: Message }) {
  const [first] = message.deliveries;
  const state = overall(message.deliveries.map((delivery) => delivery.state));
  const more = message.deliveries.length - 1;
  const took =
    first?.delivered_at == null || more > 0
      ? ''
      : span(Date.parse(first.delivered_at) - Date.parse(message.accepted_at));
  const open = (): void => navigate(`/messages/${message.id}`);
  return (
    <tr {...rowProps(open, `${first?.recipient ?? ''}, ${message.tag ?? 'no tag'}, ${state}`)} data-id={message.id}>
      <td>
        <Link href={`/messages/${message.id}`} tabIndex={-1} aria-hidden="true">
          <Time at={message.accepted_at} />
        </Link>
      </td>
      <td>
        <StateBadge state={state} />
      </td>
      <td className="address line">
        {first?.recipient ?? ''}
        {more > 0 ? <span className="faint"> and {more} more</span> : null}
      </td>
      <td>
        <Tag name={message.tag} />
      </td>
      <td className="muted">{first?.route ?? ''}</td>
      <td className="right muted nowrap">{took}</td>
      <td className="cut line muted" title={first?.last_response ?? undefined}>
        {first?.last_response ?? ''}
      </td>
    </tr>
  );
}

function Refusals({ events }: { readonly events: readonly RelayEvent[] }) {
  return (
    <section className="notice bad" aria-label="Refused at submission">
      <h2>Refused at submission</h2>
      <p className="muted">The app was told; nothing was queued.</p>
      <ul>
        {events.map((event) => (
          <li key={event.data.event_id}>
            <Time at={event.timestamp} />{' '}
            <Link href={`/messages/${event.data.message?.id ?? ''}`}>{event.data.delivery?.recipient}</Link>{' '}
            <span className="muted break">
              {event.data.refusal === undefined ? '' : `${event.data.refusal.code} ${event.data.refusal.enhanced} `}
              {event.data.reason ?? event.data.refusal?.text ?? ''}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Filters({ search }: { readonly search: Search }) {
  const set = (change: Partial<Search>): void => navigate(addressOf('/', queryOf({ ...search, ...change })));
  const chips: readonly (readonly [keyof Search, string])[] = [
    ['key', search.key],
    ['recipient', search.recipient],
    ['flow', search.flow],
  ];
  const isSpan = SPANS.some(([value]) => value === search.since);
  const isTag = search.tag === '' || KNOWN_TAGS.includes(search.tag);
  return (
    <div className="filters">
      <select aria-label="State" value={search.state} onChange={(event) => set({ state: event.target.value })}>
        <option value="">Any state</option>
        {STATES.map((state) => (
          <option key={state} value={state}>
            {state}
          </option>
        ))}
      </select>
      <select aria-label="Tag" value={search.tag} onChange={(event) => set({ tag: event.target.value })}>
        <option value="">Any tag</option>
        {[...KNOWN_TAGS, ...(isTag ? [] : [search.tag])].map((tag) => (
          <option key={tag} value={tag}>
            {tag}
          </option>
        ))}
      </select>
      <select aria-label="Since" value={search.since} onChange={(event) => set({ since: event.target.value })}>
        {SPANS.map(([value, name]) => (
          <option key={value} value={value}>
            {name}
          </option>
        ))}
        {isSpan ? null : <option value={search.since}>since {search.since}</option>}
      </select>
      {chips.map(([name, value]) =>
        value === '' ? null : (
          <span key={name} className="chip">
            <span title={value}>{name === 'key' ? value : `${name} ${value}`}</span>
            <button type="button" aria-label={`Without ${name} ${value}`} onClick={() => set({ [name]: '' })}>
              ×
            </button>
          </span>
        ),
      )}
      {Object.values(search).some((value) => value !== '') ? (
        <button type="button" className="small plain" onClick={() => set(NO_SEARCH)}>
          Clear
        </button>
      ) : null}
    </div>
  );
}

function Nothing({ isSearch, fault }: { readonly isSearch: boolean; readonly fault: string }) {
  const smtp = useSession().data?.smtp[0];
  if (fault !== '') {
    return (
      <Empty title="This cannot be searched for">
        <p>{fault}</p>
      </Empty>
    );
  }
  if (isSearch) {
    return (
      <Empty title="Nothing found">
        <p>
          No message matches. If the app says that it sent one, it may have gone elsewhere: check the SMTP host and port
          of the app. Without the filters there may be more. An address is found by how it begins, an id or a flow by
          all of it.
        </p>
      </Empty>
    );
  }
  return (
    <Empty title="No mail yet">
      <p>
        {smtp === undefined
          ? 'Point the SMTP settings of your app at this relay,'
          : `Point the SMTP settings of your app at ${smtp.host}, port ${smtp.port},`}{' '}
        or send a first password-reset mail on the relay's machine:
      </p>
      <Command text="npx leadpush-relay send" />
    </Empty>
  );
}
