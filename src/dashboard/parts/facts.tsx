/** Names and values of a message. */
import type { ReactNode } from 'react';
import type { MessageDetail } from '../api/types.ts';
import { octets, span } from '../lib/time.ts';
import { Link } from './link.tsx';
import { CopyButton, Time } from './show.tsx';

const DEADLINE_SOURCES: Readonly<Record<string, string>> = {
  header: 'X-Leadpush-TTL',
  deliverby: 'BY= of MAIL',
  tag: 'ttl of the tag',
  'give-up': 'retry.give_up_after',
};

export function MessageFacts({ message }: { readonly message: MessageDetail }) {
  const { client } = message;
  const metadata = Object.entries(message.metadata);
  return (
    <section className="panel" aria-label="About this message">
      <header>
        <h2>About this message</h2>
      </header>
      <dl className="facts body">
        <Fact name="id">
          <code>{message.id}</code> <CopyButton text={message.id} />
        </Fact>
        <Fact name="Message-ID">
          <code>{message.message_id}</code>
        </Fact>
        <Fact name="tag">
          {message.tag ?? 'none'}{' '}
          {message.tag === null ? null : <span className="faint">from {message.tag_source}</span>}
        </Fact>
        <Fact name="lane">{message.priority}</Fact>
        {message.flow === null ? null : (
          <Fact name="flow">
            <Link href={`/flows/${encodeURIComponent(message.flow)}`}>{message.flow}</Link>
          </Fact>
        )}
        {metadata.map(([name, value]) => (
          <Fact key={name} name={name}>
            {value} <span className="faint">metadata</span>
          </Fact>
        ))}
        <Fact name="from">
          {message.from} <span className="faint">envelope {message.mail_from === '' ? '<>' : message.mail_from}</span>
        </Fact>
        <Fact name="submitted by">
          {message.credential ?? 'no login'}{' '}
          <span className="faint">
            {client.address}
            {client.helo === '' ? '' : `, helo ${client.helo}`}, {client.tls ?? 'no TLS'}
          </span>
        </Fact>
        <Fact name="deadline">
          <Time at={message.deadline} />{' '}
          <span className="faint">
            {span(Date.parse(message.deadline) - Date.parse(message.accepted_at))},{' '}
            {DEADLINE_SOURCES[message.deadline_source] ?? message.deadline_source}
          </span>
        </Fact>
        <Fact name="signed">
          {message.signatures.length === 0
            ? 'no'
            : message.signatures.map((signature) => <p key={signature}>{signature}</p>)}
        </Fact>
        <Fact name="size">
          {octets(message.size)}{' '}
          <span className="faint">
            content {message.content_kept ? 'still kept' : 'gone, as it should be after delivery'}
          </span>
        </Fact>
        {message.deliveries.map((delivery) => (
          <Fact key={delivery.id} name={message.deliveries.length === 1 ? 'rule' : delivery.recipient}>
            {delivery.rule} <span className="faint">{delivery.rule_reason}</span>
          </Fact>
        ))}
        {message.warnings.map((warning) => (
          <Fact key={warning} name="warning">
            <span className="text-wait">{warning}</span>
          </Fact>
        ))}
      </dl>
    </section>
  );
}

export function Fact({ name, children }: { readonly name: string; readonly children: ReactNode }) {
  return (
    <>
      <dt>{name}</dt>
      <dd>{children}</dd>
    </>
  );
}
