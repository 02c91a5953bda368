/**
 * The mail itself, while it is kept and for who may see it: as it looks, as text, its source, header, links, attachments, signatures.
 *
 * The HTML is drawn in a frame that may do nothing: no script, no form, no navigation, no request. Its document has a policy of its
 * own besides (`src/api/routes/preview.ts`).
 */
import { useState, type ReactNode } from 'react';
import { usePreview, useSource } from '../api/queries.ts';
import { useIsAdmin } from '../api/session.ts';
import type { MessageDetail, Preview } from '../api/types.ts';
import { octets } from '../lib/time.ts';
import { Empty, Loaded } from './condition.tsx';
import { CopyButton } from './show.tsx';
import { Tabs } from './tabs.tsx';

export function Content({ message }: { readonly message: MessageDetail }) {
  const isAdmin = useIsAdmin();
  const isCaptured = message.deliveries.every(({ attempts }) => attempts.at(-1)?.next_hop === 'sandbox');
  if (!isCaptured) return null;
  return (
    <section className="panel" aria-label="The captured mail">
      <header>
        <h2>The captured mail</h2>
      </header>
      {!message.content_kept ? (
        <Empty title="Its content is gone">
          <p>retention.sandbox in the config says how long captured mail is kept.</p>
        </Empty>
      ) : isAdmin ? (
        <Mail id={message.id} />
      ) : (
        <Empty title="Not shown to this token">
          <p>
            What is in a mail is shown only to tokens with the scope admin: it may hold a link that opens an account.
          </p>
        </Empty>
      )}
    </section>
  );
}

function Mail({ id }: { readonly id: string }) {
  const preview = usePreview(id);
  return (
    <Loaded query={preview} what="the mail">
      {(mail) => <Opened id={id} mail={mail} />}
    </Loaded>
  );
}

function Opened({ id, mail }: { readonly id: string; readonly mail: Preview }) {
  const tabs: readonly { readonly name: string; readonly body: ReactNode }[] = [
    ...(mail.has_html ? [{ name: 'HTML', body: <Html id={id} mail={mail} /> }] : []),
    ...(mail.text === null ? [] : [{ name: 'Text', body: <pre className="mail-text">{mail.text}</pre> }]),
    { name: `Links (${mail.links.length})`, body: <Links mail={mail} /> },
    { name: `Attachments (${mail.attachments.length})`, body: <Attachments id={id} mail={mail} /> },
    { name: 'Header', body: <Header mail={mail} /> },
    { name: 'DKIM', body: <Signatures mail={mail} /> },
    { name: 'Source', body: <Source id={id} /> },
  ];
  return (
    <>
      <dl className="facts body">
        <dt>subject</dt>
        <dd>
          <strong>{mail.subject ?? 'none'}</strong>
        </dd>
        <dt>from</dt>
        <dd>{mail.from ?? 'none'}</dd>
        <dt>to</dt>
        <dd>{mail.to ?? 'none'}</dd>
      </dl>
      {mail.whole ? null : <p className="body text-wait">It has more parts than are looked at.</p>}
      <Tabs label="Ways to look at the mail" tabs={tabs} />
    </>
  );
}

const WIDTHS = { desk: 'Full width', phone: 'Phone width' } as const;

function Html({ id, mail }: { readonly id: string; readonly mail: Preview }) {
  const [width, setWidth] = useState<keyof typeof WIDTHS>('desk');
  const remote = mail.links.filter(
    ({ kind, part }) => part === 'html' && ['image', 'background', 'css', 'media'].includes(kind),
  );
  return (
    <div className="mail-html">
      <div className="filters">
        {(['desk', 'phone'] as const).map((each) => (
          <button
            key={each}
            type="button"
            className="small"
            aria-pressed={width === each}
            onClick={() => setWidth(each)}
          >
            {WIDTHS[each]}
          </button>
        ))}
        {remote.length === 0 ? null : (
          <span className="muted">
            {remote.length} from elsewhere not loaded: nothing in this frame makes a request.
          </span>
        )}
      </div>
      <iframe
        className={width}
        title="The mail as HTML"
        sandbox=""
        referrerPolicy="no-referrer"
        src={`/v1/messages/${id}/preview/html`}
      />
    </div>
  );
}

function Links({ mail }: { readonly mail: Preview }) {
  if (mail.links.length === 0) return <p className="body muted">No links.</p>;
  return (
    <ul className="body stack">
      {mail.links.map(({ part, kind, address, text }, index) => (
        <li key={index} className="link-line">
          <div className="break">
            {/^https?:\/\//i.test(address) ? (
              <a href={address} target="_blank" rel="noopener noreferrer nofollow">
                {address}
              </a>
            ) : (
              <code>{address}</code>
            )}
            <p className="faint">
              {part}, {kind}
              {text === '' ? '' : `: "${text}"`}
            </p>
          </div>
          <CopyButton text={address} />
        </li>
      ))}
    </ul>
  );
}

function Attachments({ id, mail }: { readonly id: string; readonly mail: Preview }) {
  if (mail.attachments.length === 0) return <p className="body muted">No attachments.</p>;
  return (
    <ul className="body stack">
      {mail.attachments.map(({ number, name, type, size, inline }) => (
        <li key={number} className="break">
          <a href={`/v1/messages/${id}/preview/attachments/${number}`} download>
            {name === '' ? 'without a name' : name}
          </a>{' '}
          <span className="faint">
            {type}, {octets(size)}
            {inline ? ', shown in the HTML' : ''}
          </span>
        </li>
      ))}
    </ul>
  );
}

function Header({ mail }: { readonly mail: Preview }) {
  return (
    <dl className="facts body">
      {mail.fields.map(({ name, value }, index) => (
        <div key={index} className="contents">
          <dt className="mono">{name}</dt>
          <dd className="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

const RESULTS: Readonly<Record<string, { readonly mood: string; readonly text: string }>> = {
  pass: { mood: 'good', text: 'the stored mail is what was signed' },
  fail: { mood: 'bad', text: '' },
  'unknown-key': { mood: 'quiet', text: '' },
  unsupported: { mood: 'quiet', text: '' },
};

function Signatures({ mail }: { readonly mail: Preview }) {
  if (mail.signatures.length === 0) {
    return (
      <p className="body muted">
        Not signed. Mail is signed when the domain of its From stands under <code>senders</code> with a key.
      </p>
    );
  }
  return (
    <div className="body stack">
      <ul className="stack">
        {mail.signatures.map(({ domain, selector, algorithm, result, reason }) => (
          <li key={`${selector} ${domain}`} className="break">
            <span className={`badge ${RESULTS[result]?.mood ?? ''}`}>{result}</span>{' '}
            <code>
              {selector}._domainkey.{domain}
            </code>{' '}
            <span className="muted">
              {algorithm}
              {reason === '' ? `, ${RESULTS[result]?.text ?? ''}` : `: ${reason}`}
            </span>
          </li>
        ))}
      </ul>
      <p className="faint">
        Checked against the keys of this relay. Whether the world can check them too is under Senders.
      </p>
    </div>
  );
}

function Source({ id }: { readonly id: string }) {
  const source = useSource(id);
  return (
    <Loaded query={source} what="the source">
      {(text) => (
        <>
          <div className="filters">
            <CopyButton text={text} />
            <a className="button" href={`/v1/messages/${id}/content`} download={`${id}.eml`}>
              Download .eml
            </a>
          </div>
          <pre className="mail-text mono">{text}</pre>
        </>
      )}
    </Loaded>
  );
}
