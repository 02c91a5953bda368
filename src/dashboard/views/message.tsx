/** One message: the verdict first, then its story, what it was, its links, its flow, and, while it is kept, the mail itself. */
import { useEffect } from 'react';
import { useFlow, useStory } from '../api/queries.ts';
import type { Message, MessageDetail, Trace } from '../api/types.ts';
import { now } from '../lib/clock.ts';
import { navigate } from '../lib/router.ts';
import { overall, verdictMood } from '../lib/states.ts';
import { stepsOf, type Story } from '../lib/story.ts';
import { Audit } from '../parts/audit.tsx';
import { Loaded } from '../parts/condition.tsx';
import { Content } from '../parts/content.tsx';
import { MessageFacts } from '../parts/facts.tsx';
import { Link } from '../parts/link.tsx';
import { Operate } from '../parts/operate.tsx';
import { Sentence, StateBadge, Tag, Time } from '../parts/show.tsx';
import { Timeline } from '../parts/timeline.tsx';

export function MessageView({ id }: { readonly id: string }) {
  const story = useStory(id);
  useBackOnEscape();
  return (
    <Loaded query={story} what="the message">
      {(data) => <Told id={id} story={data} />}
    </Loaded>
  );
}

/** Escape leads back to the list that one came from. */
export function useBackOnEscape(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isField = event.target instanceof HTMLElement && event.target.closest('input, select, textarea, dialog');
      if (event.key !== 'Escape' || isField) return;
      if (history.length > 1) history.back();
      else navigate('/');
    };
    addEventListener('keydown', onKey);
    return () => removeEventListener('keydown', onKey);
  }, []);
}

function Told({ id, story }: { readonly id: string; readonly story: Trace }) {
  const { message } = story;
  const recipients = message?.deliveries.map(({ recipient }) => recipient) ?? refusedRecipients(story);
  return (
    <>
      <div className="view-head">
        <h1 className="break">
          {recipients.length > 3
            ? `${recipients.slice(0, 3).join(', ')} and ${recipients.length - 3} more`
            : recipients.join(', ')}
        </h1>
        <StateBadge state={story.state} />
        <Tag name={message?.tag ?? story.events[0]?.data.message?.tag ?? null} />
        <span className="sub">
          <Time at={message?.accepted_at ?? story.events[0]?.timestamp ?? ''} />
        </span>
        {message === null ? null : (
          <div className="actions">
            <Operate
              targets={message.deliveries.map((delivery) => ({
                messageId: message.id,
                state: delivery.state,
                recipient: delivery.recipient,
                sendable: message.content_kept && Date.parse(message.deadline) > now(),
              }))}
            />
          </div>
        )}
      </div>
      <VerdictBox verdict={story} />
      <div className="columns">
        <div className="main-column">
          <section className="panel" aria-label="What happened">
            <header>
              <h2>What happened</h2>
              {message !== null && message.deliveries.length > 1 ? <Recipients message={message} /> : null}
            </header>
            <Timeline steps={stepsOf(story)} several={recipients.length > 1} />
          </section>
          {message === null ? null : <Content message={message} />}
        </div>
        <div className="side-column">
          {message === null ? <RefusedFacts id={id} story={story} /> : <MessageFacts message={message} />}
          {message === null ? null : <Audit message={message} />}
          {message?.flow == null ? null : <Flow flow={message.flow} present={message.id} />}
        </div>
      </div>
    </>
  );
}

function refusedRecipients({ events }: Story): readonly string[] {
  return [...new Set(events.flatMap(({ data }) => (data.delivery === undefined ? [] : [data.delivery.recipient])))];
}

/** In the relay's own words, which `trace` prints too. No live region: it counts seconds, which nobody wants to be read. */
function VerdictBox({ verdict }: { readonly verdict: Trace }) {
  return (
    <section className={`notice verdict ${verdictMood(verdict)}`} aria-label="Verdict">
      <p>
        <strong className="break">
          <Sentence text={verdict.outcome} />
        </strong>
      </p>
      {verdict.why_late === null ? null : <p className="break">{verdict.why_late}</p>}
      {verdict.next_step === null ? null : <p className="muted break">{verdict.next_step}</p>}
    </section>
  );
}

function Recipients({ message }: { readonly message: MessageDetail }) {
  return (
    <ul className="recipients">
      {message.deliveries.map((delivery) => (
        <li key={delivery.id}>
          <StateBadge state={delivery.state} /> <span className="break">{delivery.recipient}</span>
        </li>
      ))}
    </ul>
  );
}

function RefusedFacts({ id, story }: { readonly id: string; readonly story: Story }) {
  const message = story.events[0]?.data.message;
  return (
    <section className="panel" aria-label="About this message">
      <header>
        <h2>About this message</h2>
      </header>
      <dl className="facts body">
        <dt>id</dt>
        <dd>
          <code>{id}</code>
        </dd>
        <dt>Message-ID</dt>
        <dd>
          <code>{message?.message_id ?? 'none'}</code>
        </dd>
        <dt>submitted by</dt>
        <dd>{message?.credential ?? 'no login'}</dd>
      </dl>
    </section>
  );
}

function Flow({ flow, present }: { readonly flow: string; readonly present: string }) {
  const messages = useFlow(flow);
  return (
    <section className="panel" aria-label="Flow">
      <header>
        <h2>Flow</h2>
        <Link href={`/flows/${encodeURIComponent(flow)}`} className="break">
          {flow}
        </Link>
      </header>
      <div className="body">
        <Loaded query={messages} what="the flow">
          {({ data }) => (
            <ul className="stack">
              {data.toReversed().map((message) => (
                <FlowLine key={message.id} message={message} isPresent={message.id === present} />
              ))}
            </ul>
          )}
        </Loaded>
      </div>
    </section>
  );
}

function FlowLine({ message, isPresent }: { readonly message: Message; readonly isPresent: boolean }) {
  const state = overall(message.deliveries.map((delivery) => delivery.state));
  return (
    <li>
      <Time at={message.accepted_at} /> <Tag name={message.tag} /> <StateBadge state={state} />{' '}
      {isPresent ? <span className="faint">this one</span> : <Link href={`/messages/${message.id}`}>open</Link>}
    </li>
  );
}
