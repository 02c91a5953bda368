/** A recovery flow: its messages in time order, the time between them, and whether the reset in it ever reached the person. */
import { useRef } from 'react';
import { useFlow } from '../api/queries.ts';
import type { Message } from '../api/types.ts';
import { flowVerdict } from '../lib/flow.ts';
import { navigate } from '../lib/router.ts';
import { overall } from '../lib/states.ts';
import { span } from '../lib/time.ts';
import { Empty, Loaded } from '../parts/condition.tsx';
import { rowProps, useRowKeys } from '../parts/rows.ts';
import { StateBadge, Tag, Time } from '../parts/show.tsx';
import { useBackOnEscape } from './message.tsx';

export function FlowView({ flow }: { readonly flow: string }) {
  const messages = useFlow(flow);
  const list = useRef<HTMLTableElement>(null);
  useRowKeys(list);
  useBackOnEscape();
  return (
    <>
      <div className="view-head">
        <h1 className="break">Flow {flow}</h1>
      </div>
      <Loaded query={messages} what="the flow">
        {({ data, has_more }) => {
          const story = data.toReversed();
          const verdict = flowVerdict(story);
          if (story.length === 0) {
            return (
              <Empty title="No message has this flow">
                <p>An app gives it with the header X-Leadpush-Flow. It is kept as long as the history.</p>
              </Empty>
            );
          }
          return (
            <>
              <section className={`notice verdict ${verdict.mood}`} aria-label="Verdict">
                <strong className="break">{verdict.text}</strong>
              </section>
              <section className="panel" aria-label="Messages of the flow">
                <table className="cards" ref={list}>
                  <thead>
                    <tr>
                      <th scope="col">Accepted</th>
                      <th scope="col">After</th>
                      <th scope="col">State</th>
                      <th scope="col">Tag</th>
                      <th scope="col">Recipient</th>
                      <th scope="col" className="right">
                        Took
                      </th>
                    </tr>
                  </thead>
                  <tbody>
                    {story.map((message, index) => (
                      <Row key={message.id} message={message} before={story[index - 1]} />
                    ))}
                  </tbody>
                </table>
                {has_more ? <p className="foot">The newest {story.length} are shown.</p> : null}
              </section>
            </>
          );
        }}
      </Loaded>
    </>
  );
}

function Row({ message, before }: { readonly message: Message; readonly before: Message | undefined }) {
  const [first] = message.deliveries;
  const state = overall(message.deliveries.map((delivery) => delivery.state));
  const accepted = Date.parse(message.accepted_at);
  return (
    <tr {...rowProps(() => navigate(`/messages/${message.id}`), `${message.tag ?? 'no tag'}, ${state}`)}>
      <td>
        <Time at={message.accepted_at} />
      </td>
      <td className="muted nowrap">
        {before === undefined ? '' : `+${span(accepted - Date.parse(before.accepted_at))}`}
      </td>
      <td>
        <StateBadge state={state} />
      </td>
      <td>
        <Tag name={message.tag} />
      </td>
      <td className="address line">{message.deliveries.map(({ recipient }) => recipient).join(', ')}</td>
      <td className="right muted nowrap">
        {first?.delivered_at == null ? '' : span(Date.parse(first.delivered_at) - accepted)}
      </td>
    </tr>
  );
}
