/** What waits and why, most urgent first; retry and cancel, one by one or marked. */
import { useRef, useState } from 'react';
import { useQueue } from '../api/queries.ts';
import { useIsAdmin } from '../api/session.ts';
import type { QueueRow } from '../api/types.ts';
import { addressOf, navigate } from '../lib/router.ts';
import { exactTime, span } from '../lib/time.ts';
import { Empty, Loaded } from '../parts/condition.tsx';
import { Link } from '../parts/link.tsx';
import { Operate, type Target } from '../parts/operate.tsx';
import { rowProps, useRowKeys } from '../parts/rows.ts';
import { Relative, StateBadge, Tag, useNow } from '../parts/show.tsx';

export function QueueView() {
  const queue = useQueue();
  const [marked, setMarked] = useState<ReadonlySet<string>>(new Set());
  const list = useRef<HTMLTableElement>(null);
  useRowKeys(list);

  const rows = queue.data?.data ?? [];
  const chosen = rows.filter(({ delivery_id }) => marked.has(delivery_id));
  const mark = (ids: readonly string[], on: boolean): void => {
    const next = new Set(marked);
    for (const id of ids) {
      if (on) next.add(id);
      else next.delete(id);
    }
    setMarked(next);
  };

  return (
    <>
      <div className="view-head">
        <h1>Queue</h1>
        <span className="sub">
          {queue.data === undefined
            ? ''
            : `${rows.length}${queue.data.has_more ? ' or more' : ''} waiting, most urgent first`}
        </span>
        <div className="actions">
          <Operate targets={chosen.map(targetOf)} onDone={() => setMarked(new Set())} />
        </div>
      </div>
      <section className="panel" aria-label="Queue">
        <Loaded query={queue} what="the queue">
          {({ data, has_more }) =>
            data.length === 0 ? (
              <Empty title="Nothing waits">
                <p>
                  What a next hop does not take at once waits here, with its reason and the time of the next attempt.
                  What became of everything else is under <Link href="/">Messages</Link>.
                </p>
              </Empty>
            ) : (
              <>
                <Rows rows={data} marked={marked} onMark={mark} list={list} />
                {has_more ? (
                  <p className="foot">
                    The most urgent {data.length} are shown.{' '}
                    <Link href={addressOf('/', { state: 'deferred' })}>All deferred messages</Link>
                    <Link href={addressOf('/', { state: 'queued' })}>All queued messages</Link>
                  </p>
                ) : null}
              </>
            )
          }
        </Loaded>
      </section>
    </>
  );
}

function targetOf(row: QueueRow): Target {
  return { messageId: row.message_id, state: row.state, recipient: row.recipient, sendable: true };
}

function Rows({
  rows,
  marked,
  onMark,
  list,
}: {
  readonly rows: readonly QueueRow[];
  readonly marked: ReadonlySet<string>;
  readonly onMark: (ids: readonly string[], on: boolean) => void;
  readonly list: React.RefObject<HTMLTableElement | null>;
}) {
  const isAdmin = useIsAdmin();
  const nowMs = useNow();
  const all = rows.map(({ delivery_id }) => delivery_id);
  return (
    <table className="cards" ref={list}>
      <thead>
        <tr>
          {isAdmin ? (
            <th scope="col">
              <input
                type="checkbox"
                aria-label="Mark all"
                checked={all.every((id) => marked.has(id))}
                onChange={(event) => onMark(all, event.target.checked)}
              />
            </th>
          ) : null}
          <th scope="col">State</th>
          <th scope="col">Recipient</th>
          <th scope="col">Tag</th>
          <th scope="col">Route</th>
          <th scope="col" className="right">
            Age
          </th>
          <th scope="col">Next attempt</th>
          <th scope="col">Given up</th>
          <th scope="col">Tried</th>
        </tr>
      </thead>
      <tbody>
        {rows.map((row) => (
          <tr
            key={row.delivery_id}
            {...rowProps(() => navigate(`/messages/${row.message_id}`), `${row.recipient}, ${row.state}`)}
            data-id={row.delivery_id}
          >
            {isAdmin ? (
              <td onClick={(event) => event.stopPropagation()}>
                <input
                  type="checkbox"
                  aria-label={`Mark ${row.recipient}`}
                  checked={marked.has(row.delivery_id)}
                  onChange={(event) => onMark([row.delivery_id], event.target.checked)}
                />
              </td>
            ) : null}
            <td>
              <StateBadge state={row.state} />
            </td>
            <td className="address line">
              <Link href={`/messages/${row.message_id}`} tabIndex={-1}>
                {row.recipient}
              </Link>
            </td>
            <td>
              <Tag name={row.tag} /> <span className="faint">{row.priority}</span>
            </td>
            <td className="muted">{row.route}</td>
            <td className="right muted nowrap" data-name="age">
              {span(Math.round((nowMs - Date.parse(row.accepted_at)) / 1000) * 1000)}
            </td>
            <td className="nowrap" data-name="next">
              <Next at={row.next_attempt_at} nowMs={nowMs} />
            </td>
            <td className="nowrap muted" data-name="given up">
              <Relative at={row.deadline} />
            </td>
            <td className="cut line muted" title={row.last_response ?? undefined}>
              {row.attempts === 0
                ? 'nothing was tried yet'
                : `${row.attempts === 1 ? 'once' : `${row.attempts} times`}: ${row.last_response ?? ''}`}
            </td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

/** When the next attempt is; one that is past waits for its route or for room on it. */
function Next({ at, nowMs }: { readonly at: string | null; readonly nowMs: number }) {
  if (at === null) return <span className="faint">none</span>;
  if (Date.parse(at) <= nowMs) return <span title={exactTime(at)}>due now</span>;
  return <Relative at={at} />;
}
