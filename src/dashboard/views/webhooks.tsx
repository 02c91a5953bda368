/** The webhook endpoints of the config and how they fare. */
import { useRef } from 'react';
import { useWebhooks } from '../api/queries.ts';
import type { Webhook } from '../api/types.ts';
import { navigate } from '../lib/router.ts';
import { count } from '../lib/time.ts';
import { Empty, Loaded } from '../parts/condition.tsx';
import { Link } from '../parts/link.tsx';
import { rowProps, useRowKeys } from '../parts/rows.ts';
import { Due, Relative } from '../parts/show.tsx';

/** The one word for how an endpoint fares. */
export function faring(webhook: Webhook): { readonly mood: string; readonly word: string } {
  if (webhook.state === 'disabled') return { mood: 'bad', word: 'disabled' };
  if (webhook.failing_since !== null) return { mood: 'bad', word: 'failing' };
  if (webhook.pending > 0) return { mood: 'wait', word: 'busy' };
  return { mood: 'good', word: 'in order' };
}

export function WebhooksView() {
  const webhooks = useWebhooks();
  const list = useRef<HTMLTableElement>(null);
  useRowKeys(list);
  return (
    <>
      <div className="view-head">
        <h1>Webhooks</h1>
        <span className="sub">endpoints that events are sent to, signed</span>
      </div>
      <section className="panel" aria-label="Webhooks">
        <Loaded query={webhooks} what="the webhooks">
          {({ data }) =>
            data.length === 0 ? (
              <Empty title="No webhook in the config">
                <p>
                  An entry under <code>webhooks</code> in the config gets events as they happen: a name, a URL, a
                  secret, and which events it wants. No call can add one: the relay only ever calls addresses of its
                  config.
                </p>
              </Empty>
            ) : (
              <table className="cards" ref={list}>
                <thead>
                  <tr>
                    <th scope="col">Name</th>
                    <th scope="col">State</th>
                    <th scope="col">Address</th>
                    <th scope="col" className="right">
                      Waiting
                    </th>
                    <th scope="col" className="right">
                      Given up
                    </th>
                    <th scope="col">Last taken</th>
                    <th scope="col">Last failed</th>
                    <th scope="col">Next try</th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((webhook) => (
                    <Row key={webhook.name} webhook={webhook} />
                  ))}
                </tbody>
              </table>
            )
          }
        </Loaded>
      </section>
    </>
  );
}

function Row({ webhook }: { readonly webhook: Webhook }) {
  const address = `/webhooks/${encodeURIComponent(webhook.name)}`;
  const { mood, word } = faring(webhook);
  return (
    <tr {...rowProps(() => navigate(address), `${webhook.name}, ${word}`)}>
      <td>
        <Link href={address} tabIndex={-1}>
          {webhook.name}
        </Link>
      </td>
      <td>
        <span className={`badge ${mood}`}>{word}</span>
      </td>
      <td className="address line">
        <code>{webhook.url ?? 'unknown'}</code>
      </td>
      <td className="right number" data-name="waiting">
        {count(webhook.pending)}
      </td>
      <td className={webhook.dead > 0 ? 'right number text-bad' : 'right number'} data-name="given up">
        {count(webhook.dead)}
      </td>
      <td className="muted" data-name="last taken">
        {webhook.last_delivered_at === null ? 'never' : <Relative at={webhook.last_delivered_at} />}
      </td>
      <td className="muted" data-name="last failed">
        {webhook.last_failed_at === null ? 'never' : <Relative at={webhook.last_failed_at} />}
      </td>
      <td className="muted" data-name="next try">
        {webhook.next_attempt_at === null ? 'none' : <Due at={webhook.next_attempt_at} />}
      </td>
    </tr>
  );
}
